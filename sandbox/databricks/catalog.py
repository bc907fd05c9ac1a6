"""What Unity Catalog holds: catalogs, schemas, tables, functions, policies, governed tags. Plain data, changed in place.

Names of catalogs, schemas, tables and functions are lower case; columns keep their case and are found without it.
DuckDB knows `key`s only.
"""

import itertools
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.databricks import errors
from sandbox.databricks.lexer import quote
from sandbox.databricks.types import SqlType

Path = tuple[str, ...]
_keys = itertools.count(1)


def next_key(letter: str) -> str:
    """A name for DuckDB."""
    return f"{letter}{next(_keys)}"


def now_ms() -> int:
    """As the REST APIs tell times."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Facts:
    """What every securable has. `grants`: principal -> privileges, spelled as the REST APIs do (USE_SCHEMA)."""

    owner: str
    comment: str = ""
    grants: dict[str, set[str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: int = field(default_factory=now_ms)
    created_by: str = ""
    updated_at: int = field(default_factory=now_ms)
    updated_by: str = ""

    def changed(self, by: str) -> None:
        """Note who changed it now."""
        self.updated_at, self.updated_by = now_ms(), by


@dataclass(frozen=True, slots=True)
class Argument:
    """Of a mask or filter: a column by its name, or a literal as it was written."""

    column: str = ""
    literal: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """A function on a column or table, by name: dropping it is not refused, and whoever makes it again makes it hold again."""

    function: Path
    arguments: tuple[Argument, ...] = ()

    def columns(self) -> list[str]:
        """The names in its list, literals as written."""
        return [each.column or each.literal for each in self.arguments]


@dataclass(slots=True)
class Column:
    name: str
    type: SqlType
    key: str = field(default_factory=lambda: next_key("c"))
    nullable: bool = True
    comment: str = ""
    mask: Attached | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Table:
    """`query`: the text of a view. `checks`: CHECK constraints by name."""

    path: Path
    facts: Facts
    columns: dict[str, Column]  # by lower name
    kind: str = "MANAGED"
    key: str = field(default_factory=lambda: next_key("t"))
    query: str | None = None
    row_filter: Attached | None = None
    checks: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """Found without case. Raises Refused."""
        found = self.columns.get(name.lower())
        if found is None:
            raise errors.column_missing(quote(name))
        return found


@dataclass(slots=True)
class Function:
    """`body`: the text of the expression after RETURN, as it was written."""

    path: Path
    facts: Facts
    parameters: list[tuple[str, SqlType]]
    returns: SqlType
    body: str


@dataclass(slots=True)
class Schema:
    path: Path
    facts: Facts
    tables: dict[str, Table] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)


@dataclass(slots=True)
class Catalog:
    path: Path
    facts: Facts
    schemas: dict[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """One of MATCH COLUMNS: has_tag('key') or has_tag_value('key', 'value'), joined by AND if several."""

    condition: str
    alias: str


@dataclass(frozen=True, slots=True)
class Policy:
    """An ABAC policy. `on` is the securable, of `on_type` CATALOG, SCHEMA or TABLE."""

    name: str
    on_type: str
    on: Path
    kind: str  # COLUMN_MASK or ROW_FILTER
    function: Path
    to: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    when: str = ""
    matches: tuple[Match, ...] = ()
    on_column: str = ""
    using: tuple[str, ...] = ()
    comment: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: int = field(default_factory=now_ms)
    created_by: str = ""
    updated_at: int = field(default_factory=now_ms)
    updated_by: str = ""


@dataclass(slots=True)
class GovernedTag:
    """`assigners`: who holds ASSIGN on it. Without values any value is taken."""

    key: str
    values: tuple[str, ...] = ()
    description: str = ""
    assigners: set[str] = field(default_factory=set)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: int = field(default_factory=now_ms)
    updated_at: int = field(default_factory=now_ms)


@dataclass(slots=True)
class Metastore:
    catalogs: dict[str, Catalog] = field(default_factory=dict)
    policies: dict[tuple[str, Path, str], Policy] = field(default_factory=dict)  # by type, securable, name
    governed: dict[str, GovernedTag] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def catalog(self, path: Path) -> Catalog:
        """Raises Refused."""
        found = self.catalogs.get(path[0])
        if found is None:
            raise errors.Refused("NO_SUCH_CATALOG", "42704", f"Catalog '{path[0]}' was not found.")
        return found

    def schema(self, path: Path) -> Schema:
        """Raises Refused."""
        found = self.catalog(path).schemas.get(path[1])
        if found is None:
            raise errors.Refused("SCHEMA_NOT_FOUND", "42704", f"The schema {shown(path[:2])} cannot be found.")
        return found

    def table(self, path: Path) -> Table:
        """Raises Refused, with one class whichever part is missing."""
        catalog = self.catalogs.get(path[0])
        schema = catalog.schemas.get(path[1]) if catalog else None
        found = schema.tables.get(path[2]) if schema else None
        if found is None:
            raise errors.table_missing(shown(path))
        return found

    def function(self, path: Path) -> Function:
        """Raises Refused."""
        found = self.find_function(path)
        if found is None:
            raise errors.Refused("ROUTINE_NOT_FOUND", "42883", f"The routine {shown(path)} cannot be found.")
        return found

    def find_function(self, path: Path) -> Function | None:
        """The function of that name, if there is one."""
        catalog = self.catalogs.get(path[0])
        schema = catalog.schemas.get(path[1]) if catalog else None
        return schema.functions.get(path[2]) if schema else None

    def tables(self) -> Iterator[Table]:
        """All of them."""
        for catalog in self.catalogs.values():
            for schema in catalog.schemas.values():
                yield from schema.tables.values()


def pass_keys(metastore: Metastore) -> None:
    """Give out no key that something in `metastore` has already."""
    tables = list(metastore.tables())
    taken = [table.key for table in tables] + [column.key for table in tables for column in table.columns.values()]
    while taken and next(_keys) < max(int(key[1:]) for key in taken):
        pass


def shown(path: Path) -> str:
    """A name as messages show it."""
    return ".".join(quote(part) for part in path)


def dotted(path: Path) -> str:
    """A full name as the REST APIs tell it."""
    return ".".join(path)
