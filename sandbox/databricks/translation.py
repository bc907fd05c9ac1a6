"""Expressions in DuckDB's words, where they would mean something else there. What sqlglot gets right is left to it."""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from sandbox.databricks import errors, expressions
from sandbox.databricks.expressions import Reader


def duckdb(root: exp.Expr, reader: Reader) -> str:
    """The text for DuckDB. `root` was expanded before, and is changed."""
    holder = exp.Paren(this=root)
    for node in reversed(list(root.walk())):
        new = _translated(node, reader)
        if new is not None:
            node.replace(new)
    return str(expressions.inside(holder).sql(dialect="duckdb"))


def _translated(node: exp.Expr, reader: Reader) -> exp.Expr | None:
    if isinstance(node, exp.Anonymous):
        return _plain(node, reader)
    if isinstance(node, exp.SessionUser | exp.CurrentUser):
        return exp.Literal.string(reader.name)
    if isinstance(node, exp.CurrentCatalog):
        return exp.Literal.string(reader.catalog)
    if isinstance(node, exp.CurrentSchema):
        return exp.Literal.string(reader.schema)
    for kind, translate in _SPECIAL.items():
        if isinstance(node, kind):
            return translate(node)
    return None


def _plain(node: exp.Anonymous, reader: Reader) -> exp.Expr | None:
    name, given = str(node.name).lower(), node.expressions
    if name == expressions.IDENTITY[0]:
        if not reader.groups:
            return exp.false()
        return exp.Paren(
            this=exp.In(this=given[0].copy(), expressions=[exp.Literal.string(each) for each in sorted(reader.groups)])
        )
    if name in expressions.IDENTITY:
        return exp.Literal.string(reader.name)
    if name == "mask":
        return _mask(given)
    return None


def _mask(given: list[exp.Expr]) -> exp.Expr:
    """mask(v[, upper[, lower[, digit[, other]]]]): NULL keeps the characters of that kind."""
    signs: list[exp.Expr] = [exp.Literal.string("X"), exp.Literal.string("x"), exp.Literal.string("n"), exp.null()]
    signs[: len(given) - 1] = given[1:]
    found: exp.Expr = given[0].copy()
    # Private characters first, so that no sign is replaced again.
    kinds = (("[A-Z]", "\ue001"), ("[a-z]", "\ue002"), ("[0-9]", "\ue003"), ("[^A-Za-z0-9\ue001\ue002\ue003]", "\ue004"))
    for (pattern, private), sign in zip(kinds, signs, strict=True):
        if not isinstance(sign, exp.Null):
            given = [found, exp.Literal.string(pattern), exp.Literal.string(private), exp.Literal.string("g")]
            found = exp.Anonymous(this="regexp_replace", expressions=given)
    for (_, private), sign in zip(kinds, signs, strict=True):
        if not isinstance(sign, exp.Null):
            found = exp.Replace(this=found, expression=exp.Literal.string(private), replacement=sign.copy())
    return found


def _sha2(node: exp.SHA2) -> exp.Expr:
    length = node.args.get("length")
    if length is None or length.name not in ("256", "0"):
        raise errors.unsupported("sha2 of any length but 256")
    return exp.Anonymous(this="sha256", expressions=[node.this.copy()])


def _like(node: exp.Like | exp.ILike) -> exp.Expr | None:
    if isinstance(node.parent, exp.Escape):
        return None
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _regexp_extract(node: exp.RegexpExtract) -> exp.Expr:
    group = node.args.get("group")
    return exp.Anonymous(
        this="regexp_extract",
        expressions=[node.this.copy(), node.expression.copy(), group.copy() if group else exp.Literal.number(1)],
    )


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expr:
    new = node.args.get("replacement")
    if not isinstance(new, exp.Literal):
        raise errors.unsupported("regexp_replace by anything but a literal")
    text = re.sub(r"\\(.)|\$(\d)", lambda found: "\\" + found[2] if found[2] else found[1], new.this)
    given = [node.this.copy(), node.expression.copy(), exp.Literal.string(text), exp.Literal.string("g")]
    return exp.Anonymous(this="regexp_replace", expressions=given)


