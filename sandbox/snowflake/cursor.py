"""A place in a statement's tokens, and the small things that grammars are made of."""

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from sandbox.snowflake import errors, lexer, types
from sandbox.snowflake.lexer import Token
from sandbox.snowflake.nodes import Creation, Path
from sandbox.snowflake.types import SqlType

T = TypeVar("T")
# Words that cannot be a name without quotes.
RESERVED = frozenset(
    [
        "ALL",
        "ALTER",
        "AND",
        "ANY",
        "AS",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CHECK",
        "COLUMN",
        "CONNECT",
        "CONSTRAINT",
        "CREATE",
        "CROSS",
        "CURRENT",
        "DELETE",
        "DISTINCT",
        "DROP",
        "ELSE",
        "EXISTS",
        "FALSE",
        "FOLLOWING",
        "FOR",
        "FROM",
        "FULL",
        "GRANT",
        "GROUP",
        "HAVING",
        "ILIKE",
        "IN",
        "INCREMENT",
        "INNER",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "JOIN",
        "LATERAL",
        "LEFT",
        "LIKE",
        "MINUS",
        "NATURAL",
        "NOT",
        "NULL",
        "OF",
        "ON",
        "OR",
        "ORDER",
        "QUALIFY",
        "REGEXP",
        "REVOKE",
        "RIGHT",
        "RLIKE",
        "ROW",
        "ROWS",
        "SAMPLE",
        "SELECT",
        "SET",
        "SOME",
        "START",
        "TABLE",
        "TABLESAMPLE",
        "THEN",
        "TO",
        "TRIGGER",
        "TRUE",
        "TRY_CAST",
        "UNION",
        "UNIQUE",
        "UPDATE",
        "USING",
        "VALUES",
        "WHEN",
        "WHENEVER",
        "WHERE",
        "WITH",
    ]
)


class Cursor:
    """`ignore_case`: QUOTED_IDENTIFIERS_IGNORE_CASE is on, so quoted names fold too."""

    def __init__(self, tokens: Sequence[Token], source: str, *, ignore_case: bool = False) -> None:
        self.tokens = tokens
        self.source = source
        self.at = 0
        self.ignore_case = ignore_case

    @property
    def now(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def failure(self) -> errors.Refused:
        """What is wrong (001003) with the next token being there."""
        return errors.syntax(self.now.line, self.now.position, self.now.text)

    def fail(self) -> NoReturn:
        """Raises `failure`."""
        raise self.failure()

    def sees(self, *words: str) -> bool:
        """Whether these words, or signs, come next."""
        if self.at + len(words) > len(self.tokens):
            return False
        return all(
            token.kind in (lexer.WORD, lexer.SIGN) and token.value == word
            for token, word in zip(self.tokens[self.at :], words, strict=False)
        )

    def accept(self, *words: str) -> bool:
        """Go past these words if they come next."""
        found = self.sees(*words)
        if found:
            self.at += len(words)
        return found

    def expect(self, *words: str) -> None:
        """Go past these words, of which each must be there."""
        for word in words:
            if not self.accept(word):
                self.fail()

    def one_of(self, *words: str) -> str:
        """The one of these words that comes next; a word may have spaces in it."""
        for word in words:
            if self.accept(*word.split()):
                return word
        raise self.failure()

    def end(self) -> None:
        """Nothing may follow."""
        if self.now.kind != lexer.END:
            self.fail()

    def _take(self, kind: str) -> Token:
        token = self.now
        if token.kind != kind:
            self.fail()
        self.at += 1
        return token

    def name(self) -> str:
        """One exact name: quoted as it stands, else in capitals."""
        token = self.now
        if token.kind == lexer.NAME:
            self.at += 1
            return token.value.upper() if self.ignore_case else token.value
        if token.kind != lexer.WORD or token.value in RESERVED:
            self.fail()
        if token.value == "IDENTIFIER" and self.tokens[self.at + 1].value == "(":
            self.fail()
        self.at += 1
        return token.value

    def path(self, parts_max: int = 3) -> Path:
        """A name with what it lies in before it. `IDENTIFIER('...')` holds one as text."""
        if self.accept("IDENTIFIER", "("):
            text = self.string()
            self.expect(")")
            return path_in(text, self.ignore_case)
        names = [self.name()]
        while self.sees("."):
            if len(names) == parts_max:
                self.fail()
            self.expect(".")
            names.append(self.name())
        return tuple(names)

    def string(self) -> str:
        """The content of a literal."""
        return self._take(lexer.STRING).value

    def number(self) -> int:
        """A whole number."""
        token = self._take(lexer.NUMBER)
        if not token.value.isdecimal():
            self.at -= 1
            self.fail()
        return int(token.value)

    def listed(self, item: Callable[[], T]) -> tuple[T, ...]:
        """In parentheses, with commas, at least one."""
        self.expect("(")
        found = self.commas(item)
        self.expect(")")
        return found

    def commas(self, item: Callable[[], T]) -> tuple[T, ...]:
        """With commas, at least one."""
        found = [item()]
        while self.accept(","):
            found.append(item())
        return tuple(found)

    def type(self) -> SqlType:
        """A data type."""
        token = self.now
        if token.kind != lexer.WORD:
            self.fail()
        word = token.value
        self.at += 1
        if word == "DOUBLE":
            self.accept("PRECISION")
        arguments = self.listed(self.number) if self.sees("(") else ()
        found = types.made(word, arguments)
        if found is None:
            words = f"{errors.COMPILATION}Unsupported data type '{token.text.upper()}'."
            raise errors.Refused("002040", "42601", words, token.line, token.position)
        return found

    def comment(self) -> str:
        """After COMMENT: `= '...'`, the sign being optional."""
        self.accept("=")
        return self.string()

    def creation(self, *, replace: bool, or_alter: bool = False) -> Creation:
        """`[IF NOT EXISTS] name`."""
        if_not_exists = self.accept("IF", "NOT", "EXISTS")
        if if_not_exists and (replace or or_alter):
            self.at -= 3
            self.fail()
        return Creation(self.path(), replace, if_not_exists, or_alter)

    def rest(self) -> tuple[Token, ...]:
        """All tokens up to the end, which follows them."""
        found = tuple(self.tokens[self.at :])
        self.at = len(self.tokens) - 1
        return found


def path_in(text: str, ignore_case: bool = False) -> Path:
    """The exact names in a text such as `"my db".s.T`, as IDENTIFIER() and table functions take them. Raises errors.Refused."""
    cursor = Cursor(lexer.tokenise(text), text, ignore_case=ignore_case)
    names = [cursor.name()]
    while cursor.accept("."):
        names.append(cursor.name())
    cursor.end()
    return tuple(names)
