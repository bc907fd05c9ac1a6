"""Self-clocking lanes on Redis: whoever finds a lane idle starts it, whoever finds it busy adds to its next batch.

A lane is a sorted set of members and a token with a lease; at most one batch of each is in flight, and its end starts the
next. All of it may be lost at any moment: what is to be done is due in the records, and the sweep pushes it again.

Lanes with a number share the events among them; a lane with a name (`@snowflake-prod`) serves one target, one with a purpose
(`@tags:atlan`) one kind of work at a catalog.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import redis

from lily.runtime import redis_pool, seal
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

WORK_TTL_S = 300
RETIRED_MAX = 64  # lanes that a smaller setting left behind and that still have to be drained
NAMED = "@"  # how the key of a named lane begins

Lane = int | str


@dataclass(frozen=True)
class Batch:
    """Members that now belong to whoever holds `token` of `lane`."""

    lane: Lane
    token: str
    members: tuple[str, ...]


def lane_of(lane_key: str) -> Lane:
    """The lane of a lane key: two hex digits, spread over as many as there are now, or the name of a lane itself."""
    return lane_key if lane_key.startswith(NAMED) else int(lane_key, 16) % settings().lanes.count


def of_target(name: str) -> str:
    """The lane key, and the lane, of a target instance."""
    return f"{NAMED}{name}"


def of_tags(catalog: str) -> str:
    """The lane key, and the lane, in which assets of a catalog wait to have their tags read."""
    return f"{NAMED}tags:{catalog}"


def of_backfills(catalog: str) -> str:
    """The lane key, and the lane, in which backfills from a catalog wait for their next page."""
    return f"{NAMED}backfills:{catalog}"


def of_badges(catalog: str) -> str:
    """The lane key, and the lane, in which incidents and assets of a catalog wait to have their badges written."""
    return f"{NAMED}badges:{catalog}"


def of_incidents() -> str:
    """The lane key, and the lane, in which incidents wait to be brought to their assets: one, for an incident may have assets
    in several catalogs. Empty without any catalog."""
    return of_badges(next(iter(settings().catalogs))) if settings().catalogs else ""


def of_downstream(catalog: str) -> str:
    """The lane key, and the lane, of what has time after a catalog's badges: assets made from those that carry one."""
    return f"{NAMED}downstream:{catalog}"


def family(lane: Lane) -> str:
    """What a lane is for: `events`, `target`, or its purpose at a catalog."""
    if isinstance(lane, int):
        return "events"
    purpose, _, name = lane[len(NAMED) :].partition(":")
    return purpose if name else "target"


def push(lane: Lane, members: Iterable[str]) -> Batch | None:
    """Add members to a lane; those already waiting stay where they are. A batch to start, if the lane was idle.

    Raises Transient while Redis does not answer; whether the members were added is then unknown, which does no harm.
    """
    score = f"{time.time():.3f}"
    scored = [text for member in members for text in (score, member)]
    return _run("push", lane, secrets.token_hex(8), scored)


def push_many(members_by_lane: Mapping[Lane, Iterable[str]]) -> list[Batch]:
    """`push` for several lanes in one exchange with Redis; the batches to start."""
    lanes = [lane for lane, members in members_by_lane.items() if members]
    score = f"{time.time():.3f}"
    tokens = [secrets.token_hex(8) for _ in lanes]
    _, sha = _script()
    try:
        pipeline = redis_pool.client().pipeline(transaction=False)
        for lane, token in zip(lanes, tokens, strict=True):
            pipeline.evalsha(sha, 2, *_arguments("push", lane, token), *[x for m in members_by_lane[lane] for x in (score, m)])
        answers = pipeline.execute(raise_on_error=False)
    except redis.RedisError as error:
        raise Transient(f"Redis: {error}") from error
    batches = []
    for lane, token, answer in zip(lanes, tokens, answers, strict=True):
        if isinstance(answer, Exception):  # the script is not there yet, say
            batch = push(lane, members_by_lane[lane])
        else:
            batch = Batch(lane, token, tuple(member.decode() for member in answer)) if answer else None
        batches += [batch] if batch else []
    return batches


def start(lane: Lane) -> Batch | None:
    """A batch to start, if the lane has members but nobody holds it: its last holder died."""
    return _run("start", lane, secrets.token_hex(8), [])