def _substring(node: exp.Substring) -> exp.Expr | None:
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.this == "0":
        new = node.copy()
        new.set("start", exp.Literal.number(1))
        return new
    return None


def _substring_index(node: exp.SubstringIndex) -> exp.Expr:
    count = node.args["count"]
    number = int(count.sql()) if re.fullmatch(r"-?\d+", count.sql()) else 0
    if number == 0:
        raise errors.unsupported("substring_index with a computed or zero count")
    parts = exp.Anonymous(this="string_split", expressions=[node.this.copy(), node.args["delimiter"].copy()])
    ends = (
        (exp.Literal.number(1), exp.Literal.number(number))
        if number > 0
        else (exp.Literal.number(number), exp.Literal.number(-1))
    )
    sliced = exp.Anonymous(this="list_slice", expressions=[parts, *ends])
    return exp.Anonymous(this="array_to_string", expressions=[sliced, node.args["delimiter"].copy()])


def _to_base64(node: exp.ToBase64) -> exp.Expr:
    return exp.Anonymous(this="to_base64", expressions=[exp.Anonymous(this="encode", expressions=[node.this.copy()])])


def _split(node: exp.Split | exp.RegexpSplit) -> exp.Expr:
    if node.args.get("limit") or not isinstance(node.parent, exp.Bracket):
        raise errors.unsupported("split with a limit, or without taking one of the parts")
    return exp.Anonymous(this="string_split_regex", expressions=[node.this.copy(), node.expression.copy()])


def _part(node: exp.Bracket) -> exp.Expr:
    """One part of what was split; NULL beyond the last. Databricks counts from 0 in brackets, from 1 in element_at."""
    [index] = node.expressions
    if not (isinstance(index, exp.Literal) and index.this.isdigit()):
        raise errors.unsupported("an index that is no plain number")
    place = int(index.this) + 1 - int(node.args.get("offset") or 0)
    return exp.Anonymous(this="list_extract", expressions=[node.this.copy(), exp.Literal.number(place)])


UNITS = {
    "YEAR": "year", "YYYY": "year", "YY": "year", "QUARTER": "quarter", "MONTH": "month", "MM": "month", "MON": "month",
    "WEEK": "week", "DAY": "day", "DD": "day", "HOUR": "hour", "MINUTE": "minute", "SECOND": "second",
}  # fmt: skip


def _date_trunc(node: exp.DateTrunc | exp.TimestampTrunc) -> exp.Expr:
    unit = UNITS.get(str(node.args["unit"].name).upper())
    if unit is None:
        raise errors.unsupported(f"truncation to {node.args['unit'].name}")
    found = exp.Anonymous(this="date_trunc", expressions=[exp.Literal.string(unit), node.this.copy()])
    return exp.cast(found, "DATE") if isinstance(node, exp.DateTrunc) else found


def _divided(node: exp.Div | exp.Mod) -> exp.Expr | None:
    """Division by zero is an error, where DuckDB would say infinity."""
    right = node.expression
    if isinstance(right, exp.Anonymous) and right.name == "divisor":
        return None
    new = node.copy()
    new.set("expression", exp.Anonymous(this="divisor", expressions=[right.copy()]))
    return new


def _date_add(node: exp.TsOrDsAdd) -> exp.Expr:
    return exp.cast(node.copy(), "DATE")


_SPECIAL: dict[type[exp.Expr], Callable[[Any], exp.Expr | None]] = {
    exp.SHA2: _sha2,
    exp.Like: _like,
    exp.ILike: _like,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpReplace: _regexp_replace,
    exp.Substring: _substring,
    exp.SubstringIndex: _substring_index,
    exp.ToBase64: _to_base64,
    exp.Split: _split,
    exp.RegexpSplit: _split,
    exp.Bracket: _part,
    exp.DateTrunc: _date_trunc,
    exp.TimestampTrunc: _date_trunc,
    exp.TsOrDsAdd: _date_add,
    exp.Div: _divided,
    exp.Mod: _divided,
}
