"""Roles, users, databases, schemas, warehouses, and what a session uses."""

import base64
import binascii
from collections import Counter

from sandbox.snowflake import errors, run_tables, run_tags
from sandbox.snowflake.catalog import (
    Catalog,
    Database,
    Grants,
    Policy,
    Role,
    Schema,
    Securable,
    Table,
    User,
    Warehouse,
    everything,
)
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import AlterContainer, CreateContainer, Path, Use
from sandbox.snowflake.results import Result, status
from sandbox.snowflake.roles import is_system, may_use
from sandbox.snowflake.session import DEFAULTS, QUERY_TAG_MAX


def create(context: Context, node: CreateContainer) -> Result:
    """CREATE DATABASE, SCHEMA, WAREHOUSE, ROLE, USER."""
    name = node.creation.path[-1]
    if node.kind == "SCHEMA":
        return _create_schema(context, node)
    named: dict[str, Securable] = _named(context.catalog, node.kind)
    there = named.get(name)
    if there is not None and node.creation.if_not_exists:
        return status(f"{shown(name)} already exists, statement succeeded.")
    if not context.access.on_account(f"CREATE {node.kind}"):
        raise errors.forbidden("Account", context.settings.name)
    if there is not None:
        if not node.creation.replace:
            raise errors.exists("Object", shown(name))
        drop(context, node.kind, node.creation.path)
    named[name] = _made(context, node, name)
    if node.tags:
        made = named[name]
        if isinstance(made, Database):
            made.tags |= run_tags.prepare(context, made, made, node.tags)
    context.changed()
    return status(f"{node.kind.capitalize()} {shown(name)} successfully created.")


def _named(catalog: Catalog, kind: str) -> dict[str, Securable]:
    named = {"DATABASE": catalog.databases, "WAREHOUSE": catalog.warehouses, "ROLE": catalog.roles, "USER": catalog.users}
    return named[kind]  # type: ignore[return-value]


def _made(context: Context, node: CreateContainer, name: str) -> Securable:
    owner, given = context.session.role, dict(node.properties)
    if node.kind == "ROLE":
        return Role(name, owner, created_at=context.now, comment=given.get("COMMENT", ""))
    if node.kind == "WAREHOUSE":
        made = Warehouse(name, owner, created_at=context.now)
        _set_warehouse(made, given)
        made.suspended = given.get("INITIALLY_SUSPENDED", "FALSE").upper() == "TRUE"
        context.session.warehouse = name
        return made
    if node.kind == "USER":
        user = User(name, owner, given.get("LOGIN_NAME", name).upper(), created_at=context.now)
        _set_user(user, given)
        return user
    database = Database(name, owner, comment=given.get("COMMENT", ""), created_at=context.now)
    database.schemas["PUBLIC"] = Schema("PUBLIC", database, owner, created_at=context.now)
    context.session.database, context.session.schema = name, "PUBLIC"
    return database


def _create_schema(context: Context, node: CreateContainer) -> Result:
    path = node.creation.path
    if len(path) > 2:
        raise errors.not_there("Schema", context.full(path))
    database_name = path[0] if len(path) == 2 else context.session.database
    if database_name is None:
        raise errors.not_there("Database", "")
    database = context.database(database_name)
    there = database.schemas.get(path[-1])
    if there is not None and node.creation.if_not_exists:
        return status(f"{shown(path[-1])} already exists, statement succeeded.")
    context.access.need(database, "CREATE SCHEMA")
    if there is not None:
        if not node.creation.replace:
            raise errors.exists("Object", shown(path[-1]))
        drop(context, "SCHEMA", (database.name, there.name))
    made = Schema(path[-1], database, context.session.role, comment=node.properties.get("COMMENT", ""), created_at=context.now)
    database.schemas[made.name] = made
    if node.tags:
        made.tags |= run_tags.prepare(context, made, made, node.tags)
    context.session.database, context.session.schema = database.name, made.name
    context.changed()
    return status(f"Schema {shown(made.name)} successfully created.")


# DROP


