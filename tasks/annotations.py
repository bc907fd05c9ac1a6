"""Tags of a catalog's assets become annotations: read back, put together with what events told, stated, and read again.

One batch of assets at a time for each catalog. What Atlan calls a tag is here what it is there, an id with names; rules see the
names. An asset stays due in the records until its annotation is written, with which its table is asked for.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from connectors import registry
from lily.domain import tagging
from lily.domain.assets import COLUMN_TYPE, qualified_name
from lily.domain.catalog import AssetState, Priority
from lily.domain.classifications import Annotation, Place, lost, merge, stated, withdrawn
from lily.domain.inventory import TableId
from lily.domain.tagging import Reading
from lily.records import annotations, looks, tag_names, taggings
from lily.records.taggings import Kept
from lily.runtime import clock, lanes, logs, metrics, retry
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import CatalogSettings, settings
from tasks import doors, hints
from tasks.base import ATTEMPTS_UNBOUNDED, isolate, kind_of, reason_of
from tasks.celery import celery

log = logs.get(__name__)

SOON_S = 10.0  # what has to be read again sooner waits in Celery, later in the records for the sweep
NAMELESS_MAX = 8  # readings in search of a tag's name, over some minutes
REFUSED_S = 900.0  # until an asset is tried again that the catalog refuses to show


@dataclass(frozen=True)
class Read:
    """One asset after it was read. `again_in_s`: when it is to be read next."""

    kept: Kept
    tags: frozenset[str] | None  # ids in force; None: lost
    again_in_s: float | None

    @property
    def meant(self) -> frozenset[str]:
        """The ids in force; of an asset that is lost those that it had, also by an event of which nothing was seen."""
        return self.kept.tagging.given if self.tags is None else self.tags


@celery.task(name="read_tags")
def read_tags(batch: dict[str, Any]) -> None:
    """Read the tags of a batch of assets, and state what is in force."""
    work_on(lanes.from_form(batch))


@celery.task(name="read_tags_again")
def read_tags_again(catalog: str, members: list[str]) -> None:
    """Send assets back to their lane: what was read of them did not agree with what events told."""
    hints.wake({catalog: members})


def work_on(batch: lanes.Batch) -> None:
    """One batch of a catalog's lane, and the start of the next one. Raises nothing: what was not done is still due."""
    name = str(batch.lane).partition(":")[2]
    try:
        with logs.bind(catalog=name):
            if lanes.renew(batch) and (config := settings().catalogs.get(name)):
                _read_all(config, [kept for kept in taggings.load(batch.members) if kept.due_at is not None])
    except Exception as error:
        log.error("tags.failed", catalog=name, size=len(batch.members), reason=reason_of(error))
        metrics.count("lily_errors_total", where="tags", kind=kind_of(error))
    finally:
        with suppress(Transient):  # the sweep starts the lane again
            if following := lanes.done(batch):
                doors.start(following)


def _read_all(config: CatalogSettings, waiting: Sequence[Kept]) -> None:
    failed = isolate(waiting, partial(_read_some, config))
    if not failed:
        return
    metrics.count("lily_errors_total", where="tags", kind=kind_of(failed[0][1]))
    log.warning("tags.put_off", count=len(failed), reason=reason_of(failed[0][1]))
    with suppress(Transient, Permanent):  # they stay due either way
        _state(config, [Read(kept, kept.tagging.given, None) for kept, _ in failed], clock.now(), more_only=True)
    later = [_put_off(kept, error) for kept, error in failed]
    saved = taggings.save_many(later)
    _soon_again(config, [kept for kept, is_saved in zip(later, saved, strict=True) if is_saved])


def _put_off(kept: Kept, error: Exception) -> Kept:
    """Tried again for ever: an asset that cannot be read keeps its protection, but nobody has seen what it should have."""
    decision = retry.decide(error, kept.failures + 1, ATTEMPTS_UNBOUNDED)
    wait_s = decision.delay_s if isinstance(decision, retry.Again) else REFUSED_S
    due_at = clock.now() + timedelta(seconds=wait_s)
    return replace(kept, due_at=due_at, failures=kept.failures + 1, reason=reason_of(error))


def _read_some(config: CatalogSettings, waiting: Sequence[Kept]) -> None:
    """Raises Transient and Permanent; safe to repeat."""
    began_at = clock.now()
    asked = [replace(kept.tagging.asset, type=kept.tagging.asset.type or COLUMN_TYPE) for kept in waiting]
    states = registry.catalog(config.kind).read_many(config.name, asked, priority=Priority.READ_BACK)
    read = [_after(config, kept, states.get(kept.tagging.asset.qualified_name), began_at) for kept in waiting]
    nameless = _state(config, read, began_at)
    done = [_done(one, nameless, clock.now()) for one in read]
    saved = taggings.save_many(done)
    _soon_again(config, [kept for kept, is_saved in zip(done, saved, strict=True) if is_saved])
    lost_ones, waiting_ones = sum(one.tags is None for one in read), sum(kept.due_at is not None for kept in done)
    log.info("tags.read", assets=len(read), lost=lost_ones, again=waiting_ones)


