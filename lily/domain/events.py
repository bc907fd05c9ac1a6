"""Events: Lily's record of a delivery, its states and the legal moves between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from lily.domain.copies import changed
from lily.domain.incidents import Change, Effect


class State(StrEnum):
    RECEIVED = "received"
    STORED = "stored"
    PUBLISHED = "published"
    PARKED = "parked"


MOVES: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.STORED, State.PARKED}),
    State.STORED: frozenset({State.PUBLISHED, State.PARKED}),
    State.PUBLISHED: frozenset({State.RECEIVED}),  # replay
    State.PARKED: frozenset({State.RECEIVED}),  # replay
}
FINAL = frozenset({State.PUBLISHED, State.PARKED})
TIMELINE_MAX = 100


@dataclass(frozen=True)
class Moment:
    """One line of an event's timeline: a state, or `ingested`, `enriched`, `not_enriched`, `retried`, `swept`, `replayed`."""

    at: datetime
    what: str
    attempt: int = 1
    note: str = ""  # why


@dataclass(frozen=True)
class Event:
    """One delivery on its way. `id` is its content address (see deliveries); `due_at` is when the sweep must look at it."""

    id: str
    source: str
    account: str
    received_at: datetime
    raw: bytes  # as it is stored, deflated if it was long; empty if it lies in parts of its own
    lane_key: str
    traceparent: str = ""
    state: State = State.RECEIVED
    change: Change | None = None  # None until ingested
    enrichment: Mapping[str, Any] = field(default_factory=dict)  # {"state": "done" | "pending" | "none", "reason", "details"}
    effect: Effect | None = None
    incident: Mapping[str, Any] = field(default_factory=dict)  # the incident as this event left it
    assets: tuple[str, ...] = ()
    attempts: int = 0  # failures so far since it arrived or was replayed
    swept: int = 0  # how often the sweep had to bring it back
    begun: int = 0  # how often, since it was swept first, a batch took it up and did not come to an end
    replays: int = 0
    reason: str = ""  # why it is parked, or why the last attempt failed
    due_at: datetime | None = None
    badge_due_at: datetime | None = None  # published, and its incident is still to be brought to its assets
    timeline: tuple[Moment, ...] = ()
    version: int = 0  # of the stored item, 0 if it was never stored; every write adds one

    @property
    def type(self) -> str | None:
        """What kind of trouble it tells of; None until it was ingested."""
        return self.change.type if self.change else None

    @property
    def incident_id(self) -> str | None:
        return self.change.incident if self.change else None

    @property
    def severity(self) -> str | None:
        return self.incident.get("severity")


class IllegalMove(ValueError):
    """A state was asked for that cannot follow the present one: a bug, never the outside's fault."""


def move(event: Event, state: State, at: datetime, note: str = "", **changes: Any) -> Event:
    """The event in its next state and with `changes`, with the move in its timeline.

    Raises IllegalMove where MOVES does not allow it.
    """
    if state not in MOVES[event.state]:
        raise IllegalMove(f"event {event.id}: {event.state} cannot become {state}")
    return noted(event, at, state.value, note, state=state, **changes)


def noted(event: Event, at: datetime, what: str, note: str = "", **changes: Any) -> Event:
    """The event with `changes` and a line more in its timeline; of a very long one the first and the latest lines stay."""
    timeline = (*event.timeline, Moment(at, what, event.attempts + 1, note))
    if len(timeline) > TIMELINE_MAX:
        timeline = timeline[:10] + timeline[-(TIMELINE_MAX - 10) :]
    return changed(event, timeline=timeline, **changes)


@dataclass(frozen=True)
class Repeat:
    """The same delivery again: counted beside its event. `due_at` stands while its claim has not been looked at."""

    event_id: str
    count: int
    arrived_at: datetime
    lane_key: str
    occurrence: int = 1  # occurrences published so far; the next one is `<event id>.<occurrence + 1>`
    attempts: int = 0
    due_at: datetime | None = None

    @property
    def next_occurrence(self) -> str:
        return f"{self.event_id}.{self.occurrence + 1}"
