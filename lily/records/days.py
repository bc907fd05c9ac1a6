"""The days that have events, each with the number of partitions over which its list is spread.

The number is fixed by whoever writes the day's first event, so that a changed setting takes effect the next day and no reader
misses a partition.
"""

import threading
import time

from lily.runtime import aws
from lily.runtime.settings import settings

_CACHE_S = 60.0
REGISTER_S = 0.5  # a request waits for it, once a day
_shards: dict[str, int] = {}
_all: tuple[float, dict[str, int]] = (0.0, {})
_lock = threading.Lock()


def partition(day: str, event_id: str) -> str:
    """The list partition (gs1) of an event that arrived on `day` (yyyymmdd)."""
    return f"L#{day}#{int(event_id[:4], 16) % shards(day)}"


def shards(day: str) -> int:
    """How many partitions `day` has; registers the day at its first event. One call per day and process."""
    found = _shards.get(day)
    if found is None:
        found = _register(day)
        with _lock:
            if len(_shards) > 400:
                _shards.clear()
            _shards[day] = found
    return found


def known() -> dict[str, int]:
    """All days with events, newest first, with their number of partitions. Those of other processes may be a minute late."""
    global _all  # noqa: PLW0603 - one cache per process
    read_at, days = _all
    if not days or time.monotonic() - read_at > _CACHE_S:
        days = _read()
        _all = (time.monotonic(), days)
    return dict(sorted({**days, **_shards}.items(), reverse=True))


def _register(day: str) -> int:
    wanted = settings().list_shards
    try:
        aws.call(
            aws.client("dynamodb", REGISTER_S, attempts=1).put_item,
            TableName=settings().table,
            Item={"pk": {"S": "L"}, "sk": {"S": day}, "n": {"N": str(wanted)}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except aws.ConditionFailed as lost:
        return int(lost.item["n"]["N"])
    return wanted


def _read() -> dict[str, int]:
    answer = aws.call(
        aws.dynamodb().query,
        TableName=settings().table,
        KeyConditionExpression="pk = :l",
        ExpressionAttributeValues={":l": {"S": "L"}},
        ScanIndexForward=False,
        Limit=1000,
        ConsistentRead=True,
    )
    return {item["sk"]["S"]: int(item["n"]["N"]) for item in answer["Items"]}


def forget() -> None:
    """Drop what is cached: for whoever has to see a day that another process registered just now."""
    global _all  # noqa: PLW0603 - one cache per process
    _all = (0.0, {})
    _shards.clear()
