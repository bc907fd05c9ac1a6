"""Badges: what people see on assets of a catalog. Many assets are read and written at once, each with an outcome of its own.

An asset is due in the records until what is written on it is what should be seen there; people's announcements are theirs.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from connectors import registry
from lily.domain import showing
from lily.domain.badges import Act, Decision, Foreign
from lily.domain.catalog import AssetState, Priority
from lily.domain.showing import Shown
from lily.records import assets
from lily.runtime import clock, lanes, logs, metrics
from lily.runtime.errors import Transient
from lily.runtime.settings import CatalogSettings, settings
from tasks import bringing, doors, spreading
from tasks.base import isolate, kind_of, reason_of
from tasks.celery import celery

log = logs.get(__name__)

CALLS = 2  # of a batch: to read its assets and to write them
PACE_MAX_S = 1.0


@celery.task(name="update_assets")
def update_assets(batch: dict[str, Any]) -> None:
    """Bring incidents to their assets, and write the badges of those that have changed."""
    work_on(lanes.from_form(batch))


@celery.task(name="update_assets_again")
def update_assets_again(lane_key: str, members: list[str]) -> None:
    """Send assets back to their lane: it was too early to write them again."""
    with suppress(Transient):
        doors.wake(lane_key, members)


def work_on(batch: lanes.Batch) -> None:
    """One batch of a catalog's lane, and the start of the next one. Raises nothing: what was not done is still due."""
    name = str(batch.lane).partition(":")[2]
    try:
        with logs.bind(catalog=name):
            if lanes.renew(batch):
                _work_on(batch, name)
    except Exception as error:
        log.error("assets.failed", catalog=name, size=len(batch.members), reason=reason_of(error))
        metrics.count("lily_errors_total", where="assets", kind=kind_of(error))
    finally:
        _pace(name)
        with suppress(Transient):  # the sweep starts the lane again
            if following := lanes.done(batch):
                doors.start(following)


def _pace(catalog: str) -> None:
    """Wait for the catalog's budget before the next batch is gathered: it then takes along what comes meanwhile."""
    config = settings().catalogs.get(catalog)
    if config is not None:
        time.sleep(min(PACE_MAX_S, registry.catalog(config.kind).busy_s(catalog, CALLS)))


def _work_on(batch: lanes.Batch, catalog: str) -> None:
    names = [member.lstrip("!") for member in batch.members]
    changed = bringing.bring([name for name in names if name[:2] in ("b:", "s:", "n:")])
    known = [name for name in names if name[:2] in ("a:", "d:") and f"a{name[1:]}" not in changed]
    waiting = assets.load(known) | changed
    config = settings().catalogs.get(catalog)
    here = {name: shown for name, shown in waiting.items() if shown.catalog == catalog and config is not None}
    again_soon({name: shown for name, shown in waiting.items() if name not in here}.values(), even_now=True)
    if config is None or not lanes.renew(batch):
        return
    urgent = lanes.family(batch.lane) == "badges"
    now = clock.now()
    mine = [shown for shown in here.values() if shown.is_urgent == urgent]
    ready = [shown for shown in mine if _is_ready(shown, now)]
    again_soon([shown for shown in changed.values() if shown.catalog == catalog and shown not in ready])
    priority = Priority.BADGE if urgent else Priority.DOWNSTREAM
    written = write_all(config, [shown for shown in ready if shown.owes_write], priority)
    again_soon(written, even_now=True)
    if not urgent:
        again_soon(spread_all(config, [shown for shown in ready if not shown.owes_write]), even_now=True)


def write_all(config: CatalogSettings, waiting: Sequence[Shown], priority: Priority) -> list[Shown]:
    """Write what should be seen on these assets; as they are then. What fails is put off, each asset alone."""
    done: dict[str, Shown] = {}
    failed = isolate(waiting, lambda some: done.update(_write(config, some, priority)))
    done.update(put_off_all({assets.member_of(shown): (shown, error) for shown, error in failed}))
    return list(done.values())


def spread_all(config: CatalogSettings, waiting: Sequence[Shown]) -> list[Shown]:
    """Tell the assets made from these, and show their incidents. What fails is put off, each asset alone."""
    failed = {assets.member_of(shown): (shown, error) for shown, error in isolate(waiting, partial(_show_incidents, config))}
    done = list[Shown]()
    for shown in waiting:
        if assets.member_of(shown) in failed:
            continue
        try:
            done += spreading.spread(config, shown)
        except Exception as error:
            failed[assets.member_of(shown)] = (shown, error)
    return done + list(put_off_all(failed).values())


def _show_incidents(config: CatalogSettings, waiting: Sequence[Shown]) -> None:
    """Raises Transient and Permanent where the records do not answer; what the catalog refuses is told again with a change."""
    if found := spreading.incidents_of(config, waiting):
        registry.catalog(config.kind).write_many(config.name, [], found, priority=Priority.DOWNSTREAM)