def drop(context: Context, kind: str, path: Path) -> str:
    """A container and what is in it. Returns its name. Raises errors.Refused."""
    thing = context.securable(kind, path)
    if not context.access.sees(thing):
        raise errors.not_there(kind.capitalize(), shown(path[-1]))
    context.access.need_owner(thing)
    if isinstance(thing, Database | Schema):
        schemas = [thing] if isinstance(thing, Schema) else list(thing.schemas.values())
        _drop_schemas(context, schemas, kind, path)
    if isinstance(thing, Schema):
        del thing.database.schemas[thing.name]
        return thing.name
    if isinstance(thing, Role):
        _drop_role(context, thing)
    del _named(context.catalog, kind)[thing.name]
    return thing.name


def _drop_schemas(context: Context, schemas: list[Schema], kind: str, path: Path) -> None:
    """What is used from outside of them keeps them there."""
    inside = Counter(policy for schema in schemas for policy in _used_in(schema))
    for schema in schemas:
        for policy in [*schema.masking_policies.values(), *schema.row_access_policies.values()]:
            if policy.in_use > inside[policy]:
                raise errors.parent_in_use(kind, context.full(path))
    for schema in schemas:
        for tag in list(schema.tag_by_name.values()):
            run_tags.forget(context, tag)
        for table in list(schema.tables.values()):
            run_tables.forget(context, table)


def _used_in(schema: Schema) -> list[Policy]:
    """The policies that its tables and tags use, each as often as it is used."""
    used = [policy for tag in schema.tag_by_name.values() for policy in tag.masks.values()]
    for table in schema.tables.values():
        used += [column.mask.policy for column in table.columns.values() if column.mask]
        used += [table.row_policy.policy] if table.row_policy else []
    return used


def _drop_role(context: Context, role: Role) -> None:
    """What it owned goes to the role that drops it; what was granted to it is gone."""
    if is_system(role.name):
        raise errors.forbidden("Role", role.name)
    for thing in everything(context.catalog):
        if thing.owner == role.name:
            thing.owner = context.session.role
        _forget_role(thing.grants, role.name)
        if isinstance(thing, Role):
            thing.granted.discard(role.name)
        elif isinstance(thing, User):
            thing.roles.discard(role.name)
    _forget_role(context.catalog.grants, role.name)


def _forget_role(grants: Grants, role: str) -> None:
    for holders in grants.values():
        holders.discard(role)


# ALTER


def alter(context: Context, node: AlterContainer) -> Result:
    """ALTER SESSION, ACCOUNT, WAREHOUSE, USER, ROLE, DATABASE, SCHEMA."""
    if node.kind == "SESSION":
        _set_parameters(context.session.parameters, node)
    elif node.kind == "ACCOUNT":
        if not context.access.owns(context.catalog.roles["ACCOUNTADMIN"]) and "ACCOUNTADMIN" not in context.access.roles:
            raise errors.forbidden("Account", context.settings.name)
        _set_parameters(context.catalog.parameters, node)
    else:
        try:
            _alter_thing(context, node, context.securable(node.kind, node.path))
        except errors.Refused as error:
            if node.if_exists and error.code == "002003":
                return status()
            raise
    context.changed()
    return status()


def _set_parameters(parameters: dict[str, str], node: AlterContainer) -> None:
    for name in (*node.set, *node.unset):
        if name not in DEFAULTS:
            raise errors.Refused("001006", "42601", f"{errors.COMPILATION}invalid parameter '{name}'")
    for name, value in node.set.items():
        parameters[name] = checked_parameter(name, value)
    for name in node.unset:
        parameters.pop(name, None)


def checked_parameter(name: str, value: str) -> str:
    """The value as it is kept. Raises errors.Refused if the parameter cannot have it."""
    default = DEFAULTS[name]
    if default in ("true", "false"):
        if value.lower() not in ("true", "false"):
            raise errors.invalid(f"invalid value [{value}] for parameter '{name}'")
        return value.lower()
    if default.isdecimal() and not value.isdecimal():
        raise errors.invalid(f"invalid value [{value}] for parameter '{name}'")
    if name == "QUERY_TAG" and len(value) > QUERY_TAG_MAX:
        raise errors.invalid(f"value for parameter '{name}' is longer than {QUERY_TAG_MAX} characters")
    return value


