"""Who sees what: the rows and columns of a table as one reader gets them, in DuckDB's words. Owners and admins see no more."""

import itertools
from collections.abc import Mapping

from sqlglot import exp

from sandbox.databricks import conditions, errors, expressions, translation
from sandbox.databricks.catalog import Argument, Attached, Column, Function, Policy, Table, dotted
from sandbox.databricks.context import Context
from sandbox.databricks.lexer import quote
from sandbox.databricks.types import BOOLEAN, SqlType
from sandbox.warehouse.planner import Relation

_KEPT_MAX = 2000
_kept: dict[tuple[object, ...], str] = {}


def guarded(context: Context, table: Table) -> Relation:
    """The table as the reader gets it."""

    def write(wanted: Mapping[str, str]) -> str:
        columns = [f"{_column(context, table, table.columns[name])} AS {as_}" for name, as_ in wanted.items()]
        filters = filters_of(context, table)
        if len(filters) > 1:
            raise errors.invalid(f"Several row filters apply to {dotted(table.path)}", "UC_ABAC_MULTIPLE_ROW_FILTERS")
        where = f" WHERE coalesce({_called(context, table, filters[0], None, BOOLEAN)}, false)" if filters else ""
        return f"SELECT {', '.join(columns) or '1 AS nothing'} FROM {table.key}{where}"  # noqa: S608 - internal names

    check(context, table)
    return Relation(dict(table.columns.items()), write)


def check(context: Context, table: Table) -> None:
    """What makes every query of the table fail, whichever columns it asks for. Raises Refused."""
    for column in table.columns.values():
        masks = masks_of(context, table, column)
        if len(masks) > 1:
            words = "access control policies result in several column masks on the same columns"
            raise errors.masks_unsupported("MULTIPLE_MASKS", dotted(table.path), words)
        for mask in masks:
            _function(context, table, mask, "COLUMN_MASK")
    for each in filters_of(context, table):
        _function(context, table, each, "ROW_LEVEL_SECURITY")


def masks_of(context: Context, table: Table, column: Column) -> list[Attached]:
    """Different ones only: the same function with the same arguments counts once."""
    found = [column.mask] if column.mask else []
    for policy, aliases in policies_of(context, table):
        if policy.kind == "COLUMN_MASK" and aliases.get(policy.on_column) is column:
            found.append(_attached(policy, aliases))
    return list(dict.fromkeys(found))


def filters_of(context: Context, table: Table) -> list[Attached]:
    """As masks_of."""
    found = [table.row_filter] if table.row_filter else []
    for policy, aliases in policies_of(context, table):
        if policy.kind == "ROW_FILTER":
            found.append(_attached(policy, aliases))
    return list(dict.fromkeys(found))


def _attached(policy: Policy, aliases: Mapping[str, Column]) -> Attached:
    return Attached(policy.function, tuple(Argument(column=aliases[name].name) for name in policy.using if name in aliases))


def policies_of(context: Context, table: Table) -> list[tuple[Policy, dict[str, Column]]]:
    """ABAC policies that apply to this table and reader, once for each way in which their columns match."""
    if not context.metastore.policies:
        return []
    names = context.identity.names()
    found: list[tuple[Policy, dict[str, Column]]] = []
    for policy in context.metastore.policies.values():
        if table.path[: len(policy.on)] != policy.on or not names & set(policy.to) or names & set(policy.excepted):
            continue
        _referenced_tags(context, policy)
        if not conditions.holds(policy.when, governed_tags(context, table)):
            continue
        choices = [
            [column for column in table.columns.values() if conditions.holds(match.condition, _governed(context, column.tags))]
            for match in policy.matches
        ]
        aliases = [match.alias for match in policy.matches]
        found += [(policy, dict(zip(aliases, chosen, strict=True))) for chosen in itertools.product(*choices)]
    return found


def _referenced_tags(context: Context, policy: Policy) -> None:
    wanted = set().union(conditions.keys(policy.when), *(conditions.keys(match.condition) for match in policy.matches))
    if missing := sorted(wanted - set(context.metastore.governed)):
        raise errors.invalid(f"Policy {policy.name} names a tag that is not governed: {missing[0]}", "UC_ABAC_UNKNOWN_TAG_POLICY")


def _governed(context: Context, tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key in context.metastore.governed}


def governed_tags(context: Context, table: Table) -> dict[str, str]:
    """Of the table, with those of its schema and catalog, the nearest winning."""
    catalog, schema = context.metastore.catalog(table.path), context.metastore.schema(table.path)
    return _governed(context, {**catalog.facts.tags, **schema.facts.tags, **table.facts.tags})


def _function(context: Context, table: Table, attached: Attached, kind: str) -> Function:
    if context.metastore.find_function(attached.function) is None and attached not in _direct(table):
        raise errors.invalid(f"The function {dotted(attached.function)} of a policy is gone", "UC_DEPENDENCY_DOES_NOT_EXIST")
    function = context.any_function(attached.function)
    for argument in attached.arguments:
        if argument.column and argument.column.lower() not in table.columns:
            error_class = f"QUERIED_TABLE_INCOMPATIBLE_WITH_{kind}_POLICY"
            words = f"{dotted(table.path)} has no column {quote(argument.column)}, which {dotted(function.path)} takes."
            raise errors.Refused(error_class, "428HD", words)
    return function


def _direct(table: Table) -> list[Attached]:
    return [*(column.mask for column in table.columns.values() if column.mask), *([table.row_filter] if table.row_filter else [])]


def _column(context: Context, table: Table, column: Column) -> str:
    masks = masks_of(context, table, column)
    return _called(context, table, masks[0], column, column.type) if masks else column.key


def _called(context: Context, table: Table, attached: Attached, column: Column | None, returns: SqlType) -> str:
    """The call, its function's body in its place, as a value of type `returns`."""
    values: list[exp.Expr] = [exp.column(column.key)] if column else []
    values += [
        exp.column(table.column(each.column).key) if each.column else expressions.expression(each.literal)
        for each in attached.arguments
    ]
    reader = context.reader()
    function = context.any_function(attached.function)
    key = (
        function.facts.id,
        function.body,
        tuple(function.parameters),
        function.returns,
        reader,
        tuple(value.sql() for value in values),
        returns,
    )
    plain = not _names_functions(function.body)
    text = _kept.get(key) if plain else None
    if text is None:
        tree = expressions.inlined(function, values, context.any_function)
        text = translation.duckdb(expressions.cast(tree, returns), reader)
        if plain:
            if len(_kept) >= _KEPT_MAX:
                _kept.clear()
            _kept[key] = text
    return f"({text})"


def _names_functions(body: str) -> bool:
    """Whether functions of the catalog are called: these may change while this body does not."""
    return any(
        isinstance(call.parent, exp.Dot) or str(call.name).lower() not in expressions.PLAIN
        for call in expressions.expression(body).find_all(exp.Anonymous)
    )
