"""Incidents are brought to the assets of catalogs: which assets those are, and what each is told. No badge is written here.

What an asset shows of an incident is told by the incident as the records hold it, never by an event: an event only says that
there is something to tell. Each step can be repeated.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from lily.domain import badges, showing
from lily.domain.assets import Asset, TableRef
from lily.domain.events import Event, State
from lily.domain.incidents import Effect, Incident
from lily.domain.showing import Entry, Shown
from lily.records import assets, events, incidents, showings, unresolved
from lily.records.assets import Change
from lily.records.showings import Key, On, Showing
from lily.runtime import clock, lanes, logs, metrics, retry
from lily.runtime.errors import Transient
from lily.runtime.settings import settings
from tasks import doors, resolving
from tasks.base import ATTEMPTS_UNBOUNDED, isolate, kind_of, reason_of

log = logs.get(__name__)

SOON_S = 10.0  # what is tried again sooner waits in Celery, later in the records for the sweep
EARLY_S = 0.02  # clocks of two machines may differ
LOOK_AGAIN_S = 60.0  # a search index may be behind
WAIT_MAX_S = 60.0  # between two tries while the catalog is away: when it is back, people should soon see what is
REFUSED_S = 900.0  # until an incident is tried again with which something is wrong


@dataclass(frozen=True)
class _Aim:
    """An incident and the assets that should show it. `pending`: why it is not known of some of its tables."""

    before: Showing
    incident: Incident | None
    on: Mapping[On, Asset]
    pending: Exception | None = None


def owes_badge(event: Event) -> bool:
    """Whether an event that was published has something to tell to catalogs."""
    if event.incident_id is None or event.source in {config.source for config in settings().catalogs.values()}:
        return False
    return event.effect is not Effect.UNCHANGED or event.replays > 0


def due_of(event: Event, at: datetime) -> datetime | None:
    """When the sweep has to bring an event's incident to its assets; None where nobody looks at assets."""
    return events.sweep_at(at) if settings().catalogs and owes_badge(event) else None


def ask(keys: Collection[Key]) -> list[str]:
    """Have incidents brought to their assets for which no event does it; the members to wake. Raises Transient, Permanent."""
    return showings.ask_many(keys) if keys and settings().catalogs else []


def wake(members: Sequence[str]) -> None:
    """Start the lane in which incidents are brought to their assets. They are due in the records, so Redis may be away."""
    if not members or not settings().catalogs:
        return
    try:
        doors.wake(lanes.of_incidents(), members)
    except Transient as error:
        log.warning("lane.not_woken", reason=error.reason)


def bring(members: Sequence[str]) -> dict[str, Shown]:
    """Bring the incidents of `b:...`, `s:...` and `n:...` members to their assets, and end what they owe.

    Assets of which what is to be seen has changed, by member. Raises Transient and Permanent where the records do not answer.
    """
    told = [name[2:] for name in members if name[:2] == "b:"]
    owing = {e.id: e for e in events.load_many(told, even_expired=True).values() if e.badge_due_at and e.state is State.PUBLISHED}
    keys: set[Key] = {(event.source, event.incident_id) for event in owing.values() if event.incident_id is not None}
    keys |= {one.key for one in showings.load([name for name in members if name[:2] == "s:"]) if _is_ready(one)}
    missing = unresolved.load([name for name in members if name[:2] == "n:"]).values()
    keys |= {key for one in missing for key in one.incidents}
    changed: dict[str, Shown] = {}
    failed = isolate(sorted(keys), lambda some: changed.update(_bring(some, {one.table for one in missing})))
    _put_off(dict(failed))
    events.end_badges(list(owing))
    return changed


def _is_ready(one: Showing) -> bool:
    """What was asked for is done at once; what failed, when its time has come."""
    return one.due_at is not None and (one.failures == 0 or one.due_at <= clock.now() + timedelta(seconds=EARLY_S))


def look_again(catalog: str, gone: Sequence[Shown], now: datetime) -> None:
    """Have the incidents of assets that are gone look for their tables anew. Raises Transient and Permanent."""
    told = {key.partition("#") for shown in gone for key, entry in shown.incidents.items() if entry.incident is not None}
    keys = {(source, name) for source, _, name in told}
    if not keys:
        return
    found = incidents.load_many(sorted(keys))
    resolving.forget(catalog, {table for incident in found.values() for table in incident.affected})
    showings.ask_many(sorted(keys), now + timedelta(seconds=LOOK_AGAIN_S))


