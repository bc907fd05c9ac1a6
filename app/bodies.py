"""Bodies of deliveries: size, media type and strict JSON, judged before anything else looks at them: 413, 415, 400.

Stricter than `json.loads`, because what a lenient parser lets through breaks later: a lone surrogate cannot be stored, NaN is
no JSON, a hundred thousand levels end a recursive function. What it accepts, it reads exactly as `json.loads` does, since
signatures are computed over that reading: of a repeated key the last counts, keys keep their order, numbers their text.
"""

import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.problems import INVALID_JSON, MALFORMED, TOO_LARGE, UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE, Fault, Problem, retry_after

BYTES_MAX = 2**20
LARGE_BYTES = 64 * 1024  # from here on a body costs milliseconds of the interpreter, so such bodies queue up
LARGE_WAITING_MAX = 16  # more of them would take threads from the small ones
LARGE_WAIT_S = 1.0
DEPTH_MAX = 100
NUMBER_CHARACTERS_MAX = 100
BOM = b"\xef\xbb\xbf"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(request: Request) -> bytes:
    """The raw body, at most BYTES_MAX of it. Raises Problem 413, 415, or 400 where the sender hung up half way."""
    media_type = request.mimetype
    if media_type == "application/x-www-form-urlencoded" or media_type.startswith("multipart/"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"{media_type} was sent; send JSON with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE, "The body is compressed; send it as it is.", headers={"Accept-Encoding": "identity"}
        )
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Problem(TOO_LARGE) from None
    except ClientDisconnected:
        raise Problem(MALFORMED, "The body ended before its announced length.") from None
    if len(raw) > BYTES_MAX:
        raise Problem(TOO_LARGE)
    return raw


def parse(raw: bytes) -> dict[str, Any]:
    """The object that `raw` is. Raises Problem 400 that names the place."""
    text = _text(raw)
    _check_depth(raw)
    try:
        body = json.loads(text, parse_constant=_no_constant, parse_int=_int, parse_float=_float)
    except json.JSONDecodeError as error:
        raise _rejected(f"line {error.lineno} column {error.colno}", error.msg) from None
    if not isinstance(body, dict):
        raise _rejected("body", f"is {_name(body)}; an object is needed")
    if _SURROGATE_ESCAPE.search(raw):
        _check_surrogates(body)
    return body


class StrictJson(FlaskParser):
    """Reads the JSON of the API's own endpoints as strictly as that of deliveries."""

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - as inherited
        return parse(read(req))


class OptionalJson(StrictJson):
    """As strict, but no body at all means an empty object: for wishes of which nothing is required."""

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - as inherited
        raw = read(req)
        return parse(raw) if raw else {}


class LargeBodies:
    """Lets one large body through at a time, so that many of them cost the small ones one core's turn, not all.

    For whatever server there is; `app.wire` gives them one thread, so that there nobody ever waits here.
    """

    def __init__(self, wait_s: float = LARGE_WAIT_S, waiting_max: int = LARGE_WAITING_MAX) -> None:
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(waiting_max)
        self._wait_s = wait_s

    @contextmanager
    def turn(self, size_bytes: int) -> Iterator[None]:
        """Raises Problem 503 where too many wait already or the wait gets too long."""
        if size_bytes <= LARGE_BYTES:
            yield
            return
        if not self._places.acquire(blocking=False):
            raise self._busy()
        try:
            if not self._turn.acquire(timeout=self._wait_s):
                raise self._busy()
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _busy(self) -> Problem:
        return Problem(UNAVAILABLE, "Too many large bodies at once; send it again.", headers=retry_after(self._wait_s))


def _text(raw: bytes) -> str:
    if raw.startswith(BOM):
        raise _rejected("character 1", "is a byte order mark; JSON text begins with the object (RFC 8259, section 8.1)")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _rejected(f"byte {error.start + 1}", "is not UTF-8") from None


def _check_depth(raw: bytes) -> None:
    """By bytes, before the parser recurses. A body with few brackets, as nearly all have, is not looked at twice."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise _rejected("body", f"is nested more than {DEPTH_MAX} levels deep")


def _check_surrogates(body: dict[str, Any]) -> None:
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _rejected("body", f"holds the lone surrogate \\u{ord(text[error.start]):04x}, which is no character") from None


def _no_constant(name: str) -> None:
    raise _rejected("body", f"holds {name}, which is not JSON")


def _int(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise _rejected("body", f"holds a number of {len(text)} characters; at most {NUMBER_CHARACTERS_MAX} are read")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if len(text) > NUMBER_CHARACTERS_MAX or math.isinf(value):
        raise _rejected("body", f"holds the number {text[:20]}{'...' if len(text) > 20 else ''}, which is beyond a double")
    return value


def _name(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names[type(value)]


def _rejected(field: str, reason: str) -> Problem:
    return Problem(INVALID_JSON, f"{field} {reason}", faults=[Fault(field, reason)])
