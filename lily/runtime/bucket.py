"""Token buckets shared by all processes, in Redis: how often Lily may call somebody.

While Redis is away each process has a bucket of its own with a quarter of the rate: slower, but never a flood.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lily.runtime import redis_pool
from lily.runtime.settings import settings

LOCAL_SHARE = 0.25
LOCAL_BUCKETS_MAX = 10_000


def take(name: str, n: float, capacity: float, per_second: float, *, reserve: float = 0.0) -> float:
    """0.0 if `n` tokens were taken from the bucket `name`, else the seconds until they could be, if nobody else comes first.

    A bucket holds at most `capacity` and is full at first. Nothing is taken unless all `n` are, and `reserve` tokens stay for
    those who come with a smaller reserve: that is how the one who matters most never waits for the others.
    """
    if not (0 < n <= capacity - reserve and reserve >= 0) or per_second <= 0:
        raise ValueError(f"bucket {name!r}: {n} of {capacity} tokens at {per_second}/s can never be taken")
    waits = redis_pool.attempt(lambda client: client.eval(_script("take"), 1, _name(name), n, capacity, per_second, reserve))
    if isinstance(waits, bytes):
        return float(waits)
    share = max(capacity * LOCAL_SHARE, n)
    return _local.take(name, n, share, per_second * LOCAL_SHARE, min(reserve * LOCAL_SHARE, share - n))


def pause(name: str, seconds: float, capacity: float, per_second: float) -> None:
    """Nobody takes from the bucket for that long; then it fills from empty. A longer pause that is under way stays."""
    _local.pause(name, seconds)
    redis_pool.attempt(lambda client: client.eval(_script("pause"), 1, _name(name), seconds, capacity, per_second))


@dataclass
class _Local:
    """The buckets of this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: dict[str, tuple[float, float]] = field(default_factory=dict)  # name -> tokens, when

    def take(self, name: str, n: float, capacity: float, per_second: float, reserve: float) -> float:
        with self.lock:
            now = time.monotonic()
            tokens, at = self.kept.pop(name, (capacity, now))
            tokens = min(capacity, tokens + max(0.0, now - at) * per_second)
            taken = tokens >= n + reserve
            self.kept[name] = (tokens - n if taken else tokens, max(now, at))
            if len(self.kept) > LOCAL_BUCKETS_MAX:
                del self.kept[next(iter(self.kept))]  # the one that was used the longest ago
        return 0.0 if taken else (n + reserve - tokens) / per_second + max(0.0, at - now)

    def pause(self, name: str, seconds: float) -> None:
        with self.lock:
            ends = time.monotonic() + seconds
            _, at = self.kept.get(name, (0.0, 0.0))
            self.kept[name] = (0.0, max(at, ends))


_local = _Local()


def _start_anew() -> None:
    global _local  # noqa: PLW0603 - in the child of a fork the lock may be held by a thread that is not there
    _local = _Local()


os.register_at_fork(after_in_child=_start_anew)


@cache
def _script(act: str) -> str:
    return Path(__file__).with_name(f"bucket_{act}.lua").read_text()


def _name(name: str) -> str:
    return f"lily:bucket:{settings().installation}:{name}"
