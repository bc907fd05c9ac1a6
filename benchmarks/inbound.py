"""`make bench`: how much the inbound path takes in, how fast, and at what cost, beside what one would write first.

Everything runs on this machine: the system, the stand-ins and the load. Each run's messages are counted after its clock has
stopped, every one of them. Settings in `LILY_*` variables are passed on to both systems.
"""

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.offering import BENCH_PYTHON
from benchmarks.run import Plan, run
from benchmarks.system import ROOT, Failed, System, running
from benchmarks.verify import Run

FOLDER = ROOT / ".lily" / "bench"
ELSEWHERE_MAX = 0.25  # cores; a rate that was too high while others took more of the machine is tried again
AGAIN_MAX = 2  # in one search
APART_MAX = 0.15  # two neighbouring runs of naive that differ by more say that the machine was not itself


def _commit() -> str:
    """What is measured, at the beginning: someone may commit meanwhile. Empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


@dataclass
class Bench:
    """What was measured so far."""

    settings: Mapping[str, str]
    path: Path
    runs: list[Run] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    commit: str = field(default_factory=_commit)

    def measure(self, system: System, plan: Plan, fresh: bool = True, part: str = "sweep") -> Run:
        """One run, told in one line. `fresh`: with an empty table, so that runs do not slow those that follow."""
        if fresh:
            system.new_aws()
        self._say(f"  {system.kind}: {plan.rate:.0f}/s for {plan.seconds:.0f} s ...", end="\r")
        made = replace(run(system, plan, self.settings), part=part)
        self.runs.append(made)
        self._write()
        self._say(report.line(made))
        return made

    def saturation(
        self,
        system: System,
        guess: float,
        plan: Callable[[float], Plan],
        precision: float,
        *,
        fresh: bool = True,
        until_s: float = math.inf,
    ) -> Run:
        """The run at the highest rate with which it keeps up, to within a factor of `precision`.

        After `until_s` seconds of this benchmark the best so far has to do, even one that did not keep up. Raises Failed if
        it keeps up with no rate.
        """
        low: Run | None = None
        rate, high, again = guess, None, 0
        while high is None or low is None or high / low.outcome.offered > precision:
            made = self.measure(system, plan(rate), fresh, "search")
            if time.monotonic() - self.began_at > until_s:
                return made if low is None or made.outcome.has_kept_up else low
            if not made.outcome.has_kept_up and made.elsewhere > ELSEWHERE_MAX and again < AGAIN_MAX:
                again += 1
                continue
            if made.outcome.has_kept_up:
                low = made
            else:
                high = made.outcome.offered
            if low is None and (high or 0) < 5:
                raise Failed(f"{system.kind} keeps up with no rate at all; see {system.folder}/logs")
            rate = next_rate(low.outcome.offered if low else None, high, max(precision, 1.12))
        return low

    def compare(self, before: Run, lily: Run, after: Run) -> None:
        naive = (before.outcome.published_per_s + after.outcome.published_per_s) / 2
        apart = abs(before.outcome.published_per_s - after.outcome.published_per_s) / naive
        own = (report.own_cpu_ms(before) + report.own_cpu_ms(after)) / 2
        made = {
            "naive_per_s": [before.outcome.published_per_s, after.outcome.published_per_s],
            "lily_per_s": lily.outcome.published_per_s,
            "naive_runs_apart": round(apart, 3),
            "counts": apart <= APART_MAX and all(one.outcome.has_kept_up for one in (before, lily, after)),
            "times_naive": round(lily.outcome.published_per_s / naive, 2),
            "naive_own_cpu_by_lily": round(own / report.own_cpu_ms(lily), 2),
        }
        self.comparisons.append(made)
        self._write()
        self._say(
            f"At saturation: Lily {made['lily_per_s']:.0f}/s, naive {before.outcome.published_per_s:.0f} and "
            f"{after.outcome.published_per_s:.0f}/s: {made['times_naive']} x; "
            f"own CPU per event 1 : {made['naive_own_cpu_by_lily']}"
            + (
                ""
                if made["counts"]
                else f"  (does not count: naive's runs are {apart:.0%} apart, or one of the three kept up with nothing)"
            )
        )
        self._say(report.costs(before) + "\n" + report.costs(lily))

    def _write(self) -> None:
        """After each run: who stops the benchmark half way keeps what there is."""
        content = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": self.commit,
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "settings": dict(self.settings),
            "runs": [asdict(one) for one in self.runs],
            "comparisons": self.comparisons,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(content, indent=1))

    def _say(self, text: str, end: str = "\n") -> None:
        if end == "\r" and not sys.stdout.isatty():
            return
        print(f"{time.monotonic() - self.began_at:5.0f} s  {text}{' ' * 20 if end == chr(13) else ''}", end=end, flush=True)


def next_rate(low: float | None, high: float | None, step: float) -> float:
    """Where to look next: up or down by a factor of `step` until it is bracketed, then halfway, as factors go."""
    if low is None:
        return (high or 1) / step
    if high is None:
        return low * step
    return float((low * high) ** 0.5)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbound", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="coarser, in under two minutes")
    parser.add_argument("--only", choices=("lily", "naive"), help="measure one system at the given rates, nothing else")
    parser.add_argument("--rates", type=float, nargs="+", default=[20, 100, 600], help="with --only (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of a run, with --only (%(default)s)")
    parser.add_argument("--per-incident", type=int, default=1, help="deliveries about one incident, with --only (%(default)s)")
    parser.add_argument("--search", action="store_true", help="with --only: then look for the rate of saturation")
    parser.add_argument("--profile", action="store_true", help="with --only: say where web and worker spend their time")
    arguments = parser.parse_args()
    settings = {
        name: value for name, value in os.environ.items() if name.startswith("LILY_") and not name.startswith("LILY_RUN_")
    }
    name = "inbound-quick" if arguments.quick else f"inbound-{arguments.only}" if arguments.only else "inbound"
    bench = Bench(settings, FOLDER / f"{name}.json")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    print(f"{os.cpu_count()} cores; all on this machine{''.join(f', {name}={value}' for name, value in settings.items())}")
    print(f"{'':9}{report.HEAD}", flush=True)
    try:
        if arguments.only:
            _only(bench, arguments)
        elif arguments.quick:
            _quick(bench)
        else:
            _full(bench)
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"all figures: {bench.path.relative_to(ROOT)}")
    if not arguments.only:
        picture = bench.path.with_suffix(".png")
        subprocess.run([BENCH_PYTHON, "-m", "benchmarks.plot", bench.path, picture], cwd=ROOT, check=True)
        print(f"plot: {picture.relative_to(ROOT)}")
    return 1 if any(one.outcome.lost or one.outcome.strangers for one in bench.runs) else 0


def _only(bench: Bench, arguments: argparse.Namespace) -> None:
    with running(arguments.only, FOLDER / arguments.only, bench.settings) as system:
        _wake(system)
        for rate in arguments.rates:
            plain = _plans(arguments.seconds)(rate)
            plan = replace(plain, per_incident=arguments.per_incident, profile=arguments.profile)
            print(report.costs(bench.measure(system, plan)), flush=True)
        if arguments.search:
            bench.saturation(system, arguments.rates[-1], _plans(arguments.seconds), 1.08)


def _quick(bench: Bench) -> None:
    found: list[Run] = []
    for kind, rates, guess, until_s in (("naive", (), 70.0, 20), ("lily", (20.0, 100.0), 400.0, 72), ("naive", (), 0.0, 92)):
        with running(kind, FOLDER / kind, bench.settings) as system:
            _wake(system)
            for rate in rates:
                bench.measure(system, Plan(rate, 4), fresh=False)
            best = guess or found[0].outcome.offered
            found.append(bench.saturation(system, best, lambda rate: Plan(rate, 4), 1.25, fresh=False, until_s=until_s))
    bench.compare(*found)


def _full(bench: Bench) -> None:
    with running("lily", FOLDER / "lily", bench.settings) as system:
        _wake(system)
        for rate in (20, 100):
            bench.measure(system, Plan(rate, 20, 2))
        lily = _sweep(bench, system, (300, 600, 800, 1000, 1200, 1500, 2000))
        for factor in (0.8, 1.5):
            bench.measure(system, Plan(lily * factor, 30, 3))
    with running("naive", FOLDER / "naive", bench.settings) as system:
        _wake(system)
        naive = _sweep(bench, system, (20, 40, 60, 80, 100, 120, 160))
    for _ in range(3):
        found = []
        for kind, guess in (("naive", naive), ("lily", lily), ("naive", naive)):
            with running(kind, FOLDER / kind, bench.settings) as system:
                _wake(system)
                found.append(bench.saturation(system, guess, _plans(30), 1.12))
        bench.compare(*found)
        if bench.comparisons[-1]["counts"]:
            return


def _sweep(bench: Bench, system: System, rates: Sequence[float]) -> float:
    """Rates up to and beyond saturation; the highest one with which it kept up."""
    misses, reached = 0, 10.0
    for rate in rates:
        made = bench.measure(system, Plan(rate, 10, 2))
        if made.outcome.has_kept_up:
            reached = made.outcome.offered
        else:
            misses += 1
        if misses == 2:
            break
    return reached


def _plans(seconds: float) -> Callable[[float], Plan]:
    return lambda rate: Plan(rate, seconds, _warm_up_s(seconds))


def _warm_up_s(seconds: float) -> float:
    return min(3.0, max(1.0, seconds / 5))


def _wake(system: System) -> None:
    """What every process does once, at its first event, is nothing to be measured."""
    run(system, Plan(40, 1, 0.5), {})


if __name__ == "__main__":
    sys.exit(main())
