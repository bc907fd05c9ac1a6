"""SHOW: what the account tells about its objects, in the vendor's columns."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sandbox.snowflake import results, show_grants
from sandbox.snowflake.catalog import Column, Database, Schema, Table, full_name
from sandbox.snowflake.context import Context
from sandbox.snowflake.nodes import Show
from sandbox.snowflake.results import Result, head
from sandbox.snowflake.session import DEFAULTS
from sandbox.snowflake.types import SqlType

Cells = Sequence[Any]
KIND = {"MASKING": "MASKING_POLICY", "ROW_ACCESS": "ROW_ACCESS_POLICY"}


def show(context: Context, node: Show) -> Result:
    """Only what the session may see. `LIKE` ignores case, as the vendor's does."""
    if node.kind.startswith("GRANTS"):
        names, found = show_grants.HEAD, list(show_grants.rows(context, node))
    elif node.kind == "PARAMETERS":
        names, found = _PARAMETERS, list(_parameters(context, node))
    else:
        names, listed = _LISTS[node.kind]
        found = list(listed(context, node))
    place = next((at for at, (name, _) in enumerate(names) if name == _NAME.get(node.kind, "name")), None)
    if node.like is not None and place is not None:
        pattern = _like(node.like)
        found = [row for row in found if pattern.fullmatch(row[place])]
    if node.starts_with is not None and place is not None:
        found = [row for row in found if str(row[place]).startswith(node.starts_with)]
    return Result(names, found[: node.limit], results.SHOW)


_NAME = {"COLUMNS": "column_name", "PARAMETERS": "key"}


def _like(pattern: str) -> re.Pattern[str]:
    words = {"%": ".*", "_": "."}
    return re.compile("".join(words.get(one) or re.escape(one) for one in pattern), re.IGNORECASE | re.DOTALL)


def _yes(value: bool) -> str:
    return "Y" if value else "N"


# Lists


def _roles(context: Context, _: Show) -> Iterator[Cells]:
    for role in sorted(context.catalog.roles.values(), key=lambda role: role.name):
        users = sum(role.name in user.roles for user in context.catalog.users.values())
        above = sum(role.name in other.granted for other in context.catalog.roles.values())
        yield (
            role.created_at, role.name, _yes(False), _yes(role.name == context.session.role),
            _yes(role.name in context.access.roles),
            users, above, len(role.granted), role.owner, role.comment,
        )  # fmt: skip


def _users(context: Context, _: Show) -> Iterator[Cells]:
    manages = context.access.on_account("MANAGE GRANTS")
    for user in context.catalog.users.values():
        if manages or context.access.owns(user) or user.name == context.session.user:
            given = user.properties
            yield (
                user.name, user.created_at, user.login_name, given.get("DEFAULT_WAREHOUSE"), given.get("DEFAULT_ROLE"),
                '["ALL"]' if user.default_secondary_roles == "ALL" else "[]", given.get("TYPE"), user.owner, given.get("COMMENT"),
                "true" if user.keys else "false",
            )  # fmt: skip


def _warehouses(context: Context, _: Show) -> Iterator[Cells]:
    for each in context.catalog.warehouses.values():
        if context.access.sees(each):
            state = "SUSPENDED" if each.suspended else "STARTED"
            yield (
                each.name, state, "STANDARD", each.size, _yes(False), _yes(each.name == context.session.warehouse), "true"
                if each.auto_resume                 else "false", each.created_at, each.owner, each.comment,
            )  # fmt: skip


def _databases(context: Context, _: Show) -> Iterator[Cells]:
    for each in context.catalog.databases.values():
        if context.access.sees(each):
            yield (
                each.created_at,
                each.name,
                _yes(False),
                _yes(each.name == context.session.database),
                "",
                each.owner,
                each.comment,
                "",
                "1",
            )


def _schemas_in(context: Context, node: Show) -> list[Schema]:
    """Of the scope that the statement names; without one, the session's schema, database or account."""
    catalog, session = context.catalog, context.session
    databases: list[Database] = list(catalog.databases.values())
    if node.within == "SCHEMA" or (node.within is None and session.schema and session.database):
        return [context.schema(node.path)]
    if node.within == "DATABASE":
        databases = [context.database(node.path[0] if node.path else session.database or "")]
    elif node.within is None and session.database:
        databases = [context.database(session.database)]
    return [schema for database in databases for schema in database.schemas.values() if context.access.sees(schema)]


def _schemas(context: Context, node: Show) -> Iterator[Cells]:
    if node.within in ("DATABASE", "SCHEMA") and node.path:
        databases = [context.database(node.path[0])]
    elif node.within == "ACCOUNT" or context.session.database is None:
        databases = list(context.catalog.databases.values())
    else:
        databases = [context.database(context.session.database)]
    for database in databases:
        for each in database.schemas.values():
            if context.access.sees(each):
                current = each.name == context.session.schema and database.name == context.session.database
                yield (each.created_at, each.name, _yes(False), _yes(current), database.name, each.owner, each.comment, "", "1")


def _tables(context: Context, node: Show) -> Iterator[Cells]:
    for table in _tables_in(context, node, "TABLE"):
        names = (table.name, table.schema.database.name, table.schema.name)
        yield (table.created_at, *names, "TABLE", table.comment, "", None, None, table.owner, "1")


