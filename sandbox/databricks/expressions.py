"""Queries and expressions: read by sqlglot in one spelling, every node on a list of what is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError, UnsupportedError

from sandbox.databricks import errors, lexer
from sandbox.databricks.catalog import Function, Path
from sandbox.databricks.types import NESTED, SqlType

DEPTH_MAX = 8  # of functions in functions
FindFunction = Callable[[Path], Function]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, as the functions of the language tell it."""

    name: str
    groups: frozenset[str]
    catalog: str = ""
    schema: str = ""


# What may stand in a query. A node of any other class is refused, so nothing runs that was not thought of.
SHAPES = frozenset({
    exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Join,
    exp.Subquery, exp.With, exp.CTE, exp.Union, exp.Intersect, exp.Except, exp.Table, exp.TableAlias, exp.Identifier, exp.Column,
    exp.Star, exp.Alias, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT,
    exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.Between, exp.In, exp.Like, exp.ILike, exp.Escape,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType,
    exp.DataTypeParam, exp.Exists, exp.Values, exp.Tuple, exp.Var, exp.Dot, exp.Anonymous, exp.Insert, exp.Update, exp.Delete,
    exp.Schema, exp.Window, exp.Placeholder, exp.Interval, exp.Bracket,
})  # fmt: skip
FUNCTIONS = frozenset({
    exp.Concat, exp.ConcatWs, exp.Substring, exp.Left, exp.Right, exp.Length, exp.Upper, exp.Lower, exp.Trim, exp.Replace,
    exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike, exp.StrPosition, exp.SplitPart, exp.SubstringIndex, exp.Repeat, exp.Pad,
    exp.Coalesce, exp.Nullif, exp.Nvl2, exp.SHA2, exp.SHA, exp.MD5, exp.Hex, exp.ToBase64, exp.TimestampTrunc, exp.DateTrunc,
    exp.Year, exp.Month, exp.Day, exp.TsOrDsToDate, exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentUser, exp.SessionUser,
    exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Greatest, exp.Least, exp.Count, exp.CountIf, exp.Sum, exp.Min, exp.Max, exp.Avg,
    exp.AnyValue, exp.LogicalOr, exp.LogicalAnd, exp.Contains, exp.StartsWith, exp.EndsWith, exp.RowNumber, exp.Reverse,
    exp.CurrentCatalog, exp.CurrentSchema, exp.Uuid,
    exp.LowerHex, exp.Split, exp.RegexpSplit, exp.TsOrDsAdd, exp.DateDiff, exp.Translate, exp.LastDay,
})  # fmt: skip
IDENTITY = ("is_account_group_member", "session_user", "current_user", "user")
PLAIN = {"mask": (1, 5), "make_date": (3, 3), "reverse": (1, 1), **dict.fromkeys(IDENTITY[1:], (0, 0)), IDENTITY[0]: (1, 1)}


def query(text: str, parameters: Mapping[str, exp.Expr]) -> tuple[exp.Query, list[str | None]]:
    """A query and the names of its columns as written (None: a star), all identifiers in lower case. Raises Refused."""
    parsed = _parse(text)
    if not isinstance(parsed, exp.Query):
        raise errors.syntax(f"'{text[:20]}'")
    names = _outputs(parsed)
    _fold(parsed)
    _bind(parsed, parameters)
    return parsed, names


def change(text: str, parameters: Mapping[str, exp.Expr]) -> exp.Insert | exp.Update | exp.Delete:
    """An INSERT, UPDATE or DELETE. Raises Refused."""
    parsed = _parse(text)
    if not isinstance(parsed, exp.Insert | exp.Update | exp.Delete):
        raise errors.syntax(f"'{text[:20]}'")
    _fold(parsed)
    _bind(parsed, parameters)
    return parsed


def expression(text: str) -> exp.Expr:
    """One expression, such as the body of a function. Raises Refused."""
    return _expression(text).copy()


@lru_cache(maxsize=4096)
def _expression(text: str) -> exp.Expr:
    parsed = _parse(f"SELECT ({lexer.canonical(lexer.tokenise(text))})")
    if not isinstance(parsed, exp.Select) or len(parsed.expressions) != 1:
        raise errors.syntax(f"'{text[:20]}'")
    found = parsed.expressions[0]
    if any(value for name, value in parsed.args.items() if name != "expressions") or not isinstance(found, exp.Paren):
        raise errors.syntax(f"'{text[:20]}'")
    if any(isinstance(node, exp.Query | exp.Placeholder) for node in found.walk()):
        raise errors.unsupported("a subquery in a function")
    _fold(found)
    return found


@lru_cache(maxsize=2048)
def _parsed(text: str) -> exp.Expr:
    try:
        found = sqlglot.parse(text, read="databricks")
    except (ParseError, TokenError, UnsupportedError) as error:
        near = error.errors[0].get("highlight") if isinstance(error, ParseError) and error.errors else ""
        raise errors.syntax(f"'{near}'") from error
    if len(found) != 1 or found[0] is None or isinstance(found[0], exp.Command):
        raise errors.syntax(f"'{text[:20]}'")
    for node in found[0].walk():
        _check(node)
    return found[0]


def _parse(text: str) -> exp.Expr:
    return _parsed(text).copy()


