"""Faults in turn: which comes when, how it is done to a running system, and which of them a second message is put down to."""

import contextlib
import os
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from benchmarks import proc
from benchmarks.system import System

IN_TURN = ("pool children", "worker-inbound", "web", "worker-io", "beat")
WORKERS = frozenset({"pool children", "worker-inbound"})
FLUSH, REDIS, AWS = "FLUSHALL", "redis stopped", "aws stopped"
ON_BATCHES = WORKERS | {FLUSH, REDIS, AWS}  # what a batch in work notices
AIM_S = 0.4  # how long a worker's killer waits for the worst moment
JUST_S = 1.0  # what was sent to something that stands still happens when it goes on: its messages come after the fault


@dataclass(frozen=True)
class Strike:
    """What is done when, in seconds from the beginning; `lasts_s` is how long something stands still."""

    at_s: float
    what: str
    lasts_s: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A strike as it was done. Seconds since the epoch."""

    what: str
    began_at: float
    ended_at: float


def plan(seconds: float, every_s: float = 1.0) -> list[Strike]:
    """A kill every `every_s`, in turn; in between Redis flushed once and stopped (10 s of 50), and AWS stopped (5 s of 50)."""
    turns = cycle(IN_TURN)
    kills = [Strike(number * every_s, next(turns)) for number in range(1, int(seconds / every_s))]
    others = [
        Strike(0.2 * seconds + every_s / 2, FLUSH),
        Strike(0.4 * seconds + every_s / 2, REDIS, min(10.0, 0.2 * seconds)),
        Strike(0.74 * seconds + every_s / 2, AWS, min(5.0, 0.1 * seconds)),
    ]
    return sorted(kills + others, key=lambda strike: strike.at_s)


class Hand:
    """Does strikes to a system, and ends those that last when their time has come."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.faults: list[Fault] = []
        self._stopped: dict[str, Fault] = {}  # by process; `ended_at` is when it shall go on

    def strike(self, strike: Strike) -> None:
        now = time.time()
        if strike.lasts_s:
            name = strike.what.partition(" ")[0]
            self._stopped[name] = Fault(strike.what, now, now + strike.lasts_s)
            self.system.send(name, signal.SIGSTOP)
            return
        if strike.what in WORKERS:
            self._await_a_message()
            now = time.time()
        if strike.what == FLUSH:
            self.system.redis().flushall()
        elif strike.what == "pool children":
            for pid in proc.children(self.system.groups["worker-inbound"]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            self.system.kill(strike.what)
            self.system.begin(strike.what)
        self.faults.append(Fault(strike.what, now, time.time()))

    def relent(self, now: float) -> None:
        """Let go on what has stood still for long enough."""
        for name, fault in list(self._stopped.items()):
            if now >= fault.ended_at:
                self.system.send(name, signal.SIGCONT)
                self.faults.append(Fault(fault.what, fault.began_at, now))
                del self._stopped[name]

    def _await_a_message(self) -> None:
        """The worst moment for a worker to die: some messages of its batch are on the bus, and no record says so yet."""
        if self.is_stopped("aws"):
            return
        before, ends_at = self.system.queue_size(), time.time() + AIM_S
        while self.system.queue_size() == before and time.time() < ends_at:
            time.sleep(0.002)

    def is_stopped(self, name: str) -> bool:
        return name in self._stopped


def put_down(first_messages: Iterable[float], faults: Iterable[Fault]) -> dict[Fault, int]:
    """For each fault that batches notice, how many of the events that were told again are put down to it.

    An event is told again if its batch was cut short between its message and the record of it: its first message comes before
    the fault, or just after one that held it up.
    """
    noticed = sorted((fault for fault in faults if fault.what in ON_BATCHES), key=lambda fault: fault.ended_at)
    ends = [fault.ended_at for fault in noticed]
    found = Counter(min(bisect_left(ends, at - JUST_S), len(ends) - 1) for at in first_messages if ends)
    return {fault: found[place] for place, fault in enumerate(noticed)}


def by_kind(told_again: Mapping[Fault, int], faults: Sequence[Fault]) -> list[tuple[str, int, int, int]]:
    """Rows: kind of fault, how often, events told again because of it, and the most for one."""
    rows = []
    for what in dict.fromkeys([*IN_TURN, FLUSH, REDIS, AWS]):
        counts = [told_again.get(fault, 0) for fault in faults if fault.what == what]
        rows.append((what, len(counts), sum(counts), max(counts, default=0)))
    return rows
