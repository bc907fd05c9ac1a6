"""Group commit: whoever finds no write in flight writes for all who wait; no thread waits.

Idle, a group is one item, written by whoever brings it, and nothing is added to its latency. Under load, items gather while
writes are in flight, up to the limit of a group; a full group never waits for company.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lily.runtime.errors import Transient

PATIENCE_S = 0.03  # several times what a write takes while the service is well
GATHERS_S = 0.022  # under load: what a write costs is shared by more
LOADED_FROM = 4  # so many came while one write was in flight
LOOKS_EVERY_S = 0.005
OVERLOADED_S = 0.5  # whoever comes while another has waited this long is turned away: it would wait longer still

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Place(Generic[Item, Answer]):
    """An item in the queue, and what its bringer looks at."""

    item: Item
    came_at: float
    ends_at: float
    future: "Future[Answer]" = field(default_factory=Future)


class GroupCommit(Generic[Item, Answer]):
    """Gathers items into groups for `write`, which gives each item its own answer, in order."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Answer]],
        group_max: int = 25,
        in_flight_max: int = 4,
        waiting_max: int = 2000,
    ) -> None:
        self._write = write
        self._group_max = group_max
        self._in_flight_max = in_flight_max
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._waiting: deque[_Place[Item, Answer]] = deque()
        self._in_flight = 0
        self._is_loaded = False
        self._some = threading.Event()  # somebody waits
        self._writers = ThreadPoolExecutor(in_flight_max, "group-commit")
        threading.Thread(target=self._watch, name="group-commit-watch", daemon=True).start()

    def submit(self, item: Item, timeout_s: float) -> "Future[Answer]":
        """The answer to `item`, once its group is written; the caller may find itself writing it.

        The future fails with Transient if the write has not begun within `timeout_s` (it never will then); what `write`
        raises, each of its group gets. Raises Transient when those before wait too long already.
        """
        now = time.monotonic()
        place: _Place[Item, Answer] = _Place(item, now, now + timeout_s)
        with self._lock:
            if len(self._waiting) >= self._waiting_max or (self._waiting and now - self._waiting[0].came_at > OVERLOADED_S):
                raise Transient(f"{len(self._waiting)} writes are waiting already", retry_after_s=1.0)
            self._waiting.append(place)
            group = self._take(now)
            is_alone = self._in_flight == 1
        if group and is_alone:  # it need not hold our own item: those who came first go first
            self._settle(group)
        elif group:
            self._writers.submit(self._settle, group)  # whoever brings many should not be held up by them all
        else:
            self._some.set()
        return place.future

    def depth(self) -> int:
        """How many wait for a write to begin."""
        return len(self._waiting)

    def _take(self, now: float) -> list[_Place[Item, Answer]]:
        """The next group, if it may be written now; empty otherwise. Only under the lock.

        While one write is in flight, the next one begins with a full group only, so that groups grow with the load: one call
        for 25 costs an eighth of the CPU of 25 calls. With a fast service behind, writes are over before enough have come: then
        those who come under load wait a moment for more. With a slow one, those who have waited long go side by side.
        """
        if not self._waiting or self._in_flight == self._in_flight_max:
            return []
        is_full = len(self._waiting) >= self._group_max
        is_late = now - self._waiting[0].came_at > PATIENCE_S
        if self._in_flight and not (is_full or is_late):
            return []
        if self._is_loaded and not (is_full or now - self._waiting[0].came_at > GATHERS_S):
            return []
        self._in_flight += 1
        group = [self._waiting.popleft() for _ in range(min(self._group_max, len(self._waiting)))]
        self._is_loaded = len(group) >= LOADED_FROM
        return group

    def _settle(self, group: Sequence[_Place[Item, Answer]]) -> None:
        answers: Sequence[Answer] = ()
        failure: Exception | None = None
        try:
            answers = self._write([place.item for place in group])
        except Exception as error:  # everybody must get an answer, whatever happened
            failure = error
        with self._lock:
            self._in_flight -= 1
            following = self._take(time.monotonic())
        if following:
            self._writers.submit(self._settle, following)  # before the answers: what they set off takes time
        if failure is not None:
            for place in group:
                place.future.set_exception(failure)
            return
        for place, answer in zip(group, answers, strict=True):
            place.future.set_result(answer)

    def _watch(self) -> None:
        """Begin one more write where those in flight are slow, and send away whose time is over."""
        while True:
            self._some.wait()
            time.sleep(LOOKS_EVERY_S)
            now = time.monotonic()
            with self._lock:
                over = []
                while self._waiting and self._waiting[0].ends_at <= now:
                    over.append(self._waiting.popleft())
                group = self._take(now)
                if not self._waiting:
                    self._some.clear()
            if group:
                self._writers.submit(self._settle, group)
            for place in over:
                place.future.set_exception(Transient("no write could begin in time", retry_after_s=1.0))
