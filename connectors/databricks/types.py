"""Databricks' type texts as data types of the domain; what is not known is OTHER, never guessed at.

A function that masks has to repeat the column's type exactly: DECIMAL(12,2) does not serve DECIMAL(23,2). So the signature of
a type is its whole text. Types with parts are maskable as a whole only, and become statements only if each part is understood:
the text of a struct does not quote its fields, so one with an odd name is read from the JSON beside it.
Source: docs.databricks.com, Data types; tables of the Unity Catalog REST interface (`type_text`, `type_json`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.databricks.quoting import identifier
from lily.domain.inventory import DataType, Family, TableKind, Zone

PLAIN: Mapping[str, tuple[Family, Zone]] = {
    "string": (Family.TEXT, Zone.NONE),
    "tinyint": (Family.INTEGER, Zone.NONE),
    "smallint": (Family.INTEGER, Zone.NONE),
    "int": (Family.INTEGER, Zone.NONE),
    "bigint": (Family.INTEGER, Zone.NONE),
    "float": (Family.FLOAT, Zone.NONE),
    "double": (Family.FLOAT, Zone.NONE),
    "boolean": (Family.BOOLEAN, Zone.NONE),
    "date": (Family.DATE, Zone.NONE),
    "timestamp": (Family.TIMESTAMP, Zone.SESSION),
    "timestamp_ntz": (Family.TIMESTAMP, Zone.NONE),
    "binary": (Family.BINARY, Zone.NONE),
    "variant": (Family.SEMI_STRUCTURED, Zone.NONE),
}
SAME = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float"}
WITH_PARTS = re.compile(r"(array|map|struct)<", re.IGNORECASE)
DECIMAL = re.compile(r"(?:decimal|dec|numeric)\((\d+), ?(\d+)\)")
TEXT = re.compile(r"(varchar|char)\((\d+)\)")
TOKEN = re.compile(r"\s*(?:(`(?:[^`]|``)+`)|((?:decimal|varchar|char)\([0-9, ]+\)|\w+)|([<>,:]))", re.ASCII | re.IGNORECASE)
DEPTH_MAX = 32
KINDS = {
    "MANAGED": TableKind.TABLE,
    "EXTERNAL": TableKind.TABLE,  # as to masks and filters like any other
    "MANAGED_SHALLOW_CLONE": TableKind.TABLE,
    "EXTERNAL_SHALLOW_CLONE": TableKind.TABLE,
    "VIEW": TableKind.VIEW,
    "METRIC_VIEW": TableKind.VIEW,
    "MATERIALIZED_VIEW": TableKind.MATERIALIZED_VIEW,
    "STREAMING_TABLE": TableKind.STREAMING_TABLE,
}


def data_type(text: str, described: str | None = None) -> DataType:
    """The type of a column by its `type_text`, and its `type_json` where the text alone does not tell."""
    if WITH_PARTS.match(text):
        signature = _from_text(text) or _from_json(described)
        return DataType(Family.SEMI_STRUCTURED, text, signature) if signature else _other(text)
    return _simple(text.lower()) or _other(text)


def table_kind(word: str) -> TableKind:
    return KINDS.get(word.upper(), TableKind.FOREIGN_TABLE)


def _simple(text: str) -> DataType | None:
    name = SAME.get(text, text)
    if name in PLAIN:
        family, zone = PLAIN[name]
        return DataType(family, name, name, zone=zone)
    if found := DECIMAL.fullmatch(text):
        precision, scale = int(found[1]), int(found[2])
        name = f"decimal({precision},{scale})"
        return DataType(Family.DECIMAL if scale else Family.INTEGER, name, name, precision=precision, scale=scale)
    if found := TEXT.fullmatch(text):
        return DataType(Family.TEXT, text, text, length=int(found[2]))
    return None


def _other(text: str) -> DataType:
    return DataType(Family.OTHER, text, text)


class _Unknown(ValueError):
    """A part of the type is not understood."""


def _from_text(text: str) -> str | None:
    """The type written anew, every name in it quoted."""
    tokens = _tokens(text)
    try:
        written = _part(tokens, 0)
        return written if next(tokens, None) is None else None
    except (ValueError, StopIteration):  # unknown, or a name that cannot be one
        return None


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise _Unknown
        yield found[found.lastindex or 0]
        at = found.end()


def _part(tokens: Iterator[str], depth: int) -> str:
    word = next(tokens).lower()
    if depth > DEPTH_MAX:
        raise _Unknown
    if word == "array":
        _take(tokens, "<")
        inner = _part(tokens, depth + 1)
        _take(tokens, ">")
        return f"array<{inner}>"
    if word == "map":
        _take(tokens, "<")
        key = _part(tokens, depth + 1)
        _take(tokens, ",")
        value = _part(tokens, depth + 1)
        _take(tokens, ">")
        return f"map<{key},{value}>"
    if word == "struct":
        return _struct(tokens, depth)
    simple = _simple(word)
    if simple is None:
        raise _Unknown
    return simple.signature


def _struct(tokens: Iterator[str], depth: int) -> str:
    _take(tokens, "<")
    fields, ending = [], ","
    while ending == ",":
        name = next(tokens)
        if name in "<>,:":
            raise _Unknown
        _take(tokens, ":")
        plain = name[1:-1].replace("``", "`") if name[0] == "`" else name
        fields.append(f"{identifier(plain)}:{_part(tokens, depth + 1)}")
        ending = next(tokens)
    if ending != ">":
        raise _Unknown
    return f"struct<{','.join(fields)}>"


def _take(tokens: Iterator[str], wanted: str) -> None:
    if next(tokens) != wanted:
        raise _Unknown


def _from_json(described: str | None) -> str | None:
    """The same from `type_json`, in which names are whole whatever they hold."""
    try:
        return _described(json.loads(described or "null")["type"], 0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _described(told: Any, depth: int) -> str:
    if depth > DEPTH_MAX:
        raise _Unknown
    if isinstance(told, str):
        simple = _simple(told.lower())
        if simple is None:
            raise _Unknown
        return simple.signature
    if told["type"] == "array":
        return f"array<{_described(told['elementType'], depth + 1)}>"
    if told["type"] == "map":
        return f"map<{_described(told['keyType'], depth + 1)},{_described(told['valueType'], depth + 1)}>"
    if told["type"] == "struct" and told["fields"]:
        fields = (f"{identifier(field['name'])}:{_described(field['type'], depth + 1)}" for field in told["fields"])
        return f"struct<{','.join(fields)}>"
    raise _Unknown
