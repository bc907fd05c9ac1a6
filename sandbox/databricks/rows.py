"""SELECT, INSERT, UPDATE, DELETE: from the statement to what DuckDB is asked, and from its answer to a result."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from sandbox.databricks import errors, expressions, guard, information, translation, types
from sandbox.databricks.catalog import Column, Table, dotted
from sandbox.databricks.context import Context
from sandbox.databricks.directory import Identity
from sandbox.databricks.lexer import quote
from sandbox.databricks.results import Result
from sandbox.databricks.types import SqlType
from sandbox.warehouse.engine import EngineError, Rows
from sandbox.warehouse.planner import Find, Plan, Relation, Unresolved, plan_query

DEPTH_MAX = 20  # of views in views
ROW_NUMBER = "\0row"  # no column of a user's is called so
COUNT = types.SqlType(*types.PLAIN["BIGINT"])


@dataclass(frozen=True, slots=True)
class Pending:
    """What DuckDB is to be asked, and the names and types of what it answers (type None: as DuckDB says)."""

    sql: str
    parameters: dict[str, Any]
    columns: list[tuple[str, SqlType | None]]
    is_change: bool = False

    def finish(self, rows: Rows) -> Result:
        """As a result."""
        kinds = [known or types.from_duckdb(kind) for (_, known), kind in zip(self.columns, rows.types, strict=True)]
        return Result([(name, kind) for (name, _), kind in zip(self.columns, kinds, strict=True)], list(rows.rows))


def select(context: Context, text: str) -> Pending:
    """Raises Refused."""
    plan = Plan()
    sql, columns = _planned(context, text, plan)
    return Pending(plan.sql(sql), plan.parameters, columns)


def _planned(context: Context, text: str, plan: Plan, depth: int = 0) -> tuple[str, list[tuple[str, SqlType | None]]]:
    query, names = _query(context, text)
    return _from_tree(context, query, names, plan, depth)


def _query(context: Context, text: str) -> tuple[exp.Query, list[str | None]]:
    try:
        return expressions.query(text, context.parameters)
    except errors.Refused as refused:
        if refused.error_class == "TIME_TRAVEL":
            words = "Time travel on a table with column masks or row filters, or anywhere in this stand-in"
            raise errors.Refused("COLUMN_MASKS_FEATURE_NOT_SUPPORTED.TIME_TRAVEL", "0A000", words) from refused
        raise


def _from_tree(
    context: Context, query: exp.Query, names: list[str | None], plan: Plan, depth: int
) -> tuple[str, list[tuple[str, SqlType | None]]]:
    expressions.expand(query, (context.catalog, context.schema), context.function)
    reader = context.reader()
    try:
        planned = plan_query(query, finder(context, plan, depth), plan, "databricks")
    except Unresolved as error:
        raise _refusal(error) from error
    _all_visited(planned.query, plan)
    columns: list[tuple[str, SqlType | None]] = []
    for at, (name, column) in enumerate(planned.columns):
        known = isinstance(column, Column)
        marked = re.fullmatch(r"_o(\d+)", name)
        given = names[int(marked[1]) - 1] if marked else names[at] if None not in names and at < len(names) else None
        columns.append((given or (column.name if known else name), column.type if known else None))
    return translation.duckdb(planned.query, reader), columns


def _all_visited(query: exp.Query, plan: Plan) -> None:
    """Every relation that DuckDB will be asked for is one that was written for this reader, or a part of the query itself."""
    known = {name for name, _ in plan.relations} | {each.alias for each in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if table.name not in known:
            raise errors.unsupported("a relation in this place")


def finder(context: Context, plan: Plan, depth: int) -> Find:
    """Finds tables and views as this reader may see them."""

    def find(node: exp.Expr) -> Relation:
        if not isinstance(node, exp.Table):
            raise errors.unsupported(node.sql(dialect="databricks")[:60])
        path = tuple(part.name for part in node.parts)
        if information.is_there(path):
            return information.relation(context, path, plan)
        table = context.table(path)
        context.access.need("SELECT", table.path)
        return _relation(context, table, plan, depth)

    return find


def _relation(context: Context, table: Table, plan: Plan, depth: int) -> Relation:
    if table.query is None:
        return guard.guarded(context, table)
    if depth > DEPTH_MAX:
        raise errors.unsupported("views nested so deep")
    inner = _as_owner(context, table)
    sql, _ = _planned(inner, table.query, plan, depth + 1)
    heads = [f"v{at}" for at in range(len(table.columns))]
    name = plan.add(f"SELECT * FROM ({sql}) AS s({', '.join(heads)})")  # noqa: S608 - internal names
    head_by_name = dict(zip(table.columns, heads, strict=True))

    def write(wanted: Any) -> str:
        items = [f"{head_by_name[column]} AS {as_}" for column, as_ in wanted.items()]
        return f"SELECT {', '.join(items) or '1 AS nothing'} FROM {name}"  # noqa: S608 - internal names

    return Relation(dict(table.columns.items()), write)


def _as_owner(context: Context, view: Table) -> Context:
    """A view reads with its owner's privileges; masks and filters see who asks."""
    owner = context.world.directory.identity_of(view.facts.owner, 0.0)
    who = context.identity
    mixed = Identity(who.name, owner.groups | {owner.name}, who.member_of, admin=owner.admin, trusted=who.trusted)
    return replace(context, identity=mixed, catalog=view.path[0], schema=view.path[1], parameters={})


