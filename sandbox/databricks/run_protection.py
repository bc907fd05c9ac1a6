"""Carries out what protects: masks, row filters, ABAC policies."""

from dataclasses import replace

from sandbox.databricks import conditions, errors, nodes
from sandbox.databricks.catalog import Argument, Attached, Column, Function, Path, Policy, Table, dotted, now_ms, shown
from sandbox.databricks.context import Context
from sandbox.databricks.results import Result
from sandbox.databricks.types import STRING, SqlType

DONE = Result()
PRINCIPALS_MAX, MATCHES_MAX = 20, 3


def is_protected(table: Table) -> bool:
    """Whether a mask or filter is attached directly."""
    return table.row_filter is not None or any(column.mask for column in table.columns.values())


def set_mask(context: Context, node: nodes.SetMask) -> Result:
    """An existing mask is replaced. Dropping one that is not there is no error."""
    table = _protectable(context, node.table, node.kind)
    column = table.column(node.column)
    if node.mask is None:
        column.mask = None
    else:
        if table.checks:
            words = "Setting column mask policies for tables with CHECK constraints"
            raise errors.masks_unsupported("CHECK_CONSTRAINT", dotted(table.path), words)
        column.mask = check_mask(context, table, column, node.mask)
    table.facts.changed(context.identity.name)
    return DONE


def set_row_filter(context: Context, node: nodes.SetRowFilter) -> Result:
    """As set_mask."""
    table = _protectable(context, node.table, node.kind)
    if node.row_filter is None:
        table.row_filter = None
    else:
        if table.checks:
            words = "Setting row level security for tables with CHECK constraints"
            raise errors.filters_unsupported("CHECK_CONSTRAINT", dotted(table.path), words)
        table.row_filter = check_row_filter(context, table, node.row_filter)
    table.facts.changed(context.identity.name)
    return DONE


def _protectable(context: Context, path: Path, kind: str) -> Table:
    table = context.table(path)
    context.access.manage(table.path)
    if table.kind == "VIEW":
        raise errors.Refused("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", "42809", f"{shown(table.path)} is a view.")
    wanted = "TABLE" if table.kind == "MANAGED" else table.kind.replace("_", " ")
    if kind != wanted:
        raise errors.Refused("WRONG_COMMAND_FOR_OBJECT_TYPE", "42809", f"{shown(table.path)} needs ALTER {wanted}.")
    return table


def check_mask(context: Context, table: Table, column: Column, mask: Attached) -> Attached:
    """The mask as it is kept. Raises Refused."""
    mask, function = _resolved(context, table, mask, 1)
    _same_type(context, function, column.type, function.parameters[0][1], "takes")
    _same_type(context, function, column.type, function.returns, "returns")
    return mask


def check_row_filter(context: Context, table: Table, row_filter: Attached) -> Attached:
    """The filter as it is kept. Raises Refused."""
    row_filter, function = _resolved(context, table, row_filter, 0)
    if function.returns.name != "BOOLEAN":
        raise errors.Refused("DATATYPE_MISMATCH.ROW_FILTER", "42K09", f"{shown(function.path)} does not return BOOLEAN.")
    return row_filter


def _resolved(context: Context, table: Table, attached: Attached, before: int) -> tuple[Attached, Function]:
    """Its function with a full name, its arguments named as the table names them. `before`: parameters not in the list."""
    function = context.function(context.full(attached.function))
    if len(function.parameters) != len(attached.arguments) + before:
        given = len(attached.arguments) + before
        words = f"{shown(function.path)} requires {len(function.parameters)} parameters, given are {given}."
        raise errors.Refused("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605", words)
    names = [argument.column.lower() for argument in attached.arguments if argument.column]
    if len(set(names)) != len(names):
        raise errors.Refused("ROW_COLUMN_ACCESS.DUPLICATE_COLUMNS", None, f"A column is listed twice for {shown(function.path)}.")
    arguments = tuple(
        Argument(column=table.column(argument.column).name) if argument.column else argument for argument in attached.arguments
    )
    for argument, (_, kind) in zip(arguments, function.parameters[before:], strict=True):
        if argument.column:
            _same_type(context, function, table.column(argument.column).type, kind, "takes")
    return Attached(function.path, arguments), function


def _same_type(context: Context, function: Function, wanted: SqlType, has: SqlType, verb: str) -> None:
    if context.world.settings.mask_types == "equal" and wanted.text != has.text:
        words = f"{shown(function.path)} {verb} {has.text.upper()}, the column is {wanted.text.upper()}."
        raise errors.Refused("DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION", "42K09", words)