def renew(batch: Batch) -> bool:
    """Keep the lane for another lease. False: it is no longer ours; stop without writing."""
    answer = _call("renew", batch.lane, "", [batch.token])
    return bool(answer)


def done(batch: Batch) -> Batch | None:
    """End a batch. The next one to start if more members wait; None if the lane is idle now, or was no longer ours."""
    return _run("done", batch.lane, secrets.token_hex(8), [batch.token])


def release(batch: Batch) -> None:
    """Give the lane up without taking more: the next batch could not be started."""
    _call("release", batch.lane, "", [batch.token])


def depths() -> dict[Lane, int]:
    """How many members wait in each lane, retired ones included that still have some. Raises Transient."""
    lanes: list[Lane] = [*range(RETIRED_MAX), *map(of_target, settings().targets)]
    for catalog in settings().catalogs:
        lanes += [of_tags(catalog), of_backfills(catalog), of_badges(catalog), of_downstream(catalog)]
    try:
        pipeline = redis_pool.client().pipeline(transaction=False)
        for lane in lanes:
            pipeline.zcard(_key(lane, "q"))
        counts = pipeline.execute()
    except redis.RedisError as error:
        raise Transient(f"Redis: {error}") from error
    in_use = {*range(settings().lanes.count), *lanes[RETIRED_MAX:]}
    return {lane: int(n) for lane, n in zip(lanes, counts, strict=True) if n or lane in in_use}


def waiting(lane: Lane, members: Sequence[str]) -> set[str]:
    """Those of `members` that wait in the lane at this moment. Raises Transient."""
    if not members:
        return set()
    try:
        scores: Any = redis_pool.client().zmscore(_key(lane, "q"), list(members))
    except redis.RedisError as error:
        raise Transient(f"Redis: {error}") from error
    return {member for member, score in zip(members, scores, strict=True) if score is not None}


def save_work(batch: Batch, work: Any) -> None:
    """Keep a batch's working set, sealed, for its next step. Losing it costs that step a read, so a failure is no error."""
    try:
        redis_pool.client().set(_work_key(batch), seal.seal(orjson.dumps(work)), ex=WORK_TTL_S)
    except redis.RedisError:
        return


def load_work(batch: Batch) -> Any | None:
    """The working set that the step before left, or None if it is gone, or was sealed with a key that is no longer active."""
    try:
        sealed = redis_pool.client().get(_work_key(batch))
        return orjson.loads(seal.unseal(sealed)) if isinstance(sealed, bytes) else None
    except (redis.RedisError, ValueError):
        return None


def drop_work(batch: Batch) -> None:
    try:
        redis_pool.client().delete(_work_key(batch))
    except redis.RedisError:
        return


def _run(act: str, lane: Lane, token: str, arguments: Sequence[str]) -> Batch | None:
    members = _call(act, lane, token, arguments)
    return Batch(lane, token, tuple(members)) if members else None


def _call(act: str, lane: Lane, token: str, arguments: Sequence[str]) -> list[str]:
    fixed = _arguments(act, lane, token)
    try:
        client = redis_pool.client()
        text, sha = _script()
        try:
            answer = client.evalsha(sha, 2, *fixed, *arguments)
        except redis.exceptions.NoScriptError:
            answer = client.eval(text, 2, *fixed, *arguments)
    except redis.RedisError as error:
        raise Transient(f"Redis: {error}") from error
    return [member.decode() for member in answer]


def _arguments(act: str, lane: Lane, token: str) -> list[str]:
    """The script's two keys and what every act needs."""
    lanes = settings().lanes
    return [_key(lane, "q"), _key(lane, "lock"), act, token, str(int(lanes.lease_s * 1000)), str(lanes.batch_max)]


@cache
def _script() -> tuple[str, str]:
    import hashlib

    text = Path(__file__).with_name("lanes.lua").read_text()
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _key(lane: Lane, part: str) -> str:
    return f"{settings().installation}:{{lane:{lane}}}:{part}"


def _work_key(batch: Batch) -> str:
    return f"{_key(batch.lane, 'w')}:{batch.token}"


def form(batch: Batch) -> dict[str, Any]:
    """A batch as it travels in messages."""
    return {"lane": batch.lane, "token": batch.token, "members": list(batch.members)}


def from_form(values: Mapping[str, Any]) -> Batch:
    return Batch(values["lane"], values["token"], tuple(values["members"]))
