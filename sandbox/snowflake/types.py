"""Snowflake's data types: how they are written, which family they belong to, and what carries them in DuckDB."""

from dataclasses import dataclass

TEXT_MAX = 16777216
BINARY_MAX = 8388608

# The words of the vendor, and what they mean.
ALIASES = {
    "VARCHAR": "VARCHAR", "CHAR": "VARCHAR", "CHARACTER": "VARCHAR", "STRING": "VARCHAR", "TEXT": "VARCHAR",
    "NVARCHAR": "VARCHAR",
    "NUMBER": "NUMBER", "DECIMAL": "NUMBER", "NUMERIC": "NUMBER", "INT": "NUMBER", "INTEGER": "NUMBER", "BIGINT": "NUMBER",
    "SMALLINT": "NUMBER", "TINYINT": "NUMBER", "BYTEINT": "NUMBER",
    "FLOAT": "FLOAT", "FLOAT4": "FLOAT", "FLOAT8": "FLOAT", "DOUBLE": "FLOAT", "REAL": "FLOAT",
    "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIME": "TIME",
    "DATETIME": "TIMESTAMP_NTZ", "TIMESTAMP": "TIMESTAMP_NTZ", "TIMESTAMP_NTZ": "TIMESTAMP_NTZ", "TIMESTAMP_LTZ": "TIMESTAMP_LTZ",
    "TIMESTAMP_TZ": "TIMESTAMP_TZ",
    "BINARY": "BINARY", "VARBINARY": "BINARY",
    "VARIANT": "VARIANT", "OBJECT": "OBJECT", "ARRAY": "ARRAY", "GEOGRAPHY": "GEOGRAPHY", "GEOMETRY": "GEOMETRY",
    "DECFLOAT": "DECFLOAT", "VECTOR": "VECTOR", "MAP": "MAP", "FILE": "FILE", "UUID": "UUID",
}  # fmt: skip
WHOLE = {"INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"}
ONE_CHARACTER = {"CHAR", "CHARACTER"}
WITH_FRACTION = ("TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ")
MASKABLE = frozenset(ALIASES.values()) - {"DECFLOAT", "VECTOR", "MAP", "FILE", "UUID"}

DUCKDB = {
    "VARCHAR": "VARCHAR", "FLOAT": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP_NTZ": "TIMESTAMP",
    "TIMESTAMP_LTZ": "TIMESTAMPTZ", "TIMESTAMP_TZ": "TIMESTAMPTZ", "BINARY": "BLOB", "VARIANT": "JSON", "OBJECT": "JSON",
    "ARRAY": "JSON", "GEOGRAPHY": "VARCHAR", "GEOMETRY": "VARCHAR", "DECFLOAT": "DOUBLE", "VECTOR": "JSON", "MAP": "JSON",
    "FILE": "VARCHAR", "UUID": "VARCHAR",
}  # fmt: skip

FROM_DUCKDB = {
    "VARCHAR": "VARCHAR", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ", "BLOB": "BINARY", "JSON": "VARIANT", "DOUBLE": "FLOAT", "FLOAT": "FLOAT",
    "TIMESTAMP_NS": "TIMESTAMP_NTZ", "TIMESTAMP_S": "TIMESTAMP_NTZ", "TIMESTAMP_MS": "TIMESTAMP_NTZ", '"NULL"': "VARCHAR",
    "UUID": "VARCHAR",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlType:
    """`size` is the length of text and binary, the precision of numbers, the digits of a second's fraction."""

    family: str
    size: int = 0
    scale: int = 0

    def __str__(self) -> str:
        if self.family in ("VARCHAR", "BINARY"):
            return f"{self.family}({self.size})"
        if self.family == "NUMBER":
            return f"NUMBER({self.size},{self.scale})"
        if self.family in WITH_FRACTION:
            return f"{self.family}({self.size})"
        return self.family

    @property
    def duckdb(self) -> str:
        """What carries it."""
        return f"DECIMAL({self.size},{self.scale})" if self.family == "NUMBER" else DUCKDB[self.family]

    @property
    def data_type(self) -> str:
        """As INFORMATION_SCHEMA.COLUMNS.DATA_TYPE says it."""
        return "TEXT" if self.family == "VARCHAR" else self.family


def made(word: str, arguments: tuple[int, ...] = ()) -> SqlType | None:
    """The type that `word` with these numbers in parentheses means. None if there is no such type."""
    family = ALIASES.get(word)
    if family is None or len(arguments) > (2 if family == "NUMBER" else 1):
        return None
    first = arguments[0] if arguments else None
    size = _size(word, family, first)
    scale = arguments[1] if len(arguments) > 1 else 0
    limits = {"VARCHAR": (1, TEXT_MAX), "BINARY": (1, BINARY_MAX), "NUMBER": (1, 38)}
    lowest, highest = limits.get(family, (0, 9))
    if not lowest <= size <= highest or scale > size or (first is not None and family not in SIZED):
        return None
    return SqlType(family, size, scale)


SIZED = ("VARCHAR", "BINARY", "NUMBER", *WITH_FRACTION)


def _size(word: str, family: str, given: int | None) -> int:
    if given is not None:
        return given
    if word in ONE_CHARACTER:
        return 1
    return {"VARCHAR": TEXT_MAX, "BINARY": BINARY_MAX, "NUMBER": 38, **dict.fromkeys(WITH_FRACTION, 9)}.get(family, 0)


def from_duckdb(name: str) -> SqlType:
    """The type of a computed column, from what DuckDB calls it."""
    if name.startswith("DECIMAL("):
        size, _, scale = name[8:-1].partition(",")
        return SqlType("NUMBER", int(size), int(scale))
    if "INT" in name and not name.startswith("INTERVAL"):
        return SqlType("NUMBER", 38, 0)
    if name.endswith("]"):
        return SqlType("ARRAY")
    family = FROM_DUCKDB.get(name, "OBJECT" if name.startswith(("STRUCT", "MAP")) else "VARCHAR")
    return made(family) or SqlType(family)


TEXT = SqlType("VARCHAR", TEXT_MAX)
BOOLEAN = SqlType("BOOLEAN")
NUMBER = SqlType("NUMBER", 38, 0)
TIMESTAMP_LTZ = SqlType("TIMESTAMP_LTZ", 9)
