"""SELECT, INSERT, UPDATE, DELETE: from the statement to what DuckDB is asked, and from its answer to a result."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from sandbox.snowflake import errors, expressions, guard, information, results, types
from sandbox.snowflake.catalog import Policy, Table
from sandbox.snowflake.context import Context
from sandbox.snowflake.cursor import Cursor, path_in
from sandbox.snowflake.expressions import Reader
from sandbox.snowflake.guard import FindFor, Reading
from sandbox.snowflake.lexer import PARAMETER, Token, shown, tokenise
from sandbox.snowflake.nodes import Path, PolicyContext
from sandbox.snowflake.results import Result
from sandbox.snowflake.roles import inherited
from sandbox.snowflake.types import SqlType
from sandbox.warehouse.engine import EngineError, Rows
from sandbox.warehouse.planner import Find, Plan, Planned, Relation, Unresolved, plan_query

DEPTH_MAX = 20  # of views in views
ROW_NUMBER = "\0row"  # no column of a user's is called so


@dataclass(frozen=True, slots=True)
class Pending:
    """What DuckDB is to be asked, possibly for long, and what becomes of the answer."""

    sql: str
    parameters: dict[str, Any]
    finish: Callable[[Rows], Result]
    changes: bool = False


def select(context: Context, tokens: Sequence[Token], reader: Reader | None = None) -> Pending:
    """Raises errors.Refused if it cannot run."""
    query = expressions.query(tokens, context.bindings)
    plan = Plan()
    planned = _planned(context, query, plan, reader or context.reader())
    return Pending(plan.sql(expressions.duckdb(planned.query)), plan.parameters, _finish(planned.columns))


def listing(context: Context, tokens: Sequence[Token]) -> Result | None:
    """The answer to `SELECT names FROM TABLE(function(...))`, which needs no DuckDB. None if it is anything else."""
    try:
        asked = _listed(Cursor(tokens, ""), context)
    except errors.Refused:
        return None
    names, path, arguments = asked
    if len(path) < 2 or path[-2] != "INFORMATION_SCHEMA":
        return None
    context.warehouse_needed()
    columns, found = information.function(context, path[:-1], path[-1], arguments)
    places = {name: at for at, (name, _) in enumerate(columns)}
    if not set(names) <= set(places):
        return None
    wanted = [places[name] for name in names or places]
    return Result([columns[at] for at in wanted], [[row[at] for at in wanted] for row in found])


def _listed(cursor: Cursor, context: Context) -> tuple[tuple[str, ...], Path, dict[str, str]]:
    cursor.expect("SELECT")
    names = () if cursor.accept("*") else cursor.commas(cursor.name)
    cursor.expect("FROM", "TABLE", "(")
    path = cursor.path()
    bound = 0

    def argument() -> tuple[str, str]:
        nonlocal bound
        name = cursor.name() if cursor.tokens[cursor.at + 1].value == "=>" else ""
        if name:
            cursor.expect("=>")
        if cursor.now.kind == PARAMETER and context.bindings:
            bound += 1
            cursor.at += 1
            return name, str(context.bindings[str(bound)]["value"])
        return name, cursor.string()

    given = cursor.listed(argument)
    cursor.expect(")")
    cursor.end()
    return names, path, {name or str(at): value for at, (name, value) in enumerate(given)}


def _finish(columns: list[tuple[str, Any]]) -> Callable[[Rows], Result]:
    def finish(rows: Rows) -> Result:
        kinds = [known or types.from_duckdb(kind) for (_, known), kind in zip(columns, rows.types, strict=True)]
        return Result([(name, kind) for (name, _), kind in zip(columns, kinds, strict=True)], list(rows.rows))

    return finish


def describe_query(context: Context, tokens: Sequence[Token]) -> list[tuple[str, SqlType]]:
    """Names and types of the columns of a query."""
    pending = select(context, tokens)
    rows = ask(context, Pending(f"SELECT * FROM ({pending.sql}) LIMIT 0", pending.parameters, pending.finish))  # noqa: S608
    return pending.finish(rows).columns


def ask(context: Context, pending: Pending) -> Rows:
    """At once, in this thread. Raises errors.Refused."""
    try:
        return context.engine.ask(pending.sql, pending.parameters, context.number)
    except EngineError as error:
        raise guard.refusal(error) from error


def _planned(context: Context, query: exp.Query, plan: Plan, reader: Reader, depth: int = 0) -> Planned:
    query = _adapted(_with_tags(context, query), reader)
    try:
        return plan_query(query, finder(context, plan, reader, depth), plan, "snowflake")
    except Unresolved as error:
        raise _refusal(error) from error


def _adapted(query: exp.Query, reader: Reader) -> exp.Query:
    for column in query.find_all(exp.Column):  # a column's table may be named in full
        if column.args.get("db"):
            column.set("db", None)
            column.set("catalog", None)
    calls = [rows.this for rows in query.find_all(exp.TableFromRows)]
    for number, call in enumerate(calls):  # a table function is no function of ours
        call.replace(exp.to_identifier(f"\0call{number}"))
    query = expressions.adapt(query, reader)  # type: ignore[assignment]
    for number, call in enumerate(calls):
        next(place for place in query.find_all(exp.Identifier) if place.this == f"\0call{number}").replace(call)
    return query


def _with_tags(context: Context, query: exp.Query) -> exp.Query:
    for call in list(query.find_all(exp.Anonymous)):
        words = [item.this for item in call.expressions if isinstance(item, exp.Literal) and item.is_string]
        if str(call.name).upper() == "SYSTEM$GET_TAG" and len(words) == len(call.expressions) == 3:
            value = information.system_get_tag(context, *words)
            call.replace(exp.null() if value is None else exp.Literal.string(value))
    return query


def _refusal(error: Unresolved) -> errors.Refused:
    if error.reason == "ambiguous":
        return errors.ambiguous_column(shown(error.name))
    if error.reason == "missing":
        return errors.invalid_identifier(error.name)
    return errors.unsupported(error.name)


# Relations


def find_for(context: Context) -> Callable[[Policy], FindFor]:
    """How a policy finds the tables that it looks up: as its owner, from its schema."""
    return lambda policy: lambda plan, reader: finder(context.within(policy.schema, policy.owner), plan, reader)


def finder(context: Context, plan: Plan, reader: Reader, depth: int = 0) -> Find:
    """What a table reference or a table function of a query stands for. It raises errors.Refused."""

    def find(node: exp.Expr) -> Relation:
        if not isinstance(node, exp.Table) or isinstance(node.this, exp.Func):
            return _from_function(context, node, plan)
        path = _path(node)
        if len(path) >= 2 and path[-2] == "INFORMATION_SCHEMA":
            context.warehouse_needed()
            columns, rows = information.view(context, path)
            return _relation(columns, rows, plan)
        table = readable(context, path)
        context.warehouse_needed()
        return guard.guarded(table, Reading(plan, reader, find_for(context)), source(context, table, plan, reader, depth))

    return find


def _path(node: exp.Table) -> Path:
    if isinstance(node.this, exp.DynamicIdentifier):
        argument = node.this.this
        if not (isinstance(argument, exp.Literal) and argument.is_string):
            raise errors.unsupported("IDENTIFIER of something else than text")
        return path_in(argument.this)
    parts = [part.name for part in node.parts]
    if len(parts) > 3:
        raise errors.not_there("Object", ".".join(map(shown, parts)))
    return tuple(parts)


def readable(context: Context, path: Path) -> Table:
    """A table or view that may be selected from. Raises errors.Refused (002003 / 42S02)."""
    table = context.table(path, "Object")
    if not context.access.has(table, "SELECT"):
        raise errors.not_there("Object", context.full(path))
    return table


def source(context: Context, table: Table, plan: Plan, reader: Reader, depth: int = 0) -> str:
    """The name of its rows in DuckDB: of the table, or of the view's query, which is planned with its owner's rights."""
    if table.query is None:
        return table.key
    if depth >= DEPTH_MAX:
        raise errors.Refused("002057", "42601", f"{errors.COMPILATION}View {shown(table.name)} is nested too deeply.")
    inner = context.within(table.schema, table.owner)
    query = expressions.query(tokenise(table.query))
    planned = _planned(inner, query, plan, replace(reader, invoker=table.owner), depth + 1)
    if len(planned.columns) != len(table.columns):
        words = f"{errors.COMPILATION}View definition for '{shown(table.name)}' \
declared {len(table.columns)} column(s), but view query produces {len(planned.columns)} column(s)."
        raise errors.Refused("002057", "42601", errors.COMPILATION + words)
    keys = ", ".join(column.key for column in table.columns.values())
    inside = plan.add(expressions.duckdb(planned.query))
    return plan.add(f"SELECT * FROM {inside} AS v({keys})")  # noqa: S608 - internal names


def _relation(columns: list[tuple[str, SqlType]], rows: Sequence[Sequence[Any]], plan: Plan) -> Relation:
    """Rows of Python values, handed to DuckDB as one JSON text."""

    def write(wanted: Any) -> str:
        text = json.dumps([[None if cell is None else str(cell) for cell in row] for row in rows])
        places = {name: f"CAST(r[{at}] AS {kind.duckdb})" for at, (name, kind) in enumerate(columns, 1)}
        parts = ", ".join(f"{places[name]} AS {as_}" for name, as_ in wanted.items()) or "1 AS nothing"
        return f"SELECT {parts} FROM (SELECT unnest(from_json({plan.bind(text)}, '[[\"VARCHAR\"]]')) AS r)"  # noqa: S608

    return Relation(dict(columns), write)


def _from_function(context: Context, node: exp.Expr, plan: Plan) -> Relation:
    parts = list(node.flatten()) if isinstance(node, exp.Dot) else [node]
    call = parts[-1]
    if not isinstance(call, exp.Anonymous):
        raise errors.unsupported("table function")
    arguments: dict[str, str] = {}
    for at, given in enumerate(call.expressions):
        name = str(given.this.name).upper() if isinstance(given, exp.Kwarg | exp.PropertyEQ) else str(at)
        value = given.expression if isinstance(given, exp.Kwarg | exp.PropertyEQ) else given
        if not (isinstance(value, exp.Literal) and value.is_string):
            raise errors.invalid(f"argument {name} of {call.name} must be a constant text.")
        arguments[name] = value.this
    context.warehouse_needed()
    columns, rows = information.function(context, tuple(part.name for part in parts[:-1]), str(call.name).upper(), arguments)
    return _relation(columns, rows, plan)


# EXECUTE USING POLICY_CONTEXT


def policy_context(context: Context, node: PolicyContext) -> Pending:
    """The query as if other roles were in force. It takes ownership of the tables and APPLY on their policies."""
    if context.settings.policy_context == "refused":
        raise errors.unsupported("POLICY_CONTEXT")
    reader = _simulated(context, node)
    query = expressions.query(node.tokens, context.bindings)
    named = [table for table in query.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    heads = {head.alias for head in query.find_all(exp.CTE)}
    paths = [_path(table) for table in named]
    tables = [readable(context, path) for path in paths if not (len(path) == 1 and path[0] in heads)]
    if not tables:
        raise errors.policy_context("POLICY_CONTEXT needs a query that reads a table or view.")
    for table in tables:
        context.access.need_owner(table)
        for policy in guard.policies_on(table):
            if not context.access.may_apply(policy, table):
                raise errors.forbidden(guard.POLICY_WORD[policy.kind], shown(policy.name))
    return select(context, node.tokens, reader)


def _simulated(context: Context, node: PolicyContext) -> Reader:
    given, now = node.arguments, context.reader()

    def text(*names: str) -> str | None:
        for name in names:
            value = given.get(name)
            if isinstance(value, tuple):
                raise errors.policy_context(f"{name} takes one text.")
            if value is not None:
                return value
        return None

    role = text("CURRENT_ROLE", "SNOWFLAKE$CURRENT_ROLE", "SNOWFLAKE$SESSION_ROLE") or now.role
    activated: list[str] = []
    for name in ("SNOWFLAKE$CURRENT_ACTIVATED_ROLES", "SNOWFLAKE$SESSION_ACTIVATED_ROLES"):
        value = given.get(name, ())
        activated += [value] if isinstance(value, str) else value
    for name in (*activated, *([role] if role else [])):
        if name not in context.catalog.roles:
            raise errors.policy_context(f"Role '{name}' does not exist.")
    mode = context.settings.policy_context
    driving = {"all": [*activated, *([role] if role else [])], "activated": activated}.get(mode)
    active = now.active if driving is None else inherited(context.catalog, driving)
    user = text("CURRENT_USER", "SNOWFLAKE$CURRENT_USER", "SNOWFLAKE$SESSION_USER") or now.user
    account = text("CURRENT_ACCOUNT", "SNOWFLAKE$CURRENT_ACCOUNT", "SNOWFLAKE$SESSION_ACCOUNT") or now.account
    return replace(now, role=role, active=active, user=user, account=account)


# INSERT, UPDATE, DELETE


def change(context: Context, tokens: Sequence[Token]) -> Pending:
    """Raises errors.Refused if it cannot run."""
    node = expressions.change(tokens, context.bindings)
    if isinstance(node, exp.Insert):
        return _insert(context, node)
    privilege = "UPDATE" if isinstance(node, exp.Update) else "DELETE"
    if node.args.get("using") or node.args.get("from") or node.args.get("from_") or node.args.get("returning"):
        raise errors.unsupported(f"{privilege} with further tables")
    table = _writable(context, node.this, privilege)
    chosen = _chosen(context, table, node)
    if isinstance(node, exp.Delete):
        sql = f"DELETE FROM {table.key} WHERE rowid IN (SELECT r FROM ({chosen.sql}) AS s(r))"  # noqa: S608 - internal names
        return Pending(sql, chosen.parameters, _counted("number of rows deleted"), changes=True)
    assigned = [context.column(table, item.this.name) for item in node.expressions]
    sets = ", ".join(f"{column.key} = {_stored(f's.v{at}', column.type)}" for at, column in enumerate(assigned))
    heads = ", ".join(["r", *(f"v{at}" for at in range(len(assigned)))])
    sql = f"UPDATE {table.key} SET {sets} FROM ({chosen.sql}) AS s({heads}) WHERE {table.key}.rowid = s.r"  # noqa: S608
    return Pending(sql, chosen.parameters, _counted("number of rows updated"), changes=True)


def _writable(context: Context, node: exp.Expr, privilege: str) -> Table:
    if not isinstance(node, exp.Table):
        raise errors.unsupported(privilege)
    table = context.table(_path(node), "Object")
    if table.query is not None:
        raise errors.unsupported(f"{privilege} on a view")
    context.access.need(table, privilege)
    context.warehouse_needed()
    return table


def _chosen(context: Context, table: Table, node: exp.Update | exp.Delete) -> Pending:
    """The rows that the condition chooses, as the session sees them, each with its number and new values."""
    plan, reader = Plan(), context.reader()
    values = [item.expression.copy() for item in node.expressions] if isinstance(node, exp.Update) else []
    number = exp.column(ROW_NUMBER, quoted=True)
    query = exp.select(number, *(exp.alias_(value, f"V{at}", quoted=True) for at, value in enumerate(values)))
    query = query.from_(node.this.copy())
    if where := node.args.get("where"):
        query.set("where", where.copy())
    outer = finder(context, plan, reader)

    def find(reference: exp.Expr) -> Relation:
        if isinstance(reference, exp.Table) and context.table(_path(reference), "Object") is table:
            found = guard.guarded(table, Reading(plan, reader, find_for(context)), table.key)
            return Relation({**found.columns, ROW_NUMBER: None}, lambda wanted: _with_number(found, wanted))
        return outer(reference)

    adapted = _adapted(query, reader)
    try:
        planned = plan_query(adapted, find, plan, "snowflake")
    except Unresolved as error:
        raise _refusal(error) from error
    return Pending(plan.sql(expressions.duckdb(planned.query)), plan.parameters, _finish([]))


def _with_number(relation: Relation, wanted: Any) -> str:
    sql = relation.write({name: as_ for name, as_ in wanted.items() if name != ROW_NUMBER})
    return f"SELECT rowid AS {wanted[ROW_NUMBER]}, {sql.removeprefix('SELECT ')}" if ROW_NUMBER in wanted else sql


def _insert(context: Context, node: exp.Insert) -> Pending:
    target = node.this
    names = None
    if isinstance(target, exp.Schema):
        names = [item.name for item in target.expressions]
        target = target.this
    if node.args.get("overwrite") or not isinstance(node.expression, exp.Query | exp.Values):
        raise errors.unsupported("this form of INSERT")
    table = _writable(context, target, "INSERT")
    columns = [context.column(table, name) for name in names] if names is not None else list(table.columns.values())
    plan = Plan()
    reader = context.reader()
    if isinstance(node.expression, exp.Values):
        rows = node.expression.expressions
        if any(len(row.expressions) != len(columns) for row in rows):
            raise errors.Refused("001137", "42601", f"{errors.COMPILATION}Insert value list does not match column list.")
        sql = expressions.duckdb(expressions.adapt(node.expression, reader))
        if node.expression.find(exp.Column) is not None:
            raise errors.invalid_identifier(shown(next(node.expression.find_all(exp.Column)).name))
    else:
        planned = _planned(context, node.expression, plan, reader)
        if len(planned.columns) != len(columns):
            raise errors.Refused("001137", "42601", f"{errors.COMPILATION}Insert value list does not match column list.")
        sql = expressions.duckdb(planned.query)
    keys = ", ".join(column.key for column in columns)
    heads = ", ".join(f"v{at}" for at in range(len(columns)))
    values = ", ".join(_stored(f"v{at}", column.type) for at, column in enumerate(columns))
    statement = f"INSERT INTO {table.key} ({keys}) SELECT {values} FROM ({plan.sql(sql)}) AS s({heads})"  # noqa: S608
    return Pending(statement, plan.parameters, _counted("number of rows inserted"), changes=True)


def _stored(value: str, kind: SqlType) -> str:
    """DuckDB knows no lengths, so they are checked here."""
    if kind.family == "VARCHAR" and kind.size < types.TEXT_MAX:
        return f"fit_text(CAST({value} AS VARCHAR), {kind.size})"
    return value


def _counted(words: str) -> Callable[[Rows], Result]:
    return lambda rows: results.count(words, int(rows.rows[0][0]) if rows.rows else 0)
