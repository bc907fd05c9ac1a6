"""Group commit for threads: whoever finds no write in flight writes for all who wait; nobody waits for a timer.

Idle, a group is one item and nothing is added to its latency. Under load, items gather while writes are in flight, up to the
limit of a group; a full group never waits for company.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lily.runtime.errors import Transient

PATIENCE_S = 0.03  # several times what a write takes while the service is well

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass
class _Ticket(Generic[Item, Answer]):
    """One caller's place in the queue. Woken when its answer stands, or when it is to write `group` for others and itself."""

    item: Item
    came_at: float
    waits: threading.Lock = field(default_factory=_locked)  # a bare lock: an Event costs three times as much
    answer: Answer | Exception | None = None
    group: "list[_Ticket[Item, Answer]]" = field(default_factory=list)

    def wake(self) -> None:
        with suppress(RuntimeError):  # it was woken already, and has not looked yet
            self.waits.release()


class GroupCommit(Generic[Item, Answer]):
    """Gathers the items of many threads into groups for `write`, which gives each item its own answer, in order."""

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
        self._waiting: list[_Ticket[Item, Answer]] = []
        self._in_flight = 0

    def submit(self, item: Item, timeout_s: float) -> Answer:
        """The answer to `item`, once its group is written.

        Raises Transient when too many wait already, or when there is no answer in time (the item may still be written);
        what `write` raised, each of its group gets.
        """
        ticket: _Ticket[Item, Answer] = _Ticket(item, came_at=time.monotonic())
        ends_at = ticket.came_at + timeout_s
        with self._lock:
            if len(self._waiting) >= self._waiting_max:
                raise Transient(f"{len(self._waiting)} writes are waiting already", retry_after_s=1.0)
            self._waiting.append(ticket)
            group = self._take()
        if group:  # it need not hold our own ticket: those who came first go first
            self._settle(group)
        if ticket.answer is None and not ticket.waits.acquire(timeout=min(PATIENCE_S, timeout_s)):
            with self._lock:  # the writes in flight are slow: begin one more rather than wait for them or for company
                group = self._take()
            if group:
                self._settle(group)
        while ticket.answer is None:
            if ticket.group:
                group, ticket.group = ticket.group, []
                self._settle(group)
            elif not ticket.waits.acquire(timeout=max(0.0, ends_at - time.monotonic())):
                self._leave(ticket)
        if isinstance(ticket.answer, Exception):
            raise ticket.answer
        return ticket.answer

    def depth(self) -> int:
        """How many wait for a write to begin."""
        return len(self._waiting)

    def _take(self) -> list[_Ticket[Item, Answer]]:
        """The next group, if it may be written now; empty otherwise. Only under the lock.

        While one write is in flight, the next one begins with a full group only, so that groups grow with the load: one call
        for 25 costs an eighth of the CPU of 25 calls. With a slow service behind, those who have waited long go side by side.
        """
        if not self._waiting or self._in_flight == self._in_flight_max:
            return []
        is_full = len(self._waiting) >= self._group_max
        is_late = time.monotonic() - self._waiting[0].came_at > PATIENCE_S
        if self._in_flight and not (is_full or is_late):
            return []
        group, self._waiting = self._waiting[: self._group_max], self._waiting[self._group_max :]
        self._in_flight += 1
        return group

    def _settle(self, group: Sequence[_Ticket[Item, Answer]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = self._write([ticket.item for ticket in group])
        except Exception as error:
            answers = [error] * len(group)  # every waiting thread must get an answer, whatever happened
        with self._lock:
            self._in_flight -= 1
            following = self._take()
            if following:
                following[0].group = following
        for ticket, answer in zip(group, answers, strict=True):
            ticket.answer = answer
            ticket.wake()
        if following:
            following[0].wake()

    def _leave(self, ticket: _Ticket[Item, Answer]) -> None:
        """Give up a place. One that was just asked to write for others has to do so first."""
        with self._lock:
            if ticket.group or ticket.answer is not None:
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        raise Transient("the write was not confirmed in time", retry_after_s=1.0)
