"""`make chaos`: load on the running system while its processes are killed in turn, Redis is flushed and stopped, AWS stopped.

Afterwards every delivery that was answered 202 is looked for, on the bus and in the records. Exit code 1 if a promise of
docs/architecture.md is broken.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import faults, promises, timelines
from benchmarks.faults import Fault, Hand
from benchmarks.offering import Offering, offering
from benchmarks.promises import FOLDER, Progress, Promise, conclude, table
from benchmarks.system import Failed, System, running
from benchmarks.timelines import Told
from benchmarks.verify import Sent
from lily.runtime.settings import load

WITHIN_S = 60.0  # of the last fault everything accepted is published
LATER_S = 30.0  # beyond that, to tell what is late from what is lost
POLL_S = 0.5


@dataclass(frozen=True)
class Messages:
    """What the bus gave out, by event: seconds since the epoch of each message, in order."""

    at: Mapping[str, Sequence[float]]

    @property
    def again(self) -> dict[str, Sequence[float]]:
        return {event_id: at for event_id, at in self.at.items() if len(at) > 1}


def collect(arrivals: Iterable[tuple[str, float]]) -> Messages:
    by_id: dict[str, list[float]] = {}
    for event_id, at in sorted(arrivals, key=lambda arrival: arrival[1]):
        by_id.setdefault(event_id, []).append(at)
    return Messages(by_id)


def judge(sent: Sent, messages: Messages, told: Mapping[str, Told], done: Sequence[Fault], batches: int) -> list[Promise]:
    """`batches`: how many events all lanes together have in work at most."""
    accepted = {event_id for event_id, status in zip(sent.ids, sent.status, strict=True) if status == 202}
    last_fault = max(fault.ended_at for fault in done)
    missing = accepted - set(messages.at)
    last_s = max((messages.at[event_id][0] for event_id in accepted - missing), default=last_fault) - last_fault
    records = Counter(told[event_id].state if event_id in told else "nowhere" for event_id in accepted)
    stored = Counter(told[event_id].count("stored") if event_id in told else 0 for event_id in accepted)
    most = max(faults.put_down((at[0] for at in messages.again.values()), done).values(), default=0)
    untold = [event_id for event_id in messages.again if event_id in told and not shows_second_attempt(told[event_id])]
    answers = Counter(sent.status)
    strangers = set(messages.at) - set(sent.ids)
    return [
        Promise(
            f"every delivery answered 202 is published within {WITHIN_S:.0f} s of the last fault",
            f"{len(accepted - missing)} of {len(accepted)}, the last after {max(0.0, last_s):.1f} s",
            not missing and last_s <= WITHIN_S and bool(accepted),
        ),
        Promise("its record says so", _counts(records), set(records) == {"published"}),
        Promise("it is stored exactly once", _counts({f"{n} x": count for n, count in stored.items()}), set(stored) == {1}),
        Promise(
            f"a fault makes at most a batch of each lane ({batches}) be published again",
            f"{sum(len(at) - 1 for at in messages.again.values())} messages again, for one fault at most {most}",
            most <= batches,
        ),
        Promise(
            "the timeline of an event that is published again shows why",
            f"{len(messages.again) - len(untold)} of {len(messages.again)}",
            not untold,
        ),
        Promise("every message has the id of a delivery that was sent", f"{len(strangers)} others", not strangers),
        Promise(
            "no answer but 202 and 503",
            _counts({"none" if status == 0 else str(status): count for status, count in answers.items()}),
            set(answers) <= {0, 202, 503},
        ),
    ]


def shows_second_attempt(told: Told) -> bool:
    return any(what in {"swept", "retried"} for _, what, _, _ in told.timeline)


def troubles(logs: Path) -> dict[str, dict[str, int]]:
    """Lines of level `error` in the logs of Lily's processes, and what is no JSON line at all, by process and name."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted(logs.glob("*.log")):
        if path.stem.partition("-")[0] in {"web", "worker", "beat"}:
            names = Counter(name for line in path.read_text(errors="replace").splitlines() if (name := _trouble(line)))
            found[path.stem] = dict(names.most_common())
    return {name: names for name, names in found.items() if names}