def columns_of(context: Context, text: str) -> list[tuple[str, SqlType]]:
    """Names and types of the columns of a query."""
    pending = select(context, text)
    rows = ask(context, replace(pending, sql=f"SELECT * FROM ({pending.sql}) LIMIT 0"))  # noqa: S608 - built here
    found = pending.finish(rows).columns
    seen: set[str] = set()
    for name, _ in found:
        if name.lower() in seen:
            raise errors.Refused("COLUMN_ALREADY_EXISTS", "42711", f"The column {quote(name)} already exists.")
        seen.add(name.lower())
    return found


def ask(context: Context, pending: Pending) -> Rows:
    """Raises Refused."""
    engine = context.world.engine
    try:
        return (engine.change if pending.is_change else engine.ask)(pending.sql, pending.parameters, context.number)
    except EngineError as error:
        raise _failure(error) from error


def _refusal(error: Unresolved) -> errors.Refused:
    if error.reason == "missing":
        return errors.column_missing(error.name.replace('"', "`"))
    if error.reason == "ambiguous":
        return errors.Refused("AMBIGUOUS_REFERENCE", "42704", f"Reference {error.name} is ambiguous.")
    return errors.unsupported(error.name)


def _failure(error: EngineError) -> errors.Refused:
    first = error.message.partition("\n")[0]
    if error.kind == "interrupted":
        return errors.Refused("OPERATION_CANCELED", "HY008", "Operation has been canceled.")
    if first == "CHECK violated":
        return errors.Refused("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", "23001", "CHECK constraint violated by row with values.")
    if first == "division by zero":
        return errors.Refused("DIVIDE_BY_ZERO", "22012", "Division by zero.")
    if error.kind in ("conversion", "input"):
        return errors.Refused("CAST_INVALID_INPUT", "22018", first)
    if error.kind == "range":
        return errors.Refused("NUMERIC_VALUE_OUT_OF_RANGE", "22003", first)
    if error.kind == "constraint":
        return errors.Refused("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", "23502", first)
    if error.kind == "binder":
        return errors.Refused("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09", first)
    return errors.Refused("INTERNAL_ERROR", "XX000", first)


# INSERT, UPDATE, DELETE


def change(context: Context, text: str) -> Result:
    """Done at once. Raises Refused."""
    node = expressions.change(text, context.parameters)
    pending, word = (_insert(context, node), "num_affected_rows") if isinstance(node, exp.Insert) else _update(context, node)
    rows = ask(context, pending)
    number = int(rows.rows[0][0]) if rows.rows else 0
    return Result([(word, COUNT), ("num_inserted_rows", COUNT)] if isinstance(node, exp.Insert) else [(word, COUNT)],
                  [(number, number)] if isinstance(node, exp.Insert) else [(number,)])  # fmt: skip


def _writable(context: Context, node: exp.Expr) -> Table:
    if not isinstance(node, exp.Table):
        raise errors.unsupported("a change of this")
    table = context.table(tuple(part.name for part in node.parts))
    if table.kind not in ("MANAGED", "STREAMING_TABLE"):
        raise errors.unsupported("a change of a view")
    context.access.need("MODIFY", table.path)
    return table


def _insert(context: Context, node: exp.Insert) -> Pending:
    target, names = node.this, None
    if isinstance(target, exp.Schema):
        names, target = [item.name for item in target.expressions], target.this
    if not isinstance(node.expression, exp.Query | exp.Values) or any(
        node.args.get(each) for each in ("overwrite", "where", "with_", "partition")
    ):
        raise errors.unsupported("this form of INSERT")
    table = _writable(context, target)
    columns = [table.column(name) for name in names] if names is not None else list(table.columns.values())
    plan = Plan()
    if isinstance(node.expression, exp.Values):
        if node.expression.find(exp.Column) is not None:
            raise errors.column_missing(quote(next(node.expression.find_all(exp.Column)).name))
        width = {len(row.expressions) for row in node.expression.expressions}
        for row in node.expression.expressions:
            for value, column in zip(list(row.expressions), columns, strict=False):
                value.replace(expressions.cast(value.copy(), column.type))
        values = expressions.expand(node.expression.copy(), (context.catalog, context.schema), context.function)
        sql = translation.duckdb(values, context.reader())
    else:
        sql, found = _from_tree(context, node.expression.copy(), [], plan, 0)
        width = {len(found)}
    if width != {len(columns)}:
        words = f"Cannot write to {dotted(table.path)}: the number of columns does not match."
        raise errors.Refused("INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS", "21S01", words)
    return Pending(insertion(table, columns, plan.sql(sql)), plan.parameters, [], is_change=True)


