"""SHOW GRANTS: to a role or user, of a role, on an object or the account."""

from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.snowflake import errors
from sandbox.snowflake.catalog import Policy, Role, Schema, Securable, Table, Tag, everything, full_name
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Show
from sandbox.snowflake.results import head
from sandbox.snowflake.roles import kind_of

Cells = Sequence[Any]

HEAD = head("created_on:t privilege granted_on name granted_to grantee_name grant_option granted_by")


def rows(context: Context, node: Show) -> Iterator[Cells]:
    """What SHOW GRANTS lists."""
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
    for thing in everything(context.catalog):
        yield from (row for holder, row in _on(thing) if holder == name)


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