def _trouble(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return "Traceback" if line.startswith("Traceback") else ""
    return str(entry.get("event", ""))[:60] if isinstance(entry, dict) and entry.get("level") in {"error", "critical"} else ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "nothing"


def torment(system: System, load: Offering, every_s: float, progress: Progress) -> tuple[list[Fault], list[tuple[str, float]]]:
    """All strikes, while the load runs. Returns the faults and the messages so far."""
    hand, arrivals, polled_at = Hand(system), list[tuple[str, float]](), 0.0
    begins_at = time.time() + 0.2
    load.begin(begins_at)
    waiting = faults.plan(load.seconds, every_s)
    while waiting or hand.is_stopped("redis") or hand.is_stopped("aws") or time.time() < begins_at + load.seconds:
        now = time.time()
        hand.relent(now)
        if waiting and now >= begins_at + waiting[0].at_s:
            hand.strike(waiting.pop(0))
        elif now > polled_at + POLL_S and not hand.is_stopped("aws"):
            arrivals += system.take_messages()
            polled_at = now
        offered = min(load.count, max(0, round((now - begins_at) * load.rate)))
        last = hand.faults[-1].what if hand.faults else ""
        stopped = "".join(f", {name} stands still" for name in ("redis", "aws") if hand.is_stopped(name))
        progress.now(f"{offered} sent, {len(arrivals)} messages; {len(hand.faults)} faults, last: {last}{stopped}")
        time.sleep(0.02)
    progress.note(f"{load.count} sent, {len(hand.faults)} faults done, {len(arrivals)} messages so far")
    return hand.faults, arrivals


def await_published(system: System, sent: Sent, arrivals: list[tuple[str, float]], ends_at: float, progress: Progress) -> None:
    """Collect messages until every accepted id has one and its record is final, or `ends_at`."""
    accepted = {event_id for event_id, status in zip(sent.ids, sent.status, strict=True) if status == 202}
    while time.time() < ends_at:
        arrivals += system.take_messages()
        missing = accepted - {event_id for event_id, _ in arrivals}
        progress.now(f"{len(accepted)} accepted, {len(missing)} not yet published")
        if not missing and all(one.state == "published" for one in timelines.read(system, accepted).values()):
            return
        time.sleep(POLL_S)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="deliveries (%(default)s)")
    parser.add_argument("--rate", type=float, default=200, help="of them per second (%(default)s)")
    parser.add_argument("--every", type=float, default=1, metavar="SECONDS", help="between two kills (%(default)s)")
    parser.add_argument("--once", action="store_true", help="do not send again in the end what got no 202")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress = Progress()
    try:
        return _run(arguments, progress)
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    folder, seconds, again = FOLDER / "chaos", arguments.events / arguments.rate, not arguments.once
    with running("lily", folder, promises.settings()) as system, offering(system, arguments.rate, seconds, again=again) as load_:
        progress.note(f"the system runs; {load_.count} deliveries at {load_.rate:.0f}/s, a kill every {arguments.every:g} s")
        lanes = load(system.environ).lanes
        done, arrivals = torment(system, load_, arguments.every, progress)
        sent = load_.result(60 + seconds)
        progress.note(f"{sent.accepted} accepted ({sent.again} of them or fewer at the second try); waiting for the rest")
        await_published(system, sent, arrivals, max(fault.ended_at for fault in done) + WITHIN_S + LATER_S, progress)
        messages, told = collect(arrivals), timelines.read(system, sent.ids)
    again_by_fault = faults.put_down((at[0] for at in messages.again.values()), done)
    print("\n" + table([("fault", "times", "published again", "most for one"), *faults.by_kind(again_by_fault, done)]))
    trouble = troubles(folder / "logs")
    print("\nerrors in the logs: " + ("; ".join(f"{name}: {_counts(names)}" for name, names in trouble.items()) or "none"))
    figures = {
        "every_s": arguments.every,
        "sent": {
            "status": Counter(map(str, sent.status)),
            **{name: getattr(sent, name) for name in ("refused", "cut", "resent", "again")},
        },
        "faults": [{**asdict(fault), "published_again": again_by_fault.get(fault, 0)} for fault in done],
        "swept": Counter(str(one.swept) for one in told.values()),
        "errors": trouble,
    }
    return conclude("chaos", judge(sent, messages, told, done, lanes.count * lanes.batch_max), figures)


if __name__ == "__main__":
    sys.exit(main())
