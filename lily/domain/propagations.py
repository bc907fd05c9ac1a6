"""Propagations: one version of a rule on its way to one table of one target, its states and the legal moves between them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lily.domain.inventory import TableId


class State(StrEnum):
    PENDING = "pending"
    APPLYING = "applying"
    ENFORCED = "enforced"  # attached and proven
    ATTACHED = "attached"  # attached; what readers are shown could not be proven
    FAILED = "failed"  # gave up, with a reason a person can act on
    CONFLICT = "conflict"  # somebody else's protection is where ours is wanted
    HELD = "held"  # waits for a confirmation
    DRIFTED = "drifted"  # was in force and is not any more
    SUPERSEDED = "superseded"  # a later version of the rule took its place


ENDS = frozenset({State.ENFORCED, State.ATTACHED, State.FAILED, State.CONFLICT, State.HELD})
MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPLYING, State.FAILED, State.SUPERSEDED}),
    # pending again: to be tried later, or its worker died
    State.APPLYING: ENDS | {State.PENDING, State.SUPERSEDED},
    # pending: asked for again by hand, or another rule or annotation has changed the table
    State.ENFORCED: frozenset({State.PENDING, State.DRIFTED, State.SUPERSEDED}),
    State.ATTACHED: frozenset({State.PENDING, State.ENFORCED, State.DRIFTED, State.SUPERSEDED}),
    State.FAILED: frozenset({State.PENDING, State.SUPERSEDED}),
    State.CONFLICT: frozenset({State.PENDING, State.SUPERSEDED}),
    State.HELD: frozenset({State.PENDING, State.FAILED, State.SUPERSEDED}),  # confirmed; rejected
    State.DRIFTED: frozenset({State.PENDING, State.ENFORCED, State.ATTACHED, State.SUPERSEDED}),  # repaired by others: seen again
    State.SUPERSEDED: frozenset(),
}
DUE = frozenset({State.PENDING, State.APPLYING})  # somebody still has to work on it, so it has a due time


@dataclass(frozen=True)
class Key:
    rule_id: str
    version: int
    target: str
    table: TableId


@dataclass(frozen=True)
class Propagation:
    """`attempts` are failures since it became pending for the first time or by hand. `reason` belongs to the present state."""

    key: Key
    state: State
    since: datetime
    attempts: int = 0
    reason: str = ""
    due_at: datetime | None = None
    version: int = 0  # of the stored item


class IllegalMove(ValueError):
    """A state was asked for that cannot follow the present one: a bug, never the outside's fault."""


def pending(key: Key, at: datetime, due_at: datetime) -> Propagation:
    return Propagation(key, State.PENDING, at, due_at=due_at)


def move(one: Propagation, state: State, at: datetime, reason: str = "", due_at: datetime | None = None) -> Propagation:
    """The propagation in its next state. Only states in DUE take, and need, a `due_at`.

    Raises IllegalMove where MOVES does not allow it, or a due time is missing or too much.
    """
    if state not in MOVES[one.state]:
        raise IllegalMove(f"propagation {one.key}: {one.state} cannot become {state}")
    if (due_at is not None) != (state in DUE):
        raise IllegalMove(f"propagation {one.key}: {state} {'needs a' if state in DUE else 'takes no'} due time")
    return replace(one, state=state, since=at, reason=reason, due_at=due_at)


def reach(one: Propagation, state: State, at: datetime, reason: str = "", due_at: datetime | None = None) -> Propagation:
    """The propagation in `state`, by legal moves: what was begun by somebody who died is pending and begun again on the way.

    Staying in a state renews its reason and due time and keeps `since`. Raises IllegalMove from SUPERSEDED, and to DRIFTED from
    anything that was not in force.
    """
    if one.state is state:
        return replace(one, reason=reason, due_at=due_at)
    way = one
    if state not in MOVES[way.state] and way.state is not State.PENDING:
        way = move(way, State.PENDING, at, due_at=at)
    if state not in MOVES[way.state] and state is not State.PENDING:
        way = move(way, State.APPLYING, at, due_at=at)
    return move(way, state, at, reason, due_at) if way.state is not state else replace(way, reason=reason, due_at=due_at)


def failed_once(one: Propagation, at: datetime, reason: str, due_at: datetime) -> Propagation:
    """Back to pending after an attempt that may succeed later."""
    return replace(move(one, State.PENDING, at, reason, due_at), attempts=one.attempts + 1)


def again_by_hand(one: Propagation, at: datetime, due_at: datetime) -> Propagation:
    """Pending with a clean slate, because a person asked for it."""
    return replace(move(one, State.PENDING, at, "", due_at), attempts=0)


class RuleState(StrEnum):
    """A rule's state, derived from its present version's propagations; see `overall`."""

    NOTHING_TO_DO = "nothing_to_do"  # it concerns no table
    PENDING = "pending"
    APPLYING = "applying"
    ENFORCED = "enforced"
    ATTACHED = "attached"
    PARTLY_ENFORCED = "partly_enforced"
    FAILED = "failed"
    CONFLICT = "conflict"
    HELD = "held"
    DRIFTED = "drifted"


WORST_FIRST = (
    State.FAILED,
    State.CONFLICT,
    State.DRIFTED,
    State.HELD,
    State.APPLYING,
    State.PENDING,
    State.ATTACHED,
    State.ENFORCED,
)


def overall(propagations: Iterable[State]) -> RuleState:
    """The state of a rule: `enforced` only if every table is; `partly_enforced` if some are; else the worst of them."""
    counts: Counter[State] = Counter(state for state in propagations if state is not State.SUPERSEDED)
    if not counts:
        return RuleState.NOTHING_TO_DO
    if counts[State.ENFORCED] and len(counts) > 1:
        return RuleState.PARTLY_ENFORCED
    return RuleState(next(state for state in WORST_FIRST if counts[state]).value)
