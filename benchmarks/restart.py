"""A rolling restart under load: of each kind of process a new one begins beside the old one, then the old one is asked to end.

Seen from outside: every answer, every connection, every message. `python -m benchmarks.restart`; exit code 1 if a sender
noticed anything, or an old process did not end by itself.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks import promises
from benchmarks.offering import offering
from benchmarks.promises import FOLDER, Progress, Promise, conclude, table
from benchmarks.system import READY_S, Failed, System, running, until
from benchmarks.verify import Outcome, Sent, outcome

KINDS = ("web", "worker-inbound", "worker-io", "beat")
END_S = 60.0  # a worker ends what it has begun; no task takes longer
BEAT_S = 3.0  # beat does not tell when it is ready
REST_S = 2.0  # before and after each replacement
DRAIN_S = 60.0


@dataclass(frozen=True)
class Replaced:
    """One process that gave way to another. Seconds; `code` is None if the old one had to be killed."""

    kind: str
    at_s: float  # of the load
    ready_s: float
    ended_s: float
    code: int | None


def replace(system: System, kind: str, old: str, begins_at: float) -> tuple[str, Replaced]:
    """Put a new process in the place of `old`. The name of the new one."""
    at, consumers = time.time(), _consumers(system)
    new = system.begin(kind, beside=True)
    if kind == "web":
        until(lambda: '"web.listening"' in system.log(new).read_text(), f"the second web ({system.log(new)})", READY_S)
    elif kind == "beat":
        time.sleep(BEAT_S)
    else:
        until(lambda: _consumers(system) > consumers, f"the second {kind} ({system.log(new)})", READY_S)
    if system.processes[new].poll() is not None:
        raise Failed(f"the second {kind} ended by itself; see {system.log(new)}")
    ready = time.time()
    system.send(old, signal.SIGTERM)
    code = system.await_end(old, END_S)
    return new, Replaced(kind, round(at - begins_at, 1), round(ready - at, 1), round(time.time() - ready, 1), code)


def judge(sent: Sent, seen: Outcome, replaced: Sequence[Replaced]) -> list[Promise]:
    answers = Counter("no answer" if status == 0 else str(status) for status in sent.status)
    stuck = [one.kind for one in replaced if one.code != 0]
    return [
        Promise("every answer is 202", ", ".join(f"{n} x {what}" for what, n in answers.most_common()), set(answers) == {"202"}),
        Promise("no connection is refused", str(sent.refused), sent.refused == 0),
        Promise(
            "no connection ends with a request on its way",
            f"{sent.cut}; {sent.resent} requests met the end of a kept one and were sent once more",
            sent.cut == 0,
        ),
        Promise("nothing is lost", f"{sent.accepted} accepted, {seen.lost} not published", seen.lost == 0 and sent.accepted > 0),
        Promise("nothing is published twice", str(seen.duplicates), seen.duplicates == 0),
        Promise(
            "every old process ends by itself, with exit code 0",
            f"{len(replaced) - len(stuck)} of {len(replaced)}" + (f"; not {', '.join(stuck)}" if stuck else ""),
            not stuck and len(replaced) > 0,
        ),
    ]


def _consumers(system: System) -> int:
    """Workers that wait for a message at this moment: Redis knows who is in a BRPOP."""
    clients: Sequence[Mapping[str, str]] = system.redis().client_list()
    return sum(client.get("cmd") == "brpop" for client in clients)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("--rate", type=float, default=100, help="deliveries per second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="for how long; kinds are replaced in turn (%(default)s)")
    parser.add_argument("--connections", type=int, default=100, help="of the senders, kept and used in turn (%(default)s)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    try:
        return _run(arguments, Progress())
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    rate, seconds = arguments.rate, arguments.seconds
    replaced: list[Replaced] = []
    with (
        running("lily", FOLDER / "restart", promises.settings()) as system,
        offering(system, rate, seconds, connections=arguments.connections) as load,
    ):
        begins_at = time.time() + 0.2
        load.begin(begins_at)
        progress.note(f"{load.count} deliveries at {rate:.0f}/s over {arguments.connections} connections")
        names = {kind: kind for kind in KINDS}
        while not set(KINDS) <= {one.kind for one in replaced} or time.time() < begins_at + seconds - 25:
            kind = KINDS[len(replaced) % len(KINDS)]
            time.sleep(REST_S)
            progress.now(f"{kind} is replaced")
            names[kind], one = replace(system, kind, names[kind], begins_at)
            replaced.append(one)
            progress.note(f"{kind}: the new one was ready after {one.ready_s} s, the old one ended after {one.ended_s} s")
        if load.has_ended:
            raise Failed(f"the load ended before the last replacement; give it more than {seconds:.0f} --seconds")
        sent = load.result(seconds + 60)
        ends_at = begins_at + seconds + DRAIN_S
        while system.queue_size() < sent.accepted and time.time() < ends_at:
            time.sleep(0.2)
        time.sleep(REST_S)
        arrivals = system.take_messages()
    seen = outcome(sent, arrivals, begins_at, seconds)
    rows = [(one.kind, one.at_s, one.ready_s, one.ended_s, "killed" if one.code is None else one.code) for one in replaced]
    print("\n" + table([("replaced", "at s", "new one ready s", "old one ended s", "exit code"), *rows]))
    print(
        f"\nms p50 / p99 / most: accept {seen.accept.p50:.0f} / {seen.accept.p99:.0f} / {seen.accept.most:.0f}, "
        f"scheduled to published {seen.end_to_end.p50:.0f} / {seen.end_to_end.p99:.0f} / {seen.end_to_end.most:.0f}"
    )
    figures = {
        "outcome": asdict(seen),
        "replaced": [asdict(one) for one in replaced],
        "sent": {name: getattr(sent, name) for name in ("refused", "cut", "resent", "connections")},
    }
    return conclude("restart", judge(sent, seen, replaced), figures)


if __name__ == "__main__":
    sys.exit(main())
