"""What follows from what was seen after a plan ran, for a table and for each rule at it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.contracts import Done
from lily.domain import proofs
from lily.domain.inventory import TableId
from lily.domain.plan import TablePlan
from lily.domain.proofs import Behaviour, Expected, Observed, Outcome, Seen, Verdict
from lily.domain.propagations import State
from lily.domain.steps import TagEntry
from lily.runtime.errors import Transient
from tasks.applying import Applied
from tasks.base import reason_of
from tasks.planning import Picture

CONFLICTS = frozenset({"foreign", "other_installation", "inherited", "obstacle"})
STATES = {Outcome.ENFORCED: State.ENFORCED, Outcome.ATTACHED: State.ATTACHED, Outcome.FAILED: State.FAILED}


@dataclass(frozen=True)
class Round:
    """A plan that was carried out, and what was seen afterwards. `untagged`: tags that are not as they should be."""

    picture: Picture
    applied: Applied
    observed: Mapping[TableId, Observed]
    untagged: Mapping[TableId, frozenset[TagEntry]]


@dataclass(frozen=True)
class Finding:
    """One rule at one table, or the table as a whole: what was expected, seen, and follows."""

    state: State
    reasons: tuple[str, ...]
    verdict: Verdict | None
    expected: Expected


def part(table: TablePlan, rule: str, picture: Picture) -> Expected:
    """What must be seen for one rule: of the columns that it is about now, and those that it was about when last proven."""
    want = picture.wanted.tables[table.table.id]
    columns: set[str | None] = {column for column, spec in want.masks.items() if rule in spec.rules}
    columns |= {entry.site.column for entry in want.unprotected if rule in entry.rules}
    if want.rows and rule in want.rows.rules:
        columns.add(None)
    state = picture.states.get(table.table.id)
    if state is not None:
        names = {thing.name for thing in state.expected.objects if rule in thing.spec.rules}
        columns |= {column for column, name in state.expected.masks.items() if name in names}
        if state.expected.rows in names:
            columns.add(None)
    return proofs.of_rule(table.expected, rule, columns)


def find(table: TablePlan, done: Round, expected: Expected, rule: str | None = None) -> Finding:
    """What follows for a rule, or for the table as a whole. What was seen decides, whatever went wrong on the way."""
    name = table.table.id
    observed = done.observed.get(name)
    errors = done.applied.errors.get(name, [])
    if observed is None:
        return Finding(State.PENDING, ("it could not be read back",), None, expected)
    verdict = proofs.compare(expected, observed)
    state, reasons = STATES[verdict.outcome], verdict.reasons
    untagged = done.untagged.get(name, frozenset())
    if untagged and (rule is None or _tags_of(rule, name, done.picture, untagged) & untagged):
        told_of = sorted(untagged, key=lambda entry: (entry.column or "", entry.key))
        state = State.FAILED
        reasons += tuple(f"tag {entry.key} of {entry.column or name} is not as it should be" for entry in told_of)
    if state is not State.FAILED:
        return Finding(state, reasons, verdict, expected)
    told = tuple(dict.fromkeys(reason_of(error) for error in errors))
    if any(isinstance(error, Transient) for error in errors):
        state = State.PENDING
    elif codes := {unmet.code for unmet in expected.unmet}:
        state = State.CONFLICT if codes & CONFLICTS else State.HELD if codes == {"held"} else State.FAILED
        if state is State.HELD and done.picture.rejected_by:
            state, told = State.FAILED, (f"{done.picture.rejected_by} rejected that so much protection goes at once",)
    return Finding(state, (*told, *reasons), verdict, expected)


def _tags_of(rule: str, name: TableId, picture: Picture, untagged: frozenset[TagEntry]) -> frozenset[TagEntry]:
    """Tags of the columns that a rule is about; a rule that only tags has no others, one that goes all unwanted."""
    want = picture.wanted.tables[name]
    if rule not in want.rules:
        return untagged - want.tags
    masked = {column for column, spec in want.masks.items() if rule in spec.rules}
    return frozenset(entry for entry in want.tags if entry.column in masked or not masked)


def ran(expected: Expected, table: TablePlan, done: Round) -> list[str]:
    """The statements that ran for what is expected: of its objects and of the table."""
    names = [*(thing.name for thing in expected.objects), *dict.fromkeys(expected.absent.values())]
    shared: Iterable[Done] = (one for name in dict.fromkeys(names) for one in done.applied.shared.get(name, ()))
    return [one.statement for one in (*shared, *done.applied.statements.get(table.table.id, ()))]


def proof(found: Finding, done: Round) -> Mapping[str, Any] | None:
    """The evidence as plain data: what was seen by whom, under which query ids; never a value."""
    if found.verdict is None:
        return None
    verdict, shown = found.verdict, done.applied.shown
    return {
        "outcome": verdict.outcome.value,
        "at": verdict.at.isoformat(),
        "bodies": dict(verdict.bodies),
        "query_ids": list(verdict.query_ids),
        "behaviours": [
            _behaviour(behaviour, shown[behaviour])
            for thing in found.expected.objects
            for behaviour in thing.behaviours
            if behaviour in shown
        ],
    }


def _behaviour(behaviour: Behaviour, seen: Seen) -> dict[str, Any]:
    return {
        "object": behaviour.object,
        "reader": [f"{principal.kind} {principal.name}" for principal in sorted(behaviour.reader)],
        "expected": behaviour.shown,
        "seen": seen.shown,
        "query_id": seen.query_id,
    }