def put_off_all(failed: Mapping[str, tuple[Shown, Exception]]) -> dict[str, Shown]:
    """Tried again for ever: what is shown has to become right, however long the catalog is away."""
    if not failed:
        return {}
    now = clock.now()
    for shown, error in failed.values():
        metrics.count("lily_errors_total", where="asset", kind=kind_of(error))
        log.warning("asset.put_off", asset=shown.asset.qualified_name, failures=shown.failures + 1, reason=reason_of(error))
    return assets.change_many([(shown, partial(_put_off, error=error, now=now)) for shown, error in failed.values()])


def again_soon(read: Iterable[Shown], *, even_now: bool = False) -> None:
    """Have assets come back to their lanes when they may be touched: haste only, they are due in the records."""
    now = clock.now()
    by_lane: dict[tuple[str, float], list[str]] = {}
    for shown in read:
        if shown.due_at is None:
            continue
        wait_s = (shown.due_at - now).total_seconds()
        if wait_s >= bringing.SOON_S or (wait_s <= 0 and not even_now):
            continue
        lane_key, member = assets.waits_as(shown)
        by_lane.setdefault((lane_key, max(0.0, round(wait_s + 0.005, 2))), []).append(member)
    for (lane_key, wait_s), members in by_lane.items():
        with suppress(Transient):
            if wait_s > 0:
                doors.update_assets_again(lane_key, members, wait_s)
            else:
                doors.wake(lane_key, members)


def _is_ready(shown: Shown, now: datetime) -> bool:
    return shown.due_at is not None and shown.due_at <= now + timedelta(seconds=bringing.EARLY_S)


def _write(config: CatalogSettings, waiting: Sequence[Shown], priority: Priority) -> dict[str, Shown]:
    """Raises Transient and Permanent; safe to repeat."""
    connector = registry.catalog(config.kind)
    states = connector.read_many(config.name, [shown.asset for shown in waiting], priority=priority)
    there, gone = dict[str, tuple[Shown, AssetState]](), list[Shown]()
    for shown in waiting:
        state = states.get(shown.asset.qualified_name)
        if state is not None and state.is_active:
            there[assets.member_of(shown)] = (replace(shown, asset=state.asset), state)  # another one of that name, it may be
        else:
            gone.append(shown)
    done = _lose(gone)
    foreign = cast(Foreign, config.foreign_announcements)
    decided = {name: showing.decide(shown, state.announcement, foreign) for name, (shown, state) in there.items()}
    prepared = assets.change_many(
        [(shown, partial(showing.prepare, decision=decided[name])) for name, (shown, _) in there.items()]
    )
    now = clock.now()
    writes = [showing.write_of(shown, decided[name], now) for name, (shown, _) in there.items()]
    failures = connector.write_many(config.name, writes, priority=priority)
    failed: dict[str, tuple[Shown, Exception]] = {}
    ended: list[tuple[Shown, assets.Change]] = []
    for name, (shown, state) in there.items():
        if (error := failures.get(shown.asset.qualified_name)) is not None:
            failed[name] = (prepared[name], error)
        else:
            change = partial(
                showing.written, number=shown.asked, decision=decided[name], found=state.announcement, at=clock.now()
            )
            ended.append((prepared[name], change))
            _measure(config.name, shown, decided[name], now)
    return done | assets.change_many(ended) | put_off_all(failed)


def _put_off(shown: Shown, *, error: Exception, now: datetime) -> Shown:
    due_at = now + timedelta(seconds=bringing.next_try_s(error, shown.failures + 1))
    return showing.put_off(shown, due_at, reason_of(error))


def _lose(gone: Sequence[Shown]) -> dict[str, Shown]:
    """Assets that were archived or purged. Their incidents look for their tables again a little later: they may be made anew."""
    if not gone:
        return {}
    now = clock.now()
    for shown in gone:
        log.warning("asset.gone", asset=shown.asset.qualified_name)
        metrics.count("lily_assets_written_total", catalog=shown.catalog, outcome="gone")
    done = assets.change_many([(shown, partial(showing.lost, at=now)) for shown in gone])
    bringing.look_again(gone[0].catalog, gone, now)
    return done


def _measure(catalog: str, shown: Shown, decision: Decision, now: datetime) -> None:
    outcome = "kept" if decision.act is Act.KEEP else "written"
    metrics.count("lily_assets_written_total", catalog=catalog, outcome=outcome)
    if shown.due_at is not None:
        metrics.observe("lily_asset_seconds", max(0.0, (now - shown.due_at).total_seconds()), catalog=catalog)
    log.info("asset.written", asset=shown.asset.qualified_name, act=decision.act.value, incidents=len(shown.open_incidents))
