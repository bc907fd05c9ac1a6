"""What `make demo` prints: a table, a message, and a tick or a cross for each thing that should be so."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 118
TEXTS = ("what", "event", "incident", "asset", "sev.", "state", "effect")
FIGURES = ("accept", "ingest", "enrich", "store", "publish", "total")  # milliseconds
STEPS = (("ingested",), ("enriched", "not_enriched"), ("stored",), ("published",), ("total",))  # the API's names of the last five


@dataclass(frozen=True)
class Check:
    """Something that should be so. Where both sides are maps, what differs is told by key."""

    claim: str
    expected: Any
    seen: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.seen)

    def differences(self) -> Iterable[str]:
        """For a person: what was expected, and what was seen instead."""
        if not isinstance(self.expected, Mapping) or not isinstance(self.seen, Mapping):
            yield f"expected {_shown(self.expected)}; saw {_shown(self.seen)}"
            return
        for key in dict.fromkeys([*self.expected, *self.seen]):
            expected, seen = (_shown(side[key]) if key in side else "nothing" for side in (self.expected, self.seen))
            if expected != seen:
                yield f"{key}: expected {expected}; saw {seen}"


@dataclass(frozen=True)
class Ink:
    """Colours, where a terminal shows them."""

    colours: bool

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def tick(self, holds: bool) -> str:
        return self._in("32", "✓") if holds else self._in("31", "✗")

    def _in(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colours else text


def heading(text: str, ink: Ink) -> list[str]:
    return ["", f"── {ink.bold(text)}", ""]


def table(rows: Sequence[Sequence[str]], ink: Ink) -> list[str]:
    """`rows` have the columns of TEXTS, set to the left, and of FIGURES, set to the right."""
    head = (*TEXTS, *FIGURES)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(row, widths) for row in (head, *rows)]
    return [ink.dim(lines[0]), *lines[1:]]


def grid(head: Sequence[str], rows: Sequence[Sequence[Any]], ink: Ink) -> list[str]:
    """A table of anything, its cells set to the left; what is NULL is said so."""
    cells = [["NULL" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *cells)]
    return [f"  {ink.dim(lines[0])}", *(f"  {line}" for line in lines[1:])]


def statements(texts: Sequence[str]) -> list[str]:
    """One statement after the other, folded to the width of the page."""
    return [line for text in texts for line in textwrap.wrap(f"{text};", WIDTH, initial_indent="  ", subsequent_indent="    ")]


def figures(milliseconds: Mapping[str, float], accept_ms: float) -> list[str]:
    """The cells of FIGURES; a step that did not happen is a dash."""
    by_step = [next((milliseconds[name] for name in names if name in milliseconds), None) for names in STEPS]
    return [f"{accept_ms:.0f}", *("–" if ms is None else f"{ms:.0f}" for ms in by_step)]


def short(name: str) -> str:
    """The first 8 characters of an id, and the number of its occurrence."""
    event, dot, occurrence = name.partition(".")
    return event[:8] + dot + occurrence


def judged(checks: Iterable[Check], ink: Ink) -> list[str]:
    """One line for each check, and below it what is amiss."""
    lines = []
    for check in checks:
        lines.append(f"  {ink.tick(check.holds)} {check.claim}")
        if not check.holds:
            lines += [f"      {difference}" for difference in check.differences()]
    return lines


def document(value: Any) -> list[str]:
    """JSON, of which the longest lines are cut to the width that the table has."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).splitlines()
    return [f"  {line}" if len(line) <= WIDTH - 2 else f"  {line[: WIDTH - 3]}…" for line in lines]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = list(zip(row, widths, strict=True))
    texts = [cell.ljust(width) for cell, width in cells[: len(TEXTS)]]
    numbers = [cell.rjust(width) for cell, width in cells[len(TEXTS) :]]
    return f"{'  '.join(texts)} {' '.join(numbers)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