def _alter_thing(context: Context, node: AlterContainer, thing: Securable) -> None:
    if not context.access.sees(thing) or isinstance(thing, Table):
        raise errors.not_there(node.kind.capitalize(), shown(node.path[-1]))
    if node.set_tags or node.unset_tags:
        if not isinstance(thing, Database | Schema):
            raise errors.unsupported(f"TAG on {node.kind}")
        thing.tags |= run_tags.prepare(context, thing, thing, node.set_tags)
        run_tags.unset(context, thing, thing, node.unset_tags)
        return
    if isinstance(thing, Warehouse):
        context.access.need(thing, "OPERATE" if "STATE" in node.set else "MODIFY")
        _set_warehouse(thing, node.set)
        return
    context.access.need_owner(thing)
    if isinstance(thing, User):
        _set_user(thing, node.set)
        for name in node.unset:
            thing.properties.pop(name, None)
            thing.parameters.pop(name, None)
            thing.keys.pop(name, None)
    elif isinstance(thing, Role | Database | Schema):
        thing.comment = node.set.get("COMMENT", thing.comment)
        if set(node.set) - {"COMMENT"}:
            raise errors.invalid(f"invalid property {sorted(node.set)[0]}")
    if node.rename:
        _rename(context, node, thing)


def _rename(context: Context, node: AlterContainer, thing: Securable) -> None:
    assert node.rename  # noqa: S101 - the caller has seen to it
    named = thing.database.schemas if isinstance(thing, Schema) else _named(context.catalog, node.kind)
    if node.rename[-1] in named:
        raise errors.exists("Object", shown(node.rename[-1]))
    if isinstance(thing, Role | User):
        raise errors.unsupported(f"RENAME of {node.kind}")
    del named[thing.name]
    thing.name = node.rename[-1]
    named[thing.name] = thing  # type: ignore[assignment]


def _set_warehouse(warehouse: Warehouse, given: dict[str, str]) -> None:
    if "STATE" in given:
        warehouse.suspended = given["STATE"] == "SUSPENDED"
    if "AUTO_RESUME" in given:
        warehouse.auto_resume = given["AUTO_RESUME"].upper() == "TRUE"
    warehouse.size = given.get("WAREHOUSE_SIZE", warehouse.size)
    warehouse.comment = given.get("COMMENT", warehouse.comment)


def _set_user(user: User, given: dict[str, str]) -> None:
    for name, value in given.items():
        if name in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"):
            user.keys[name] = _key(value)
        elif name == "PASSWORD":
            user.password = value
        elif name == "LOGIN_NAME":
            user.login_name = value.upper()
        elif name == "DEFAULT_SECONDARY_ROLES":
            user.default_secondary_roles = "ALL" if "ALL" in value.upper().split(",") else "NONE"
        elif name in DEFAULTS:
            user.parameters[name] = checked_parameter(name, value)
        else:
            user.properties[name] = value


def _key(text: str) -> bytes:
    body = "".join(line for line in text.splitlines() if "-----" not in line)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise errors.Refused(
            "390318", "22023", "New public key rejected by current policy. Reason: 'Invalid public key'."
        ) from error


# USE


def use(context: Context, node: Use) -> Result:
    """For the session."""
    session = context.session
    if node.kind == "SECONDARY ROLES":
        session.secondary = node.path[0]
    elif node.kind == "ROLE":
        name = node.path[0]
        if name not in context.catalog.roles:
            raise errors.cannot_be_performed()
        if not may_use(context.catalog, session, name):
            raise errors.role_not_granted(shown(name))
        session.role = name
    elif node.kind == "WAREHOUSE":
        warehouse = context.catalog.warehouses.get(node.path[0])
        if warehouse is None or not context.access.has_any(warehouse):
            raise errors.cannot_be_performed()
        session.warehouse = warehouse.name
    else:
        _use_place(context, node)
    return status()


def _use_place(context: Context, node: Use) -> None:
    try:
        if node.kind == "DATABASE":
            database = context.database(node.path[0])
            context.session.database = database.name
            context.session.schema = "PUBLIC" if "PUBLIC" in database.schemas else None
        else:
            schema = context.schema(node.path)
            context.session.database, context.session.schema = schema.database.name, schema.name
    except errors.Refused as error:
        raise errors.cannot_be_performed() from error
