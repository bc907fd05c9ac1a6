"""Good deliveries at a steady rate for some seconds, whatever else happens meanwhile; and what has become of all of them."""

import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import proc
from benchmarks.offering import offering
from benchmarks.system import ROOT, Failed, System
from benchmarks.verify import Sent, Spread, spread

START_S = 0.3  # from the word to begin to the first delivery
WARM_UP_S = 2.0
ANSWERS_S = 45.0  # the generator itself waits 15 s for its last answers


@dataclass(frozen=True)
class Window:
    """What was seen from `begins_at` on, for `seconds`; the warm-up before is in `sent` only."""

    name: str
    begins_at: float
    seconds: float
    sent: Sent
    cpu_s: dict[str, float]  # by group of processes
    memory_mb: dict[str, float]  # of each group's largest process, when the window ended
    elsewhere: float  # cores that were busy with other things than this

    @property
    def accept(self) -> Spread:
        """Of those answered 202, from the scheduled moment."""
        return spread([self.sent.latency[index] for index in self._chosen() if self.sent.status[index] == 202])

    @property
    def answers(self) -> dict[str, int]:
        """How often each status was answered; 0: no answer."""
        return dict(sorted(Counter(str(self.sent.status[index]) for index in self._chosen()).items()))

    @property
    def refused(self) -> int:
        """Deliveries that were not answered 202."""
        return sum(self.sent.status[index] != 202 for index in self._chosen())

    @property
    def accepted_per_s(self) -> float:
        """Answers 202 that came within the window, whenever they were asked for."""
        came = [at + took for at, took, status in self._rows() if status == 202]
        return sum(self.begins_at <= at < self.begins_at + self.seconds for at in came) / self.seconds

    @property
    def accepted(self) -> set[str]:
        """Ids of all that were answered 202, the warm-up's too."""
        return {event_id for event_id, status in zip(self.sent.ids, self.sent.status, strict=True) if status == 202}

    def _chosen(self) -> list[int]:
        ends_at = self.begins_at + self.seconds
        return [index for index, at in enumerate(self.sent.scheduled) if self.begins_at <= at < ends_at]

    def _rows(self) -> Iterator[tuple[float, float, int]]:
        return zip(self.sent.scheduled, self.sent.latency, self.sent.status, strict=True)


@dataclass
class Ledger:
    """What was accepted against what was published, over any number of windows."""

    accepted: set[str] = field(default_factory=set)
    published: set[str] = field(default_factory=set)
    messages: int = 0

    def settle(self, system: System, within_s: float) -> set[str]:
        """Wait until all that was accepted is published, or time is up: the ids that are missing then."""
        ends_at = time.monotonic() + within_s
        while True:
            taken = [event_id for event_id, _ in system.take_messages()]
            self.messages += len(taken)
            self.published.update(taken)
            missing = self.accepted - self.published
            if not missing or time.monotonic() > ends_at:
                return missing
            time.sleep(0.2)


@dataclass(frozen=True)
class Beside:
    """A process that acts at the same time: it says `ready`, waits for its moment on standard input, and ends by itself."""

    process: "subprocess.Popen[str]"

    def begin(self, at: float) -> None:
        if self.process.stdin:
            self.process.stdin.write(f"{at}\n")
            self.process.stdin.flush()

    def finish(self, within_s: float) -> None:
        """Raises Failed if it does not end, or not well."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            how = f"did not end within {within_s:g} s" if code is None else f"ended with {code}; its message is above"
            raise Failed(f"{self.process.args!r} {how}")


@contextlib.contextmanager
def beside(system: System, *command: object) -> Iterator[Beside]:
    """A process of this kind, from when it is ready to the end of the block at the latest. Raises Failed."""
    pipe = subprocess.PIPE
    words = [str(word) for word in command]
    process = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
    system.keeper.hold(process.pid)
    try:
        if not process.stdout or not process.stdout.readline().startswith("ready"):
            raise Failed(f"{words} did not start; its message is above")
        yield Beside(process)
    finally:
        process.kill()
        process.wait()
        system.keeper.release(process.pid)


def offer(
    system: System,
    name: str,
    rate: float,
    seconds: float,
    *,
    others: Sequence[Beside] = (),
    in_the_midst: Callable[[], object] | None = None,
) -> Window:
    """Good deliveries for a warm-up and then `seconds`. The others begin with the warm-up; what comes in the midst of it all
    comes when the window begins, and must return at once. Raises Failed.
    """
    with offering(system, rate, WARM_UP_S + seconds) as good:
        groups = {
            **system.groups,
            "generator": good.process.pid,
            **{f"other {one.process.pid}": one.process.pid for one in others},
        }
        start_at = time.time() + START_S
        good.begin(start_at)
        for one in others:
            one.begin(start_at)
        begins_at = start_at + WARM_UP_S
        _sleep_until(begins_at)
        cpu, busy = proc.cpu_of_groups(groups), proc.busy_s()
        if in_the_midst:
            in_the_midst()
        _sleep_until(begins_at + seconds)
        cpu_after, busy_after = proc.cpu_of_groups(groups), proc.busy_s()
        spent = {group: round(cpu_after[group] - cpu[group], 2) for group in groups}
        memory = {group: round(sizes[0], 1) for group, sizes in proc.memory_of_groups(system.groups).items() if sizes}
        elsewhere = round(max(0.0, busy_after - busy - sum(spent.values())) / seconds, 2)
        return Window(name, begins_at, seconds, good.result(ANSWERS_S), spent, memory, elsewhere)


def line(window: Window) -> str:
    """For people."""
    seen = window.accept
    return (
        f"{window.name:8}  accept p50 {seen.p50:6.1f}  p99 {seen.p99:6.1f}  most {seen.most:6.1f} ms  {told(window.answers)}"
        f"   web {window.cpu_s['web'] / window.seconds:.2f} cores, {window.memory_mb['web']:.0f} MB; "
        f"{window.elsewhere:.1f} cores elsewhere"
    )


def told(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(answers.items()))


def figures(window: Window) -> dict[str, Any]:
    """For a file."""
    seen = window.accept
    return {
        "name": window.name,
        "seconds": window.seconds,
        "accept_ms": {"p50": seen.p50, "p99": seen.p99, "most": seen.most},
        "answers": window.answers,
        "accepted_per_s": round(window.accepted_per_s, 1),
        "cpu_s": window.cpu_s,
        "memory_mb": window.memory_mb,
        "elsewhere": window.elsewhere,
    }


def times(window: Window, calm: Sequence[Window]) -> float:
    """Its p99 in those of the calm windows around it."""
    return window.accept.p99 / (sum(one.accept.p99 for one in calm) / len(calm))


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))
