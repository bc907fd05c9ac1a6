"""Atlan's REST API: one call, within one deadline and the budget of all processes.

Sources: solutions.atlan.com, developer.atlan.com; the limits are those of the vendor's page (400 calls a minute for the whole
tenant) and of its metastore, which counts by the header `x-atlan-agent-id`. Headers that begin with `x-atlan-` come back in
the events that a call causes, so Lily knows its own.
"""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lily.domain.catalog import Priority
from lily.runtime import bucket, logs, outgoing
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import CatalogSettings, settings

AGENT_ID = "lily"
# Of a minute's calls this part may go at once, the others evenly: together never more than the limit in any minute, and of 400
# fewer than the 20 at once that the metastore takes at most addresses.
BURST = 0.04
RESERVES = {Priority.BADGE: 0.0, Priority.READ_BACK: 0.15, Priority.DOWNSTREAM: 0.4, Priority.BACKFILL: 0.6}  # of the burst
NEXT_TO_NOTHING = 1e-6  # of a call: the bucket tells the wait only to who wants something
TRIES_MAX = 3
UNAUTHORIZED, FORBIDDEN = 401, 403
NEW_RIGHTS_S = 60.0  # fresh tokens and policies take a while: a 403 may pass

log = logs.get(__name__)

# (instance, what was asked) -> `time.monotonic` of the first 403 since it was last answered otherwise; the oldest are dropped.
_refused_since: dict[tuple[str, str], float] = {}
REFUSED_MAX = 1_000


@dataclass(frozen=True)
class Call:
    """What the requests of one reading or writing share: whose they are, and until when (`time.monotonic`) they may take."""

    api: CatalogSettings
    priority: Priority
    deadline: float

    def left_s(self) -> float:
        return self.deadline - time.monotonic()


def begin(instance: str, priority: Priority, timeout_s: float | None = None) -> Call:
    """Raises Permanent for an instance that is not configured."""
    api = settings().catalogs.get(instance)
    if api is None:
        raise Permanent(f"catalog {instance!r} is not configured; add it to LILY_CATALOGS")
    return Call(api, priority, time.monotonic() + min(api.timeout_s, timeout_s or api.timeout_s))


def get(call: Call, path: str) -> Any:
    """What `path` under /api/meta shows. Raises Transient, and Permanent with the status of a refusal."""
    return _answer(
        call,
        path.partition("?")[0],
        lambda headers, left_s: outgoing.get_json(_url(call, path), headers=headers, **_rest(call, left_s)),
    )


def post(call: Call, path: str, body: Any, *, about: str = "") -> Any:
    """What `path` answers to `body`. Only for what is safe to repeat. Raises as `get`. `about`: what may be forbidden in it."""
    where = f"{path.partition('?')[0]} {about}"
    return _answer(
        call, where, lambda headers, left_s: outgoing.post_json(_url(call, path), body, headers=headers, **_rest(call, left_s))
    )


def busy_s(instance: str, calls: int) -> float:
    """Seconds until the budget has room for so many calls of the highest priority. Nothing is taken from it."""
    api = settings().catalogs.get(instance)
    if api is None:
        return 0.0
    name, capacity, per_second = _budget(api)
    return bucket.take(name, NEXT_TO_NOTHING, capacity, per_second, reserve=min(calls, capacity - 1) - NEXT_TO_NOTHING)


def warm(name: str) -> None:
    """Make what the first call to a catalog of that name, or with a source of that name, would wait for. Connects to nothing."""
    for api in settings().catalogs.values():
        if name in (api.name, api.source):
            outgoing.warm(api.url)


def _answer(call: Call, where: str, send: Callable[[dict[str, str], float], Any]) -> Any:
    """A failure that came fast enough gets another try within the deadline; the pause that it asked for holds for all."""
    for attempt in range(1, TRIES_MAX + 1):
        _spend_one(call)
        try:
            answer = send(_headers(call), max(0.001, call.left_s()))
        except Transient as error:
            if error.status == 429:
                _pause(call.api, error.retry_after_s if error.retry_after_s is not None else call.api.block_s)
            wait_s = max(error.retry_after_s or 0.0, random.uniform(0, 0.05) * 2**attempt)
            if attempt == TRIES_MAX or wait_s > call.left_s() / 2:
                raise
            if error.status != 429:  # else the budget makes it wait
                time.sleep(wait_s)
        except Permanent as error:
            raise _refusal(call.api, where, error) from error
        else:
            _refused_since.pop((call.api.name, where), None)
            return answer
    raise AssertionError("the last try returns or raises")


def _spend_one(call: Call) -> None:
    """Take a call from the budget, waiting for it if the deadline allows. Raises Transient."""
    name, capacity, per_second = _budget(call.api)
    while True:
        wait_s = bucket.take(name, 1, capacity, per_second, reserve=RESERVES[call.priority] * (capacity - 1))
        if wait_s <= 0:
            return
        if wait_s >= call.left_s():
            reason = f"{call.api.name}: the budget of {call.api.calls_per_minute} calls a minute is used up for now"
            raise Transient(reason, retry_after_s=wait_s)
        time.sleep(wait_s + random.uniform(0, 0.01))


def _pause(api: CatalogSettings, seconds: float) -> None:
    name, capacity, per_second = _budget(api)
    bucket.pause(name, min(seconds, 600.0), capacity, per_second)
    log.warning("catalog.paused", catalog=api.name, seconds=seconds)


def _budget(api: CatalogSettings) -> tuple[str, float, float]:
    return f"catalog:{api.name}", max(1.0, BURST * api.calls_per_minute), (1 - BURST) * api.calls_per_minute / 60


def _refusal(api: CatalogSettings, where: str, error: Permanent) -> Transient | Permanent:
    if error.status == UNAUTHORIZED:
        variable = f"LILY_CATALOG_{api.name.upper().replace('-', '_')}_TOKEN"
        return Permanent(f"{error.reason}; the token is not valid, set {variable}", error.status)
    if error.status != FORBIDDEN:
        return error
    since = _refused_since.setdefault((api.name, where), time.monotonic())
    for oldest in list(_refused_since)[:-REFUSED_MAX]:
        _refused_since.pop(oldest, None)
    if time.monotonic() - since < NEW_RIGHTS_S:
        return Transient(error.reason, retry_after_s=5.0, status=error.status)
    return Permanent(f"{error.reason}; give the token's persona the right to do this", error.status)


def _headers(call: Call) -> dict[str, str]:
    return {
        "authorization": f"Bearer {call.api.token.reveal()}",
        "x-atlan-agent-id": AGENT_ID,
        "x-atlan-request-id": str(uuid.uuid4()),
    }


def _url(call: Call, path: str) -> str:
    return f"{call.api.url}/api/meta/{path}"


def _rest(call: Call, left_s: float) -> dict[str, Any]:
    return {"timeout_s": left_s, "name": call.api.name}