def _check(node: exp.Expr) -> None:
    kind = type(node)
    if kind is exp.Table:
        extra = [name for name, value in node.args.items() if value and name not in ("this", "db", "catalog", "alias", "joins")]
        if "version" in extra or "when" in extra:
            raise errors.Refused("TIME_TRAVEL", "0A000", "time travel")  # the caller knows whether a mask is why
        if extra or not isinstance(node.this, exp.Identifier):
            raise errors.unsupported(f"FROM {node.sql(dialect='databricks')[:60]}")
    elif kind is exp.Column and node.args.get("db"):
        raise errors.unsupported("a column with more than the name or alias of its table before it")
    elif kind is exp.Select and not node.expressions:
        raise errors.syntax("end of input")
    elif kind is exp.Anonymous:
        return  # looked up when it is expanded
    elif kind not in SHAPES and kind not in FUNCTIONS:
        if isinstance(node, exp.Func):
            raise errors.routine_missing(lexer.quote(node.sql_name().lower()))
        raise errors.unsupported(f"{kind.__name__} in a query")


def _outputs(parsed: exp.Query) -> list[str | None]:
    first: exp.Expr = parsed
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    names: list[str | None] = []
    for item in list(first.expressions):
        if item.is_star:
            names.append(None)
        elif isinstance(item, exp.Alias | exp.Column):
            names.append(item.alias_or_name)
        else:
            names.append(_called(item))
            if isinstance(first, exp.Select):
                item.replace(exp.alias_(item.copy(), exp.to_identifier(f"_o{len(names)}", quoted=True)))
    return names


def _called(item: exp.Expr) -> str:
    for kind, name in ((exp.SessionUser, "session_user()"), (exp.CurrentUser, "current_user()")):
        if isinstance(item, kind):
            return name
    return item.sql(dialect="databricks", normalize_functions="lower").replace("`", "")


def _fold(parsed: exp.Expr) -> None:
    for identifier in parsed.find_all(exp.Identifier):
        identifier.set("this", identifier.this.lower())
        identifier.set("quoted", True)


def _bind(parsed: exp.Expr, parameters: Mapping[str, exp.Expr]) -> None:
    for marker in list(parsed.find_all(exp.Placeholder)):
        found = parameters.get(marker.name)
        if found is None:
            raise errors.Refused("UNBOUND_SQL_PARAMETER", "42P02", f"Found the unbound parameter: {marker.name or '?'}.")
        marker.replace(found.copy())


def cast(value: exp.Expr, kind: SqlType) -> exp.Expr:
    """As the type says; nested ones are text here."""
    if kind.name in (*NESTED, "VARIANT"):
        return value
    return exp.Cast(this=value, to=exp.DataType.build(kind.text, dialect="databricks"))


# Functions of the catalog, put in place of their calls


def expand(root: exp.Expr, home: tuple[str, ...], find: FindFunction, depth: int = 0) -> exp.Expr:
    """`root` with every call of a function of the catalog replaced by its body. `home`: catalog and schema of plain names."""
    if depth > DEPTH_MAX:
        raise errors.unsupported(f"functions nested deeper than {DEPTH_MAX}")
    holder = exp.Paren(this=root)
    for call in reversed(list(root.find_all(exp.Anonymous))):  # inner ones first
        target: exp.Expr = call
        parts = [str(call.name).lower()]
        if isinstance(call.parent, exp.Dot) and call.parent.expression is call:
            target = call.parent
            parts = [*_parts(target.this), *parts]
            while isinstance(target.parent, exp.Dot):
                raise errors.unsupported("a field of a function's result")
        elif parts[0] in PLAIN:
            least, most = PLAIN[parts[0]]
            if not least <= len(call.expressions) <= most:
                raise _wrong_number(parts[0], least, len(call.expressions))
            continue
        target.replace(inlined(find(_path(parts, home)), call.expressions, find, depth))
    for dot in holder.find_all(exp.Dot):
        raise errors.unsupported(f"{dot.sql(dialect='databricks')[:60]}")
    return inside(holder)


def inside(holder: exp.Paren) -> exp.Expr:
    """What it holds now: a replacement may have been of the root."""
    found: exp.Expr = holder.this
    return found


def _parts(node: exp.Expr) -> list[str]:
    if isinstance(node, exp.Dot):
        return [*_parts(node.this), node.expression.name]
    if isinstance(node, exp.Column):
        return [part.name for part in node.parts]
    if isinstance(node, exp.Identifier):
        return [node.name]
    raise errors.unsupported(f"a call of {node.sql(dialect='databricks')[:60]}")


def _path(parts: list[str], home: tuple[str, ...]) -> Path:
    before = [part for part in home[: 3 - len(parts)] if part]
    path = (*before, *parts)
    if len(path) != 3:
        raise errors.routine_missing(".".join(lexer.quote(part) for part in parts))
    return path


def inlined(function: Function, given: list[exp.Expr], find: FindFunction, depth: int = 0) -> exp.Expr:
    """The body of `function` with these arguments. Raises Refused."""
    if len(given) != len(function.parameters):
        raise _wrong_number(".".join(function.path), len(function.parameters), len(given))
    arguments = {
        name.lower(): exp.Paren(this=cast(value.copy(), kind))
        for (name, kind), value in zip(function.parameters, given, strict=True)
    }
    body = expand(expression(function.body), function.path[:2], find, depth + 1)
    return exp.Paren(this=cast(fill(body, arguments), function.returns))


def fill(body: exp.Expr, arguments: Mapping[str, exp.Expr]) -> exp.Expr:
    """The body with its parameters replaced. Raises Refused for any other name."""
    holder = exp.Paren(this=body)
    for column in list(holder.find_all(exp.Column)):
        if column.table or column.name not in arguments:
            raise errors.column_missing(lexer.quote(column.name))
        column.replace(arguments[column.name].copy())
    return inside(holder)


def _wrong_number(name: str, wanted: int, given: int) -> errors.Refused:
    words = f"The `{name}` requires {wanted} parameters but the actual number is {given}."
    return errors.Refused("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605", words)
