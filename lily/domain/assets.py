"""Tables as sources name them, things in the catalog, and which of them are the same.

Names in the catalog are the parts as the warehouse stores them, joined by slashes and not escaped; so they are built forwards
only, and read back from the parts that the catalog states beside them. Source: docs.atlan.com; a source lower-cases what it
names, so the case is found again by what the catalog holds.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lily.domain.classifications import Place
from lily.domain.inventory import TableId

SPLITS_MAX = 8  # of a name with many dots: a table's own name may hold some
TABLE_TYPES = frozenset({"Table", "View", "MaterialisedView", "SnowflakeDynamicTable", "TablePartition"})
COLUMN_TYPE = "Column"


@dataclass(frozen=True)
class TableRef:
    """A table as a source names it. `key` is the source's own lasting id (an mcon), empty where only a name is known."""

    name: str  # "database:schema.table", lower case; what `asset` filters compare
    key: str = ""
    is_key_asset: bool = False

    @property
    def warehouse(self) -> str:
        """The source's id of the warehouse that holds it (MCON++<account>++<warehouse>++...), empty where that is not known."""
        parts = self.key.split("++", 4)
        return parts[2] if len(parts) == 5 and parts[0] == "MCON" else ""


@dataclass(frozen=True, order=True)
class Asset:
    """A thing in the catalog as it was found there. Whatever is written to it has to name it with just this type."""

    qualified_name: str
    type: str
    guid: str
    name: str


@dataclass(frozen=True)
class Found:
    """An asset with the parts of its name as the catalog states them. `table`: of a column, the table or view it is in."""

    asset: Asset
    connection: str  # its qualified name
    database: str = ""
    schema: str = ""
    table: str = ""
    parent_column: str = ""  # of a nested field: the qualified name of what it is in


class Reason(StrEnum):
    """Why a table is no asset."""

    UNKNOWN_CONNECTION = "unknown_connection"  # no connection serves its warehouse
    MALFORMED = "malformed"  # the name has no database, schema and table
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    OTHER_TYPE = "other_type"  # there is such a name, but it is no table or view


@dataclass(frozen=True)
class Unresolved:
    """A table that is no asset as far as is known. `detail` is for the person who could change that."""

    table: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Connection:
    """A warehouse as the catalog knows it. `warehouses` are a source's ids or names of it; none: all that no other claims."""

    qualified_name: str
    kind: str  # of warehouse: snowflake, databricks
    warehouses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Search:
    """What to look for: first `exact` names; if that does not settle it, things with one of `names`, whatever their case."""

    table: TableRef
    connections: tuple[str, ...]
    exact: tuple[str, ...]
    names: frozenset[str]  # lower case


@dataclass(frozen=True)
class ConnectionMap:
    """Which connection is which warehouse of a source's."""

    connections: tuple[Connection, ...]

    def search(self, table: TableRef) -> Search | Unresolved:
        """What to look for in the catalog, or why nothing."""
        serving = self._serving(table.warehouse)
        if not serving:
            known = f"warehouse {table.warehouse}" if table.warehouse else "it"
            detail = f"no connection is configured for {known}; name the warehouse in LILY_CONNECTION_<NAME>_WAREHOUSES"
            return Unresolved(table.name, Reason.UNKNOWN_CONNECTION, detail)
        if not _splits(table.name):
            return Unresolved(table.name, Reason.MALFORMED, "it is not named as database:schema.table")
        return Search(
            table,
            tuple(connection.qualified_name for connection in serving),
            tuple(dict.fromkeys(name for connection in serving for name in _exact(connection, table.name))),
            frozenset(name.lower() for connection in serving for *_, name in _parts(connection.kind, table.name)),
        )

    def is_settled(self, table: TableRef, hits: Iterable[Found]) -> bool:
        """Whether looking for other spellings is needless, as each connection in question has an exact one."""
        search = self.search(table)
        if isinstance(search, Unresolved):
            return True
        exact = {hit.connection for hit in hits if hit.asset.qualified_name in search.exact and hit.asset.type in TABLE_TYPES}
        return exact >= set(search.connections)

    def resolve(self, table: TableRef, hits: Iterable[Found]) -> Asset | Unresolved:
        """The one asset among `hits` that `table` can be. Hits of other tables, repetitions and their order do not matter."""
        search = self.search(table)
        if isinstance(search, Unresolved):
            return search
        possible = {
            connection.qualified_name: set(map(_lowered, _parts(connection.kind, table.name)))
            for connection in self.connections
            if connection.qualified_name in search.connections
        }
        fitting = {hit.asset: hit for hit in hits if _fits(search, possible.get(hit.connection), hit)}
        tables = [hit for asset, hit in fitting.items() if asset.type in TABLE_TYPES]
        if not tables:
            return _missing(table, sorted(asset.type for asset in fitting))
        chosen = [asset for name in search.connections for asset in _closest(search, name, tables)]
        if len(chosen) == 1:
            return chosen[0]
        names = sorted(f"{asset.type} {asset.qualified_name}" for asset in chosen)
        return Unresolved(table.name, Reason.AMBIGUOUS, f"it may be any of: {', '.join(names[:5])}")

    def _serving(self, warehouse: str) -> list[Connection]:
        """The connections that a warehouse may be, all if it is not known; one that claims it wins over those that claim none."""
        if not warehouse:
            return list(self.connections)
        claimed = [connection for connection in self.connections if warehouse.lower() in _lower(connection.warehouses)]
        return claimed or [connection for connection in self.connections if not connection.warehouses]


