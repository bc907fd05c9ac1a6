"""GRANT and REVOKE: of privileges, of roles, of ownership."""

from sandbox.snowflake import errors
from sandbox.snowflake.catalog import Database, Grants, Role, Schema, Securable, Table, Warehouse
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Grant, GrantOwnership, GrantRole
from sandbox.snowflake.results import Result, status
from sandbox.snowflake.roles import inherited

ALL_OF = {
    Database: ("USAGE", "CREATE SCHEMA", "MODIFY", "MONITOR"),
    Schema: (
        "USAGE", "CREATE TABLE", "CREATE VIEW", "CREATE TAG", "CREATE MASKING POLICY", "CREATE ROW ACCESS POLICY",
        "MODIFY", "MONITOR",
    ),
    Table: ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES"),
    Warehouse: ("USAGE", "OPERATE", "MONITOR", "MODIFY"),
}  # fmt: skip


def grant(context: Context, node: Grant) -> Result:
    """Privileges on one thing, on the account, or on all tables of a schema or database."""
    _role(context, node.role)
    if node.kind is None:
        if not context.access.on_account("MANAGE GRANTS"):
            raise errors.forbidden("Account", context.settings.name)
        _change_grants(context.catalog.grants, node.privileges, node)
    for thing in _granted_on(context, node):
        if not context.access.may_grant(thing):
            raise errors.forbidden("Object", thing.name)
        privileges = ALL_OF.get(type(thing), ("USAGE",)) if set(node.privileges) & {"ALL", "ALL PRIVILEGES"} else node.privileges
        _change_grants(thing.grants, privileges, node)
    context.changed()
    return status()


def _granted_on(context: Context, node: Grant) -> list[Securable]:
    if node.kind is None:
        return []
    if node.plural_in is None:
        return [context.securable(node.kind, node.path)]
    container = context.securable(node.plural_in, node.path)
    schemas = (
        [container]
        if isinstance(container, Schema)
        else list(container.schemas.values())
        if isinstance(container, Database)
        else []
    )
    if node.kind == "SCHEMA":
        return list(schemas)
    return [table for schema in schemas for table in schema.tables.values() if table.kind == node.kind]


def _change_grants(grants: Grants, privileges: tuple[str, ...], node: Grant) -> None:
    for privilege in privileges:
        holders = grants.setdefault(privilege, set())
        if node.revoke:
            holders.discard(node.role)
        else:
            holders.add(node.role)


def _role(context: Context, name: str) -> Role:
    role = context.catalog.roles.get(name)
    if role is None:
        raise errors.not_there("Role", shown(name))
    return role


def grant_role(context: Context, node: GrantRole) -> Result:
    """A role to a role, which inherits it, or to a user."""
    role = _role(context, node.role)
    if not context.access.may_grant(role):
        raise errors.forbidden("Role", node.role)
    if node.to_kind == "USER":
        user = context.catalog.users.get(node.to)
        if user is None:
            raise errors.not_there("User", shown(node.to))
        holders = user.roles
    else:
        to = _role(context, node.to)
        if not node.revoke and node.to in inherited(context.catalog, [node.role]):
            raise errors.Refused(
                "003027", "42501", "SQL access control error:\nCannot grant a role to itself or to one it inherits."
            )
        holders = to.granted
    if node.revoke:
        holders.discard(node.role)
    else:
        holders.add(node.role)
    context.changed()
    return status()


def grant_ownership(context: Context, node: GrantOwnership) -> Result:
    """Without COPY CURRENT GRANTS, grants on the thing must not be there any more: here they are taken away."""
    _role(context, node.role)
    thing = context.securable(node.kind, node.path)
    if not context.access.may_grant(thing):
        raise errors.forbidden("Object", thing.name)
    if not node.copy_grants:
        thing.grants.clear()
    thing.owner = node.role
    context.changed()
    return status()
