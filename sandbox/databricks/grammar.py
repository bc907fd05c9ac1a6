"""From the text of a request to one statement. Anything that is not fully understood is PARSE_SYNTAX_ERROR."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from sandbox.databricks import errors
from sandbox.databricks.cursor import Cursor
from sandbox.databricks.grammar_access import comment_on, grant, policy_statement, set_tag_on
from sandbox.databricks.grammar_tables import alter, create, drop
from sandbox.databricks.lexer import END, SIGN, Token, tokenise
from sandbox.databricks.nodes import Change, Describe, Query, Script, ShowPolicies, Statement


@lru_cache(maxsize=512)
def parse(text: str) -> Statement:
    """The one statement of a request; one semicolon may end it. Raises Refused."""
    tokens = tokenise(text)
    if len(tokens) > 1 and _is_semicolon(tokens[-2]):
        tokens = [*tokens[:-2], tokens[-1]]
    return _statement(tokens, text)


def _is_semicolon(token: Token) -> bool:
    return token.kind == SIGN and token.text == ";"


def _statement(tokens: Sequence[Token], text: str) -> Statement:
    cursor = Cursor(tokens, text)
    found = _script(cursor) if cursor.is_at("BEGIN") else _plain(cursor)
    cursor.end()
    return found


def _script(cursor: Cursor) -> Script:
    cursor.expect("BEGIN")
    cursor.accept("NOT", "ATOMIC")
    statements: list[Statement] = []
    texts: list[str] = []
    while not (cursor.is_at("END") and cursor.tokens[cursor.at + 1].kind == END):
        inner = cursor.until(";")
        cursor.expect(";")
        last = inner[-1]
        texts.append(cursor.text[inner[0].start : last.end])
        statements.append(_statement([*inner, Token(END, ";", "", last.end, last.end)], cursor.text))
    cursor.expect("END")
    return Script(tuple(statements), tuple(texts))


def _plain(cursor: Cursor) -> Statement:
    for words, read in _FORMS:
        if cursor.is_at(*words.split()):
            return read(cursor)
    raise cursor.refuse()


def _show(cursor: Cursor) -> ShowPolicies:
    cursor.expect("SHOW")
    effective = cursor.accept("EFFECTIVE")
    cursor.expect("POLICIES", "ON")
    return ShowPolicies(cursor.one_of("CATALOG", "SCHEMA", "TABLE"), cursor.path(), effective)


def _describe(cursor: Cursor) -> Describe:
    cursor.one_of("DESCRIBE", "DESC")
    cursor.accept("TABLE")
    cursor.expect("EXTENDED")
    table = cursor.path()
    cursor.expect("AS", "JSON")
    return Describe(table)


def _one(cursor: Cursor) -> str:
    if any(_is_semicolon(token) for token in cursor.tokens):
        raise errors.syntax("';'")
    return cursor.rest()


def _query(cursor: Cursor) -> Query:
    return Query(_one(cursor))


def _change(cursor: Cursor) -> Change:
    return Change(_one(cursor))


# The first words, the longer ones before those that they begin with.
_FORMS: tuple[tuple[str, Callable[[Cursor], Statement]], ...] = (
    ("SELECT", _query), ("WITH", _query), ("VALUES", _query), ("(", _query),
    ("INSERT", _change), ("UPDATE", _change), ("DELETE", _change),
    ("CREATE OR REPLACE POLICY", policy_statement), ("CREATE POLICY", policy_statement), ("DROP POLICY", policy_statement),
    ("CREATE GOVERNED", policy_statement), ("ALTER GOVERNED", policy_statement), ("DROP GOVERNED", policy_statement),
    ("CREATE", create), ("ALTER", alter), ("DROP", drop),
    ("SET TAG", set_tag_on), ("UNSET TAG", set_tag_on), ("COMMENT ON", comment_on), ("GRANT", grant), ("REVOKE", grant),
    ("SHOW", _show), ("DESCRIBE", _describe), ("DESC", _describe),
)  # fmt: skip
