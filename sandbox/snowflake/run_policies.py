"""Masking policies, row access policies and tags: made, changed, dropped, and put on columns and tables."""

from sandbox.snowflake import errors, guard, rows
from sandbox.snowflake.catalog import Attached, Column, Policy, Table, Tag, Tagged, full_name
from sandbox.snowflake.context import POLICY_WORD, Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import (
    AddRowPolicy,
    AlterPolicy,
    CreatePolicy,
    DropRowPolicy,
    MaskDefinition,
    RowPolicyDefinition,
    SetMask,
    UnsetMask,
)
from sandbox.snowflake.results import Result, status
from sandbox.snowflake.roles import inherited
from sandbox.snowflake.types import MASKABLE

CREATE_WORD = {"MASKING": "CREATE MASKING POLICY", "ROW_ACCESS": "CREATE ROW ACCESS POLICY"}


def create_policy(context: Context, node: CreatePolicy) -> Result:
    """CREATE [OR REPLACE | OR ALTER] ... POLICY."""
    if context.settings.edition == "STANDARD":
        raise errors.unsupported(CREATE_WORD[node.kind])
    word, name = POLICY_WORD[node.kind], node.creation.path[-1]
    schema = context.schema(node.creation.path[:-1])
    named = schema.policies(node.kind)
    there = named.get(name)
    if there is not None and node.creation.or_alter:
        return _alter_to(context, there, node)
    if there is not None and node.creation.if_not_exists:
        return status(f"{shown(name)} already exists, statement succeeded.")
    context.access.need(schema, CREATE_WORD[node.kind])
    if there is not None and not node.creation.replace:
        raise errors.exists("Object", shown(name))
    made = Policy(
        node.kind, name, schema, context.session.role, list(node.signature), node.returns, node.body, node.comment or "",
        node.exempt_other_policies, context.now,
    )  # fmt: skip
    check_policy(context, made)
    if there is not None:
        context.access.need_owner(there)
        if there.in_use:
            raise errors.in_use(shown(name))
    named[name] = made
    context.changed()
    return status(f"{word} {shown(name)} successfully created.")


def check_policy(context: Context, policy: Policy) -> None:
    """Raises errors.Refused if it could not work: types, names or functions of its body."""
    first = policy.signature[0][1]
    if policy.kind == "MASKING":
        if first.family not in MASKABLE:
            raise errors.unsupported(f"masking policy on {first.family}")
        if policy.returns != first:
            raise errors.policy_types_differ()
    guard.check_body(context, policy, rows.find_for(context)(policy))


def _alter_to(context: Context, policy: Policy, node: CreatePolicy) -> Result:
    context.access.need_owner(policy)
    if policy.signature != list(node.signature) or policy.returns != node.returns:
        raise errors.invalid("CREATE OR ALTER cannot change the signature of a policy.")
    if policy.in_use and policy.exempt_other_policies != node.exempt_other_policies:
        raise errors.in_use(shown(policy.name))
    _set_body(context, policy, node.body)
    policy.comment = node.comment or ""
    policy.exempt_other_policies = node.exempt_other_policies
    context.changed()
    return status()


def _set_body(context: Context, policy: Policy, body: str) -> None:
    before, policy.body = policy.body, body
    try:
        check_policy(context, policy)
    except errors.Refused:
        policy.body = before
        raise


def alter_policy(context: Context, node: AlterPolicy) -> Result:
    """SET BODY, SET COMMENT, RENAME TO."""
    try:
        policy = context.policy(node.kind, node.path)
    except errors.Refused as error:
        if node.if_exists and error.code == "002003":
            return status()
        raise
    context.access.need_owner(policy)
    if node.body is not None:
        _set_body(context, policy, node.body)
    if node.comment is not None:
        policy.comment = node.comment
    if node.rename is not None:
        _rename(context, policy, node.rename)
    context.changed()
    return status()


