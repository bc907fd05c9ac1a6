"""Backfills and the periodic re-reading: a page after the other, each written down, so that killing a worker costs one page.

A page only ever adds protection. Whatever would take some away is read once more from the catalog's store (tasks.annotations).
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors import registry
from lily.domain import assets, backfills
from lily.domain.assets import COLUMN_TYPE, TABLE_TYPES, Asset
from lily.domain.backfills import Backfill, Phase, State
from lily.domain.catalog import AssetState, Priority
from lily.domain.classifications import Annotation, Place, lost, stated
from lily.records import annotations, tag_names, taggings
from lily.records import backfills as records
from lily.records.taggings import Tip
from lily.runtime import clock, lanes, logs, metrics, retry
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import CatalogSettings, TargetSettings, settings
from tasks import doors, hints
from tasks.annotations import known_of, names_of, wake_changed
from tasks.base import ATTEMPTS_UNBOUNDED, kind_of, reason_of
from tasks.celery import celery

log = logs.get(__name__)

LASTS_S = 20.0  # of one task; the next one goes on
PAGE = 100  # of hits, and of annotations that are compared with the store
EVERY_TABLE_TYPE = ("Table", "View", *sorted(TABLE_TYPES - {"Table", "View"}))
SCHEDULE = "schedule"
Words = Mapping[str, Sequence[str]]


@celery.task(name="backfill")
def backfill(batch: dict[str, Any]) -> None:
    """Go on with backfills for some seconds."""
    work_on(lanes.from_form(batch))


@celery.task(name="reread_tags")
def reread_tags(catalog: str) -> None:
    """Begin to read all tags of a catalog again, unless that is still going on from the last time."""
    for connection in sorted({one.catalog_connection for one in settings().targets.values() if one.catalog_connection}):
        try:
            begin(catalog, connection, by=SCHEDULE, backfill_id=f"0-{catalog}-{connection.replace('/', '-')}")
        except (Transient, Permanent) as error:
            log.warning("backfill.not_begun", catalog=catalog, connection=connection, reason=error.reason)


def begin(catalog: str, connection: str, *, by: str, backfill_id: str) -> Backfill | None:
    now = clock.now()
    new = Backfill(backfill_id, catalog, connection, "", (), dry_run=False, by=by, started_at=now)
    started = records.start(new, now)
    if started is not None:
        with suppress(Transient):
            doors.wake(lanes.of_backfills(catalog), [records.member(started)])
    return started


def work_on(batch: lanes.Batch) -> None:
    """A turn for each backfill of the batch. Raises nothing: what is not finished is still due."""
    ends_at = time.monotonic() + LASTS_S
    again: list[str] = []
    try:
        running = [one for one in records.load(batch.members) if one.state is State.RUNNING]
        while running and time.monotonic() < ends_at and lanes.renew(batch):
            running = [after for one in running if (after := _turn(one)) is not None]
        again = [records.member(one) for one in running]
    except Exception as error:
        log.error("backfill.failed", lane=batch.lane, reason=reason_of(error))
        metrics.count("lily_errors_total", where="backfill", kind=kind_of(error))
    finally:
        with suppress(Transient):
            if again:
                lanes.push(batch.lane, again)
            if following := lanes.done(batch):
                doors.start(following)


def _turn(one: Backfill) -> Backfill | None:
    """One page. None: it has ended, waits for another attempt, or somebody else is at it."""
    now = clock.now()
    try:
        config = _config(one.catalog)
        after = _search(config, one) if one.phase is Phase.SEARCH else _check(config, one)
    except Exception as error:
        _put_off(one, error)
        return None
    if after.state is State.DONE:
        records.save(replace(after, due_at=None, progress_at=now, ended_at=clock.now()))
        log.info("backfill.done", id=one.id, seen=after.seen, stated=after.stated, asked=after.asked, checked=after.checked)
        return None
    return records.save(replace(after, progress_at=now, due_at=clock.now() + timedelta(seconds=settings().sweep_after_s)))


def _config(catalog: str) -> CatalogSettings:
    if catalog not in settings().catalogs:
        raise Permanent(f"catalog {catalog} is no longer configured; add it to LILY_CATALOGS")
    return settings().catalogs[catalog]


def _put_off(one: Backfill, error: Exception) -> None:
    decision = retry.decide(error, one.failures + 1, ATTEMPTS_UNBOUNDED)
    reason = reason_of(error)
    log.warning("backfill.put_off", id=one.id, reason=reason, attempt=one.failures + 1)
    metrics.count("lily_errors_total", where="backfill", kind=kind_of(error))
    if isinstance(decision, retry.Park):
        records.save(replace(one, state=State.FAILED, reason=reason, due_at=None, ended_at=clock.now()))
        return
    due_at = clock.now() + timedelta(seconds=decision.delay_s)
    records.save(replace(one, failures=one.failures + 1, reason=reason, due_at=due_at))


def _search(config: CatalogSettings, one: Backfill) -> Backfill:
    """A page of what the catalog's search shows as tagged. Raises Transient and Permanent."""
    catalog, began_at = registry.catalog(config.kind), clock.now()
    all_tags = catalog.tags(config.name)
    wanted = {name.casefold() for name in one.tags}
    ids = [tag for tag, name in all_tags.items() if not wanted or name.casefold() in wanted]
    if one.cursor is None:
        tag_names.learn(config.name, all_tags)  # a tag is told by its id, and its name may be asked for when nobody answers
    page = catalog.tagged(config.name, one.connection, ids, one.cursor, size=PAGE)
    words = names_of(config, frozenset().union(*(state.tags for state in page.states)))
    by_place = _placed(one, page.states)
    known = known_of([place for _, place in by_place])
    counts: Counter[str] = Counter()
    stating: list[Annotation] = []
    asking: list[Tip] = []
    for state, place in by_place:
        before = known.get((place, config.name))
        given = frozenset(word for tag in state.tags for word in words.get(tag, (tag,)))
        if before is None or not given <= before.classifications:
            at = before.stated_at if before else began_at  # of one time all classifications count, so this only adds
            stating.append(stated(place, config.name, given, at))
        if before is not None and (before.is_lost or not before.classifications <= given):
            asking.append(Tip(config.name, one.connection, state.asset, places=(place,)))
    counts.update(seen=len(page.states), elsewhere=len(page.states) - len({state.asset for state, _ in by_place}))
    counts.update(stated=len(stating), asked=len(asking))
    if not one.dry_run:
        wake_changed(annotations.put_many(stating, None, clock.now()) if stating else [])
        _ask(config, asking)
    return replace(backfills.moved(_counted(one, counts), page.next), about=max(one.about, page.about))


