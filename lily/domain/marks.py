"""The mark by which a body that Lily wrote is known again, whatever the warehouse's language.

A body begins with a branch that is never taken and holds, as a literal, the body's name (naming.body_hash) and a digest over that
name and all other tokens. White space and the case of key words, which a server may change, do not count. A mark tells accidents
and changes by hand; whoever knows how can make one, so what is to be believed is compared with what Lily would write.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

MARK = re.compile(r"'lily:([0-9a-f]{32}):([0-9a-f]{32})'")


@dataclass(frozen=True)
class Tokens:
    """How a language is cut into tokens. `quoted`: what those begin with whose case counts."""

    pattern: re.Pattern[str]
    quoted: str


def marked(rest: str, body: str, tokens: Tokens) -> str:
    """A CASE expression with the mark as its first branch; `rest` goes on with THEN."""
    digest = _digest(body, f"CASE WHEN 'lily:{body}:{'0' * 32}' IS NULL {rest}", tokens)
    return f"CASE WHEN 'lily:{body}:{digest}' IS NULL {rest}"


def body_of(text: str, tokens: Tokens) -> str | None:
    """The name of the body that `text`, read back, proves; None if it has none or was edited."""
    mark = MARK.search(text)  # the first: a value that a rule names may look like one too
    return mark[1] if mark and _digest(mark[1], text, tokens) == mark[2] else None


def mark_of(text: str) -> str:
    """The mark as it stands in the text: another text has another one. Empty if there is none."""
    mark = MARK.search(text)
    return mark[0] if mark else ""


def is_written(text: str, written: str, tokens: Tokens) -> bool:
    """Whether `text`, read back, is what Lily wrote, token by token."""
    return list(_counted(text, tokens)) == list(_counted(written, tokens))


def _digest(body: str, text: str, tokens: Tokens) -> str:
    """32 hex digits over the body's name and all tokens but the mark."""
    return hashlib.sha256("\n".join([body, *_counted(text, tokens)]).encode()).hexdigest()[:32]


def _counted(text: str, tokens: Tokens) -> Iterator[str]:
    is_marked = False
    for token in tokens.pattern.findall(text):
        if not is_marked and MARK.fullmatch(token):
            is_marked = True
        elif not token.isspace():
            yield token if token[0] in tokens.quoted else token.upper()
