"""Proof: what must be seen in a target before a table counts as enforced, and what follows from what was seen.

No evidence ever holds a value: what a reader saw is one of a few words (`shown`), decided where it was read.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lily.domain.branches import MaskSpec, Reader, readers
from lily.domain.inventory import TableId
from lily.domain.naming import Spec
from lily.domain.rules import ActionKind
from lily.domain.steps import TagEntry

CLEAR, ALL_ROWS, FILTERED_ROWS, OTHERWISE = "clear", "all_rows", "filtered_rows", "otherwise"
SHOWN = frozenset({CLEAR, ALL_ROWS, FILTERED_ROWS, OTHERWISE, *(kind.value for kind in ActionKind)})


@dataclass(frozen=True)
class Behaviour:
    """One reader and what an object must show that reader: `clear`, an action's name, `all_rows` or `filtered_rows`."""

    object: str
    reader: Reader
    shown: str


@dataclass(frozen=True)
class ExpectedObject:
    """An object with the body that must be in force, and what it must do for readers of each kind."""

    name: str
    spec: Spec
    body: str

    @property
    def behaviours(self) -> tuple[Behaviour, ...]:
        if isinstance(self.spec, MaskSpec):
            tried = readers(self.spec.branches)
            return tuple(Behaviour(self.name, reader, action.kind.value if action else CLEAR) for reader, action in tried)
        exempt = [condition.exempt for condition in self.spec.conditions]
        nobody = Behaviour(self.name, frozenset(), FILTERED_ROWS)
        if not all(exempt):
            return (nobody,)
        return (Behaviour(self.name, frozenset(min(principals) for principals in exempt), ALL_ROWS), nobody)


@dataclass(frozen=True)
class Unmet:
    """Something that is wanted of a table and that no step brings about. `code` as in Unprotected and Conflict, or `held`."""

    column: str | None
    code: str
    text: str


