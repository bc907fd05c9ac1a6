"""Queries and expressions in Snowflake's words: read by sqlglot, checked, and put into words that DuckDB understands."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from sandbox.snowflake import errors, lexer
from sandbox.snowflake.lexer import Token

Bindings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, as functions of the session tell it. `active` None: no role is known, as in a share."""

    user: str
    role: str | None
    active: frozenset[str] | None
    available: tuple[str, ...] = ()
    secondary: str = "NONE"
    invoker: str | None = None
    account: str = ""
    database: str | None = None
    schema: str | None = None
    warehouse: str | None = None


def query(tokens: Sequence[Token], bindings: Bindings | None = None) -> exp.Query:
    """A SELECT (or WITH, VALUES, set operation), every identifier exact. Raises errors.Refused."""
    parsed = _parse(*_canonical(tokens, bindings))
    if not isinstance(parsed, exp.Query):
        raise errors.syntax(tokens[0].line, tokens[0].position, tokens[0].text)
    return parsed


def change(tokens: Sequence[Token], bindings: Bindings | None = None) -> exp.Insert | exp.Update | exp.Delete:
    """An INSERT, UPDATE or DELETE, every identifier exact. Raises errors.Refused."""
    parsed = _parse(*_canonical(tokens, bindings))
    if not isinstance(parsed, exp.Insert | exp.Update | exp.Delete):
        raise errors.syntax(tokens[0].line, tokens[0].position, tokens[0].text)
    return parsed


def expression(text: str) -> exp.Expr:
    """One expression, such as the body of a policy. Raises errors.Refused."""
    return _expression(text).copy()


@lru_cache(maxsize=4096)
def _expression(text: str) -> exp.Expr:
    tokens = lexer.tokenise(text)
    parsed = _parse(*_canonical(tokens, None, before="SELECT "))
    if not isinstance(parsed, exp.Select) or len(parsed.expressions) != 1 or len(parsed.args) > 1 + _empty_args(parsed):
        raise errors.syntax(tokens[0].line, tokens[0].position, tokens[0].text)
    found: exp.Expr = parsed.expressions[0]
    if isinstance(found, exp.Alias):
        raise errors.syntax(tokens[-2].line, tokens[-2].position, tokens[-2].text)
    return found


def _empty_args(node: exp.Expr) -> int:
    return sum(1 for name, value in node.args.items() if name != "expressions" and not value)


def _canonical(tokens: Sequence[Token], bindings: Bindings | None, before: str = "") -> tuple[str, list[tuple[int, Token]]]:
    """The text again in one spelling, so that sqlglot cannot read a literal or a name otherwise than the lexer did."""
    pieces, places, length, bound = [before], [], len(before), 0
    end_of_last = -1
    for token in tokens:
        if token.kind == lexer.END:
            break
        piece = token.text
        if token.kind == lexer.STRING:
            piece = lexer.literal(token.value)
        elif token.kind == lexer.NAME:
            piece = lexer.quote(token.value)
        elif token.kind == lexer.PARAMETER:
            bound += 1
            piece = _bound(bindings, bound, token)
        if token.start > end_of_last:
            piece = " " + piece
        end_of_last = token.start + len(token.text)
        places.append((length, token))
        length += len(piece)
        pieces.append(piece)
    return "".join(pieces), places


def _bound(bindings: Bindings | None, number: int, token: Token) -> str:
    given = (bindings or {}).get(str(number))
    if given is None:
        raise errors.Refused("002049", "42601", f"{errors.COMPILATION}Bind variable ? not set.", token.line, token.position)
    kind, value = str(given.get("type", "TEXT")).upper(), given.get("value")
    if value is None:
        return "NULL"
    if kind in ("FIXED", "REAL"):
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", str(value)):
            raise errors.not_convertible(f"Numeric value '{value}' is not recognized")
        return f"({value})" if kind == "FIXED" else f"({value}::FLOAT)"
    if kind == "BOOLEAN":
        return "TRUE" if str(value).lower() in ("true", "1") else "FALSE"
    if kind == "DATE" and re.fullmatch(r"-?\d+", str(value)):  # milliseconds since 1970
        return f"DATEADD(day, {int(value) // 86_400_000}, '1970-01-01'::DATE)"
    return lexer.literal(str(value))


def _parse(text: str, places: list[tuple[int, Token]]) -> exp.Expr:
    try:
        parsed = sqlglot.parse(text, read="snowflake")
    except (ParseError, TokenError) as error:
        raise _located(error, text, places) from error
    first = places[0][1] if places else Token(lexer.END, "<EOF>", "", 0, 1, 0)
    if len(parsed) != 1 or parsed[0] is None or isinstance(parsed[0], exp.Command):
        raise errors.syntax(first.line, first.position, first.text)
    found = parsed[0]
    for identifier in found.find_all(exp.Identifier):
        if not identifier.args.get("quoted"):
            identifier.set("this", identifier.this.upper())
            identifier.set("quoted", True)
    return found


def _located(error: Exception, text: str, places: list[tuple[int, Token]]) -> errors.Refused:
    at = len(text)
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        lines = text.split("\n")[: int(first.get("line") or 1) - 1]
        at = sum(len(line) + 1 for line in lines) + int(first.get("col") or 1) - len(str(first.get("highlight") or ""))
    after = [token for start, token in places if start >= at - 1]
    if not after:
        last = places[-1][1] if places else Token(lexer.END, "", "", 0, 1, 0)
        return errors.syntax(last.line, last.position + len(last.text), "<EOF>")
    return errors.syntax(after[0].line, after[0].position, after[0].text)


