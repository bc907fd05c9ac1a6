"""The Redis client of this process, apart from Celery's own; and `attempt`, for what can do without Redis for a while."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lily.runtime import logs
from lily.runtime.settings import settings

T = TypeVar("T")

CONNECT_TIMEOUT_S = 0.5
TIMEOUT_S = 1.0
AWAY_S = 1.0  # after a failure, `attempt` leaves Redis alone for this long

log = logs.get(__name__)

# By process, so that a fork never speaks on its parent's connections; by URL, so that a test may change it. Making a client
# connects to nothing, so two threads that make one at once waste nothing, and no lock can be held across a fork.
_clients: dict[tuple[int, str], redis.Redis] = {}
_away_until: dict[tuple[int, str], float] = {}


def client() -> redis.Redis:
    """Answers in bytes. Every command ends within about 1.5 s, with a redis.RedisError if it must; nothing is tried twice."""
    key = _key()
    return _clients.get(key) or _clients.setdefault(key, _make(key[1]))


def attempt(work: Callable[[redis.Redis], T]) -> T | None:
    """What `work` returns, or None if Redis is away, full or too slow. For a second after that, None at once: while Redis
    hangs only one caller per second waits for it, and only that one finds out that it is back.
    """
    key = _key()
    away_until = _away_until.get(key, 0.0)
    if away_until:
        if time.monotonic() < away_until:
            return None
        _away_until[key] = time.monotonic() + AWAY_S  # the next caller does not wait beside this one
    try:
        value = work(client())
    except redis.RedisError as error:
        _away_until[key] = time.monotonic() + AWAY_S
        if not away_until:
            log.warning("redis.lost", reason=f"{type(error).__name__}: {error}")
        return None
    if away_until:
        _away_until.pop(key, None)
        log.info("redis.found")
    return value


def _key() -> tuple[int, str]:
    return os.getpid(), settings().redis_url


def _make(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        protocol=2,  # no pushed messages: a pooled connection that has something to read is known to be stale
        client_name=f"lily-{os.getpid()}",
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        max_connections=512,
    )