def _check(config: CatalogSettings, one: Backfill) -> Backfill:
    """A page of what is annotated, compared with the store. Raises Transient and Permanent."""
    targets = [target for target in settings().targets.values() if target.catalog_connection == one.connection]
    name, _, cursor = (one.cursor or (targets[0].name if targets else "")).partition("#")
    at = next((number for number, target in enumerate(targets) if target.name == name), None)
    if at is None:
        return backfills.moved(one, None)
    page = annotations.page(targets[at].name, PAGE, cursor or None)
    ours = [known for known in page.items if known.source == config.name and known.classifications]
    asked = {known.subject: known for known in ours if isinstance(known.subject, Place) and one.means(known.subject)}
    counts = Counter(checked=len(asked))
    if asked:
        counts.update(asked=_compare(config, one, targets[at], asked))
    if page.next is not None:
        return backfills.moved(_counted(one, counts), f"{targets[at].name}#{page.next}")
    following = targets[at + 1].name if at + 1 < len(targets) else None
    return backfills.moved(_counted(one, counts), following)


def _compare(config: CatalogSettings, one: Backfill, target: TargetSettings, known: Mapping[Place, Annotation]) -> int:
    """Have those read once more of which the store shows something else than is in force; how many."""
    names = {place: _qualified_name(one.connection, place) for place in known}
    states = _stored(config, {names[place]: place.column is not None for place in known})
    words = names_of(config, frozenset().union(*(state.tags for state in states.values())))
    now, asking, gone = clock.now(), list[Tip](), list[Annotation]()
    for place, before in known.items():
        state = states.get(names[place])
        given = frozenset(word for tag in (state.tags if state else ()) for word in words.get(tag, (tag,)))
        is_there = state is not None and state.is_active
        if before.is_lost != is_there and (not is_there or given == before.classifications):
            continue
        if state is None and not before.is_lost:
            gone.append(lost(before, now))
        asset = state.asset if state else Asset(names[place], COLUMN_TYPE if place.column is not None else "Table", "", "")
        if state is not None:
            asking.append(Tip(config.name, one.connection, asset, places=(place,)))
    if not one.dry_run:
        if gone:
            log.info("annotations.lost", target=target.name, count=len(gone))
            annotations.put_many(gone, None, now)
        _ask(config, asking)
    return len(asking)


def _stored(config: CatalogSettings, is_column: Mapping[str, bool]) -> dict[str, AssetState]:
    """By qualified name what the store holds. Of tables the type is not known: the likely ones are tried one after the other."""
    catalog = registry.catalog(config.kind)
    columns = [Asset(name, COLUMN_TYPE, "", "") for name, is_one in is_column.items() if is_one]
    states = catalog.read_many(config.name, columns, priority=Priority.BACKFILL) if columns else {}
    left = [name for name, is_one in is_column.items() if not is_one]
    for kind in EVERY_TABLE_TYPE if left else ():
        found = catalog.read_many(config.name, [Asset(name, kind, "", "") for name in left], priority=Priority.BACKFILL)
        states |= found
        left = [name for name in left if name not in found]
        if not left:
            break
    return states


def _placed(one: Backfill, states: Iterable[AssetState]) -> list[tuple[AssetState, Place]]:
    """Where assets lie in targets. Nested fields are left to the store: they share the place of their column."""
    return [
        (state, place)
        for state in states
        if not state.found.parent_column
        for place in hints.places(state.found)
        if one.means(place)
    ]


def _qualified_name(connection: str, place: Place) -> str:
    parts = [place.table.database, place.table.schema, place.table.name]
    return assets.qualified_name(connection, *parts, *([place.column] if place.column is not None else []))


def _ask(config: CatalogSettings, tips: Sequence[Tip]) -> None:
    """Have assets read from the store. They are due in the records, so Redis may be away."""
    if not tips:
        return
    asked = taggings.ask_many(tips, clock.now())
    hints.wake({config.name: [taggings.member(*kept.name) for kept in asked]})


def _counted(one: Backfill, counts: Mapping[str, int]) -> Backfill:
    return replace(one, **{name: getattr(one, name) + count for name, count in counts.items()})