# The words of the session

_TEXT_OF: dict[type[exp.Expr], Callable[[Reader], str | None]] = {
    exp.CurrentRole: lambda reader: reader.role,
    exp.CurrentUser: lambda reader: reader.user,
    exp.CurrentAccount: lambda reader: reader.account,
    exp.CurrentWarehouse: lambda reader: reader.warehouse,
    exp.CurrentSchema: lambda reader: reader.schema,
    exp.CurrentDatabase: lambda reader: reader.database,
    exp.CurrentSecondaryRoles: lambda reader: (
        f'{{"roles":"","value":"{reader.secondary if reader.secondary != "NONE" else ""}"}}'
    ),
    exp.CurrentAvailableRoles: lambda reader: "[ " + ", ".join(f'"{role}"' for role in reader.available) + " ]",
    exp.CurrentVersion: lambda _: "10.40.1",
}
_NAMED: dict[str, Callable[[Reader], str | None]] = {
    "INVOKER_ROLE": lambda reader: reader.invoker or reader.role,
}
_TRUE, _FALSE, _NULL = exp.true(), exp.false(), exp.null()


def adapt(node: exp.Expr, reader: Reader) -> exp.Expr:
    """`node` with the session's words answered for `reader`, and the rest as DuckDB understands it. Raises errors.Refused."""
    return node.transform(_adapt, reader, copy=False)


def _adapt(node: exp.Expr, reader: Reader) -> exp.Expr:
    if (word := _TEXT_OF.get(type(node))) is not None:
        return _text(word(reader))
    if isinstance(node, exp.Anonymous):
        return _function(node, reader)
    changed = _CHANGED.get(type(node))
    return changed(node) if changed else node


def _text(value: str | None) -> exp.Expr:
    return exp.null() if value is None else exp.Literal.string(value)


def _function(node: exp.Anonymous, reader: Reader) -> exp.Expr:
    name = str(node.name).upper()
    if name == "IS_ROLE_IN_SESSION" and len(node.expressions) == 1:
        return _is_role_in_session(node.expressions[0], reader)
    if name == "IS_DATABASE_ROLE_IN_SESSION" and len(node.expressions) == 1:
        return exp.null() if reader.active is None else exp.false()
    if name in _NAMED and not node.expressions:
        return _text(_NAMED[name](reader))
    if name in _OURS:
        return node
    raise errors.unknown_function(name)


def _is_role_in_session(asked: exp.Expr, reader: Reader) -> exp.Expr:
    if reader.active is None:
        return exp.null()
    if isinstance(asked, exp.Literal) and asked.is_string:
        return exp.true() if asked.this in reader.active else exp.false()
    return exp.In(this=asked, expressions=[exp.Literal.string(role) for role in sorted(reader.active)])


# Functions of DuckDB that this module writes itself.
_OURS = {"STRFTIME", "DIVISOR", "TO_JSON", "JSON_KEYS", "CURRENT_LOCALTIMESTAMP", "ERROR"}
_FORMATS = (
    ("YYYY", "%Y"), ("YY", "%y"), ("MMMM", "%B"), ("MON", "%b"), ("MM", "%m"), ("DD", "%d"), ("DY", "%a"), ("HH24", "%H"),
    ("HH12", "%I"), ("MI", "%M"), ("SS", "%S"), ("FF9", "%n"), ("FF6", "%f"), ("FF3", "%g"), ("FF", "%f"),
    ("AM", "%p"), ("PM", "%p"),
)  # fmt: skip


def _to_char(node: exp.Expr) -> exp.Expr:
    given = node.args.get("format")
    if given is None:
        return node
    if not (isinstance(given, exp.Literal) and given.is_string):
        raise errors.unsupported("TO_VARCHAR with a format that is not a literal")
    pattern = "|".join(re.escape(word) for word, _ in _FORMATS)
    words = dict(_FORMATS)
    text = re.sub(pattern, lambda found: words[found[0].upper()], given.this, flags=re.IGNORECASE)
    return exp.Anonymous(this="STRFTIME", expressions=[node.this, exp.Literal.string(text)])


def _div(node: exp.Expr) -> exp.Expr:
    divisor = node.expression
    if isinstance(divisor, exp.Anonymous) and divisor.this == "DIVISOR":
        return node
    node.set("expression", exp.Anonymous(this="DIVISOR", expressions=[divisor.copy()]))
    return node


_WHOLE = {exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.SMALLINT, exp.DataType.Type.TINYINT}
_TREES = {exp.DataType.Type.VARIANT, exp.DataType.Type.OBJECT, exp.DataType.Type.ARRAY}


def _cast(node: exp.Expr) -> exp.Expr:
    to = node.args["to"]
    if not isinstance(to, exp.DataType):
        return node
    if to.this in _WHOLE or (to.this == exp.DataType.Type.DECIMAL and not to.expressions):
        node.set("to", exp.DataType.build("DECIMAL(38, 0)"))
    elif to.this in _TREES:
        return exp.Anonymous(this="TO_JSON", expressions=[node.this])
    elif to.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR) and to.expressions:
        length = to.expressions[0].this
        node.set("to", exp.DataType.build("VARCHAR"))
        return exp.Left(this=node.copy(), expression=length.copy())
    return node


_CHANGED: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.ToChar: _to_char,
    exp.Div: _div,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.ToVariant: lambda node: exp.Anonymous(this="TO_JSON", expressions=[node.this]),
}


def duckdb(node: exp.Expr) -> str:
    """`node` in DuckDB's words."""
    return node.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)