def _after(config: CatalogSettings, kept: Kept, state: AssetState | None, at: datetime) -> Read:
    reading: Reading = tagging.read(kept.tagging, state, at, config.settle_s)
    there = tuple(hints.places(state.found)) if state else ()
    return Read(replace(kept, tagging=reading.tagging, places=there or kept.places), reading.tags, reading.again_in_s)


def _done(one: Read, nameless: Collection[str], now: datetime) -> Kept:
    again_in_s, failures = one.again_in_s, 0
    if again_in_s is None and not one.meant.isdisjoint(nameless) and one.kept.failures < NAMELESS_MAX:
        again_in_s, failures = 2.0**one.kept.failures, one.kept.failures + 1
    due_at = None if again_in_s is None else now + timedelta(seconds=again_in_s)
    return replace(one.kept, due_at=due_at, failures=failures, reason="")


def _soon_again(config: CatalogSettings, read: Iterable[Kept]) -> None:
    now = clock.now()
    by_delay: dict[float, list[str]] = defaultdict(list)
    for kept in read:
        if kept.due_at is not None and (wait_s := (kept.due_at - now).total_seconds()) < SOON_S:
            by_delay[round(max(0.0, wait_s), 1)].append(taggings.member(*kept.name))
    for wait_s, members in by_delay.items():
        doors.read_tags_again(config.name, members, wait_s)


def _state(config: CatalogSettings, read: Sequence[Read], at: datetime, *, more_only: bool = False) -> Collection[str]:
    """Bring what was read into force. The ids of tags of which no name is known; they go by their ids.

    `more_only`: nothing was read, so what is in force already stays, and what events told is added to it.
    """
    words = names_of(config, frozenset().union(*(one.meant for one in read)))
    known = known_of({place for one in read for place in one.kept.places})
    stating: list[Annotation] = []
    for one in read:
        source = source_of(config.name, one.kept)
        for place in one.kept.places:
            before = known.get((place, source))
            given = frozenset(word for tag in one.meant for word in words.get(tag, (tag,)))
            if more_only or one.tags is None:
                more = stated(place, source, given, before.stated_at if before else at) if given else None
                kept = merge(before, more) if before and more else more or before
                if kept and not kept.withdrawn:
                    stating.append(kept if more_only else lost(kept, at))
            elif given:
                stating.append(stated(place, source, given, at))
            elif before and not before.withdrawn:
                stating.append(withdrawn(place, source, at))
    wake_changed(annotations.put_many(stating, None, clock.now()) if stating else [])
    return {tag for one in read for tag in one.meant if tag not in words}


def source_of(catalog: str, kept: Kept) -> str:
    """Whose word the annotation is: the catalog's for the asset that has the place's own name, for any other one that lies there
    its own. So a nested field annotates the column that it is part of, and an asset that merely says it is some column adds to
    what is known of that one, and takes nothing away.
    """
    asset, connection = kept.tagging.asset, kept.tagging.connection
    if all(asset.qualified_name == _qualified_name(connection, place) for place in kept.places):
        return catalog
    return f"{catalog} {asset.name} {taggings.member(*kept.name)[-16:]}"


def _qualified_name(connection: str, place: Place) -> str:
    parts = (place.table.database, place.table.schema, place.table.name, place.column)
    return qualified_name(connection, *(part for part in parts if part is not None))


def names_of(config: CatalogSettings, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """All names that tags ever had, by id. Where the catalog does not answer, those that it had before."""
    if not ids:
        return {}
    try:
        present = registry.catalog(config.kind).tag_names(config.name, ids)
    except (Transient, Permanent) as error:
        log.warning("tags.names_not_read", reason=error.reason)
        present = {}
    return {**tag_names.of(config.name, set(ids) - present.keys()), **tag_names.learn(config.name, present)}


def wake_changed(done: Iterable[annotations.Stated]) -> None:
    """Have targets look at the tables for which something changed: due since it was stated, so Redis may be away."""
    changed: dict[str, set[TableId]] = defaultdict(set)
    for one in done:
        if one.changed and isinstance(one.annotation.subject, Place):
            changed[one.annotation.subject.target].add(one.annotation.subject.table)
    for target, tables in changed.items():
        try:
            doors.wake_target(target, [looks.member(target, table) for table in tables])
        except Transient as error:
            log.warning("lane.not_woken", reason=error.reason)
            return


def known_of(wanted: Collection[Place]) -> Mapping[tuple[Place, str], Annotation]:
    """What is stated of the tables of these places, by place and source."""
    by_target: dict[str, set[TableId]] = defaultdict(set)
    for place in wanted:
        by_target[place.target].add(place.table)
    found: dict[tuple[Place, str], Annotation] = {}
    for target, tables in by_target.items():
        for some in annotations.of_tables(target, tables).values():
            found |= {(one.subject, one.source): one for one in some if isinstance(one.subject, Place)}
    return found
