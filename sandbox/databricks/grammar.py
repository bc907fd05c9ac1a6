"""From the text of a request to one statement. Anything that is not fully understood is PARSE_SYNTAX_ERROR."""

from collections.abc import Sequence
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
    if cursor.is_at("SELECT") or cursor.is_at("WITH") or cursor.is_at("VALUES") or cursor.is_at("("):
        return Query(_one(cursor))
    if cursor.is_at("INSERT") or cursor.is_at("UPDATE") or cursor.is_at("DELETE"):
        return Change(_one(cursor))
    for words in (
        ("CREATE", "OR", "REPLACE", "POLICY"), ("CREATE", "POLICY"), ("DROP", "POLICY"), ("CREATE", "GOVERNED"),
        ("ALTER", "GOVERNED"), ("DROP", "GOVERNED"),
    ):  # fmt: skip
        if cursor.is_at(*words):
            return policy_statement(cursor)
    if cursor.accept("CREATE"):
        return create(cursor)
    if cursor.accept("ALTER"):
        return alter(cursor)
    if cursor.accept("DROP"):
        return drop(cursor)
    if cursor.is_at("SET", "TAG") or cursor.is_at("UNSET", "TAG"):
        return set_tag_on(cursor)
    if cursor.accept("COMMENT", "ON"):
        return comment_on(cursor)
    if cursor.is_at("GRANT") or cursor.is_at("REVOKE"):
        return grant(cursor)
    if cursor.accept("SHOW"):
        effective = cursor.accept("EFFECTIVE")
        cursor.expect("POLICIES", "ON")
        return ShowPolicies(cursor.one_of("CATALOG", "SCHEMA", "TABLE"), cursor.path(), effective)
    if cursor.accept("DESCRIBE") or cursor.accept("DESC"):
        cursor.accept("TABLE")
        cursor.expect("EXTENDED")
        table = cursor.path()
        cursor.expect("AS", "JSON")
        return Describe(table)
    raise cursor.refuse()


def _one(cursor: Cursor) -> str:
    if any(_is_semicolon(token) for token in cursor.tokens):
        raise errors.syntax("';'")
    return cursor.rest()
