"""Databricks SQL taken apart: words, quoted names, literals. Backslashes escape; a doubled quote joins two literals."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.databricks import errors

WORD, NAME, STRING, NUMBER, SIGN, END = "word", "name", "string", "number", "sign", "end"

_LINE = re.compile(r"--(?:\\\n|[^\r\n])*")
_BRACKET = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"`((?:[^`]|``)*)`")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_RAW = re.compile(r"[rR](?:'([^']*)'|\"([^\"]*)\")")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:[LlSsYyDdFf]|BD|bd)?(?![A-Za-z0-9_])")
_SIGN = re.compile(r"::|->|=>|<=>|<=|>=|<>|!=|==|\|\||[()\[\],.;+\-*/%=<>:&|^~!]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([0-1][0-7]{2})|(.))", re.DOTALL)
_ESCAPED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a", "%": "\\%", "_": "\\_"}


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is the meaning (a name, the content of a literal), `text` the spelling, `end` where it ends."""

    kind: str
    text: str
    value: str
    start: int
    end: int


def tokenise(text: str) -> list[Token]:
    """All tokens, the last one END. Raises Refused where none can begin or one has no end."""
    tokens: list[Token] = []
    at = _skip(text, 0)
    while at < len(text):
        token = _one(text, at)
        if token.kind == STRING and tokens and tokens[-1].kind == STRING:
            first = tokens.pop()
            token = Token(STRING, text[first.start : token.end], first.value + token.value, first.start, token.end)
        tokens.append(token)
        at = _skip(text, token.end)
    return [*tokens, Token(END, "end of input", "", at, at)]


def _skip(text: str, at: int) -> int:
    """Past white space and comments, of which those in brackets nest."""
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif found := _LINE.match(text, at):
            at = found.end()
        elif text.startswith("/*", at):
            at = _after_bracket(text, at)
        else:
            return at
    return at


def _after_bracket(text: str, start: int) -> int:
    depth = 0
    for found in _BRACKET.finditer(text, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    raise errors.Refused("UNCLOSED_BRACKETED_COMMENT", "42601", "Found an unclosed bracketed comment.")


def _one(text: str, at: int) -> Token:
    if found := _RAW.match(text, at):
        return Token(STRING, found[0], found[1] if found[1] is not None else found[2], at, found.end())
    if found := _NUMBER.match(text, at):
        return Token(NUMBER, found[0], found[0], at, found.end())
    if found := _WORD.match(text, at):
        return Token(WORD, found[0], found[0], at, found.end())
    if found := _NAME.match(text, at):
        if not found[1]:
            raise errors.syntax("'``'")
        return Token(NAME, found[0], found[1].replace("``", "`"), at, found.end())
    if found := _STRING.match(text, at):
        inner = found[1] if found[1] is not None else found[2]
        return Token(STRING, found[0], _ESCAPE.sub(_unescaped, inner), at, found.end())
    if found := _SIGN.match(text, at):
        return Token(SIGN, found[0], found[0], at, found.end())
    raise errors.syntax(f"'{text[at : at + 20]}'")


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    if found[2]:
        return chr(int(found[2], 8))
    return _ESCAPED.get(found[3], found[3])


def quote(name: str) -> str:
    """`name` as an identifier that means exactly it."""
    return "`" + name.replace("`", "``") + "`"


_LITERAL = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(value: str) -> str:
    """`value` as a string literal that means exactly it."""
    return "'" + "".join(_LITERAL.get(each, each) for each in value) + "'"


def canonical(tokens: Sequence[Token]) -> str:
    """The text again in one spelling, so that another reader cannot take a literal or a name otherwise than this one did."""
    pieces: list[str] = []
    end = -1
    for token in tokens:
        if token.kind == END:
            break
        if token.start > end >= 0:
            pieces.append(" ")
        end = token.end
        pieces.append(literal(token.value) if token.kind == STRING else quote(token.value) if token.kind == NAME else token.text)
    return "".join(pieces)
