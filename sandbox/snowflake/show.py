"""SHOW and DESCRIBE: what the account tells about its objects, in the vendor's columns."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sandbox.snowflake import errors, results
from sandbox.snowflake.catalog import Column, Database, Policy, Role, Schema, Securable, Table, Tag, User, full_name
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Describe, Show
from sandbox.snowflake.results import Result
from sandbox.snowflake.roles import kind_of
from sandbox.snowflake.session import DEFAULTS
from sandbox.snowflake.types import NUMBER, TEXT, TIMESTAMP_LTZ, SqlType

Cells = Sequence[Any]
KIND = {"MASKING": "MASKING_POLICY", "ROW_ACCESS": "ROW_ACCESS_POLICY"}


def _head(text: str) -> list[tuple[str, SqlType]]:
    words = {"n": NUMBER, "t": TIMESTAMP_LTZ}
    named = [item.partition(":") for item in text.replace(",", "").split()]
    return [(name.replace("~", " "), words.get(kind, TEXT)) for name, _, kind in named]


def show(context: Context, node: Show) -> Result:
    """Only what the session may see. `LIKE` ignores case, as the vendor's does."""
    if node.kind.startswith("GRANTS"):
        head, rows = _GRANTS, list(_grants(context, node))
    elif node.kind == "PARAMETERS":
        head, rows = _PARAMETERS, list(_parameters(context, node))
    else:
        head, listed = _LISTS[node.kind]
        rows = list(listed(context, node))
    place = next((at for at, (name, _) in enumerate(head) if name == _NAME.get(node.kind, "name")), None)
    if node.like is not None and place is not None:
        pattern = _like(node.like)
        rows = [row for row in rows if pattern.fullmatch(row[place])]
    if node.starts_with is not None and place is not None:
        rows = [row for row in rows if str(row[place]).startswith(node.starts_with)]
    return Result(head, rows[: node.limit], results.SHOW)


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
            role.created_at, role.name, _yes(False), _yes(role.name == context.session.role), _yes(role.name in context.access.roles),
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
                each.name, state, "STANDARD", each.size, _yes(False), _yes(each.name == context.session.warehouse), "true" if each.auto_resume
                else "false", each.created_at, each.owner, each.comment,
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


_POLICY_HEAD = _head("created_on:t name database_name schema_name kind owner comment owner_role_type options")
_LISTS: dict[str, tuple[list[tuple[str, SqlType]], Callable[[Context, Show], Iterator[Cells]]]] = {
    "ROLES": (
        _head(
            "created_on:t name is_default is_current is_inherited assigned_to_users:n granted_to_roles:n granted_roles:n owner comment"
        ),
        _roles,
    ),
    "USERS": (
        _head(
            "name created_on:t login_name default_warehouse default_role default_secondary_roles type owner comment has_rsa_public_key"
        ),
        _users,
    ),
    "WAREHOUSES": (_head("name state type size is_default is_current auto_resume created_on:t owner comment"), _warehouses),
    "DATABASES": (_head("created_on:t name is_default is_current origin owner comment options retention_time"), _databases),
    "SCHEMAS": (_head("created_on:t name is_default is_current database_name owner comment options retention_time"), _schemas),
    "TABLES": (
        _head("created_on:t name database_name schema_name kind comment cluster_by rows:n bytes:n owner retention_time"),
        _tables,
    ),
    "VIEWS": (_head("created_on:t name database_name schema_name owner comment text is_secure is_materialized"), _views),
    "COLUMNS": (
        _head("table_name schema_name column_name data_type null? default kind expression comment database_name autoincrement"),
        _columns,
    ),
    "MASKING POLICIES": (_POLICY_HEAD, _policies("MASKING")),
    "ROW ACCESS POLICIES": (_POLICY_HEAD, _policies("ROW_ACCESS")),
    "TAGS": (_head("created_on:t name database_name schema_name owner comment allowed_values owner_role_type"), _tags),
}


# Parameters


_PARAMETERS = _head("key value default level description type")


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


# Grants


_GRANTS = _head("created_on:t privilege granted_on name granted_to grantee_name grant_option granted_by")


def _grants(context: Context, node: Show) -> Iterator[Cells]:
    if node.kind == "GRANTS TO USER":
        name = node.path[0] if node.path else context.session.user
        user = context.catalog.users.get(name)
        if user is None:
            raise errors.not_there("User", shown(name))
        for role in sorted(user.roles):
            yield (user.created_at, "USAGE", "ROLE", role, "USER", name, "false", "")
    elif node.kind == "GRANTS OF ROLE":
        yield from _holders(context, node.path[0])
    elif node.kind == "GRANTS TO ROLE":
        yield from _held(context, node.path[0])
    elif node.within == "ACCOUNT":
        for privilege, roles in context.catalog.grants.items():
            for role in sorted(roles):
                yield (context.now, privilege, "ACCOUNT", context.settings.name, "ROLE", role, "false", "")
    else:
        thing = context.securable(node.within or "", node.path)
        yield from (row for _, row in _on(thing))


