"""Redis away, full and hanging under a steady load: accept must not feel it, and nothing may be lost."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.promises import FOLDER, Progress, Promise, settings
from benchmarks.system import ROOT, System, running
from benchmarks.windows import Ledger, Window, figures, line, offer, times
from sandbox.redis_server import MEMORY_MAX

STANDIN_PYTHON = ROOT / ".venv-sandbox" / "bin" / "python"
RATE = 50.0
TIMES_MAX = 2.0  # p99 of accept, in calm windows' p99
SETTLED_S = 90.0
SWIFT = {"LILY_LEASE_S": "5", "LILY_SWEEP_AFTER_S": "6", "LILY_SWEEP_EVERY_S": "2"}  # so that nobody waits for repairs


@dataclass(frozen=True)
class Outage:
    """`begin` returns at once; `end` makes Redis well again."""

    name: str
    begin: Callable[[System], object]
    end: Callable[[System], object]


@dataclass(frozen=True)
class Trial:
    """An outage: its window, the calm ones around it, what was not published afterwards and how long that took."""

    name: str
    window: Window
    calm: tuple[Window, Window]
    missing: frozenset[str]
    settled_s: float

    @property
    def times(self) -> float:
        return times(self.window, self.calm)


def away(system: System) -> None:
    system.kill("redis")


def back(system: System) -> None:
    """Another Redis, empty, on the same port."""
    system._launch("redis", f"{STANDIN_PYTHON} -m sandbox.redis_server --port {system.ports['redis']}")


def fill(system: System) -> None:
    """Every write is refused from here on: the policy is noeviction."""
    system.redis().config_set("maxmemory", "1")


def empty(system: System) -> None:
    system.redis().config_set("maxmemory", MEMORY_MAX)


OUTAGES = (
    Outage("away", away, back),
    Outage("full", fill, empty),
    Outage("hanging", lambda system: system.send("redis", signal.SIGSTOP), lambda system: system.send("redis", signal.SIGCONT)),
)


def trials(seconds: float, names: set[str], progress: Progress) -> Iterator[Trial]:
    """One after the other in one system. Raises Failed."""
    with running("lily", FOLDER / "outages", {**SWIFT, **settings()}) as system:
        offer(system, "first", RATE, 1)  # what every process does once, at its first event
        ledger = Ledger()
        calm = _calm(system, ledger, seconds, progress)
        for outage in OUTAGES:
            if outage.name not in names:
                continue
            progress.now(f"Redis {outage.name}")
            window = offer(system, outage.name, RATE, seconds, in_the_midst=partial(outage.begin, system))
            outage.end(system)
            began_at = time.monotonic()
            progress.now(f"Redis {outage.name}: until all is published")
            ledger.accepted |= window.accepted
            missing = ledger.settle(system, SETTLED_S)
            took_s = time.monotonic() - began_at
            progress.note(f"{line(window)}; all but {len(missing)} published {took_s:.0f} s after its end")
            after = _calm(system, ledger, seconds, progress)
            yield Trial(outage.name, window, (calm, after), frozenset(missing), took_s)
            calm = after


def _calm(system: System, ledger: Ledger, seconds: float, progress: Progress) -> Window:
    progress.now("calm")
    window = offer(system, "calm", RATE, seconds)
    ledger.accepted |= window.accepted
    ledger.settle(system, SETTLED_S)
    progress.note(line(window))
    return window


def promises(trial: Trial) -> list[Promise]:
    calm = " and ".join(f"{one.accept.p99:.0f}" for one in trial.calm)
    seen = trial.window.accept
    return [
        Promise(
            f"Redis {trial.name}: accept's p99 at most x {TIMES_MAX:g}",
            f"x {trial.times:.1f} ({seen.p99:.0f} ms, calm {calm})",
            trial.times <= TIMES_MAX,
        ),
        Promise(
            f"Redis {trial.name}: every delivery is answered 202",
            f"{trial.window.refused} of {sum(trial.window.answers.values())} otherwise",
            not trial.window.refused,
        ),
        Promise(
            f"Redis {trial.name}: nothing is lost",
            f"{len(trial.missing)} missing {trial.settled_s:.0f} s after its end",
            not trial.missing,
        ),
    ]


def found(trial: Trial) -> dict[str, Any]:
    return {
        "name": trial.name,
        "times": round(trial.times, 2),
        "window": figures(trial.window),
        "calm": [figures(one) for one in trial.calm],
        "missing": sorted(trial.missing),
        "settled_s": round(trial.settled_s, 1),
    }
