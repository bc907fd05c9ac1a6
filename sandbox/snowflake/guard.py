"""Who sees what: the rows and the columns of a table as one reader gets them, in DuckDB's words."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from sandbox.snowflake import errors, expressions, types
from sandbox.snowflake.catalog import Attached, Column, Policy, Table, Tag
from sandbox.snowflake.context import Context
from sandbox.snowflake.expressions import Reader
from sandbox.snowflake.lexer import STRING, shown, tokenise
from sandbox.warehouse.engine import EngineError
from sandbox.warehouse.planner import Find, Plan, Relation, plan_query

FindFor = Callable[[Plan, Reader], Find]  # finds what a policy looks up, with the rights of its owner
_MARK = f"a{uuid.uuid4().hex}"  # stands for an argument in a translated body, where nothing that users write can be
_KEPT_MAX = 5000

TagWords = tuple[tuple[str, str], ...]  # full name and value


def masks_of(table: Table, column: Column) -> list[tuple[Attached, Tag | None]]:
    """The mask that holds for a column: the direct one, else one for each tag that brings one. Several by tags break queries."""
    if column.mask is not None:
        return [(column.mask, None)]
    by_tag = [(tag.masks.get(column.type.family), tag) for tag in effective_tags(table, column)]
    return [(Attached(policy, [column]), tag) for policy, tag in by_tag if policy is not None]


def effective_tags(table: Table, column: Column) -> dict[Tag, tuple[str, str]]:
    """Value and level of each tag, the nearest winning: COLUMN, TABLE, SCHEMA or DATABASE."""
    found: dict[Tag, tuple[str, str]] = {}
    levels = (
        (table.schema.database.tags, "DATABASE"),
        (table.schema.tags, "SCHEMA"),
        (table.tags, "TABLE"),
        (column.tags, "COLUMN"),
    )
    for tags, level in levels:
        if tags:
            found |= {tag: (value, level) for tag, value in tags.items()}
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """One query by one reader. `find_for` finds what a policy looks up, with the rights of its owner."""

    plan: Plan
    reader: Reader
    find_for: Callable[[Policy], FindFor]


def guarded(table: Table, reading: Reading, source: str) -> Relation:
    """The table as the reader gets it. `source` names its rows in DuckDB."""

    def write(wanted: Mapping[str, str]) -> str:
        shown_columns = [f"{_column(table, table.columns[name], reading)} AS {as_}" for name, as_ in wanted.items()]
        where = ""
        if table.row_policy is not None:
            condition = _called(table.row_policy, reading, table, None)
            where = f" WHERE coalesce({condition}, false)"
        return f"SELECT {', '.join(shown_columns) or '1 AS nothing'} FROM {source}{where}"  # noqa: S608 - internal names

    return Relation({name: column.type for name, column in table.columns.items()}, write)


def _column(table: Table, column: Column, reading: Reading) -> str:
    masks = masks_of(table, column)
    if not masks:
        return column.key
    if len(masks) > 1:
        raise errors.several_policies_by_tags(shown(column.name))
    return _fitted(_called(masks[0][0], reading, table, column), column.type)


def _fitted(masked: str, kind: types.SqlType) -> str:
    if kind.family == "VARCHAR":
        return masked if kind.size == types.TEXT_MAX else f"fit_text({masked}, {kind.size})"
    if kind.family == "BINARY":
        return masked if kind.size == types.BINARY_MAX else f"fit_bytes({masked}, {kind.size})"
    return f"CAST({masked} AS {kind.duckdb})"


_kept: dict[tuple[Any, ...], str] = {}


def _called(attached: Attached, reading: Reading, table: Table, column: Column | None) -> str:
    """The policy's body with the columns as its arguments. Bodies without subqueries are translated once per reader."""
    policy = attached.policy
    tags = _tag_words(policy, table, column)
    key = (policy.body, tuple(policy.signature), reading.reader, tags)
    text = _kept.get(key)
    if text is None:
        find = reading.find_for(policy)(reading.plan, reading.reader)
        text = _translated(policy, reading.plan, find, reading.reader, tags)
        if "EXISTS" not in text:  # what looks up other tables belongs to one query
            if len(_kept) >= _KEPT_MAX:
                _kept.clear()
            _kept[key] = text
    for at, argument in enumerate(attached.columns):
        text = text.replace(f"{_MARK}_{at}_", argument.key)
    return f"({text})"


def _tag_words(policy: Policy, table: Table, column: Column | None) -> TagWords:
    if column is None or "GET_TAG_ON_CURRENT_COLUMN" not in policy.body.upper():
        return ()
    return tuple(
        (".".join((tag.schema.database.name, tag.schema.name, tag.name)), value)
        for tag, (value, _) in effective_tags(table, column).items()
    )


def _translated(policy: Policy, plan: Plan, find: Find, reader: Reader, tags: TagWords) -> str:
    body = expressions.expression(policy.body)
    body = _with_tags(body, dict(tags))
    arguments = {name: f"{_MARK}_{at}_" for at, (name, _) in enumerate(policy.signature)}
    if body.find(exp.Query) is not None:
        body = _with_lookups(body, arguments, plan, find)
    else:
        _fill(body, arguments)
    root = exp.Paren(this=body)  # a transformation may replace the root
    return expressions.duckdb(expressions.adapt(root, reader).this)