def _rename(context: Context, policy: Policy, path: tuple[str, ...]) -> None:
    schema = context.schema(path[:-1]) if len(path) > 1 else policy.schema
    context.access.need(schema, CREATE_WORD[policy.kind])
    if path[-1] in schema.policies(policy.kind):
        raise errors.exists("Object", shown(path[-1]))
    del policy.schema.policies(policy.kind)[policy.name]
    policy.schema, policy.name = schema, path[-1]
    schema.policies(policy.kind)[policy.name] = policy


def drop_policy(context: Context, kind: str, path: tuple[str, ...]) -> str:
    """Returns its name. Raises errors.Refused if it is attached to anything."""
    policy = context.policy(kind, path)
    context.access.need_owner(policy)
    if policy.in_use:
        raise errors.in_use(shown(policy.name))
    del policy.schema.policies(kind)[policy.name]
    return policy.name


# On columns and tables


def set_masks(context: Context, table: Table, actions: list[SetMask]) -> None:
    """All of these masks, or none."""
    if len({action.column for action in actions}) != len(actions):
        raise errors.invalid("a column is named twice.")
    forced = sum(action.mask.force for action in actions)
    if forced > 1 and not context.settings.force_on_several_columns:
        raise errors.unsupported("FORCE on several columns in one statement")
    wanted = [(context.column(table, action.column), prepare_mask(context, table, action)) for action in actions]
    for column, attached in wanted:
        attach_mask(column, attached)


def prepare_mask(context: Context, table: Table, action: SetMask) -> Attached:
    """What is to be attached, everything checked. Raises errors.Refused."""
    column = context.column(table, action.column)
    policy = context.policy("MASKING", action.mask.policy)
    if not context.access.may_apply(policy, table):
        raise errors.forbidden("Masking policy", full_text(policy))
    attached = Attached(policy, _arguments(context, table, column, policy, action.mask))
    kept = column.mask
    if kept is not None and kept.policy is not policy:
        if not action.mask.force:
            raise errors.column_has_policy(shown(column.name))
        if kept.policy.signature[0][1].family != policy.signature[0][1].family:
            raise errors.policy_does_not_fit(full_text(policy), _type(policy), shown(column.name), column.type.family)
    _check_conflicts(context, table, column, attached)
    return attached


def _type(policy: Policy) -> str:
    return policy.signature[0][1].family


def _arguments(context: Context, table: Table, column: Column, policy: Policy, mask: MaskDefinition) -> list[Column]:
    if mask.using and mask.using[0] != column.name:
        raise errors.invalid(f"the first column of USING must be {shown(column.name)}.")
    columns = [context.column(table, name) for name in mask.using] or [column]
    if len(columns) != len(policy.signature):
        raise errors.invalid(
            f"masking policy {shown(policy.name)} takes {len(policy.signature)} columns, given are {len(columns)}."
        )
    for given, (_, wanted) in zip(columns, policy.signature, strict=True):
        if given.type.family != wanted.family or given.type.family not in MASKABLE:
            raise errors.policy_does_not_fit(full_text(policy), wanted.family, shown(given.name), given.type.family)
    return columns


def _check_conflicts(context: Context, table: Table, column: Column, attached: Attached) -> None:
    """A column is protected, or an argument of another policy, unless its mask lets others use it."""
    for other in _other_uses(table, column):
        if column in other.columns and not lets_use(context, attached.policy, other.policy):
            raise errors.column_in_another_policy(shown(column.name), full_text(other.policy))
    for argument in attached.columns[1:]:
        if argument.mask is not None and not lets_use(context, argument.mask.policy, attached.policy):
            raise errors.column_in_another_policy(shown(argument.name), full_text(argument.mask.policy))


def _other_uses(table: Table, column: Column) -> list[Attached]:
    masks = [other.mask for other in table.columns.values() if other is not column and other.mask is not None]
    return [*masks, *([table.row_policy] if table.row_policy else [])]


