"""DESCRIBE: the columns of a table, or a policy with its body."""

from collections.abc import Sequence
from typing import Any

from sandbox.snowflake import errors, results
from sandbox.snowflake.catalog import Column, Database, Schema, User, full_name
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Describe
from sandbox.snowflake.results import Result, head

Cells = Sequence[Any]

_TABLE_HEAD = head(
    "name type kind null? default primary~key unique~key check expression comment policy~name privacy~domain "
    "schema_evolution_record"
)
_POLICY_DESCRIBED = head("name signature return_type body")


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
        rows: list[Cells] = [("NAME", thing.name), ("LOGIN_NAME", thing.login_name), *thing.properties.items()]
        return Result(head("property value"), rows, results.SHOW)
    if isinstance(thing, Database):
        return Result(head("created_on:t name kind"), [(each.created_at, each.name, "SCHEMA") for each in thing.schemas.values()])
    if isinstance(thing, Schema):
        return Result(head("created_on:t name kind"), [(each.created_at, each.name, each.kind) for each in thing.tables.values()])
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
