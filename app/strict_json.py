"""Strict JSON: one object in UTF-8, or where and why it is none.

Stricter than `json.loads`, because what a lenient parser lets through breaks later: a lone surrogate cannot be stored, NaN is
no JSON, a hundred thousand levels end a recursive function. What it accepts, it reads exactly as `json.loads` does, since
signatures are computed over that reading: of a repeated key the last counts, keys keep their order, numbers their text.
"""

import json
import math
import re
from typing import Any

DEPTH_MAX = 100
NUMBER_CHARACTERS_MAX = 100
BOM = b"\xef\xbb\xbf"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class Unreadable(Exception):
    """The bytes are not what is read here. `place` is what a person would look for, such as `line 3 column 7`."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place} {reason}")
        self.place = place
        self.reason = reason


def parse(raw: bytes) -> dict[str, Any]:
    """The object that `raw` is. Raises Unreadable."""
    text = _text(raw)
    _check_depth(raw)
    try:
        body = json.loads(text, parse_constant=_no_constant, parse_int=_int, parse_float=_float)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno} column {error.colno}", error.msg) from None
    if not isinstance(body, dict):
        raise Unreadable("body", f"is {_name(body)}; an object is needed")
    if _SURROGATE_ESCAPE.search(raw):
        _check_surrogates(body)
    return body


def _text(raw: bytes) -> str:
    if raw.startswith(BOM):
        raise Unreadable("character 1", "is a byte order mark; JSON text begins with the object (RFC 8259, section 8.1)")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start + 1}", "is not UTF-8") from None


def _check_depth(raw: bytes) -> None:
    """By bytes, before the parser recurses. A body with few brackets, as nearly all have, is not looked at twice."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise Unreadable("body", f"is nested more than {DEPTH_MAX} levels deep")


def _check_surrogates(body: dict[str, Any]) -> None:
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unreadable("body", f"holds the lone surrogate \\u{ord(text[error.start]):04x}, which is no character") from None


def _no_constant(name: str) -> None:
    raise Unreadable("body", f"holds {name}, which is not JSON")


def _int(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise Unreadable("body", f"holds a number of {len(text)} characters; at most {NUMBER_CHARACTERS_MAX} are read")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if len(text) > NUMBER_CHARACTERS_MAX or math.isinf(value):
        raise Unreadable("body", f"holds the number {text[:20]}{'...' if len(text) > 20 else ''}, which is beyond a double")
    return value


def _name(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names[type(value)]
