"""The one repair path: what is due in the records and was not done goes back to its lane.

Runs as often as it likes, on as many beats as there are: pushing twice does no harm. Losing all of Redis costs no more than
the time until the next sweep.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lily.domain.events import Event
from lily.records import due, events
from lily.records.due import Due
from lily.runtime import clock, lanes, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.lanes import Lane
from lily.runtime.settings import settings
from tasks import doors, telling
from tasks.celery import celery
from tasks.work import Work

log = logs.get(__name__)

LASTS_S = 40.0  # of one run; the next one goes on
ALONE_FROM = 2  # an event that was begun this often gets a batch of its own: it may be what kills its workers
GIVE_UP_AFTER = 8


@celery.task(name="sweep")
def sweep() -> None:
    """Bring everything that is overdue back to its lane, oldest first, until nothing is due or the lanes are full."""
    ends_at = time.monotonic() + LASTS_S
    try:
        depths = lanes.depths()
        rooms = _rooms(depths)
        kinds = [(kind, rooms.get(due.FAMILIES.get(kind, "events"))) for kind in due.KINDS.values()]
        brought = sum(_sweep_kind(kind, room, ends_at) for kind, room in kinds if room)
        _start_idle(depths)
    except (Transient, Permanent) as error:
        log.warning(
            "sweep.cut_short", reason=error.reason
        )  # without Redis there is no lane to feed, without records nothing to do
        return
    if brought:
        log.info("sweep.brought", count=brought)


def _rooms(depths: Mapping[Lane, int]) -> dict[str, dict[Lane, int]]:
    """How many members each lane takes, by the lanes' families."""
    rooms: dict[str, dict[Lane, int]] = defaultdict(dict)
    for lane, depth in depths.items():
        rooms[lanes.family(lane)][lane] = settings().lanes.depth_max - depth
    return rooms


def _sweep_kind(kind: str, room: dict[Lane, int], ends_at: float) -> int:
    now, brought, oldest, waiting = clock.now(), 0, None, 0
    for shard in random.sample(range(due.SHARDS), due.SHARDS):  # so that none is always the last to get room
        if oldest and _is_full(room):  # one was asked all the same, for the gauge: they are alike
            break
        after = None
        while time.monotonic() < ends_at:
            page = due.page(kind, shard, now, after)
            if not page:
                break
            after = page[-1].sort
            waiting += len(page)
            since = _bring_back(kind, _missing([item for item in page if room.get(lanes.lane_of(item.lane_key), 0) > 0]), room)
            brought += len(since)
            oldest = min(filter(None, (oldest, page[0].due_at, *since)))
            if _is_full(room):
                break
    metrics.gauge("lily_due_oldest_seconds", (now - oldest).total_seconds() if oldest else 0.0, kind=kind)
    metrics.gauge("lily_due_count", waiting, kind=kind)
    return brought


def _is_full(room: dict[Lane, int]) -> bool:
    return all(free <= 0 for free in room.values())


def _missing(items: Sequence[Due]) -> list[Due]:
    """Without those that wait in their lanes: a backlog is late, not lost, and two more writes an event would make it later."""
    by_lane: dict[Lane, list[Due]] = defaultdict(list)
    for item in items:
        by_lane[lanes.lane_of(item.lane_key)].append(item)
    there = set[str]()
    for lane, some in by_lane.items():
        there |= lanes.waiting(lane, [f"{mark}{item.member}" for item in some for mark in ("", "!")])
    return [item for item in items if not {item.member, f"!{item.member}"} & there]


def _bring_back(kind: str, items: Sequence[Due], room: dict[Lane, int]) -> list[datetime]:
    """Push items to their lanes. Since when each of them waits: events since they arrived, however often they were swept."""
    brought = _claimed(items) if kind == "event" else [(item.member, item.lane_key, item.due_at) for item in items]
    by_key: dict[str, list[str]] = defaultdict(list)
    for member, lane_key, _ in brought:
        by_key[lane_key].append(member)
        room[lanes.lane_of(lane_key)] -= 1
    doors.wake_many(by_key)
    return [since for _, _, since in brought]


def _claimed(items: Sequence[Due]) -> list[tuple[str, str, datetime]]:
    """Members of overdue events, each due once more; those that were cut short too often are parked instead."""
    claimed = events.postpone([item.member[2:] for item in items], events.sweep_at(clock.now()))
    hopeless = [event for event in claimed if event.begun > GIVE_UP_AFTER]
    _give_up(hopeless)
    return [
        (f"{'!' if event.begun >= ALONE_FROM else ''}e:{event.id}", event.lane_key, event.received_at)
        for event in claimed
        if event not in hopeless
    ]


def _give_up(hopeless: Sequence[Event]) -> None:
    if not hopeless:
        return
    error = Permanent(f"its processing was cut short {GIVE_UP_AFTER} times; see the workers' logs, then replay it")
    stored = {event.id: replace(event, version=event.version + 1) for event in hopeless}
    telling.settle_events(Work(events=stored), {f"e:{event_id}": error for event_id in stored})


def _start_idle(known: Iterable[Lane]) -> None:
    """Lanes whose holder died, those of a larger setting before included."""
    for lane in known:
        batch = lanes.start(lane)
        if batch:
            doors.start(batch)
    for lane, depth in lanes.depths().items():
        metrics.gauge("lily_lane_depth", depth, lane=str(lane))
