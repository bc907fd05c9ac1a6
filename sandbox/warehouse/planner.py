"""A query as someone wrote it, turned into one that DuckDB runs on guarded relations, with every name exact.

sqlglot finds out which column of which relation each name means. Then every name is replaced by one of our own, one to one,
because DuckDB takes `"Id"` and `"ID"` for the same; and every relation by a common table expression that its owner of rules
(see `Relation`) writes: rows filtered, columns masked. So a mask holds wherever the column is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema


@dataclass(frozen=True)
class Unresolved(Exception):
    """A name that means nothing here, or more than one thing. `reason` is missing, ambiguous or unsupported."""

    reason: str
    name: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.name}"


@dataclass(slots=True)
class Plan:
    """What all parts of one query share: the guarded relations in order of need, and the values bound into them."""

    relations: list[tuple[str, str]] = field(default_factory=list)  # name, DuckDB's SQL
    parameters: dict[str, Any] = field(default_factory=dict)
    numbers: int = 0

    def add(self, sql: str) -> str:
        """A relation of this query, written in DuckDB's SQL. Returns its name."""
        self.numbers += 1
        name = f"m{self.numbers}"
        self.relations.append((name, sql))
        return name

    def bind(self, value: Any) -> str:
        """A value, as a parameter to be named in SQL."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def sql(self, query: str) -> str:
        """`query` with its relations before it."""
        if not self.relations:
            return query
        heads = ", ".join(f"{name} AS ({sql})" for name, sql in self.relations)
        for start in ("WITH RECURSIVE ", "WITH "):
            if query.startswith(start):
                return f"{start}{heads}, {query[len(start) :]}"
        return f"WITH {heads} {query}"


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that rows come from. `columns` are its exact names, each with what the caller wants to know of it later.

    `write` is given the names that the query uses, each with the name it must have in the answer, and returns DuckDB's SQL.
    """

    columns: Mapping[str, Any]
    write: Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Planned:
    """`columns` are the names of the result, each with what its relation said about it (None if it is computed)."""

    query: exp.Query
    columns: list[tuple[str, Any]]


Find = Callable[[exp.Expr], Relation]
STAR = "\0star"  # stands for a column called *: sqlglot takes that name for "its columns are not known"


def plan_query(query: exp.Query, find: Find, plan: Plan, dialect: str) -> Planned:
    """Resolve `query`, whose identifiers must all be quoted and exact, with its relations found by `find`.

    `query` is changed. Raises Unresolved, and whatever `find` raises.
    """
    names = _name_outputs(query, dialect)
    relation_by_name = {name: _with_safe_names(found) for name, found in _place_relations(query, find).items()}
    for identifier in query.find_all(exp.Identifier):
        identifier.set("this", _safe(identifier.this))
    columns: dict[str, object] = {name: dict.fromkeys(found.columns, "VARCHAR") for name, found in relation_by_name.items()}
    schema = MappingSchema(columns, dialect=dialect, normalize=False)
    try:
        qualified = qualify(query, schema=schema, dialect=dialect, validate_qualify_columns=False, quote_identifiers=False)
    except OptimizeError as error:
        raise _unresolved(error) from error
    scopes = traverse_scope(qualified)
    try:
        used, origins = _check(scopes, relation_by_name)
    except Unresolved as error:
        raise Unresolved(error.reason, error.name.replace(STAR, "*")) from error
    outputs = _outputs(qualified, origins, names)
    renamed: dict[str, str] = {}
    _rename(qualified, renamed, relation_by_name)
    for name, found in relation_by_name.items():
        wanted = {column: renamed[column] for column in found.columns if column in used[name]}
        _place(qualified, name, plan.add(found.write(wanted)))
    return Planned(qualified, outputs)


def _safe(name: str) -> str:
    return STAR if name == "*" else name


def _given(name: str) -> str:
    return "*" if name == STAR else name


def _with_safe_names(found: Relation) -> Relation:
    columns = {_safe(name): known for name, known in found.columns.items()}
    return Relation(columns, lambda wanted: found.write({_given(name): as_ for name, as_ in wanted.items()}))


def _name_outputs(query: exp.Query, dialect: str) -> list[str | None]:
    """Give each unnamed expression of the result the name that its text is. None stands for a star."""
    first: exp.Expr = query
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    for item in list(first.expressions):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star) and not item.is_star:
            text = item.sql(dialect=dialect).upper()
            item.replace(exp.alias_(item.copy(), exp.to_identifier(text, quoted=True)))
    return [None if item.is_star else item.alias_or_name for item in first.expressions]


