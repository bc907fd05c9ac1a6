"""Partitions of an index read together from their newest ends, merged, filtered and paged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from lily.records.batch import Item
from lily.records.due import millis
from lily.runtime import aws
from lily.runtime.settings import settings

QUERIES_MAX = 40  # of one request: a rare filter then gives a short page with a position, never a slow answer
FIRST = "0"  # at or below every key: keys begin with thirteen digits of milliseconds
LAST = "\x7f"  # above every key

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """Some things and the position after them; None: there are no more. A short page with a position is not the end."""

    items: tuple[T, ...]
    next: str | None


@dataclass(frozen=True)
class Query:
    """What all streams of a request share: bounds by time, accepted values of filter attributes, and how to load by item."""

    since: datetime | None = None
    until: datetime | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Stream:
    """One partition, read from its newest end. `seen_to`: everything above it is in `heads` or was given out; None: all was."""

    index: str
    partition: str
    sort: str = "t"
    heads: list[Item] = field(default_factory=list)
    seen_to: str | None = LAST

    @property
    def head(self) -> str:
        return str(self.heads[0][self.sort]["S"])


@dataclass(frozen=True)
class Group:
    """Streams to be merged. `floor`: no key of theirs lies below, so once they are read to their end the walk stands there."""

    streams: Sequence[Stream]
    floor: str = ""


@dataclass
class Walk:
    """Where a request stands: the key last given out, and the queries it may still make."""

    position: str
    budget: int


def find(
    groups: Sequence[Group],
    query: Query,
    limit: int,
    after: str | None,
    load: Callable[[list[Item]], list[T]],
) -> Found[T]:
    """Up to `limit` things below the position `after`, newest first; groups one after another, the streams of each merged.

    `load` turns index entries into things and leaves out what no longer matches. Raises Transient and Permanent.
    """
    found: list[T] = []
    widest = max((len(group.streams) for group in groups), default=0)
    walk = Walk(after or LAST, max(QUERIES_MAX, 2 * widest))
    for group in groups:
        ended = False
        while not ended:
            if walk.budget <= 0:
                return Found(tuple(found), walk.position)
            entries, ended = _merge(group.streams, query, limit - len(found), walk)
            found += load(entries) if entries else []
            if ended and group.floor:
                walk.position = min(walk.position, group.floor)
            if len(found) >= limit or (walk.budget <= 0 and not ended):
                return Found(tuple(found), walk.position)
    return Found(tuple(found), None)


def _merge(streams: Sequence[Stream], query: Query, limit: int, walk: Walk) -> tuple[list[Item], bool]:
    """The next entries of all streams together, and whether all streams are at their end."""
    entries: list[Item] = []
    while len(entries) < limit:
        for stream in streams:
            if not stream.heads and stream.seen_to is not None and walk.budget > 0:
                _read(stream, query, limit, min(walk.position, stream.seen_to))
                walk.budget -= 1
        unread = max((stream.seen_to for stream in streams if not stream.heads and stream.seen_to), default=FIRST)
        best = max((stream for stream in streams if stream.heads), key=lambda stream: stream.head, default=None)
        if best is not None and best.head >= unread:
            walk.position = best.head
            entries.append(best.heads.pop(0))
        elif unread == FIRST:
            return entries, True
        elif walk.budget <= 0:
            walk.position = min(walk.position, unread)
            return entries, False
    return entries, False


def _read(stream: Stream, query: Query, limit: int, below: str) -> None:
    low = f"{millis(query.since):013d}" if query.since else FIRST
    high = min(below, f"{millis(query.until):013d}") if query.until else below
    if low >= high:
        stream.seen_to = None
        return
    filters = query.filters if stream.index == "gs1" else {}
    answer = aws.call(
        aws.dynamodb().query,
        TableName=settings().table,
        IndexName=stream.index,
        KeyConditionExpression=f"g{stream.index[-1]} = :g AND {stream.sort} BETWEEN :l AND :h",
        ScanIndexForward=False,
        **_expressions({":g": stream.partition, ":l": low, ":h": _just_below(high)}, filters),
        **({} if filters else {"Limit": limit + 1}),
    )
    stream.heads = list(answer["Items"])
    last = answer.get("LastEvaluatedKey")
    stream.seen_to = last[stream.sort]["S"] if last else None


def _expressions(values: Mapping[str, str], filters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    packed = {name: {"S": value} for name, value in values.items()}
    packed |= {f":{name}{n}": {"S": value} for name, accepted in filters.items() for n, value in enumerate(accepted)}
    made: dict[str, Any] = {"ExpressionAttributeValues": packed}
    if filters:
        made["FilterExpression"] = " AND ".join(
            f"{name} IN ({', '.join(f':{name}{n}' for n in range(len(accepted)))})" for name, accepted in filters.items()
        )
    return made


def _just_below(key: str) -> str:
    """The greatest key that BETWEEN, which includes its bounds, may still give: one step down in the last character."""
    return key if key == LAST else f"{key[:-1]}{chr(ord(key[-1]) - 1)}{LAST}"
