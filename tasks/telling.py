"""Publish what a batch has to tell, and write down how each message ended."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from connectors import eventbridge
from lily.domain.envelope import Entry, Message, entry, of_event, of_incident, of_repeat
from lily.domain.events import FINAL, Event, State, move, noted
from lily.domain.incidents import Incident
from lily.records import events, incidents
from lily.runtime import clock, logs, metrics, retry
from lily.runtime.errors import Transient
from lily.runtime.settings import settings
from tasks import bringing
from tasks.base import ATTEMPTS_UNBOUNDED, isolate, kind_of, reason_of
from tasks.work import Key, Work

log = logs.get(__name__)


def publish_all(work: Work) -> None:
    """Put every message of the batch on the bus, and settle its event, its repeat or its incident."""
    failures = _put(_messages(work))
    asked = bringing.ask(_without_event(work, failures))
    settle_events(work, failures)
    _settle_repeats(work, failures)
    for key, incident in work.told.items():
        _empty_outbox(key, incident, failures)
    bringing.wake([*asked, *(f"b:{event.id}" for event in work.events.values() if event.badge_due_at)])


def settle_events(work: Work, failures: Mapping[str, Exception]) -> None:
    """Write down how the batch's events ended: published, to be tried again, or parked with a reason."""
    ended = {event.id: _ended(event, failures.get(f"e:{event.id}")) for event in work.events.values()}
    unsaved = isolate(list(ended), lambda ids: work.events.update({e.id: e for e in events.save_many([ended[i] for i in ids])}))
    for event_id, error in unsaved:
        if not isinstance(error, Transient):  # such as an item that DynamoDB refuses: keep the delivery, drop what was made of it
            bare = replace(ended[event_id], enrichment={}, incident={}, assets=(), state=State.PARKED, reason=reason_of(error))
            events.save_many([bare])
    for event in ended.values():
        _record(event)


def _without_event(work: Work, failures: Mapping[str, Exception]) -> list[Key]:
    """Incidents that have something to tell to catalogs which no published event owes: written down before it is forgotten."""
    again = [work.events.get(event_id) or work.originals[event_id] for event_id in work.effective]
    again += [event for event in work.events.values() if f"e:{event.id}" in failures and bringing.owes_badge(event)]
    return [*work.told, *((event.source, event.incident_id) for event in again if event.incident_id is not None)]


def _messages(work: Work) -> dict[str, Callable[[], Message]]:
    makers: dict[str, Callable[[], Message]] = {f"e:{event.id}": partial(of_event, event) for event in work.events.values()}
    for event_id, (effect, snapshot) in work.effective.items():
        event = work.events.get(event_id) or work.originals[event_id]
        makers[f"r:{event_id}"] = partial(of_repeat, event, work.repeats[event_id], effect, snapshot)
    for key, incident in work.told.items():
        for occurrence, effect in incident.outbox:
            makers[_name_of(key, occurrence)] = partial(of_incident, incident, occurrence, effect, clock.now())
    return makers


def _put(messages: Mapping[str, Callable[[], Message]]) -> dict[str, Exception]:
    """The failed ones, by name."""
    entries: dict[str, Entry] = {}
    failures: dict[str, Exception] = {}
    for name, make in messages.items():
        try:
            entries[name] = entry(make(), settings().detail_bytes_max, settings().public_url)
        except Exception as error:  # one message that cannot be made must not hold back the others
            failures[name] = error
    outcomes = eventbridge.put(list(entries.values()))
    return failures | {name: outcome for name, outcome in zip(entries, outcomes, strict=True) if outcome is not None}


def _ended(event: Event, error: Exception | None) -> Event:
    now = clock.now()
    if error is None:
        return move(event, State.PUBLISHED, now, due_at=None, reason="", badge_due_at=bringing.due_of(event, now))
    metrics.count("lily_errors_total", where="event", kind=kind_of(error))
    if isinstance(error, Transient):
        decision = retry.decide(error, event.attempts + 1, settings().attempts_max)
        if isinstance(decision, retry.Again):
            again = {"attempts": event.attempts + 1, "swept": 0, "begun": 0, "due_at": now + timedelta(seconds=decision.delay_s)}
            return noted(event, now, "retried", error.reason, reason=error.reason, **again)
        error = Transient(decision.reason)
    return park(event, error)


def park(event: Event, error: Exception) -> Event:
    """The event given up, with its reason; it can be replayed once the cause is gone."""
    reason = reason_of(error)
    return move(event, State.PARKED, clock.now(), reason, due_at=None, reason=reason)


def _settle_repeats(work: Work, failures: Mapping[str, Exception]) -> None:
    for event_id, repeat in work.repeats.items():
        event = work.events.get(event_id) or work.originals[event_id]
        if event.change is None and event.state not in FINAL:
            continue  # its event was not read yet: both are looked at together, later
        told = repeat.occurrence + 1 if event_id in work.effective else repeat.occurrence
        settled = replace(repeat, occurrence=told, attempts=0, due_at=None)
        error = failures.get(f"r:{event_id}")
        if error is not None:
            decision = retry.decide(error, repeat.attempts + 1, ATTEMPTS_UNBOUNDED)
            wait_s = decision.delay_s if isinstance(decision, retry.Again) else None
            log.error("repeat.failed", event_id=event_id, reason=reason_of(error), attempt=repeat.attempts + 1, again_in_s=wait_s)
            due_at = None if wait_s is None else clock.now() + timedelta(seconds=wait_s)
            settled = replace(repeat, attempts=repeat.attempts + 1, due_at=due_at)
        events.settle_repeat(settled)


def _empty_outbox(key: Key, incident: Incident, failures: Mapping[str, Exception]) -> None:
    """Forget what was told, or can never be. Losing the race is fine: it is told once more, under the same id."""
    left = []
    for occurrence, effect in incident.outbox:
        error = failures.get(_name_of(key, occurrence))
        if error is not None:
            log.error("incident.untold", occurrence=occurrence, reason=reason_of(error))
        if isinstance(error, Transient):
            left.append((occurrence, effect))
    if len(left) < len(incident.outbox):
        incidents.save_if_unchanged([replace(incident, outbox=tuple(left))])


def _name_of(key: Key, occurrence: str) -> str:
    return f"i:{key[0]}:{key[1]}:{occurrence}"


def _record(event: Event) -> None:
    now = clock.now()
    took_s = (now - event.received_at).total_seconds()
    outcome = event.state.value if event.due_at is None else "retried"
    metrics.count("lily_events_total", source=event.source, outcome=outcome)
    if event.state is State.PUBLISHED and not event.replays:
        metrics.observe("lily_end_to_end_seconds", took_s)
    log.info(
        f"event.{outcome}",
        event_id=event.id,
        trace_id=event.traceparent.split("-")[1] if event.traceparent.count("-") == 3 else None,
        source=event.source,
        incident=event.incident_id,
        attempt=event.attempts + 1,
        reason=event.reason or None,
        duration_ms=round(took_s * 1000),
    )
