"""Reading a statement from left to right. Whatever is not expected is a syntax error: nothing is skipped."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sandbox.databricks import errors, types
from sandbox.databricks.catalog import Argument, Attached, Path
from sandbox.databricks.lexer import END, NAME, NUMBER, SIGN, STRING, WORD, Token, canonical, literal
from sandbox.databricks.types import SqlType

NAME_MAX = 255
T = TypeVar("T")
_BAD_IN_NAME = re.compile(r"[. /\x00-\x1f\x7f]")


@dataclass(slots=True)
class Cursor:
    """`text` is the whole request, of which the tokens are a part."""

    tokens: Sequence[Token]
    text: str
    at: int = 0

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def refuse(self) -> errors.Refused:
        """A syntax error here."""
        return errors.syntax(self.now.text if self.now.kind == END else f"'{self.now.text}'")

    def is_at(self, *words: str) -> bool:
        """Whether these words or signs come next."""
        after = self.tokens[self.at : self.at + len(words)]
        return len(after) == len(words) and all(
            token.kind in (WORD, SIGN) and token.text.upper() == word for token, word in zip(after, words, strict=True)
        )

    def accept(self, *words: str) -> bool:
        """Pass these words if they come next."""
        found = self.is_at(*words)
        self.at += len(words) if found else 0
        return found

    def expect(self, *words: str) -> None:
        """These words must come next. Raises Refused."""
        for word in words:
            if not self.accept(word):
                raise self.refuse()

    def end(self) -> None:
        """Nothing more may come."""
        if self.now.kind != END:
            raise self.refuse()

    def one_of(self, *words: str) -> str:
        """Which of these words comes next. Raises Refused if none."""
        for word in words:
            if self.accept(*word.split()):
                return word
        raise self.refuse()

    def identifier(self) -> str:
        """One name as it is written."""
        token = self.now
        if token.kind not in (WORD, NAME):
            raise self.refuse()
        self.at += 1
        return token.value

    def name(self) -> str:
        """A name of anything but a column: lower case, no dot, space, slash or control."""
        name = self.identifier()
        if len(name) > NAME_MAX or _BAD_IN_NAME.search(name):
            raise errors.invalid(f"'{name}' is not a valid name", "INVALID_NAME")
        return name.lower()

    def path(self) -> Path:
        """Names joined by dots."""
        parts = [self.name()]
        while self.accept("."):
            parts.append(self.name())
        if len(parts) > 3:
            raise self.refuse()
        return tuple(parts)

    def column_path(self) -> tuple[Path, str]:
        """A table and a column of it."""
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if not 2 <= len(parts) <= 4:
            raise self.refuse()
        return tuple(part.lower() for part in parts[:-1]), parts[-1]

    def string(self) -> str:
        """A string literal."""
        token = self.now
        if token.kind != STRING:
            raise self.refuse()
        self.at += 1
        return token.value

    def number(self) -> int:
        """A whole number."""
        token = self.now
        if token.kind != NUMBER or not token.value.isdigit():
            raise self.refuse()
        self.at += 1
        return int(token.value)

    def commas(self, one: Callable[[], T]) -> list[T]:
        """One or more, with commas between."""
        found = [one()]
        while self.accept(","):
            found.append(one())
        return found

    def listed(self, one: Callable[[], T], *, may_be_empty: bool = False) -> list[T]:
        """In parentheses."""
        self.expect("(")
        if may_be_empty and self.accept(")"):
            return []
        found = self.commas(one)
        self.expect(")")
        return found

    def type(self) -> SqlType:
        """A type, its text as the REST APIs spell it."""
        token = self.now
        if token.kind != WORD:
            raise self.refuse()
        self.at += 1
        word = token.text.upper()
        if word in types.DECIMALS:
            sizes = self.listed(self.number) if self.is_at("(") else [10]
            if len(sizes) > 2 or not 1 <= sizes[0] <= 38 or (sizes[1:] and sizes[1] > sizes[0]):
                raise self.refuse()
            return types.decimal(sizes[0], sizes[1] if sizes[1:] else 0)
        if word in ("VARCHAR", "CHAR"):
            self.expect("(")
            size = self.number()
            self.expect(")")
            return SqlType(f"{word.lower()}({size})", "CHAR" if word == "CHAR" else "STRING", "VARCHAR", size)
        if word in types.NESTED:
            return self._nested(word)
        if word not in types.PLAIN:
            raise errors.Refused("UNSUPPORTED_DATATYPE", "0A000", f'Unsupported data type "{token.text}".')
        return SqlType(*types.PLAIN[word])

    def _nested(self, word: str) -> SqlType:
        start, depth = self.at, 0
        if not self.is_at("<"):
            raise self.refuse()
        while True:
            if self.now.kind == END:
                raise self.refuse()
            sign = self.now.text if self.now.kind == SIGN else ""
            depth += {"<": 1, ">": -1, "<>": 0}.get(sign, 0)
            self.at += 1
            if depth == 0:
                break
        inner = canonical(self.tokens[start : self.at]).replace(" >", ">").lower()
        return SqlType(f"{word.lower()}{inner}", word, "VARCHAR")

    def argument(self) -> Argument:
        """A column, or a literal, of a mask or a filter."""
        if self.now.kind in (STRING, NUMBER) or self.is_at("-"):
            sign = "-" if self.accept("-") else ""
            token = self.now
            if sign and token.kind != NUMBER:
                raise self.refuse()
            self.at += 1
            return Argument(literal=literal(token.value) if token.kind == STRING else sign + token.value)
        for word in ("TRUE", "FALSE", "NULL"):
            if self.now.kind == WORD and self.accept(word):
                return Argument(literal=word)
        return Argument(column=self.identifier())

    def mask(self) -> Attached:
        """`f [USING COLUMNS (..)]`, after MASK."""
        function = self.path()
        return Attached(function, tuple(self.listed(self.argument)) if self.accept("USING", "COLUMNS") else ())

    def row_filter(self) -> Attached:
        """`f ON (..)`, after ROW FILTER."""
        function = self.path()
        self.expect("ON")
        return Attached(function, tuple(self.listed(self.argument, may_be_empty=True)))

    def rest(self) -> str:
        """The text up to the end, which must not be empty."""
        if self.now.kind == END:
            raise self.refuse()
        found = canonical(self.tokens[self.at :])
        self.at = len(self.tokens) - 1
        return found

    def written(self, start: int, end: int) -> str:
        """The text between two tokens as the user wrote it."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]

    def until(self, *stops: str) -> Sequence[Token]:
        """Tokens up to one of these words or signs outside of parentheses, or to the end."""
        start, depth = self.at, 0
        while self.now.kind != END:
            if depth == 0 and any(self.is_at(stop) for stop in stops):
                break
            depth += {"(": 1, ")": -1}.get(self.now.text, 0) if self.now.kind == SIGN else 0
            if depth < 0:
                raise self.refuse()
            self.at += 1
        if self.at == start or depth:
            raise self.refuse()
        return self.tokens[start : self.at]
