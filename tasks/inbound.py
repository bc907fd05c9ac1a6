"""The inbound chain on batches: ingest | enrich | store | publish. Each step looks at its lane's token before it writes.

Whatever goes wrong with one event concerns that event alone; whatever goes wrong with a whole batch leaves its events due in
the records, and the lane always ends its turn.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from connectors import registry
from lily.domain.events import Event, State, noted
from lily.records import events
from lily.runtime import clock, lanes, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings
from tasks import doors, enrichment, hints, storing, telling, work
from tasks.base import isolate, kind_of, reason_of
from tasks.celery import celery
from tasks.work import Work

log = logs.get(__name__)

Form = dict[str, Any]


@celery.task(name="ingest")
def ingest(batch: Form, inline: bool = False) -> Form:
    """Read the batch's deliveries and put them in Lily's words. `inline`: do the following steps here as well."""
    if inline:
        return _all(batch)
    return _step("ingest", batch)


@celery.task(name="enrich")
def enrich(batch: Form) -> Form:
    """Ask the sources for what their webhooks leave out."""
    return _step("enrich", batch)


@celery.task(name="store")
def store(batch: Form) -> Form:
    """Merge the batch into its incidents and store its events."""
    return _step("store", batch)


@celery.task(name="publish")
def publish(batch: Form) -> None:
    """Tell the world, write down how it ended, and hand the lane to the next batch."""
    try:
        _step("publish", batch)
    finally:
        _finish(lanes.from_form(batch))


def _all(form: Form) -> Form:
    """All steps of a batch, one after the other; each does what it does as a task of its own."""
    batch, current = lanes.from_form(form), None
    try:
        for name in doors.STEPS:
            current = _act(name, batch, current)
            if current is None:
                break
    finally:
        _finish(batch)
    return form


def _step(name: str, form: Form) -> Form:
    """One step of a batch, as a task. A batch that is no longer ours, or failed as a whole, goes on empty: its lane must end."""
    batch = lanes.from_form(form)
    if not batch.members:
        return form
    current = _act(name, batch, work.fetch(batch) if name != doors.STEPS[0] else None)
    if current is None:
        return {**form, "members": []}
    if name != doors.STEPS[-1]:
        work.keep(batch, current)
    return form


def _act(name: str, batch: lanes.Batch, current: Work | None) -> Work | None:
    """Do a step, and those before it anew if what they made is gone (`current` is None). None: the batch ends here."""
    began_at = time.monotonic()
    try:
        if not lanes.renew(batch):
            log.info("batch.overtaken", step=name, lane=batch.lane)
            return None
        if current is None:
            current = work.gather(batch.members)
            for earlier in doors.STEPS[: doors.STEPS.index(name)]:
                ACTS[earlier](current)
        ACTS[name](current)
    except Exception as error:  # the events stay due; the sweep brings them back
        log.error("batch.failed", step=name, lane=batch.lane, size=len(batch.members), reason=reason_of(error))
        metrics.count("lily_errors_total", where=name, kind=kind_of(error))
        return None
    metrics.observe("lily_step_seconds", time.monotonic() - began_at, step=name)
    metrics.observe("lily_batch_size", len(batch.members), what=name)
    return current


def _ingest(current: Work) -> None:
    _count_beginnings(current)
    failed: dict[str, Exception] = {}
    for event in [*current.events.values(), *current.originals.values()]:
        if event.change is not None:
            continue
        try:
            read = _normalised(event)
        except Exception as error:  # one delivery that cannot be read is parked, its neighbours go on
            failed[event.id] = error
            continue
        if event.id in current.events:
            current.events[event.id] = read
    _park(current, failed)
    hints.end_echoes(current)


def _count_beginnings(current: Work) -> None:
    """Write down, before it can happen again, that these were begun once more: one of them may be what kills its workers.

    Only for events that had to be swept: all others have never been cut short. Their timeline shows it too.
    """
    again = [noted(event, clock.now(), "swept", "taken up again") for event in current.events.values() if event.swept]
    suspects = [replace(event, begun=event.begun + 1) for event in again]
    for event in events.save_many(suspects) if suspects else ():
        current.events[event.id] = event


def _normalised(event: Event) -> Event:
    source = settings().sources.get(event.source)
    if source is None:
        raise Permanent(f"source {event.source} is no longer configured; add it to LILY_SOURCES and replay")
    body: Mapping[str, Any] = orjson.loads(events.body(event))
    return noted(event, clock.now(), "ingested", change=registry.source(source.kind).normalise(body))


def _store(current: Work) -> None:
    keys = {(event.source, event.incident_id) for event in current.events.values() if event.incident_id is not None}
    again = [current.events.get(event_id) or current.originals[event_id] for event_id in current.repeats]
    keys |= {(event.source, event.incident_id) for event in again if event.incident_id is not None}
    failed = dict(isolate(sorted(keys | current.rereads), lambda some: storing.merge_incidents(current, some)))
    for key, error in failed.items():
        log.error("incident.unmerged", source=key[0], incident=key[1], exc_info=error)
    unmerged = {
        event.id: failed[key] for event in current.events.values() if (key := (event.source, event.incident_id or "")) in failed
    }
    unmerged |= hints.note(current)
    fresh = [event.id for event in current.events.values() if event.state is State.RECEIVED and event.id not in unmerged]
    unstored = dict(isolate(fresh, lambda some: storing.store_events(current, some)))
    current.repeats = {name: repeat for name, repeat in current.repeats.items() if _key_of(current, name) not in failed}
    _park(current, unmerged | unstored)


def _key_of(current: Work, event_id: str) -> tuple[str, str]:
    event = current.events.get(event_id) or current.originals[event_id]
    return event.source, event.incident_id or ""


def _park(current: Work, failed: Mapping[str, Exception]) -> None:
    """Settle failed events at once and take them out of the batch. Transient ones get their next attempt."""
    if not failed:
        return
    lost = Work(events={event_id: current.events.pop(event_id) for event_id in failed if event_id in current.events})
    telling.settle_events(lost, {f"e:{event_id}": error for event_id, error in failed.items()})
    current.repeats = {event_id: repeat for event_id, repeat in current.repeats.items() if event_id not in failed}


def _finish(batch: lanes.Batch) -> None:
    """End the lane's turn, whatever became of the batch: its lease would end it otherwise, much later."""
    with suppress(Transient):
        following = lanes.done(batch)
        lanes.drop_work(batch)
        if following:
            doors.start(following)


ACTS: Mapping[str, Callable[[Work], None]] = {
    "ingest": _ingest,
    "enrich": enrichment.enrich,
    "store": _store,
    "publish": telling.publish_all,
}