def _place_relations(query: exp.Query, find: Find) -> dict[str, Relation]:
    found: dict[str, Relation] = {}
    for scope in traverse_scope(query):
        for alias, source in list(scope.sources.items()):
            if isinstance(source, exp.Table):
                name = f"\0r{len(found)}"  # NUL: no name of a user has one
                found[name] = find(source)
                source.replace(_reference(source, alias, name))
    for rows in list(query.find_all(exp.TableFromRows)):
        name = f"\0r{len(found)}"  # NUL: no name of a user has one
        found[name] = find(rows.this)
        rows.replace(_reference(rows, rows.alias or name, name))
    return found


def _reference(source: exp.Expr, alias: str, name: str) -> exp.Table:
    given = source.args.get("alias")
    as_alias = given.copy() if given and given.this else exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
    table = exp.Table(this=exp.to_identifier(name, quoted=True), alias=as_alias)
    for part in ("joins", "laterals", "pivots", "sample"):
        if source.args.get(part):
            table.set(part, source.args[part])
    return table


def _unresolved(error: OptimizeError) -> Unresolved:
    text = str(error)
    words = text.split("'") if "'" in text else text.split('"')
    name = (words[1] if len(words) > 1 else text).replace(STAR, "*")
    if "mbiguous" in text:
        return Unresolved("ambiguous", name)
    return Unresolved("missing" if "nknown" in text or "resolve" in text else "unsupported", name)


def _check(scopes: list[Scope], relations: Mapping[str, Relation]) -> tuple[dict[str, set[str]], dict[int, Any]]:
    """Which columns of each relation are used, and for each column what its relation says of it."""
    used: dict[str, set[str]] = {name: set() for name in relations}
    origins: dict[int, Any] = {}
    for scope in scopes:
        for column in scope.columns:
            source = _source(scope, column, relations)
            if isinstance(source, exp.Table) and source.name in relations:
                known = relations[source.name].columns
                if column.name not in known:
                    raise Unresolved("missing", column.sql(dialect="snowflake"))
                used[source.name].add(column.name)
                origins[id(column)] = known[column.name]
            elif isinstance(source, Scope):
                origins[id(column)] = _origin_in(source, column.name, origins)
    return used, origins


def _source(scope: Scope, column: exp.Column, relations: Mapping[str, Relation]) -> exp.Expr | Scope:
    if not column.table:
        tables = [each.name for each in scope.sources.values() if isinstance(each, exp.Table)]
        several = sum(name in relations and column.name in relations[name].columns for name in tables) > 1
        raise Unresolved("ambiguous", column.name) if several else Unresolved("missing", column.sql(dialect="snowflake"))
    at: Scope | None = scope
    while at is not None:
        if column.table in at.sources:
            found: exp.Expr | Scope = at.sources[column.table]
            return found
        at = at.parent
    raise Unresolved("missing", column.sql(dialect="snowflake"))


def _origin_in(scope: Scope, name: str, origins: Mapping[int, Any]) -> Any:
    selects = scope.expression.selects if isinstance(scope.expression, exp.Query) else []
    outer = scope.outer_columns
    for at, item in enumerate(selects):
        called = outer[at] if at < len(outer) else item.alias_or_name
        if called == name:
            return origins.get(id(item.unalias())) if isinstance(scope.expression, exp.Select) else None
    if selects and not any(item.is_star for item in selects):
        raise Unresolved("missing", exp.column(name, quoted=True).sql(dialect="snowflake"))
    return None


def _outputs(query: exp.Query, origins: Mapping[int, Any], names: list[str | None]) -> list[tuple[str, Any]]:
    selects = query.selects
    plain = isinstance(query, exp.Select)
    given = names if None not in names and len(names) == len(selects) else [None] * len(selects)
    return [
        (name or _given(item.alias_or_name), origins.get(id(item.unalias())) if plain else None)
        for name, item in zip(given, selects, strict=True)
    ]


def _rename(query: exp.Expr, renamed: dict[str, str], relations: Mapping[str, Relation]) -> None:
    placed = {id(table.this) for table in query.find_all(exp.Table) if table.name in relations and table.args.get("alias")}
    for identifier in query.find_all(exp.Identifier):
        if id(identifier) not in placed:
            identifier.set("this", renamed.setdefault(identifier.this, f"i{len(renamed)}"))
            identifier.set("quoted", True)


def _place(query: exp.Expr, name: str, relation: str) -> None:
    for table in query.find_all(exp.Table):
        if table.name == name:
            table.set("this", exp.to_identifier(relation))
