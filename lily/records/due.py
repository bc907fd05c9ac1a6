"""The due index: what is still to be done, oldest first. The sweep walks it; whatever is done leaves it.

A due thing is named by its member: `e:<event>`, `r:<event>` (a repeat), `i:<source>#<incident>`, `q:<target>#<rule>` (a rule's
change asks a target), `t:<target>#<table>` (a table is to be looked at again), `w:<target>#<digest>` (a loss of protection
is to be told), `y:<catalog>#<digest>` (an asset's tags are to be read), `z:<catalog>#<id>` (a backfill is to go on),
`b:<event>` and `s:<source>#<incident>` (an incident is to be brought to its assets), `n:<catalog>#<digest>` (a table is to be
looked for in a catalog), `a:<catalog>#<digest>` (an asset's badge is to be written) or `d:<catalog>#<digest>` (so is what has
time): the names under which it travels through the lanes as well.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from lily.records.batch import Item, plain
from lily.runtime import aws
from lily.runtime.settings import settings

SHARDS = 16
KINDS = {
    "e": "event",
    "r": "repeat",
    "i": "incident",
    "q": "rule",
    "t": "table",
    "w": "weakening",
    "y": "tagging",
    "z": "backfill",
    "b": "badge",
    "s": "showing",
    "n": "unresolved",
    "a": "asset",
    "d": "downstream",
}
# The family of the lanes (`lanes.family`) that each kind is for, if not those that events share.
FAMILIES = {
    "rule": "target",
    "table": "target",
    "weakening": "target",
    "tagging": "tags",
    "backfill": "backfills",
    "badge": "badges",
    "showing": "badges",
    "unresolved": "badges",
    "asset": "badges",
    "downstream": "downstream",
}


@dataclass(frozen=True)
class Due:
    """One thing that is due: its lane, its member and since when."""

    member: str
    lane_key: str
    due_at: datetime
    sort: str


def keys(member: str, lane_key: str, at: datetime | None) -> dict[str, str | None]:
    """The two attributes that put an item into the index at `at`; with None, those that keep it out."""
    if at is None:
        return {"g2": None, "due": None}
    return {"g2": partition(member), "due": f"{millis(at):013d}#{lane_key}#{member}"}


def parked_keys(member: str, at: datetime) -> dict[str, str | None]:
    """Beside what is due: parked things, by the time at which they arrived."""
    return {"g2": partition(member, "F"), "due": f"{millis(at):013d}#{member[2:]}"}


def page(kind: str, shard: int, until: datetime, after: str | None = None, limit: int = 100) -> list[Due]:
    """Up to `limit` things of one kind and shard that are due before `until`, oldest first, after the sort key `after`.

    The index lags behind the table: read the item itself before acting on it.
    """
    answer = aws.call(
        aws.dynamodb().query,
        TableName=settings().table,
        IndexName="gs2",
        KeyConditionExpression="g2 = :g AND due BETWEEN :a AND :u",
        ExpressionAttributeValues={
            ":g": {"S": f"P#{kind}#{shard}"},
            ":a": {"S": f"{after}\x00" if after else "0"},
            ":u": {"S": f"{millis(until):013d}"},
        },
        Limit=limit,
    )
    return [_read(item) for item in answer["Items"]]


def millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def time_of(sort: str) -> datetime:
    """The time in a sort key of the index."""
    return datetime.fromtimestamp(int(sort[:13]) / 1000, UTC)


def shard(member: str) -> int:
    return hashlib.sha256(member.encode("utf-8", "surrogatepass")).digest()[0] % SHARDS


def partition(member: str, prefix: str = "P") -> str:
    """The partition of the index in which a member is."""
    return f"{prefix}#{KINDS[member[0]]}#{shard(member)}"


def _read(item: Item) -> Due:
    sort = plain(item)["due"]
    _, lane_key, member = sort.split("#", 2)
    return Due(member, lane_key, time_of(sort), sort)