def _tables_in(context: Context, node: Show, kind: str | None) -> Iterator[Table]:
    for schema in _schemas_in(context, node):
        for table in schema.tables.values():
            if kind in (None, table.kind) and context.access.sees(table):
                yield table


def _views(context: Context, node: Show) -> Iterator[Cells]:
    for table in _tables_in(context, node, "VIEW"):
        names = (table.name, table.schema.database.name, table.schema.name)
        yield (table.created_at, *names, table.owner, table.comment, table.text, "false", "false")


def _columns(context: Context, node: Show) -> Iterator[Cells]:
    if node.within in ("TABLE", "VIEW"):
        tables: list[Table] = [context.table(node.path)]
    else:
        tables = list(_tables_in(context, node, None))
    for table in tables:
        for column in table.columns.values():
            yield (
                table.name, table.schema.name, column.name, _json(column), "true" if column.nullable else "NOT_NULL",
                column.default or "", "COLUMN", "", column.comment, table.schema.database.name, "",
            )  # fmt: skip


def _json(column: Column) -> str:
    kind, null = column.type, "true" if column.nullable else "false"
    if kind.family == "VARCHAR":
        return (
            f'{{"type":"TEXT","length":{kind.size},"byteLength":{min(kind.size * 4, 16777216)},"nullable":{null},"fixed":false}}'
        )
    if kind.family == "NUMBER":
        return f'{{"type":"FIXED","precision":{kind.size},"scale":{kind.scale},"nullable":{null}}}'
    return f'{{"type":"{"REAL" if kind.family == "FLOAT" else kind.family}","nullable":{null}}}'


def _policies(kind: str) -> Callable[[Context, Show], Iterator[Cells]]:
    def listed(context: Context, node: Show) -> Iterator[Cells]:
        for schema in _schemas_in(context, node):
            for policy in schema.policies(kind).values():
                if context.access.sees(policy):
                    database, schema_name, name = full_name(policy)
                    options = '{"EXEMPT_OTHER_POLICIES":true}' if policy.exempt_other_policies else ""
                    yield (
                        policy.created_at,
                        name,
                        database,
                        schema_name,
                        KIND[kind],
                        policy.owner,
                        policy.comment,
                        "ROLE",
                        options,
                    )

    return listed


def _tags(context: Context, node: Show) -> Iterator[Cells]:
    for schema in _schemas_in(context, node):
        for tag in schema.tag_by_name.values():
            if context.access.sees(tag):
                values = (
                    None if tag.allowed_values is None else "[" + ",".join(f'"{value}"' for value in tag.allowed_values) + "]"
                )
                names = (tag.name, schema.database.name, schema.name)
                yield (tag.created_at, *names, tag.owner, tag.comment, values, "ROLE")


_POLICY_HEAD = head("created_on:t name database_name schema_name kind owner comment owner_role_type options")
_LISTS: dict[str, tuple[list[tuple[str, SqlType]], Callable[[Context, Show], Iterator[Cells]]]] = {
    "ROLES": (
        head(
            "created_on:t name is_default is_current is_inherited assigned_to_users:n granted_to_roles:n granted_roles:n owner "
            "comment"
        ),
        _roles,
    ),
    "USERS": (
        head(
            "name created_on:t login_name default_warehouse default_role default_secondary_roles type owner comment "
            "has_rsa_public_key"
        ),
        _users,
    ),
    "WAREHOUSES": (head("name state type size is_default is_current auto_resume created_on:t owner comment"), _warehouses),
    "DATABASES": (head("created_on:t name is_default is_current origin owner comment options retention_time"), _databases),
    "SCHEMAS": (head("created_on:t name is_default is_current database_name owner comment options retention_time"), _schemas),
    "TABLES": (
        head("created_on:t name database_name schema_name kind comment cluster_by rows:n bytes:n owner retention_time"),
        _tables,
    ),
    "VIEWS": (head("created_on:t name database_name schema_name owner comment text is_secure is_materialized"), _views),
    "COLUMNS": (
        head("table_name schema_name column_name data_type null? default kind expression comment database_name autoincrement"),
        _columns,
    ),
    "MASKING POLICIES": (_POLICY_HEAD, _policies("MASKING")),
    "ROW ACCESS POLICIES": (_POLICY_HEAD, _policies("ROW_ACCESS")),
    "TAGS": (head("created_on:t name database_name schema_name owner comment allowed_values owner_role_type"), _tags),
}


# Parameters


_PARAMETERS = head("key value default level description type")


def _parameters(context: Context, node: Show) -> Iterator[Cells]:
    user = context.catalog.users.get(node.path[-1] if node.within == "USER" and node.path else context.session.user)
    levels = [("ACCOUNT", context.catalog.parameters)]
    if node.within != "ACCOUNT":
        levels.append(("USER", user.parameters if user else {}))
    if node.within in (None, "SESSION"):
        levels.append(("SESSION", context.session.parameters))
    for key, default in DEFAULTS.items():
        found = [(level, given[key]) for level, given in levels if key in given]
        level, value = found[-1] if found else ("", default)
        kind = "BOOLEAN" if default in ("true", "false") else "NUMBER" if default.isdecimal() else "STRING"
        yield (key, value, default, level, "", kind)
