"""A backlog and what is fresh: deliveries pile up while no worker runs, then workers begin. `python -m benchmarks.backlog`.

Is the backlog worked off steadily, and does what arrives meanwhile have to wait behind it? Exit code 1 if a promise is broken.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks import proc, promises
from benchmarks.offering import Offering, offering
from benchmarks.promises import FOLDER, Progress, Promise, conclude, table
from benchmarks.system import Failed, System, running
from benchmarks.verify import Sent, Spread, spread
from lily.runtime.settings import document

LIMIT = "LILY_BACKLOG_MAX"
WORKERS = ("worker-inbound", "worker-io")
PIECE = 10_000
BIN_S = 5
STEADY_FROM = 0.6  # the slowest five seconds by the median of all
FRESH_S = 10.0  # p99 of what arrives while the backlog is worked off
DRAIN_S = 600.0


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far at a moment (seconds since the epoch), by who used them; `elsewhere` is not this trial."""

    at: float
    cpu_s: Mapping[str, float]


@dataclass(frozen=True)
class Drain:
    """How a backlog was worked off. Seconds; `per_s` is published per second in each whole bin since the workers began."""

    per_s: Sequence[float]
    took_s: float
    lost: int
    again: int  # messages beyond the first of an event
    fresh: Spread
    fresh_count: int

    @property
    def steadiness(self) -> float:
        """The slowest bin by the median; the first, in which workers begin, is left out."""
        bins = self.per_s[1:]
        return min(bins) / max(0.1, median(bins)) if bins else 0.0


def reckon(old: set[str], fresh: Sent, arrivals: Sequence[tuple[str, float]], begins_at: float) -> Drain:
    """`old`: the accepted ids of the backlog; `fresh`: what was sent while it was worked off, from `begins_at` on."""
    first: dict[str, float] = {}
    for event_id, at in arrivals:
        first[event_id] = min(at, first.get(event_id, at))
    accepted = {event_id for event_id, status in zip(fresh.ids, fresh.status, strict=True) if status == 202}
    ends_at = max((first[event_id] for event_id in old if event_id in first), default=begins_at)
    counts = [0] * int((ends_at - begins_at) / BIN_S)
    for at in first.values():
        if 0 <= (place := int((at - begins_at) / BIN_S)) < len(counts):
            counts[place] += 1
    took = [
        first[event_id] - at
        for event_id, at in zip(fresh.ids, fresh.scheduled, strict=True)
        if event_id in accepted and event_id in first and at < ends_at
    ]
    return Drain(
        per_s=[count / BIN_S for count in counts],
        took_s=round(ends_at - begins_at, 1),
        lost=len((old | accepted) - set(first)),
        again=len(arrivals) - len(first),
        fresh=spread(took),
        fresh_count=len(took),
    )


def cores(usages: Sequence[Usage], begins_at: float, bins: int) -> list[dict[str, float]]:
    """How many cores each used in each bin, from the readings nearest to its ends."""

    def nearest(at: float) -> Usage:
        return min(usages, key=lambda usage: abs(usage.at - at))

    found = []
    for number in range(bins):
        first, last = nearest(begins_at + number * BIN_S), nearest(begins_at + (number + 1) * BIN_S)
        took = max(0.001, last.at - first.at)
        found.append({name: round((cpu_s - first.cpu_s.get(name, 0.0)) / took, 2) for name, cpu_s in last.cpu_s.items()})
    return found


