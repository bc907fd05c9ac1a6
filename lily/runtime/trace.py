"""The trace a piece of work belongs to: W3C `traceparent` in, bound to the context, and out again.

Source: https://www.w3.org/TR/trace-context/ (level 1, version 00).
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)


@dataclass(frozen=True)
class Trace:
    """`trace_id` names the whole, `span_id` the part that whoever holds this works on."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def header(self) -> str:
        """As a `traceparent` value."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> "Trace":
        """The same trace with a span of its own, for one call out."""
        return replace(self, span_id=_random_id(8))


def parse(header: str | None) -> Trace | None:
    """The trace that a `traceparent` names; None if it is missing or malformed, as the standard asks: begin a new one then."""
    match = _FORM.fullmatch(header) if header and len(header) <= 512 else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, sampled=bool(int(flags, 16) & 1))


def new() -> Trace:
    return Trace(_random_id(16), _random_id(8))


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The trace bound to this context: this thread, and what it calls."""
    return _current.get()


@contextmanager
def bound(trace: Trace) -> Iterator[Trace]:
    """Bind `trace` until the block ends: log lines then carry its id, and calls out its header."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def _random_id(size_bytes: int) -> str:
    """Nobody's guess has to be feared, so the system is not asked: that takes ten times as long."""
    return f"{random.randrange(1, 256**size_bytes):0{2 * size_bytes}x}"  # all zeros is invalid