def insertion(table: Table, columns: Sequence[Column], sql: str) -> str:
    """The statement that puts the rows of a query into these columns, unless one of them violates a CHECK constraint."""
    keys = ", ".join(column.key for column in columns)
    heads = ", ".join(f"v{at}" for at in range(len(columns)))
    values = ", ".join(f"CAST(v{at} AS {column.type.duckdb}) AS {column.key}" for at, column in enumerate(columns))
    statement = f"INSERT INTO {table.key} ({keys}) SELECT {values} FROM ({sql}) AS s({heads})"  # noqa: S608 - internal names
    if not table.checks:
        return statement
    others = "".join(f", NULL AS {column.key}" for column in table.columns.values() if column not in columns)
    holds = " AND ".join(f"coalesce({check_condition(table, condition)}, true)" for condition in table.checks.values())
    return (
        f"INSERT INTO {table.key} ({keys}) SELECT {keys} FROM (SELECT {values}{others} FROM ({sql}) AS s({heads})) AS r "  # noqa: S608
        f"WHERE CASE WHEN {holds} THEN true ELSE error('CHECK violated') END"
    )


def check_condition(table: Table, condition: str) -> str:
    """A CHECK constraint in DuckDB's words. Raises Refused."""
    tree = expressions.expression(condition)
    columns = {name: exp.column(column.key) for name, column in table.columns.items()}
    return translation.duckdb(expressions.fill(tree, columns), expressions.Reader("", frozenset()))


def _update(context: Context, node: exp.Update | exp.Delete) -> tuple[Pending, str]:
    if any(node.args.get(each) for each in ("using", "from", "from_", "returning", "with_", "order", "limit")):
        raise errors.unsupported("this form of UPDATE or DELETE")
    table = _writable(context, node.this)
    context.access.need("SELECT", table.path)
    values = [item.expression.copy() for item in node.expressions] if isinstance(node, exp.Update) else []
    number = exp.column(exp.to_identifier(ROW_NUMBER, quoted=True))
    query = exp.select(number, *(exp.alias_(value, f"_v{at}", quoted=True) for at, value in enumerate(values)))
    query = query.from_(node.this.copy())
    if where := node.args.get("where"):
        query.set("where", where.copy())
    plan = Plan()
    outer = finder(context, plan, 0)

    def find(reference: exp.Expr) -> Relation:
        if isinstance(reference, exp.Table) and context.table(tuple(part.name for part in reference.parts)) is table:
            found = guard.guarded(context, table)
            return Relation({**found.columns, ROW_NUMBER: None}, lambda wanted: _with_number(found, wanted))
        return outer(reference)

    expressions.expand(query, (context.catalog, context.schema), context.function)
    try:
        planned = plan_query(query, find, plan, "databricks")
    except Unresolved as error:
        raise _refusal(error) from error
    chosen = plan.sql(translation.duckdb(planned.query, context.reader()))
    if isinstance(node, exp.Delete):
        sql = f"DELETE FROM {table.key} WHERE rowid IN (SELECT r FROM ({chosen}) AS s(r))"  # noqa: S608 - internal names
    else:
        if table.checks:
            raise errors.unsupported("UPDATE of a table with CHECK constraints")
        columns = [table.column(item.this.name) for item in node.expressions]
        sets = ", ".join(f"{column.key} = CAST(s.v{at} AS {column.type.duckdb})" for at, column in enumerate(columns))
        heads = ", ".join(["r", *(f"v{at}" for at in range(len(columns)))])
        sql = f"UPDATE {table.key} SET {sets} FROM ({chosen}) AS s({heads}) WHERE {table.key}.rowid = s.r"  # noqa: S608
    return Pending(sql, plan.parameters, [], is_change=True), "num_affected_rows"


def _with_number(relation: Relation, wanted: Any) -> str:
    sql = relation.write({name: as_ for name, as_ in wanted.items() if name != ROW_NUMBER})
    return f"SELECT rowid AS {wanted[ROW_NUMBER]}, {sql.removeprefix('SELECT ')}" if ROW_NUMBER in wanted else sql