def lets_use(context: Context, mask: Policy, other: Policy) -> bool:
    """Whether a column masked by `mask` may be an argument of `other`, whose owner must inherit the mask's owner."""
    return mask.exempt_other_policies and mask.owner in inherited(context.catalog, [other.owner])


def attach_mask(column: Column, attached: Attached | None) -> None:
    """In place of what is there, if anything."""
    if column.mask is not None:
        column.mask.policy.in_use -= 1
    column.mask = attached
    if attached is not None:
        attached.policy.in_use += 1


def unset_mask(context: Context, table: Table, action: UnsetMask) -> None:
    """Raises errors.Refused if it may not. A column without a mask stays one."""
    column = context.column(table, action.column)
    if column.mask is None:
        return
    if not context.access.may_apply(column.mask.policy, table):
        raise errors.forbidden("Masking policy", full_text(column.mask.policy))
    attach_mask(column, None)


def row_policy_actions(context: Context, table: Table, actions: list[AddRowPolicy | DropRowPolicy]) -> None:
    """All in order, or none: this is how one is swapped for another without a bare moment."""
    wanted = table.row_policy
    for action in actions:
        if isinstance(action, DropRowPolicy):
            _check_drop(context, table, wanted, action)
            wanted = None
        else:
            if wanted is not None:
                raise errors.has_row_policy(shown(table.name))
            wanted = prepare_row_policy(context, table, action.policy)
    attach_row_policy(table, wanted)


def _check_drop(context: Context, table: Table, present: Attached | None, action: DropRowPolicy) -> None:
    if action.policy is not None:
        policy = context.policy("ROW_ACCESS", action.policy)
        if present is None or present.policy is not policy:
            raise errors.no_policy_on(f"{table.kind.lower()} {shown(table.name)}")
    if present is not None and not context.access.may_apply(present.policy, table):
        raise errors.forbidden("Row access policy", full_text(present.policy))


def prepare_row_policy(context: Context, table: Table, node: RowPolicyDefinition) -> Attached:
    """What is to be attached, everything checked. Raises errors.Refused."""
    policy = context.policy("ROW_ACCESS", node.policy)
    if not context.access.may_apply(policy, table):
        raise errors.forbidden("Row access policy", full_text(policy))
    columns = [context.column(table, name) for name in node.columns]
    fits = len(columns) == len(policy.signature) and all(
        column.type.family == wanted.family for column, (_, wanted) in zip(columns, policy.signature, strict=True)
    )
    if not fits:
        raise errors.row_policy_signature(full_text(policy))
    for column in columns:
        mask = effective_mask_policies(table, column)
        if any(not lets_use(context, each, policy) for each in mask):
            raise errors.column_in_another_policy(shown(column.name), full_text(policy))
    return Attached(policy, columns)


def effective_mask_policies(table: Table, column: Column) -> list[Policy]:
    """The direct one, or those that come by tags."""
    return [attached.policy for attached, _ in guard.masks_of(table, column)]


def attach_row_policy(table: Table, attached: Attached | None) -> None:
    """In place of what is there, if anything."""
    if table.row_policy is not None:
        table.row_policy.policy.in_use -= 1
    table.row_policy = attached
    if attached is not None:
        attached.policy.in_use += 1


def release(table: Table) -> None:
    """It goes, and with it what it uses."""
    attach_row_policy(table, None)
    for column in table.columns.values():
        attach_mask(column, None)


def full_text(thing: Policy | Tag | Table) -> str:
    """As messages name it."""
    return ".".join(map(shown, full_name(thing)))


def tagged_things(context: Context) -> list[Tagged]:
    """Everything that may carry a tag."""
    things: list[Tagged] = []
    for database in context.catalog.databases.values():
        things.append(database)
        for schema in database.schemas.values():
            things += [schema, *schema.tables.values()]
            things += [column for table in schema.tables.values() for column in table.columns.values()]
    return things