def _role(context: Context, name: str) -> Role:
    role = context.catalog.roles.get(name)
    if role is None:
        raise errors.not_there("Role", shown(name))
    return role


def _holders(context: Context, name: str) -> Iterator[Cells]:
    role = _role(context, name)
    for other in context.catalog.roles.values():
        if name in other.granted:
            yield (role.created_at, "USAGE", "ROLE", name, "ROLE", other.name, "false", role.owner)
    for user in context.catalog.users.values():
        if name in user.roles:
            yield (role.created_at, "USAGE", "ROLE", name, "USER", user.name, "false", role.owner)


def _held(context: Context, name: str) -> Iterator[Cells]:
    role = _role(context, name)
    for inherited in sorted(role.granted):
        yield (role.created_at, "USAGE", "ROLE", inherited, "ROLE", name, "false", role.owner)
    for privilege, roles in context.catalog.grants.items():
        if name in roles:
            yield (context.now, privilege, "ACCOUNT", context.settings.name, "ROLE", name, "false", "")
    for thing in _all(context):
        yield from (row for holder, row in _on(thing) if holder == name)


def _all(context: Context) -> Iterator[Securable]:
    catalog = context.catalog
    yield from (*catalog.warehouses.values(), *catalog.roles.values(), *catalog.users.values(), *catalog.databases.values())
    for database in catalog.databases.values():
        for schema in database.schemas.values():
            yield schema
            yield from (*schema.tables.values(), *schema.masking_policies.values(), *schema.row_access_policies.values())
            yield from schema.tag_by_name.values()


def _on(thing: Securable) -> Iterator[tuple[str, Cells]]:
    kind = kind_of(thing).upper().replace(" ", "_")
    if isinstance(thing, Table | Policy | Tag):
        name = ".".join(map(shown, full_name(thing)))
    elif isinstance(thing, Schema):
        name = f"{shown(thing.database.name)}.{shown(thing.name)}"
    else:
        name = shown(thing.name)
    if thing.owner:
        yield thing.owner, (thing.created_at, "OWNERSHIP", kind, name, "ROLE", thing.owner, "true", thing.owner)
    for privilege, roles in thing.grants.items():
        for role in sorted(roles):
            yield role, (thing.created_at, privilege, kind, name, "ROLE", role, "false", thing.owner)


# DESCRIBE


_TABLE_HEAD = _head(
    "name type kind null? default primary~key unique~key check expression comment policy~name privacy~domain schema_evolution_record"
)
_POLICY_DESCRIBED = _head("name signature return_type body")


def describe(context: Context, node: Describe) -> Result:
    """Masks by tags are not shown for a table: `policy name` tells of direct ones only."""
    if node.kind in ("TABLE", "VIEW"):
        table = context.table(node.path, node.kind.capitalize())
        if table.kind != node.kind:
            raise errors.not_there(node.kind.capitalize(), context.full(node.path))
        return Result(_TABLE_HEAD, [_described(column) for column in table.columns.values()], results.SHOW)
    if node.kind in ("MASKING POLICY", "ROW ACCESS POLICY"):
        policy = context.policy(node.kind.removesuffix(" POLICY").replace(" ", "_"), node.path)
        signature = "(" + ", ".join(f"{shown(name)} {kind}" for name, kind in policy.signature) + ")"
        return Result(_POLICY_DESCRIBED, [(policy.name, signature, str(policy.returns), policy.body)], results.SHOW)
    thing = context.securable(node.kind, node.path)
    if not context.access.sees(thing):
        raise errors.not_there(node.kind.capitalize(), shown(node.path[-1]))
    if isinstance(thing, User):
        rows = [("NAME", thing.name), ("LOGIN_NAME", thing.login_name), *thing.properties.items()]
        return Result(_head("property value"), rows, results.SHOW)
    if isinstance(thing, Database):
        return Result(
            _head("created_on:t name kind"), [(each.created_at, each.name, "SCHEMA") for each in thing.schemas.values()]
        )
    if isinstance(thing, Schema):
        return Result(
            _head("created_on:t name kind"), [(each.created_at, each.name, each.kind) for each in thing.tables.values()]
        )
    raise errors.unsupported(f"DESCRIBE {node.kind}")


def _described(column: Column) -> Cells:
    policy = ".".join(map(shown, full_name(column.mask.policy))) if column.mask else None
    null = "Y" if column.nullable else "N"
    return (
        column.name,
        str(column.type),
        "COLUMN",
        null,
        column.default,
        "N",
        "N",
        None,
        None,
        column.comment or None,
        policy,
        None,
        None,
    )
