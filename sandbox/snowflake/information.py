"""INFORMATION_SCHEMA: its views, and the table functions that tell which policies and tags are where."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sandbox.snowflake import errors, guard, types
from sandbox.snowflake.catalog import Attached, Column, Database, Policy, Schema, Table, Tag, Tagged, full_name
from sandbox.snowflake.context import Context
from sandbox.snowflake.cursor import path_in
from sandbox.snowflake.nodes import Path
from sandbox.snowflake.results import head
from sandbox.snowflake.types import TEXT, SqlType

Columns = list[tuple[str, SqlType]]
Cells = Sequence[Sequence[Any]]

ACTIVE = "ACTIVE"
SEVERAL = "MULTIPLE_MASKING_POLICY_ASSIGNED_TO_THE_COLUMN"
ARGUMENT_MISSING = "COLUMN_IS_MISSING_FOR_SECONDARY_ARG"
KIND = {"MASKING": "MASKING_POLICY", "ROW_ACCESS": "ROW_ACCESS_POLICY"}

POLICY_COLUMNS: Columns = [
    (name, TEXT)
    for name in (
        "POLICY_DB", "POLICY_SCHEMA", "POLICY_NAME", "POLICY_KIND", "REF_DATABASE_NAME", "REF_SCHEMA_NAME", "REF_ENTITY_NAME",
        "REF_ENTITY_DOMAIN", "REF_COLUMN_NAME", "REF_ARG_COLUMN_NAMES", "TAG_DATABASE", "TAG_SCHEMA", "TAG_NAME", "POLICY_STATUS",
    )
]  # fmt: skip
TAG_COLUMNS: Columns = [
    (name, TEXT)
    for name in (
        "TAG_DATABASE", "TAG_SCHEMA", "TAG_NAME", "TAG_VALUE", "APPLY_METHOD", "LEVEL", "OBJECT_DATABASE", "OBJECT_SCHEMA",
        "OBJECT_NAME", "DOMAIN", "COLUMN_NAME",
    )
]  # fmt: skip


# Views


def view(context: Context, path: Path) -> tuple[Columns, Cells]:
    """`[database.]INFORMATION_SCHEMA.name`. Raises errors.Refused."""
    database_name = path[0] if len(path) == 3 else context.session.database
    if database_name is None:
        raise errors.not_there("Schema", "INFORMATION_SCHEMA")
    database = context.database(database_name)
    found = _VIEWS.get(path[-1])
    if found is None:
        raise errors.not_there("Object", context.full(path))
    columns, rows = found
    return columns, list(rows(context, database))


def _visible(context: Context, database: Database) -> Iterator[Table]:
    for schema in database.schemas.values():
        if context.access.sees(schema):
            yield from (table for table in schema.tables.values() if context.access.sees(table))


def _tables(context: Context, database: Database) -> Iterator[Sequence[Any]]:
    for table in _visible(context, database):
        kind = "BASE TABLE" if table.query is None else "VIEW"
        names = (database.name, table.schema.name, table.name)
        yield (*names, table.owner, kind, "NO", table.created_at, table.created_at, table.comment or None)


def _views(context: Context, database: Database) -> Iterator[Sequence[Any]]:
    for table in _visible(context, database):
        if table.query is not None:
            names = (database.name, table.schema.name, table.name)
            yield (*names, table.owner, table.text, "NO", table.created_at, table.comment or None)


def _columns(context: Context, database: Database) -> Iterator[Sequence[Any]]:
    for table in _visible(context, database):
        for number, column in enumerate(table.columns.values(), 1):
            kind = column.type
            text = kind.size if kind.family in ("VARCHAR", "BINARY") else None
            octets = min(text * 4, types.TEXT_MAX) if text and kind.family == "VARCHAR" else text
            numeric = (kind.size, 10, kind.scale) if kind.family == "NUMBER" else (None, None, None)
            fraction = kind.size if kind.family in types.WITH_FRACTION else None
            yield (
                database.name, table.schema.name, table.name, column.name, number, column.default,
                "YES" if column.nullable else "NO", kind.data_type, text, octets, *numeric, fraction, "NO",
                column.comment or None,
            )  # fmt: skip


def _schemata(context: Context, database: Database) -> Iterator[Sequence[Any]]:
    for schema in database.schemas.values():
        if context.access.sees(schema):
            yield (database.name, schema.name, schema.owner, schema.created_at, schema.comment or None)


_VIEWS: dict[str, tuple[Columns, Callable[[Context, Database], Iterator[Sequence[Any]]]]] = {
    "TABLES": (
        head("TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_OWNER TABLE_TYPE IS_TRANSIENT CREATED:t LAST_ALTERED:t COMMENT"),
        _tables,
    ),
    "VIEWS": (
        head("TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_OWNER VIEW_DEFINITION IS_SECURE CREATED:t COMMENT"),
        _views,
    ),
    "COLUMNS": (
        head(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION:n COLUMN_DEFAULT IS_NULLABLE DATA_TYPE "
            "CHARACTER_MAXIMUM_LENGTH:n CHARACTER_OCTET_LENGTH:n NUMERIC_PRECISION:n NUMERIC_PRECISION_RADIX:n NUMERIC_SCALE:n "
            "DATETIME_PRECISION:n IS_IDENTITY COMMENT"
        ),
        _columns,
    ),
    "SCHEMATA": (head("CATALOG_NAME SCHEMA_NAME SCHEMA_OWNER CREATED:t COMMENT"), _schemata),
}


# Table functions


def function(context: Context, path: Path, name: str, arguments: dict[str, str]) -> tuple[Columns, Cells]:
    """`[database.]INFORMATION_SCHEMA.name(arguments)`. Raises errors.Refused."""
    if (
        not path
        or path[-1].upper() != "INFORMATION_SCHEMA"
        or name not in ("POLICY_REFERENCES", "TAG_REFERENCES_ALL_COLUMNS", "TAG_REFERENCES")
    ):
        raise errors.unknown_function(".".join((*path, name)))
    database_name = path[0] if len(path) == 2 else context.session.database
    if database_name is None:
        raise errors.not_there("Schema", "INFORMATION_SCHEMA")
    context.database(database_name)
    if name == "POLICY_REFERENCES":
        return POLICY_COLUMNS, _policy_references(context, arguments)
    return TAG_COLUMNS, _tag_references(context, arguments, columns=name == "TAG_REFERENCES_ALL_COLUMNS")


def _policy_references(context: Context, arguments: dict[str, str]) -> list[tuple[str | None, ...]]:
    given = set(arguments)
    if given == {"POLICY_NAME"}:
        path = path_in(arguments["POLICY_NAME"])
        policies = _policies_named(context, path) if context.settings.tells_by_policy else set()
        found = [row for table in context.catalog.tables() for row in references_of(context, table) if row[0] in policies]
        found += [(policy, row) for policy, row in _tag_rows(context) if policy in policies]
        return [row for _, row in found]
    if given != {"REF_ENTITY_NAME", "REF_ENTITY_DOMAIN"}:
        raise errors.invalid("POLICY_REFERENCES takes POLICY_NAME, or REF_ENTITY_NAME and REF_ENTITY_DOMAIN.")
    path = path_in(arguments["REF_ENTITY_NAME"])
    domain = arguments["REF_ENTITY_DOMAIN"].upper()
    if domain == "TAG":
        tag = context.tag(path)
        return [row for _, row in _tag_rows(context) if row[10:13] == full_name(tag)]
    if domain not in ("TABLE", "VIEW"):
        raise errors.invalid(f"invalid value '{domain}' for REF_ENTITY_DOMAIN.")
    table = context.table(path, "Object")
    if table.kind != domain:
        raise errors.not_there("Object", context.full(path))
    return [row for _, row in references_of(context, table)]


def _policies_named(context: Context, path: Path) -> set[Policy]:
    found = set()
    for kind in ("MASKING", "ROW_ACCESS"):
        try:
            found.add(context.policy(kind, path))
        except errors.Refused:
            continue
    if not found:
        raise errors.not_there("Policy", context.full(path))
    return found


def references_of(context: Context, table: Table) -> list[tuple[Policy, tuple[str | None, ...]]]:
    """A row for each policy on the table that the session may know of."""
    found: list[tuple[Attached, Column | None, Tag | None, str]] = []
    if table.row_policy is not None:
        found.append((table.row_policy, None, None, ACTIVE))
    for column in table.columns.values():
        masks = guard.masks_of(table, column)
        status = SEVERAL if len(masks) > 1 else ACTIVE
        found += [(attached, column, tag, _status(attached, status)) for attached, tag in masks]
    return [
        (attached.policy, _policy_row(table, attached, column, tag, status))
        for attached, column, tag, status in found
        if _may_know(context, attached.policy, table)
    ]


def _status(attached: Attached, status: str) -> str:
    return ARGUMENT_MISSING if len(attached.columns) < len(attached.policy.signature) else status


def _may_know(context: Context, policy: Policy, table: Table) -> bool:
    access = context.access
    return access.on_account(f"APPLY {policy.kind.replace('_', ' ')} POLICY") or access.owns(policy) or access.owns(table)


def _policy_row(table: Table, attached: Attached, column: Column | None, tag: Tag | None, status: str) -> tuple[str | None, ...]:
    arguments = attached.columns if column is None else attached.columns[1:]
    names = "[ " + ", ".join('"' + each.name.replace('"', '\\"') + '"' for each in arguments) + " ]" if arguments else None
    policy = attached.policy
    return (
        *full_name(policy), KIND[policy.kind], *full_name(table), table.kind, column.name if column else None, names,
        *(full_name(tag) if tag else (None, None, None)), status,
    )  # fmt: skip


def _tag_rows(context: Context) -> Iterator[tuple[Policy, tuple[str | None, ...]]]:
    for database in context.catalog.databases.values():
        for schema in database.schemas.values():
            for tag in schema.tag_by_name.values():
                for policy in tag.masks.values():
                    names = (database.name, schema.name, tag.name)
                    row = (*full_name(policy), KIND[policy.kind], *names, "TAG", None, None, *names, ACTIVE)
                    yield policy, row


def _tag_references(context: Context, arguments: dict[str, str], *, columns: bool) -> list[tuple[str | None, ...]]:
    first = arguments.get("0") or arguments.get("OBJECT_NAME")
    domain = (arguments.get("1") or arguments.get("OBJECT_DOMAIN") or "").upper()
    if first is None or len(arguments) != 2:
        raise errors.invalid("the function takes the name and the domain of an object.")
    path = path_in(first)
    if domain == "COLUMN" and not columns:
        table = context.table(path[:-1], "Object")
        column = context.column(table, path[-1])
        return _rows_of(table, column)
    if domain not in ("TABLE", "VIEW"):
        raise errors.invalid(f"invalid value '{domain.lower()}' for the domain of an object.")
    table = context.table(path, "Object")
    if columns:
        return [row for column in table.columns.values() for row in _rows_of(table, column)]
    own = Column("", types.BOOLEAN, "")
    return [(*row[:9], "TABLE", None) for row in _rows_of(table, own)]


def _rows_of(table: Table, column: Column) -> list[tuple[str | None, ...]]:
    rows: list[tuple[str | None, ...]] = []
    for tag, (value, level) in guard.effective_tags(table, column).items():
        own = level == "COLUMN" or (level == "TABLE" and not column.name)
        rows.append((*full_name(tag), value, "MANUAL" if own else "INHERITED", level, *full_name(table), "COLUMN", column.name))
    return rows


def system_get_tag(context: Context, tag_name: str, object_name: str, domain: str) -> str | None:
    """SYSTEM$GET_TAG."""
    tag, path = context.tag(path_in(tag_name)), path_in(object_name)
    if domain.upper() == "COLUMN":
        table = context.table(path[:-1], "Object")
        found = guard.effective_tags(table, context.column(table, path[-1]))
        return found[tag][0] if tag in found else None
    if domain.upper() in ("TABLE", "VIEW"):
        found = guard.effective_tags(context.table(path, "Object"), Column("", types.BOOLEAN, ""))
        return found[tag][0] if tag in found else None
    thing: Tagged = context.schema(path) if domain.upper() == "SCHEMA" else context.database(path[0])
    return thing.tags.get(tag) or (thing.database.tags.get(tag) if isinstance(thing, Schema) else None)
