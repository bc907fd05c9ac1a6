"""`system.information_schema`, and each catalog's own: relations made from the catalog, of what the reader may see."""

from collections.abc import Callable, Iterator, Mapping

from sandbox.databricks.catalog import Path, Table, dotted
from sandbox.databricks.context import Context
from sandbox.databricks.errors import table_missing
from sandbox.databricks.lexer import quote
from sandbox.warehouse.planner import Plan, Relation

SCHEMA = "information_schema"
Row = tuple[str | int | None, ...]


def is_there(path: Path) -> bool:
    """Whether a name is meant for this module."""
    return len(path) == 3 and path[1] == SCHEMA


def relation(context: Context, path: Path, plan: Plan) -> Relation:
    """Raises Refused."""
    known = RELATIONS.get(path[2])
    if known is None or (path[0] != "system" and path[0] not in context.metastore.catalogs):
        raise table_missing(".".join(quote(part) for part in path))
    names, make = known
    tables = [
        table for table in context.metastore.tables() if path[0] in ("system", table.path[0]) and context.access.sees(table.path)
    ]
    rows = [row for table in tables for row in make(table)]

    def write(wanted: Mapping[str, str]) -> str:
        places = [(names.index(name), as_) for name, as_ in wanted.items()]
        heads = ", ".join(as_ for _, as_ in places) or "nothing"
        values = ", ".join(f"({', '.join(_bound(plan, row[at]) for at, _ in places) or '1'})" for row in rows)
        nothing = ", ".join(f"NULL::VARCHAR AS {as_}" for _, as_ in places) or "1 AS nothing"
        return f"SELECT * FROM (VALUES {values}) AS s({heads})" if rows else f"SELECT {nothing} WHERE false"  # noqa: S608

    return Relation(dict.fromkeys(names), write)


def _bound(plan: Plan, value: str | int | None) -> str:
    return "NULL::VARCHAR" if value is None else str(value) if isinstance(value, int) else plan.bind(value)


def _tables(table: Table) -> Iterator[Row]:
    yield (*table.path, table.kind, table.facts.owner, table.facts.comment, "DELTA")


def _columns(table: Table) -> Iterator[Row]:
    for at, column in enumerate(table.columns.values()):
        nullable = "YES" if column.nullable else "NO"
        yield (*table.path, column.name, at, nullable, column.type.name, column.type.text, column.comment)


def _column_tags(table: Table) -> Iterator[Row]:
    for column in table.columns.values():
        for key, value in column.tags.items():
            yield (*table.path, column.name, key, value)


def _table_tags(table: Table) -> Iterator[Row]:
    for key, value in table.facts.tags.items():
        yield (*table.path, key, value)


def _column_masks(table: Table) -> Iterator[Row]:
    for column in table.columns.values():
        if column.mask is not None:
            yield (*table.path, column.name, dotted(column.mask.function), ", ".join(column.mask.columns()))


def _row_filters(table: Table) -> Iterator[Row]:
    if table.row_filter is not None:
        yield (*table.path, dotted(table.row_filter.function), ", ".join(table.row_filter.columns()))


_PLACE = ("table_catalog", "table_schema", "table_name")
_TAGGED = ("catalog_name", "schema_name", "table_name")
RELATIONS: dict[str, tuple[tuple[str, ...], Callable[[Table], Iterator[Row]]]] = {
    "tables": ((*_PLACE, "table_type", "table_owner", "comment", "data_source_format"), _tables),
    "columns": (
        (*_PLACE, "column_name", "ordinal_position", "is_nullable", "data_type", "full_data_type", "comment"), _columns,
    ),
    "column_tags": ((*_TAGGED, "column_name", "tag_name", "tag_value"), _column_tags),
    "table_tags": ((*_TAGGED, "tag_name", "tag_value"), _table_tags),
    "column_masks": ((*_PLACE, "column_name", "mask_name", "using_columns"), _column_masks),
    "row_filters": ((*_PLACE, "filter_name", "target_columns"), _row_filters),
}  # fmt: skip
