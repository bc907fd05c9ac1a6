"""How much of the one loop long bodies may have: a small share, whoever sends them and however fast."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

SHARE = 0.05  # of the loop's thread; about 30 MB a second, or 100,000 chunks
SAVED_MAX_S = 0.02  # what is not used now may be used later, up to this: a body of 1 MiB comes in at once

Waiting = TypeVar("Waiting")


class Intake(Generic[Waiting]):
    """A budget of time, and who waits for more of it, first come, first served."""

    def __init__(
        self,
        share: float = SHARE,
        now: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        """`busy`: how long this thread has worked so far."""
        self._share = share
        self._now = now
        self._busy = busy
        self._left_s = SAVED_MAX_S
        self._filled_at = now()
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def has_room(self) -> bool:
        now = self._now()
        self._left_s = min(SAVED_MAX_S, self._left_s + (now - self._filled_at) * self._share)
        self._filled_at = now
        return self._left_s > 0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What the block costs is taken off."""
        before = self._busy()
        try:
            yield
        finally:
            self._left_s -= self._busy() - before

    def wait(self, one: Waiting) -> None:
        self._waiting.append(one)

    def next(self, count: int) -> list[Waiting]:
        """Those who may go on, `count` at most; none where there is no room yet."""
        if not self._waiting or not self.has_room():
            return []
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
