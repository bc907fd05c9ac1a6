"""What the API process may start. Names and arguments only: no task's body, and no vendor, is loaded by importing this."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from lily.runtime import lanes
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

EXPIRES_S = 300  # an order to look at a target that nobody took up by then has been followed by others
STEPS = ("ingest", "enrich", "store", "publish")
AT_CATALOGS = {  # the tasks of lanes that serve a catalog
    "tags": "read_tags",
    "backfills": "backfill",
    "badges": "update_assets",
    "downstream": "update_assets",
}


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


def wake_target(target: str, members: Iterable[str]) -> None:
    """Have a target look at rules (`q:<target>#<rule>`) and tables (`t:<target>#<table>`). As `wake`."""
    wake(lanes.of_target(target), members)


def reconcile(targets: Iterable[str]) -> None:
    """Have what is in force in these targets read back and compared, now. Raises Transient when Redis does not answer."""
    for name in targets:
        _send("reconcile", name)


def refresh_inventory(targets: Iterable[str]) -> None:
    """Have the lists of tables of these targets read, now. Raises Transient when Redis does not answer."""
    for name in targets:
        _send("refresh_inventory", name)


def read_tags_again(catalog: str, members: list[str], wait_s: float) -> None:
    """Have assets of a catalog read once more in some seconds. Haste only: they are due in the records."""
    _send_later("read_tags_again", catalog, members, wait_s)


def update_assets_again(lane_key: str, members: list[str], wait_s: float) -> None:
    """Have assets come back to their lane in some seconds. Haste only: they are due in the records."""
    _send_later("update_assets_again", lane_key, members, wait_s)


def queue_of(target: str) -> str:
    return f"target-{target}"


def start(batch: lanes.Batch) -> None:
    """Send the task of a batch that is ours. If that fails, the lane is free again and its members wait for the sweep."""
    from kombu.exceptions import OperationalError

    try:
        _work(batch).apply_async(retry=False, argsrepr="", kwargsrepr="")
    except (OperationalError, OSError) as error:
        lanes.release(batch)
        raise Transient(f"Redis: {error}") from error


def _work(batch: lanes.Batch) -> Any:
    """What a batch's lane is for: the inbound chain, a propagation in the queue of its target, or work at a catalog."""
    from celery import chain

    from tasks.celery import celery

    args = (lanes.form(batch),)
    if task := AT_CATALOGS.get(lanes.family(batch.lane)):
        return celery.signature(task, args=args)
    if isinstance(batch.lane, str):
        target = settings().targets[batch.lane[len(lanes.NAMED) :]]
        return celery.signature(f"propagate_to_{target.kind}", args=args, queue=queue_of(target.name))
    inline = len(batch.members) <= settings().lanes.inline_batch_max
    first, *following = (celery.signature(name) for name in STEPS)
    first = first.clone(args=args, kwargs={"inline": inline})
    return first if inline else chain(first, *following)


def _send(name: str, target: str) -> None:
    from kombu.exceptions import OperationalError

    from tasks.celery import celery

    try:
        celery.signature(name, args=(target,), queue=queue_of(target)).apply_async(retry=False, expires=EXPIRES_S)
    except (OperationalError, OSError) as error:
        raise Transient(f"Redis: {error}") from error


def _send_later(name: str, key: str, members: list[str], wait_s: float) -> None:
    from kombu.exceptions import OperationalError

    from tasks.celery import celery

    with suppress(OperationalError, OSError):
        celery.signature(name, args=(key, members)).apply_async(countdown=wait_s, retry=False, argsrepr="")
