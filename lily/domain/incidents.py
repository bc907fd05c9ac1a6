"""Incidents: what a source says is wrong, put together from claims (webhooks) and readings (its API) in any order.

A reading is the state of the alert; of two, the one with the later time at the source counts. A claim counts only while no
reading began after it arrived; of two claims about one field, the later arrival counts. Neither order of processing nor
repetition changes the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lily.domain.alerts import AlertDetails
from lily.domain.assets import TableRef
from lily.domain.copies import changed

OPEN_STATUSES = frozenset({"open", "acknowledged", "work_in_progress"})
CLOSED_STATUSES = frozenset({"fixed", "expected", "no_action_needed", "false_positive"})
STATUSES = OPEN_STATUSES | CLOSED_STATUSES
STATE_FIELDS = ("status", "severity", "owner")  # what claims may change after a reading
TABLES_MAX = 100  # of those that webhooks name; an item holds 400 KB
REMEMBERED_EFFECTS = 128  # more than the largest batch, so that a repeat after a kill finds what its first run did


class Effect(StrEnum):
    """What an event did to its incident."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One claim about an incident, as a source's payload makes it. Values that are absent claim nothing; None is a claim."""

    incident: str | None  # None: the payload names no incident
    type: str  # "anomaly", "custom_rule_anomaly", ... or "unknown"
    action: str  # "opened", "acknowledged", "status_updated", "owner_changed", "marked", "unmarked", "resolved", "unknown"
    values: Mapping[str, str | None] = field(default_factory=dict)  # of STATE_FIELDS, "title", "url"
    tables: tuple[TableRef, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claimed value with its stamp: time of arrival, then event id, so that no two are equal."""

    value: str | None
    arrived_at: datetime
    event_id: str

    @property
    def stamp(self) -> tuple[datetime, str]:
        return self.arrived_at, self.event_id


@dataclass(frozen=True)
class Incident:
    source: str
    id: str
    reading: AlertDetails | None = None
    read_at: datetime | None = None  # the latest reading's beginning: claims that arrived before it are settled
    claims: Mapping[str, Claim] = field(default_factory=dict)
    type: str = "unknown"
    tables: tuple[TableRef, ...] = ()  # claimed ones; see `affected`
    effects: tuple[tuple[str, Effect, int], ...] = ()  # newest last: occurrence id, what it did, its place in the sequence
    sequence: int = 0  # occurrences merged so far; the next message about this incident has a higher number
    opened_at: datetime | None = None  # arrival of the first claim
    changed_at: datetime | None = None
    reread_at: datetime | None = None  # when a repeat last cost a call to the source
    reread_due_at: datetime | None = None  # the state is not settled: ask the source (again) at this time
    reread_attempts: int = 0
    unenriched: tuple[str, ...] = ()  # events that wait for the details of a later reading
    outbox: tuple[tuple[str, Effect], ...] = ()  # changes found by a re-read that are still to be published
    version: int = 0

    @property
    def exists(self) -> bool:
        return self.opened_at is not None

    @property
    def status(self) -> str:
        return self._state("status") or "open"

    @property
    def severity(self) -> str | None:
        return self._state("severity")

    @property
    def owner(self) -> str | None:
        return self._state("owner")

    @property
    def title(self) -> str | None:
        return (self.reading and self.reading.title) or self._claimed("title")

    @property
    def url(self) -> str | None:
        return (self.reading and self.reading.url) or self._claimed("url")

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def affected(self) -> tuple[TableRef, ...]:
        """The exact tables of the reading; those that webhooks claimed only where no reading names any."""
        return self.reading.tables if self.reading and self.reading.tables else self.tables

    @property
    def order(self) -> str:
        """`source` where the source's own state settles this incident, `arrival` where claims in order of arrival do."""
        return "source" if self.reading and not any(name in self.claims for name in STATE_FIELDS) else "arrival"

    def effect_of(self, occurrence: str) -> Effect | None:
        """What `occurrence` did when it was merged first, or None if it was not, or long ago."""
        return next((what for name, what, _ in self.effects if name == occurrence), None)

    def place_of(self, occurrence: str) -> int:
        """The number under which `occurrence` is told: grows from message to message, the same at a repetition."""
        return next((place for name, _, place in self.effects if name == occurrence), self.sequence)

    def _state(self, name: str) -> str | None:
        if name in self.claims:
            return self.claims[name].value
        return getattr(self.reading, name) if self.reading else None

    def _claimed(self, name: str) -> str | None:
        return self.claims[name].value if name in self.claims else None


def merge_claim(incident: Incident, change: Change, arrived_at: datetime, event_id: str) -> Incident:
    """The incident after one claim. A claim that a reading has settled, or that a later one has overtaken, changes nothing."""
    claims = dict(incident.claims)
    for name, value in change.values.items():
        claim = Claim(value, arrived_at, event_id)
        settled = name in STATE_FIELDS and incident.read_at is not None and arrived_at <= incident.read_at
        if not settled and (name not in claims or claim.stamp > claims[name].stamp):
            claims[name] = claim
    known = {table.name for table in incident.tables}
    tables = incident.tables + tuple(table for table in change.tables if table.name not in known)
    first = incident.opened_at is None or arrived_at < incident.opened_at
    return changed(
        incident,
        claims=claims,
        tables=tuple(sorted(tables, key=lambda table: table.name)[:TABLES_MAX]),
        type=change.type if incident.type == "unknown" else min(incident.type, change.type, key=_type_rank),
        opened_at=arrived_at if first else incident.opened_at,
    )


def merge_reading(incident: Incident, details: AlertDetails) -> Incident:
    """The incident after one reading. Every claim that arrived before the reading began is settled by it."""
    read_at = max(filter(None, (incident.read_at, details.read_at)))
    newer = incident.reading is None or _reading_stamp(details) > _reading_stamp(incident.reading)
    claims = {name: claim for name, claim in incident.claims.items() if name not in STATE_FIELDS or claim.arrived_at > read_at}
    return changed(incident, reading=details if newer else incident.reading, read_at=read_at, claims=claims)


def effect(before: Incident, after: Incident) -> Effect:
    """What lies between two states, in a subscriber's words."""
    if not before.exists:
        return Effect.OPENED if after.is_open else Effect.RESOLVED
    if before.is_open != after.is_open:
        return Effect.REOPENED if after.is_open else Effect.RESOLVED
    return Effect.UPDATED if _visible(before) != _visible(after) else Effect.UNCHANGED


def remember(incident: Incident, occurrence: str, what: Effect) -> Incident:
    """Keep what `occurrence` did, so that its repetition after a crash says the same."""
    if incident.effect_of(occurrence) is not None:
        return incident
    place = incident.sequence + 1
    return changed(incident, sequence=place, effects=(*incident.effects, (occurrence, what, place))[-REMEMBERED_EFFECTS:])


def _visible(incident: Incident) -> tuple[object, ...]:
    return (
        incident.status,
        incident.severity,
        incident.owner,
        incident.title,
        tuple(sorted(table.name for table in incident.affected)),
    )


def _reading_stamp(details: AlertDetails) -> tuple[object, ...]:
    return (details.updated_at, details.read_at, repr(details))


def _type_rank(name: str) -> tuple[bool, str]:
    return (name == "unknown", name)