# ABAC


def create_policy(context: Context, node: nodes.CreatePolicy) -> Result:
    """Raises Refused."""
    on = context.full(node.on, ("CATALOG", "SCHEMA", "TABLE").index(node.on_type) + 1)
    function = context.full(node.function)
    policy = Policy(
        node.name, node.on_type, on, node.kind, function, node.to, node.excepted, node.when, node.matches, node.on_column,
        node.using, node.comment, created_by=context.identity.name, updated_by=context.identity.name,
    )  # fmt: skip
    put_policy(context, policy, replaces=node.replace)
    return DONE


def put_policy(context: Context, policy: Policy, *, replaces: bool) -> Policy:
    """Checked and stored. Raises Refused."""
    list(context.access.levels(policy.on))
    context.access.manage(policy.on)
    key = (policy.on_type, policy.on, policy.name)
    there = context.metastore.policies.get(key)
    if there is not None and not replaces:
        raise errors.Refused("POLICY_ALREADY_EXISTS", "42000", f"Policy {policy.name} already exists on {dotted(policy.on)}.")
    _check_policy(context, policy)
    if there is not None:
        policy = replace(policy, id=there.id, created_at=there.created_at, created_by=there.created_by, updated_at=now_ms())
    context.metastore.policies[key] = policy
    return policy


def _check_policy(context: Context, policy: Policy) -> None:
    function = context.function(policy.function)
    if len(policy.to) + len(policy.excepted) > PRINCIPALS_MAX or len(policy.matches) > MATCHES_MAX:
        raise errors.invalid("At most 20 principals and 3 MATCH COLUMNS conditions", "UC_ABAC_QUOTA")
    named = {"has_tag": policy.when} | {f"match {at}": match.condition for at, match in enumerate(policy.matches)}
    for condition in named.values():
        for key in conditions.keys(condition):
            if key not in context.metastore.governed:
                raise errors.invalid(f"Tag {key} is not governed", "UC_ABAC_UNKNOWN_TAG_POLICY")
    aliases = [match.alias for match in policy.matches]
    wanted = [*([policy.on_column] if policy.kind == "COLUMN_MASK" else []), *policy.using]
    if missing := [name for name in wanted if name not in aliases]:
        raise errors.invalid(f"{missing[0]} is no alias of MATCH COLUMNS", "UC_ABAC_UNKNOWN_ALIAS")
    if len(function.parameters) != len(wanted):
        raise errors.Refused("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605", f"{shown(function.path)} has other parameters.")


def drop_policy(context: Context, node: nodes.DropPolicy) -> Result:
    """Raises Refused."""
    on = context.full(node.on, ("CATALOG", "SCHEMA", "TABLE").index(node.on_type) + 1)
    if (node.on_type, on, node.name) not in context.metastore.policies and node.if_there:
        return DONE
    remove_policy(context, node.on_type, on, node.name)
    return DONE


def remove_policy(context: Context, on_type: str, on: Path, name: str) -> None:
    """Raises Refused."""
    found = find_policy(context, on_type, on, name)
    context.access.manage(on)
    del context.metastore.policies[found.on_type, found.on, found.name]


def find_policy(context: Context, on_type: str, on: Path, name: str) -> Policy:
    """Raises Refused."""
    found = context.metastore.policies.get((on_type, on, name))
    if found is None:
        raise errors.Refused("POLICY_NOT_FOUND", "42704", f"Policy {name} does not exist on {dotted(on)}.")
    return found


def policies_on(context: Context, on: Path, *, inherited: bool) -> list[Policy]:
    """Of the securable itself, and of those above it if `inherited`."""
    wanted = [on[: at + 1] for at in range(len(on))] if inherited else [on]
    return [policy for policy in context.metastore.policies.values() if policy.on in wanted]


def show_policies(context: Context, node: nodes.ShowPolicies) -> Result:
    """Raises Refused."""
    on = context.full(node.on, ("CATALOG", "SCHEMA", "TABLE").index(node.on_type) + 1)
    list(context.access.levels(on))
    found = policies_on(context, on, inherited=node.effective)
    heads = ("name", "policy_type", "on_securable_type", "on_securable_fullname", "function_name")
    rows = [(each.name, each.kind, each.on_type, dotted(each.on), dotted(each.function)) for each in found]
    return Result([(head, STRING) for head in heads], list(rows))
