"""Snowflake's type texts as data types of the domain; what is not known is OTHER, never guessed at.

Source: docs.snowflake.com, Summary of data types; the texts are those of DESCRIBE TABLE. A policy on VARCHAR covers every
length. A policy on NUMBER is made for one scale, so that no exempt reader loses decimals.
"""

import re

from lily.domain.inventory import DataType, Family, TableKind, Zone

FORM = re.compile(r"([A-Z_]+)(?:\((\d+)(?:,\s*(\d+))?\))?")
PRECISION_MAX = 38
PLAIN = {
    "FLOAT": Family.FLOAT,
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    "TIME": Family.TIME,
    "VARIANT": Family.SEMI_STRUCTURED,
    "OBJECT": Family.SEMI_STRUCTURED,
    "ARRAY": Family.SEMI_STRUCTURED,
    "GEOGRAPHY": Family.SEMI_STRUCTURED,
    "GEOMETRY": Family.SEMI_STRUCTURED,
}
ZONES = {"TIMESTAMP_NTZ": Zone.NONE, "TIMESTAMP_LTZ": Zone.SESSION, "TIMESTAMP_TZ": Zone.OFFSET}
WITH_DIGITS = {"TIME", *ZONES}
KINDS = {
    "BASE TABLE": TableKind.TABLE,
    "TABLE": TableKind.TABLE,
    "VIEW": TableKind.VIEW,
    "MATERIALIZED VIEW": TableKind.MATERIALIZED_VIEW,
    "DYNAMIC TABLE": TableKind.DYNAMIC_TABLE,
    "EXTERNAL TABLE": TableKind.EXTERNAL_TABLE,
}


def data_type(text: str) -> DataType:
    """The type that DESCRIBE TABLE writes as `text`."""
    found = FORM.fullmatch(text)
    if found is None:
        return _other(text)
    name, first, second = found[1], *(int(part) if part else None for part in found.group(2, 3))
    if name == "VARCHAR":
        return DataType(Family.TEXT, text, "VARCHAR", length=first)
    if name == "BINARY":
        return DataType(Family.BINARY, text, "BINARY", length=first)
    if name == "NUMBER":
        scale = second or 0
        family = Family.DECIMAL if scale else Family.INTEGER
        return DataType(family, text, f"NUMBER({PRECISION_MAX},{scale})", precision=first or PRECISION_MAX, scale=scale)
    if name in ZONES and second is None:
        return DataType(Family.TIMESTAMP, text, name, zone=ZONES[name])
    if name in PLAIN and (first is None or name in WITH_DIGITS) and second is None:
        return DataType(PLAIN[name], text, name)
    return _other(text)


def listed_type(name: str, length: int | None, precision: int | None, scale: int | None) -> DataType:
    """The type of a column as INFORMATION_SCHEMA.COLUMNS tells it, in parts."""
    if name in {"TEXT", "VARCHAR"}:
        return data_type(f"VARCHAR({length})" if length else "VARCHAR")
    if name == "BINARY":
        return data_type(f"BINARY({length})" if length else "BINARY")
    if name == "NUMBER":
        return data_type(f"NUMBER({precision or PRECISION_MAX},{scale or 0})")
    return data_type(name)


def table_kind(word: str) -> TableKind:
    return KINDS.get(word.upper(), TableKind.FOREIGN_TABLE)


def _other(text: str) -> DataType:
    return DataType(Family.OTHER, text, text)
