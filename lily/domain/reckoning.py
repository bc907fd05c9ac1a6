"""One incident and all of a batch that concerns it: what each occurrence did, and the incident after them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lily.domain.alerts import AlertDetails
from lily.domain.copies import changed
from lily.domain.incidents import STATE_FIELDS, Change, Effect, Incident, effect, merge_claim, merge_reading, remember

UNENRICHED_MAX = 128


@dataclass(frozen=True)
class Occurrence:
    """Something that arrived: a delivery for the first time, or again. `id` is what it is published under."""

    id: str
    change: Change
    arrived_at: datetime
    is_repeat: bool = False


@dataclass(frozen=True)
class Reckoned:
    """The incident after a batch, and per occurrence its effect and the incident as it left it."""

    incident: Incident
    effects: tuple[tuple[Occurrence, Effect, Incident], ...] = ()


def differs(incident: Incident, change: Change) -> bool:
    """Whether a claim says something else about the incident's state than is known. Only then is a repeat worth a look."""
    state = {"status": incident.status, "severity": incident.severity, "owner": incident.owner}
    return any(name in STATE_FIELDS and state[name] != value for name, value in change.values.items())


def reckon(before: Incident, occurrences: Sequence[Occurrence], details: AlertDetails | None, now: datetime) -> Reckoned:
    """Merge the occurrences in order of arrival; what the source's API says counts last, with the last of them.

    An occurrence that was merged before (its batch was cut short) keeps the effect that it had then.
    """
    told = []
    incident = before
    ordered = sorted(occurrences, key=lambda occurrence: (occurrence.arrived_at, occurrence.id))
    for place, occurrence in enumerate(ordered):
        after = incident
        if not occurrence.is_repeat or differs(incident, occurrence.change):
            after = merge_claim(incident, occurrence.change, occurrence.arrived_at, occurrence.id)
        if details is not None and place == len(ordered) - 1 and incident.effect_of(occurrence.id) is None:
            after = merge_reading(after, details)
        what = incident.effect_of(occurrence.id) or effect(incident, after)
        idle = occurrence.is_repeat and what is Effect.UNCHANGED  # not told, so there is nothing to say the same of
        incident = after if idle else remember(after, occurrence.id, what)
        told.append((occurrence, what, incident))
    if details is not None and (not ordered or before.effect_of(ordered[-1].id) is not None):
        incident = _found_by_reading(incident, details)
    if incident.changed_at is None or effect(before, incident) is not Effect.UNCHANGED:
        incident = changed(incident, changed_at=now)
    return Reckoned(incident, tuple(told))


def read(incident: Incident, now: datetime, *, by_repeat: bool) -> Incident:
    """The incident once the source was asked: nothing is owed, no event waits for details any more."""
    return changed(
        incident,
        reread_at=now if by_repeat else incident.reread_at,
        reread_due_at=None,
        reread_attempts=0,
        unenriched=(),
    )


def unread(incident: Incident, waiting: Sequence[str], due_at: datetime | None) -> Incident:
    """The incident when the source could not be asked: asked again at `due_at` (None: never), `waiting` events un-enriched."""
    known = [event_id for event_id in incident.unenriched if event_id not in waiting]
    return changed(
        incident,
        reread_due_at=due_at,
        reread_attempts=incident.reread_attempts + 1,
        unenriched=tuple([*known, *waiting][-UNENRICHED_MAX:]),
    )


def may_read(incident: Incident, now: datetime, interval: timedelta) -> bool:
    """Whether a repeat may cost a call to the source: at most one per incident and interval."""
    return incident.reread_at is None or now - incident.reread_at >= interval


def _found_by_reading(before: Incident, details: AlertDetails) -> Incident:
    after = merge_reading(before, details)
    what = effect(before, after)
    if what is Effect.UNCHANGED:
        return after
    occurrence = f"{before.source}/{before.id}/v{before.sequence + 1}"
    return remember(changed(after, outbox=(*after.outbox, (occurrence, what))), occurrence, what)