def qualified_name(connection: str, *parts: str) -> str:
    """The name in the catalog of a database, schema, table or column, its parts as the warehouse stores them."""
    return "/".join((connection, *parts))


def as_stored(kind: str, written: str) -> str:
    """An identifier as people write it, as that kind of warehouse stores it: unquoted, and folded unless it was quoted."""
    quote = _QUOTES.get(kind, '"')
    if len(written) >= 2 and written[0] == written[-1] == quote:
        inner = written[1:-1].replace(quote * 2, quote)
        return inner.lower() if kind == "databricks" else inner
    return _FOLDS.get(kind, str)(written)


def place(found: Found, target_by_connection: Mapping[str, str]) -> Place | None:
    """Where a column, table or view lies; None for anything else, and for a connection that is no target's.

    A nested field lies in the column that it is part of, for only that can be protected.
    """
    target = target_by_connection.get(found.connection)
    if target is None or not found.database or not found.schema:
        return None
    if found.asset.type != COLUMN_TYPE:
        is_table = found.asset.type in TABLE_TYPES
        return Place(target, TableId(found.database, found.schema, found.asset.name)) if is_table else None
    if not found.table:
        return None
    table = qualified_name(found.connection, found.database, found.schema, found.table)
    column = found.parent_column.removeprefix(f"{table}/") if found.parent_column else found.asset.name
    return Place(target, TableId(found.database, found.schema, found.table), column)


def table_name(database: str, schema: str, table: str) -> str:
    """Monte Carlo's spelling of a table: `database:schema.table` in lower case. Without schema or database, what there is."""
    path = f"{schema}.{table}" if schema else table
    return (f"{database}:{path}" if database else path).lower()


_QUOTES = {"snowflake": '"', "databricks": "`"}
_FOLDS = {"snowflake": str.upper, "databricks": str.lower}
Parts = tuple[str, str, str]


def _splits(name: str) -> list[Parts]:
    """All that `database:schema.table` can mean: dots may be inside of names, in which nothing is escaped."""
    database, _, path = name.partition(":")
    dots = [match.start() for match in re.finditer(r"\.", path)][:SPLITS_MAX]
    splits = [(database, path[:at], path[at + 1 :]) for at in dots]
    return [parts for parts in splits if all(parts)]


def _parts(kind: str, name: str) -> list[Parts]:
    """The splits, each without the quotes that a name may have come with."""
    quote = _QUOTES.get(kind, '"')
    quoted = [split for split in _splits(name) if any(part.startswith(quote) and part.endswith(quote) for part in split)]
    plain: list[Parts] = []
    for split in quoted or _splits(name):
        database, schema, table = (as_stored(kind, part) if part.startswith(quote) else part for part in split)
        plain.append((database, schema, table))
    return plain


def _exact(connection: Connection, name: str) -> list[str]:
    """Qualified names to try: all in the case of unquoted names, then with the table or all of it created in quotes."""
    fold = _FOLDS.get(connection.kind, str)
    names = [
        parts
        for database, schema, table in _parts(connection.kind, name)
        for parts in (
            (fold(database), fold(schema), fold(table)),
            (fold(database), fold(schema), table),
            (database, schema, table),
        )
    ]
    return [qualified_name(connection.qualified_name, *parts) for parts in names]


def _fits(search: Search, possible: Collection[Parts] | None, hit: Found) -> bool:
    """Whether a hit has one of the names that are possible in its connection."""
    if possible is None or hit.asset.type == COLUMN_TYPE:
        return False
    if not hit.database or not hit.schema:  # the catalog leaves the parts out: the whole name has to be right
        return hit.asset.qualified_name in search.exact
    return _lowered((hit.database, hit.schema, hit.asset.name)) in possible


def _lowered(parts: Parts) -> Parts:
    database, schema, table = parts
    return database.lower(), schema.lower(), table.lower()


def _closest(search: Search, connection: str, tables: Sequence[Found]) -> list[Asset]:
    """Of one connection the exact ones, else all: more than one differ in case only, and none is likelier."""
    own = [hit.asset for hit in tables if hit.connection == connection]
    return [asset for asset in own if asset.qualified_name in search.exact] or own


def _missing(table: TableRef, types: Sequence[str]) -> Unresolved:
    if types:
        return Unresolved(table.name, Reason.OTHER_TYPE, f"there is only a {types[0]} of that name")
    return Unresolved(table.name, Reason.NOT_FOUND, "the catalog has no such table or view, or Lily's token may not see it")


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
