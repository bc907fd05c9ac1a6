"""What a target holds, in words that every warehouse shares: tables, columns, and the families of their types."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What a data type is, as far as masks and filters care. A connector turns its vendor's type texts into these."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    BINARY = "binary"
    SEMI_STRUCTURED = "semi_structured"  # variant, object, array, struct, geography: maskable as a whole only
    OTHER = "other"  # the target cannot mask it, or nobody has tried: never guessed at


class Zone(StrEnum):
    """What a timestamp knows of time zones."""

    NONE = "none"  # wall-clock time
    SESSION = "session"  # an instant, shown in the session's zone
    OFFSET = "offset"  # an instant with an offset of its own


@dataclass(frozen=True)
class DataType:
    """A column's type. `text` is the target's own spelling, for people and for statements.

    `signature` is the spelling under which one mask serves many columns: VARCHAR for a target whose policies cover every
    length, decimal(12,2) for one whose functions must repeat the type exactly. Columns with one signature can share a mask.
    """

    family: Family
    text: str
    signature: str
    length: int | None = None  # of text and binary, in characters and bytes; None: no limit that matters
    precision: int | None = None
    scale: int | None = None
    zone: Zone = Zone.NONE


class TableKind(StrEnum):
    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    STREAMING_TABLE = "streaming_table"
    DYNAMIC_TABLE = "dynamic_table"
    EXTERNAL_TABLE = "external_table"
    FOREIGN_TABLE = "foreign_table"


@dataclass(frozen=True, order=True)
class TableId:
    """The three names of a table exactly as the target stores them: no folding, no quoting, no normalisation."""

    database: str
    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(_readable(part) for part in (self.database, self.schema, self.name))


@dataclass(frozen=True, order=True)
class Site:
    """A place that something can protect: a column, or with `column` None the table's rows."""

    table: TableId
    column: str | None = None

    def __str__(self) -> str:
        return f"{self.table}.{_readable(self.column)}" if self.column is not None else str(self.table)


@dataclass(frozen=True)
class Column:
    name: str
    type: DataType


@dataclass(frozen=True)
class Table:
    """`object_id` is the target's own id of the table, where it has one: a table dropped and made again has another."""

    id: TableId
    columns: tuple[Column, ...]
    kind: TableKind = TableKind.TABLE
    object_id: str = ""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def _readable(name: str) -> str:
    """A name in a path as rules write it (see patterns): quoted where a dot, a quote or a wildcard would mislead."""
    return '"' + name.replace('"', '""') + '"' if name == "" or set(name) & set('."*?') else name