@dataclass(frozen=True)
class Expected:
    """All that must be seen of one table. `absent`: by column (None: the rows) what of ours must not be there any more."""

    table: TableId
    masks: Mapping[str, str] = field(default_factory=dict)  # object by column
    rows: str | None = None
    row_columns: tuple[str, ...] = ()
    objects: tuple[ExpectedObject, ...] = ()
    absent: Mapping[str | None, str] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a reader was shown: a word of SHOWN (`otherwise`: none of what an object of ours shows), or None: not tried.

    `moot`: there is no such reader, as whoever has these principals inherits others that the object asks about; `shown` is then
    what is right for all of them together, and was seen.
    """

    shown: str | None
    query_id: str = ""
    why: str = ""  # it could not be tried, or is moot
    moot: bool = False

    def __post_init__(self) -> None:
        if self.shown is not None and self.shown not in SHOWN:
            raise ValueError("evidence must be one of the words of SHOWN, never a value that was read")


@dataclass(frozen=True)
class Observed:
    """What was read back of a table. `irregular` tells, per column, what else acts on it (a second policy, not active).

    `bodies` as ActualObject.body. `behaviours` may come from a stand-in that carries the same objects; those that were not
    tried are absent.
    """

    at: datetime
    masks: Mapping[str, str] = field(default_factory=dict)
    rows: str | None = None
    row_columns: tuple[str, ...] = ()
    bodies: Mapping[str, str | None] = field(default_factory=dict)
    behaviours: Mapping[Behaviour, Seen] = field(default_factory=dict)
    irregular: Mapping[str | None, str] = field(default_factory=dict)
    query_ids: tuple[str, ...] = ()
    exists: bool = True


class Outcome(StrEnum):
    ENFORCED = "enforced"  # attached, with the right body, and every kind of reader was shown the right thing
    ATTACHED = "attached"  # attached with the right body; what readers are shown could not be tried
    FAILED = "failed"  # something else was seen than was expected, or something wanted has no protection


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    reasons: tuple[str, ...]  # empty only for ENFORCED
    at: datetime
    bodies: Mapping[str, str]  # by object, as expected
    query_ids: tuple[str, ...]


def of_rule(expected: Expected, rule_id: str, columns: Collection[str | None]) -> Expected:
    """What must be seen of a table for one rule's sake. `columns` are those that it is or was about; None: the table's rows.

    A rule answers for the masks and the row policy that it has a part in, and for what is missing or left over of its columns.
    """
    objects = tuple(thing for thing in expected.objects if rule_id in thing.spec.rules)
    names = {thing.name for thing in objects}
    has_rows = expected.rows in names
    return replace(
        expected,
        masks={column: name for column, name in expected.masks.items() if name in names},
        rows=expected.rows if has_rows else None,
        row_columns=expected.row_columns if has_rows else (),
        objects=objects,
        absent={column: name for column, name in expected.absent.items() if column in columns},
        unmet=tuple(one for one in expected.unmet if one.column in columns),
    )


def with_kept(expected: Expected, columns: Collection[str | None], before: Expected) -> Expected:
    """What must be seen, with what stays at `columns` (None: the rows) as it was `before`: held places are still protected."""
    masks = {column: name for column, name in before.masks.items() if column in columns}
    has_rows = None in columns and before.rows is not None
    names = {*masks.values(), *([before.rows] if has_rows else [])} - {thing.name for thing in expected.objects}
    return replace(
        expected,
        masks={**expected.masks, **masks},
        rows=before.rows if has_rows else expected.rows,
        row_columns=before.row_columns if has_rows else expected.row_columns,
        objects=(*expected.objects, *(thing for thing in before.objects if thing.name in names)),
    )


def untagged(wanted: frozenset[TagEntry], unset: frozenset[TagEntry], now: frozenset[TagEntry]) -> frozenset[TagEntry]:
    """Tags that are not as they were made: wanted and not there, or taken away and still there."""
    there = {(entry.column, entry.key) for entry in now}
    return frozenset(wanted - now) | frozenset(entry for entry in unset if (entry.column, entry.key) in there)


def compare(expected: Expected, observed: Observed) -> Verdict:
    """What follows from what was seen. Whatever was not seen counts against it, never for it."""
    tried = [(behaviour, observed.behaviours.get(behaviour)) for thing in expected.objects for behaviour in thing.behaviours]
    wrong = [*_structure(expected, observed), *_wrong_behaviour(tried), *(unmet.text for unmet in expected.unmet)]
    untried = [
        f"{behaviour.object}: what {_named(behaviour.reader)} is shown was not tried"
        + (f": {seen.why}" if seen and seen.why else "")
        for behaviour, seen in tried
        if seen is None or seen.shown is None
    ]
    outcome = Outcome.FAILED if wrong else Outcome.ATTACHED if untried else Outcome.ENFORCED
    ids = {seen.query_id for _, seen in tried if seen and seen.query_id} | set(observed.query_ids)
    bodies = {thing.name: thing.body for thing in expected.objects}
    return Verdict(outcome, tuple(wrong or untried), observed.at, bodies, tuple(sorted(ids)))


def _structure(expected: Expected, observed: Observed) -> Iterable[str]:
    if not observed.exists:
        return [f"{expected.table} is not there any more"]
    return [*_attachments(expected, observed), *_others(expected, observed), *_bodies(expected, observed)]


def _attachments(expected: Expected, observed: Observed) -> Iterable[str]:
    for column, name in sorted(expected.masks.items()):
        found = observed.masks.get(column)
        if found != name:
            yield f"column {column!r} carries {found or 'no mask'}, not {name}"
    found_rows, wanted_rows = (observed.rows, observed.row_columns), (expected.rows, expected.row_columns)
    if expected.rows and found_rows != wanted_rows:
        yield f"{expected.table} carries {_told(*found_rows)}, not {_told(*wanted_rows)}"


def _others(expected: Expected, observed: Observed) -> Iterable[str]:
    for column, name in expected.absent.items():
        if name == (observed.rows if column is None else observed.masks.get(column)):
            yield f"{_place(expected, column)} still carries {name}"
    for column, what in observed.irregular.items():
        if column in expected.masks or (column is None and expected.rows):
            yield f"{_place(expected, column)}: {what}"


def _bodies(expected: Expected, observed: Observed) -> Iterable[str]:
    for thing in expected.objects:
        if observed.bodies.get(thing.name) != thing.body:
            yield f"{thing.name} has another body than was written"


def _place(expected: Expected, column: str | None) -> str:
    return str(expected.table) if column is None else f"column {column!r}"


def _wrong_behaviour(tried: Iterable[tuple[Behaviour, Seen | None]]) -> Iterable[str]:
    for behaviour, seen in tried:
        if seen is not None and seen.shown is not None and seen.shown != behaviour.shown and not seen.moot:
            yield f"{behaviour.object} shows {_named(behaviour.reader)} {seen.shown}, not {behaviour.shown}"


def _named(reader: Reader) -> str:
    return "readers with " + " and ".join(f"{p.kind} {p.name}" for p in sorted(reader)) if reader else "everybody else"


def _told(policy: str | None, columns: tuple[str, ...]) -> str:
    return f"{policy} on ({', '.join(columns)})" if policy else "no row policy"
