"""Snowflake's text taken apart: words, names, literals. Nothing is folded or trimmed but by the vendor's rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.snowflake import errors

WORD, NAME, STRING, NUMBER, SIGN, PARAMETER, END = "word", "name", "string", "number", "sign", "parameter", "end"
NAME_MAX = 255

_SPACE = re.compile(r"(?:\s|--[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_NAME = re.compile(r'"((?:[^"]|"")*)"')
_STRING = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_DOLLARS = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SIGN = re.compile(r"::|=>|->|<=|>=|<>|!=|\|\||[()\[\]{},.;+\-*/%=<>:]")
_ESCAPE = re.compile(r"''|\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is the meaning (an exact name, the content of a literal, a word in capitals), `text` the spelling."""

    kind: str
    text: str
    value: str
    start: int
    line: int
    position: int  # in its line, from 0


def tokenise(text: str) -> list[Token]:
    """All tokens, the last one END. Raises errors.Refused (001003) where no token can begin or one has no end."""
    tokens: list[Token] = []
    at, line, line_start = 0, 1, 0
    while True:
        if space := _SPACE.match(text, at):
            if breaks := text.count("\n", at, space.end()):
                line += breaks
                line_start = text.rindex("\n", at, space.end()) + 1
            at = space.end()
        if at == len(text):
            tokens.append(Token(END, "<EOF>", "", at, line, at - line_start))
            return tokens
        kind, value, end = _one(text, at, line, at - line_start)
        token = Token(kind, text[at:end], value, at, line, at - line_start)
        tokens.append(token)
        if breaks := token.text.count("\n"):
            line += breaks
            line_start = text.rindex("\n", at, end) + 1
        at = end


def _one(text: str, at: int, line: int, position: int) -> tuple[str, str, int]:
    first = text[at]
    if found := _WORD.match(text, at):
        return WORD, found[0].upper(), found.end()
    if first == '"' and (found := _NAME.match(text, at)):
        return NAME, _checked_name(found[1].replace('""', '"'), found[0], line, position), found.end()
    if first == "'" and (found := _STRING.match(text, at)):
        return STRING, _ESCAPE.sub(_unescaped, found[1]), found.end()
    if first == "$" and (found := _DOLLARS.match(text, at)):
        return STRING, found[1], found.end()
    if found := _NUMBER.match(text, at):
        return NUMBER, found[0], found.end()
    if first == "?":
        return PARAMETER, "?", at + 1
    if text.startswith("/*", at) or first in "\"'" or text.startswith("$$", at):
        words = f"{errors.COMPILATION}parse error line {line} at position {position} near '<EOF>'."
        raise errors.Refused("001003", "42000", words, line, position)
    if found := _SIGN.match(text, at):
        return SIGN, found[0], found.end()
    raise errors.syntax(line, position, first)


def _checked_name(name: str, text: str, line: int, position: int) -> str:
    if not name or "\0" in name:
        raise errors.syntax(line, position, text.replace("\0", "\\0"))
    if len(name) > NAME_MAX:
        words = f"{errors.COMPILATION}identifier '{name[:20]}...' exceeds the maximum length of {NAME_MAX} characters"
        raise errors.Refused("000904", "42000", words, line, position)
    return name


def _unescaped(found: re.Match[str]) -> str:
    if found[0] == "''":
        return "'"
    if digits := found[1] or found[2]:
        return chr(int(digits, 16))
    if found[3]:
        return chr(int(found[3], 8))
    return _ESCAPED.get(found[4], found[4])


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """The statements of a text, each ended by an END of its own. Empty ones do not count."""
    statements: list[list[Token]] = []
    current: list[Token] = []
    for token in tokens:
        if token.kind == END or (token.kind == SIGN and token.value == ";"):
            if current:
                statements.append([*current, Token(END, "<EOF>", "", token.start, token.line, token.position)])
            current = []
        else:
            current.append(token)
    return statements


def quote(name: str) -> str:
    """`name` as an identifier that means exactly it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """`value` as a string literal that means exactly it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def shown(name: str) -> str:
    """`name` as the vendor shows it in messages: in quotes only if it would need them."""
    return name if re.fullmatch(r"[A-Z_][A-Z0-9_$]*", name) else quote(name)