def judge(drain: Drain, offered: int, accepted: int) -> list[Promise]:
    bins = drain.per_s[1:]
    return [
        Promise("the backlog is accepted", f"{accepted} of {offered}", accepted == offered),
        Promise("nothing is lost", f"{drain.lost} not published", drain.lost == 0),
        Promise("nothing is published twice", str(drain.again), drain.again == 0),
        Promise(
            f"it is worked off steadily: no {BIN_S} s below {STEADY_FROM} of the median",
            f"{min(bins, default=0):.0f}/s by {median(bins) if bins else 0:.0f}/s: {drain.steadiness:.2f}",
            drain.steadiness >= STEADY_FROM,
        ),
        Promise(
            f"what arrives meanwhile is published within {FRESH_S:.0f} s (p99)",
            f"{drain.fresh_count}: p50 {drain.fresh.p50 / 1000:.1f} s, p99 {drain.fresh.p99 / 1000:.1f} s, "
            f"most {drain.fresh.most / 1000:.1f} s; the backlog took {drain.took_s:.0f} s",
            drain.fresh_count > 0 and drain.fresh.p99 <= FRESH_S * 1000,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000, help="of the backlog (%(default)s)")
    parser.add_argument("--rate", type=float, default=350, help="at which it is delivered, per second (%(default)s)")
    parser.add_argument("--fresh", type=float, default=20, help="deliveries per second while it is worked off (%(default)s)")
    parser.add_argument("--fresh-seconds", type=float, default=90, help="for how long, at most (%(default)s)")
    parser.add_argument("--step", action="store_true", help="wait for a line on standard input before each piece")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    try:
        return _run(arguments, Progress())
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    with running("lily", FOLDER / "backlog", _settings(arguments.events)) as system:
        for name in WORKERS:
            system.kill(name)
        old = _pile_up(system, arguments, progress)
        _step(arguments)
        with offering(system, arguments.fresh, arguments.fresh_seconds) as load:
            begins_at = time.time() + 0.2
            load.begin(begins_at)
            for name in WORKERS:
                system.begin(name)
            arrivals, usages = _work_off(system, old, load, progress)
            fresh = load.result(arguments.fresh_seconds + 60)
        ends_at = time.time() + 30
        while system.queue_size() + len(arrivals) < len(old) + fresh.accepted and time.time() < ends_at:
            time.sleep(0.2)
        arrivals += system.take_messages()
    drain = reckon(old, fresh, arrivals, begins_at)
    used = cores(usages, begins_at, len(drain.per_s))
    names = list(used[0]) if used else []
    rows = [
        (number * BIN_S, f"{per_s:.0f}", *(one.get(name, 0.0) for name in names))
        for number, (per_s, one) in enumerate(zip(drain.per_s, used, strict=True))
    ]
    print("\n" + table([("from s", "published/s", *(f"cores: {name}" for name in names)), *rows]))
    figures = {
        "events": arguments.events,
        "accepted": len(old),
        "drain": {**asdict(drain), "steadiness": drain.steadiness},
        "cores": used,
    }
    return conclude("backlog", judge(drain, arguments.events, len(old)), figures)


def _settings(events: int) -> Mapping[str, str]:
    """Lily refuses what would make too long a backlog; here that is what is wanted."""
    known = LIMIT in document()
    return {**({LIMIT: str(events * 2)} if known else {}), **promises.settings()}


def _pile_up(system: System, arguments: argparse.Namespace, progress: Progress) -> set[str]:
    """The ids that were accepted while nobody works."""
    accepted: set[str] = set()
    for done in range(0, arguments.events, PIECE):
        _step(arguments)
        count = min(PIECE, arguments.events - done)
        with offering(system, arguments.rate, count / arguments.rate, again=True) as load:
            load.begin(time.time() + 0.2)
            sent = load.result(2 * count / arguments.rate + 60)
        accepted |= {event_id for event_id, status in zip(sent.ids, sent.status, strict=True) if status == 202}
        progress.note(f"{len(accepted)} of {done + count} accepted; no worker runs")
    return accepted


def _work_off(system: System, old: set[str], load: Offering, progress: Progress) -> tuple[list[tuple[str, float]], list[Usage]]:
    """Every message until the whole backlog is published, and who used the machine meanwhile."""
    arrivals: list[tuple[str, float]] = []
    usages = [_usage(system, load)]
    waiting, ends_at = set(old), time.monotonic() + DRAIN_S
    while waiting and time.monotonic() < ends_at:
        found = system.take_messages()
        arrivals += found
        waiting -= {event_id for event_id, _ in found}
        progress.now(f"{len(waiting)} left of the backlog")
        time.sleep(1.0)
        usages.append(_usage(system, load))
    progress.note(f"{len(old) - len(waiting)} of {len(old)} worked off")
    return arrivals, usages


def _usage(system: System, load: Offering) -> Usage:
    groups = {**system.groups, "trial": os.getpgid(0), "load": load.process.pid}
    busy_s, cpu_s = proc.busy_s(), proc.cpu_of_groups(groups)
    return Usage(time.time(), {**cpu_s, "elsewhere": busy_s - sum(cpu_s.values())})


def _step(arguments: argparse.Namespace) -> None:
    if arguments.step:
        print("press Enter for the next piece", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    sys.exit(main())
