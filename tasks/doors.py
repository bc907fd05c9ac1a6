"""What the API process may start. Names and arguments only: no task's body, and no vendor, is loaded by importing this."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from lily.runtime import lanes
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

STEPS = ("ingest", "enrich", "store", "publish")


def warm() -> None:
    """Import Celery now, so that the first delivery's chain does not wait for it."""
    from tasks.celery import celery

    celery.finalize()


def wake(lane_key: str, members: Iterable[str]) -> None:
    """Hand members (`e:<event>`, ...) to their lane and start it if it is idle. Haste only: what is due is in the records.

    Raises Transient when Redis does not answer; the sweep then finds what was to be woken.
    """
    wake_many({lane_key: members})


def wake_many(members_by_lane_key: Mapping[str, Iterable[str]]) -> None:
    """`wake` for many lane keys, one push per lane."""
    by_lane: dict[lanes.Lane, list[str]] = defaultdict(list)
    for lane_key, members in members_by_lane_key.items():
        by_lane[lanes.lane_of(lane_key)] += members
    for batch in lanes.push_many(by_lane):
        start(batch)


def start(batch: lanes.Batch) -> None:
    """Send the chain of a batch that is ours. If that fails, the lane is free again and its members wait for the sweep."""
    from celery import chain
    from kombu.exceptions import OperationalError

    from tasks.celery import celery

    inline = len(batch.members) <= settings().lanes.inline_batch_max
    first, *following = (celery.signature(name) for name in STEPS)
    first = first.clone(args=(lanes.form(batch),), kwargs={"inline": inline})
    work = first if inline else chain(first, *following)
    try:
        work.apply_async(retry=False, argsrepr="", kwargsrepr="")
    except (OperationalError, OSError) as error:
        lanes.release(batch)
        raise Transient(f"Redis: {error}") from error