def _bring(keys: Sequence[Key], again: Collection[TableRef]) -> dict[str, Shown]:
    now = clock.now()
    found, before = incidents.load_many(keys), showings.get_many(keys)
    tables = {key: found[key].affected for key in keys if key in found and found[key].is_open}
    resolved = resolving.resolve([table for some in tables.values() for table in some], again)
    aims = [_aim(before[key], found.get(key), tables.get(key, ()), resolved) for key in keys]
    first = [replace(aim.before, on=aim.before.on | aim.on.keys()) for aim in aims]
    growing = [after for aim, after in zip(aims, first, strict=True) if after != aim.before]
    known = before | showings.save_many(growing)
    if any(known[one.key].on != one.on for one in growing):
        raise Transient("somebody else brings the same incidents to their assets")
    changed = _tell(aims, now)
    waiting: dict[TableRef, list[Key]] = defaultdict(list)
    for key, some in tables.items():
        for table in some:
            waiting[table].append(key)
    resolving.list_missing(resolved, waiting, now)
    last = [_after(known[aim.before.key], aim, now) for aim in aims]
    _again_soon(showings.save_many([after for after in last if after != known[after.key]]))  # what was asked meanwhile stays due
    _count(resolved)
    return changed


def _aim(before: Showing, incident: Incident | None, tables: Sequence[TableRef], resolved: resolving.Resolved) -> _Aim:
    there = [one for table in tables for one in resolved.assets.get(table, ())]
    pending = next((resolved.pending[table] for table in tables if table in resolved.pending), None)
    return _Aim(before, incident, {(catalog, asset.qualified_name): asset for catalog, asset in there}, pending)


def _tell(aims: Sequence[_Aim], now: datetime) -> dict[str, Shown]:
    """Assets by member: those of which what should be seen has changed."""
    wanted = {on: asset for aim in aims for on, asset in aim.on.items()}
    everywhere = {on for aim in aims for on in (*aim.on, *aim.before.on)}
    known = assets.load(assets.member(*on) for on in everywhere)
    changes: list[tuple[Shown, Change]] = []
    for aim in aims:
        for on in {*aim.on, *aim.before.on}:
            shown = known.get(assets.member(*on))
            asset = wanted.get(on) or (shown.asset if shown is not None else None)
            if asset is not None and (on in aim.on or aim.pending is None):
                changes.append((shown or Shown(on[0], asset), partial(_told, aim=aim, on=on, asset=asset, now=now)))
    after = assets.change_many(changes)
    return {name: one for name, one in after.items() if one.asked > (known[name].asked if name in known else 0)}


def _told(shown: Shown, *, aim: _Aim, on: On, asset: Asset, now: datetime) -> Shown:
    source, name = aim.before.key
    incident = aim.incident if aim.incident is not None and aim.incident.is_open and on in aim.on else None
    version = aim.incident.version if aim.incident is not None else 1 << 62
    said = badges.of_incident(incident) if incident is not None else None
    status = aim.incident.status if aim.incident is not None else ""
    there = shown if shown.asset == asset else replace(shown, asset=asset)
    return showing.tell(there, f"{source}#{name}", Entry(version, said, status), now)


def _after(known: Showing, aim: _Aim, now: datetime) -> Showing:
    if aim.pending is not None:
        return replace(_again(known, aim.pending, now), on=known.on | aim.on.keys())
    is_open = aim.incident is not None and aim.incident.is_open
    return replace(known, on=frozenset(aim.on) if is_open else frozenset(), due_at=None, failures=0, reason="")


def _again(known: Showing, error: Exception, now: datetime) -> Showing:
    due_at = now + timedelta(seconds=next_try_s(error, known.failures + 1))
    return replace(known, due_at=due_at, failures=known.failures + 1, reason=reason_of(error))


def next_try_s(error: Exception, attempt: int) -> float:
    """How long something waits for its next try: for ever again, and not long after the catalog is back."""
    decision = retry.decide(error, attempt, ATTEMPTS_UNBOUNDED)
    if not isinstance(decision, retry.Again):
        return REFUSED_S
    asked_s = error.retry_after_s or 0.0 if isinstance(error, Transient) else 0.0
    return max(asked_s, min(decision.delay_s, WAIT_MAX_S))


def _put_off(failed: Mapping[Key, Exception]) -> None:
    if not failed:
        return
    now = clock.now()
    for key, error in failed.items():
        metrics.count("lily_errors_total", where="showing", kind=kind_of(error))
        log.warning("incident.not_shown", source=key[0], incident=key[1], reason=reason_of(error))
    known = showings.get_many(failed)
    _again_soon(showings.save_many([_again(one, failed[key], now) for key, one in known.items()]))


def _again_soon(saved: Mapping[Key, Showing]) -> None:
    """Haste for those that are tried again soon; all are due in the records."""
    now = clock.now()
    for key, one in saved.items():
        if one.due_at is not None and (wait_s := (one.due_at - now).total_seconds()) < SOON_S:
            doors.update_assets_again(lanes.of_incidents(), [showings.member(key)], max(0.0, wait_s))


def _count(resolved: resolving.Resolved) -> None:
    for error in resolved.pending.values():
        metrics.count("lily_errors_total", where="resolving", kind=kind_of(error))