def _fill(body: exp.Expr, arguments: Mapping[str, str]) -> None:
    for reference in list(body.find_all(exp.Column)):
        name = reference.name
        if reference.table or name not in arguments:
            raise errors.invalid_identifier(shown(name))
        reference.this.set("this", arguments[name])
        reference.this.set("quoted", False)


def _with_lookups(body: exp.Expr, arguments: Mapping[str, str], plan: Plan, find: Find) -> exp.Expr:
    """A body with subqueries: planned as a query over one relation, whose columns are the arguments."""
    for sub in body.find_all(exp.Query):
        if not isinstance(sub.parent, exp.Exists) and sub.parent_select is None:
            raise errors.unsupported("subquery outside of EXISTS in a policy")
    taken: dict[str, str] = {}

    def note(wanted: Mapping[str, str]) -> str:
        taken.update({as_: arguments[name] for name, as_ in wanted.items()})
        return "SELECT 1"

    inputs = Relation(dict.fromkeys(arguments), note)
    marker = "\0arguments"

    def find_or_arguments(node: exp.Expr) -> Relation:
        return inputs if isinstance(node, exp.Table) and node.name == marker else find(node)

    query = exp.select(exp.alias_(body, "R", quoted=True)).from_(exp.Table(this=exp.to_identifier(marker, quoted=True)))
    select = plan_query(query, find_or_arguments, plan, "snowflake").query
    source = next(table for table in select.find_all(exp.Table) if table.parent_select is select)
    plan.relations[:] = [item for item in plan.relations if item[0] != source.name]
    for reference in list(select.find_all(exp.Column)):
        if reference.table == source.alias:
            reference.replace(exp.column(taken[reference.name]))
    return select.selects[0].unalias().copy()


def _with_tags(body: exp.Expr, tags: Mapping[str, str]) -> exp.Expr:
    for call in list(body.find_all(exp.Anonymous)):
        if str(call.name).upper() == "SYSTEM$GET_TAG_ON_CURRENT_COLUMN" and len(call.expressions) == 1:
            value = tags.get(call.expressions[0].name)
            new = exp.null() if value is None else exp.Literal.string(value)
            if call is body:
                return new
            call.replace(new)
    return body


def check_body(context: Context, policy: Policy, find: FindFor) -> None:
    """Raises errors.Refused unless the body can be read, knows only its arguments, and has the type that it must have."""
    shape = _shape(policy)
    if shape in _good:
        return
    reader = Reader("", "PUBLIC", frozenset())
    plan = Plan()
    text = _translated(policy, plan, find(plan, reader), reader, ())
    for at, (_, kind) in enumerate(policy.signature):
        text = text.replace(f"{_MARK}_{at}_", f"CAST(NULL AS {kind.duckdb})")
    try:
        found = context.engine.ask(plan.sql(f"SELECT typeof({text})"), plan.parameters)
    except EngineError as error:
        raise refusal(error) from error
    if not _is_of(str(found.rows[0][0]), policy.returns.family):
        raise errors.policy_types_differ()
    if shape is not None and len(_good) < _KEPT_MAX:
        _good.add(shape)


def _is_of(found: str, wanted: str) -> bool:
    """Whether what DuckDB calls `found` can be a value of the family `wanted`."""
    actual = types.from_duckdb(found).family
    if found == '"NULL"' or actual == wanted or {actual, wanted} <= {"NUMBER", "FLOAT", "DECFLOAT"}:
        return True
    return types.DUCKDB.get(actual, "") == types.DUCKDB.get(wanted, "?")


_good: set[tuple[Any, ...]] = set()  # shapes of policies that were found to work


def _shape(policy: Policy) -> tuple[Any, ...] | None:
    """What its checks depend on: everything but the names of roles. None if they depend on other objects too."""
    tokens = tokenise(policy.body)
    if any(token.value == "SELECT" for token in tokens):
        return None
    words = [token.text for token in tokens]
    for at, token in enumerate(tokens[2:], 2):
        if token.kind == STRING and tokens[at - 2].value == "IS_ROLE_IN_SESSION" and tokens[at - 1].value == "(":
            words[at] = "''"
    return (tuple(policy.signature), policy.returns, *words)


def refusal(error: EngineError) -> errors.Refused:
    """The vendor's error for what DuckDB says."""
    first = error.message.partition("\n")[0]
    if error.kind == "interrupted":
        return errors.cancelled()
    if error.kind == "input" and first.startswith("too long:"):
        return errors.too_long(error.message.removeprefix("too long:"))
    if error.kind == "input" and first == "division by zero":
        return errors.division_by_zero()
    if error.kind == "catalog" and "does not exist" in first and "Function" in first:
        return errors.unknown_function(first.partition("with name ")[2].partition(" ")[0].upper())
    if error.kind == "range" or (error.kind == "conversion" and "DECIMAL" in first and "Could not cast" in first):
        return errors.out_of_range(first)
    if error.kind in ("conversion", "input"):
        return errors.not_convertible(first)
    if error.kind == "constraint":
        return errors.Refused("100072", "22000", f"NULL result in a non-nullable column: {first}")
    return errors.types_do_not_fit(first)


POLICY_WORD = {"MASKING": "Masking policy", "ROW_ACCESS": "Row access policy"}


def policies_on(table: Table) -> list[Policy]:
    """All that a query of the table would meet."""
    masks = [attached.policy for column in table.columns.values() for attached, _ in masks_of(table, column)]
    return [*masks, *([table.row_policy.policy] if table.row_policy else [])]
