"""Merge a batch into its incidents and store what became of its events. Safe to repeat: what is stored already stays."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.alerts import AlertDetails
from lily.domain.copies import changed
from lily.domain.envelope import incident_data
from lily.domain.events import Event, State, move, noted
from lily.domain.incidents import Effect, Incident
from lily.domain.reckoning import Occurrence, Reckoned, read, reckon, unread
from lily.records import events, incidents
from lily.runtime import clock, logs, retry
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings
from tasks.base import ATTEMPTS_UNBOUNDED
from tasks.enrichment import UNKNOWN
from tasks.work import Key, Work

log = logs.get(__name__)

RACES_MAX = 5
UNKNOWN_ATTEMPTS = 8  # over some minutes: a new alert may not be visible at once


def merge_incidents(work: Work, keys: Sequence[Key]) -> None:
    """Bring these incidents up to date and note in `work` what each of its events did.

    Raises Transient when DynamoDB does not answer, or another writer keeps winning.
    """
    occurrences = _occurrences(work)
    waiting = list(keys)
    for _ in range(RACES_MAX):
        stored = incidents.load_for_merge(waiting)
        reckoned = {key: _reckon(work, key, stored.get(key) or Incident(*key), occurrences[key]) for key in waiting}
        _enrich_earlier(work, stored)
        changed = {key: result for key, result in reckoned.items() if result.incident != stored.get(key)}
        answers = dict(zip(changed, incidents.save_if_unchanged([r.incident for r in changed.values()]), strict=True))
        for key, result in reckoned.items():
            answer = answers.get(key, True)
            if isinstance(answer, Exception):
                raise answer
            if answer:
                _note(work, key, result)
        waiting = [key for key, answer in answers.items() if answer is False]
        if not waiting:
            return
    raise Transient(f"incidents that others keep changing: {waiting[:3]}")


def store_events(work: Work, event_ids: Sequence[str]) -> None:
    """Write these events as stored, with what the step before noted. Raises Transient and Permanent."""
    now = clock.now()
    fresh = [event for event_id in event_ids if (event := work.events[event_id]).state is State.RECEIVED]
    for event in events.save_many([move(event, State.STORED, now) for event in fresh]):
        work.events[event.id] = event


def _occurrences(work: Work) -> Mapping[Key, list[Occurrence]]:
    by_key: dict[Key, list[Occurrence]] = defaultdict(list)
    for event in work.events.values():
        if event.change and event.incident_id is not None and event.state is State.RECEIVED:
            by_key[event.source, event.incident_id].append(Occurrence(event.id, event.change, event.received_at))
    for repeat in work.repeats.values():
        event = work.events.get(repeat.event_id) or work.originals[repeat.event_id]
        if event.change and event.incident_id is not None:
            again = Occurrence(repeat.next_occurrence, event.change, repeat.arrived_at, is_repeat=True)
            by_key[event.source, event.incident_id].append(again)
    return by_key


def _reckon(work: Work, key: Key, before: Incident, occurrences: Sequence[Occurrence]) -> Reckoned:
    now = clock.now()
    details = work.details.get(key)
    result = reckon(before, occurrences, details, now)
    fresh = [occurrence.id for occurrence in occurrences if not occurrence.is_repeat]
    if details is not None:
        by_repeat = bool(occurrences) and not fresh
        return replace(result, incident=read(result.incident, now, by_repeat=by_repeat))
    if key in work.unread:
        due_at = _ask_again_at(before, work.unread[key], now)
        return replace(result, incident=unread(result.incident, fresh, due_at))
    source = settings().sources.get(key[0])
    if result.incident.reread_due_at and (source is None or source.api is None):
        return replace(result, incident=replace(result.incident, reread_due_at=None))  # nobody is left to be asked
    return result


def _ask_again_at(incident: Incident, reason: str, now: datetime) -> datetime | None:
    """When the source is asked again: later each time, never twice within the interval.

    For ever while it does not answer; but one that answered, and does not know the alert, is not asked without end.
    """
    attempts_max = UNKNOWN_ATTEMPTS if reason == UNKNOWN else ATTEMPTS_UNBOUNDED
    decision = retry.decide(Transient(reason), incident.reread_attempts + 1, attempts_max)
    if isinstance(decision, retry.Park):
        return None
    interval = timedelta(seconds=settings().sources[incident.source].reread_interval_s)
    earliest = incident.reread_at + interval if incident.reread_at else now
    return max(now + timedelta(seconds=decision.delay_s), earliest)


def _enrich_earlier(work: Work, stored: Mapping[Key, Incident]) -> None:
    """Events that an earlier batch had to publish without details get them now; before their incident forgets them."""
    now = clock.now()
    waiting = {
        event_id: work.details[key]
        for key, incident in stored.items()
        if key in work.details
        for event_id in incident.unenriched
        if event_id not in work.events
    }
    if not waiting:
        return
    found = events.load_many(list(waiting)).values()
    later = [_enriched(event, waiting[event.id], now) for event in found]
    answers = events.save_if_unchanged(later)
    for event, answer in zip(later, answers, strict=True):
        if isinstance(answer, Transient):
            raise answer
        if isinstance(answer, Permanent):  # its own trouble; it stays as it was published
            log.error("event.not_enriched", event_id=event.id, reason=answer.reason)
    events.list_by_asset([event for event, answer in zip(later, answers, strict=True) if answer is True])


def _note(work: Work, key: Key, result: Reckoned) -> None:
    details, reason, at = work.details.get(key), work.unread.get(key), work.enriched_at or clock.now()
    for occurrence, what, incident in result.effects:
        snapshot = incident_data(incident, occurrence.id)
        if occurrence.is_repeat:
            if what is not Effect.UNCHANGED:
                work.effective[occurrence.id.partition(".")[0]] = (what, snapshot)
            continue
        event = work.events[occurrence.id]
        did: dict[str, Any] = {"effect": what, "incident": snapshot}
        if event.replays and event.incident:  # a replay tells again what was told, not today's state under an old id
            did = {}
        work.events[event.id] = _enriched(event, details, at, **did) if details else _unenriched(event, reason, at, **did)
    if result.incident.outbox:
        work.told[key] = incidents.saved(result.incident)


def _enriched(event: Event, details: AlertDetails, at: datetime, **did: Any) -> Event:
    found: dict[str, Any] = {
        "state": "done",
        "read_at": clock.iso(details.read_at),
        "alert_type": details.type,
        "sub_types": list(details.sub_types),
        "priority": details.priority,
        "owner": details.owner,
        "title": details.title,
        "url": details.url,
        "tables": [{"name": table.name, "key": table.key, "is_key_asset": table.is_key_asset} for table in details.tables],
    }
    assets = tuple(table.name for table in details.tables) or _claimed(event)
    return noted(event, at, "enriched", enrichment=found, assets=assets, **did)


def _unenriched(event: Event, reason: str | None, at: datetime, **did: Any) -> Event:
    assets = _claimed(event)
    if reason is None:
        without = {"state": "none", "reason": "the source has no API configured"}
        return changed(event, enrichment=without, assets=assets, **did)
    return noted(event, at, "not_enriched", reason, enrichment={"state": "pending", "reason": reason}, assets=assets, **did)


def _claimed(event: Event) -> tuple[str, ...]:
    return tuple(table.name for table in event.change.tables) if event.change else ()
