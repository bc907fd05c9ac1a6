"""How much memory each process holds as events go by: `python -m benchmarks.memory`. Exit code 1 if any of Lily's keeps growing.

The load comes in pieces, each published to its end before memory is read, so that what is read is what stays. The AWS stand-in
holds the whole table in memory: it is told, not judged.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks import proc, promises
from benchmarks.offering import offering
from benchmarks.promises import FOLDER, Progress, Promise, conclude, table
from benchmarks.system import Failed, System, running

PIECE = 10_000
MARKS = (10_000, 50_000, 100_000)
SETTLED_FROM = 50_000  # until then caches fill, pools of connections and threads reach their size, the heap its working shape
GROWTH_MAX = 0.01  # of its size, per 10,000 events; or:
GROWTH_MAX_MB = 1.0
DRAIN_S = 120.0
REST_S = 3.0  # metrics, connections and the last writes come to rest


@dataclass(frozen=True)
class Reading:
    """Resident MB after so many events, by process: the largest of those of one name."""

    events: int
    mb: Mapping[str, float]


def by_process(groups: Mapping[str, int], sizes: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """One figure each: the first process of a group, and the largest of its children, if it has any."""
    found: dict[str, float] = {}
    for name, parent in groups.items():
        found[name] = sizes[name].get(parent, 0.0)
        if children := [mb for pid, mb in sizes[name].items() if pid != parent]:
            found[f"{name}: largest child"] = max(children)
    return found


def growth(readings: Sequence[Reading], process: str, since: int) -> float:
    """MB per 10,000 events from `since` on: the slope of the line through the readings (least squares)."""
    points = [(reading.events / 10_000, reading.mb.get(process, 0.0)) for reading in readings if reading.events >= since]
    if len(points) < 2:
        return 0.0
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points)


def judge(readings: Sequence[Reading], settled_from: int, lost: int) -> list[Promise]:
    promised = [Promise("nothing is lost meanwhile", f"{lost} of {readings[-1].events}", lost == 0)]
    for process in readings[-1].mb:
        if process.startswith("aws"):
            continue
        grows, size = growth(readings, process, settled_from), readings[-1].mb[process]
        promised.append(
            Promise(
                f"the memory of {process} is bounded",
                f"{size:.0f} MB; {grows:+.2f} MB per 10,000 events since {settled_from}",
                grows <= max(GROWTH_MAX_MB, GROWTH_MAX * size),
            )
        )
    return promised


def read(system: System, events: int) -> Reading:
    return Reading(events, by_process(system.groups, proc.memory_by_pid(system.groups)))


def piece(system: System, rate: float, count: int) -> int:
    """Offer `count` deliveries and wait until all are published. How many were accepted but are not.

    What got no 202 is sent once more: when the stand-in copies a gigabyte for its journal, everyone waits for it.
    """
    with offering(system, rate, count / rate, again=True) as load:
        load.begin(time.time() + 0.2)
        sent = load.result(2 * count / rate + 60)
    accepted = {event_id for event_id, status in zip(sent.ids, sent.status, strict=True) if status == 202}
    if len(accepted) < count:
        raise Failed(f"{count - len(accepted)} of {count} were not accepted at {rate:.0f}/s; offer less: --rate")
    ends_at = time.monotonic() + DRAIN_S
    while accepted and time.monotonic() < ends_at:
        accepted -= {event_id for event_id, _ in system.take_messages()}
        time.sleep(0.5)
    return len(accepted)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="in pieces of 10,000 (%(default)s)")
    parser.add_argument("--rate", type=float, default=300, help="deliveries per second (%(default)s)")
    parser.add_argument("--step", action="store_true", help="wait for a line on standard input before each piece")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    try:
        return _run(arguments, Progress())
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    readings: list[Reading] = []
    lost = 0
    with running("lily", FOLDER / "memory", promises.settings()) as system:
        readings.append(read(system, 0))
        while readings[-1].events < arguments.events:
            if arguments.step:
                print("press Enter for the next piece", flush=True)
                sys.stdin.readline()
            done = readings[-1].events
            count = min(PIECE, arguments.events - done)
            progress.now(f"{done} events; {count} more at {arguments.rate:.0f}/s")
            lost += piece(system, arguments.rate, count)
            time.sleep(REST_S)
            readings.append(read(system, done + count))
            sizes = ", ".join(f"{name} {mb:.0f}" for name, mb in readings[-1].mb.items())
            progress.note(f"{done + count} events: {sizes} MB")
    settled_from = min(SETTLED_FROM, arguments.events // 2)
    marks = [one for one in readings if one.events in {0, *MARKS, arguments.events}]
    head = ("resident MB", *(f"{one.events:,}" for one in marks), "per 10,000 since the first", f"since {settled_from:,}")
    rows = [
        (
            name,
            *(f"{one.mb.get(name, 0.0):.1f}" for one in marks),
            f"{growth(readings, name, PIECE):.2f}",
            f"{growth(readings, name, settled_from):.2f}",
        )
        for name in readings[-1].mb
    ]
    print("\n" + table([head, *rows]))
    figures = {"rate": arguments.rate, "readings": [asdict(one) for one in readings]}
    return conclude("memory", judge(readings, settled_from, lost), figures)


if __name__ == "__main__":
    sys.exit(main())
