"""The time, always aware UTC, and the one place where tests hold it still."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class Frozen:
    """A held clock. Every thread of the process sees it."""

    at: datetime

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


_frozen: Frozen | None = None


def now() -> datetime:
    """The present moment as an aware UTC datetime."""
    return datetime.now(UTC) if _frozen is None else _frozen.at


@contextmanager
def freeze(at: datetime) -> Iterator[Frozen]:
    """Hold `now()` still at `at` until the block ends. For tests; freezing within a freeze goes back to the outer one."""
    global _frozen  # noqa: PLW0603 - one clock per process is the point
    outer = _frozen
    _frozen = Frozen(_aware(at).astimezone(UTC))
    try:
        yield _frozen
    finally:
        _frozen = outer


def iso(at: datetime) -> str:
    """`at` in UTC with milliseconds (cut, not rounded), as "2026-11-24T17:00:00.123Z": such texts sort as their times do."""
    return _aware(at).astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def from_iso(text: str) -> datetime:
    """The moment that an ISO 8601 text names. Raises ValueError for anything else, and for a text without an offset."""
    return _aware(datetime.fromisoformat(text)).astimezone(UTC)


def _aware(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone; use an aware datetime, or a text that ends in Z or an offset")
    return at
