"""The webhook under attack: malformed, half-sent and forged requests beside good deliveries, and what both were answered.

`python -m benchmarks.attack`. Windows follow each other: calm, attacked, calm, flooded, calm. Good deliveries go at the same
rate in all of them, and an attack is judged by the calm windows before and after it.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.attackers import BODIES, HALF_SENT, HELD_S, KINDS, ROUNDS, SENDERS
from benchmarks.promises import FOLDER, Progress, Promise, conclude, settings, table
from benchmarks.system import Failed, System, running
from benchmarks.windows import Ledger, Window, beside, figures, line, offer, times, told

RATE = 50.0
TIMES_MAX = 2.0  # p99 of good deliveries, in calm windows' p99
TIMES_MAX_FLOODED = 3.0
PUBLISHED_S = 60.0


@dataclass(frozen=True)
class Attack:
    """One attack: its window, the calm ones around it, and the attackers' own report."""

    kind: str
    window: Window
    calm: Sequence[Window]
    report: dict[str, Any]


def attacked(system: System, kind: str, seconds: float, calm: Window, progress: Progress) -> Attack:
    """The window of an attack and the calm one that follows it."""
    path = system.folder / f"{kind}.json"
    command = [sys.executable, "-m", "benchmarks.attackers", kind, "--port", system.ports["web"], "--secret", system.secret]
    progress.now(f"preparing: {kind}")
    with beside(system, *command, "--seconds", seconds + 2, "--out", path) as attackers:
        progress.now(kind)
        window = offer(system, kind, RATE, seconds, others=[attackers])
        progress.now(f"{kind}: the last of it")
        attackers.finish(HELD_S + 15)
    report = json.loads(path.read_text())
    progress.note(f"{line(window)}   attack: {report['exchanges']} exchanges, {told(report['answers'])}")
    return Attack(kind, window, (calm, quiet(system, seconds, progress)), report)


def quiet(system: System, seconds: float, progress: Progress) -> Window:
    progress.now("calm")
    window = offer(system, "calm", RATE, seconds)
    progress.note(line(window))
    return window


def judged(attacks: Sequence[Attack], windows: Sequence[Window], ledger: Ledger, missing: set[str]) -> list[Promise]:
    """What was promised of each attack, and of all good deliveries."""
    promises = []
    for one in attacks:
        times_max = TIMES_MAX_FLOODED if one.kind == "flood" else TIMES_MAX
        factor = times(one.window, one.calm)
        calm = " and ".join(f"{calm.accept.p99:.0f}" for calm in one.calm)
        promises += [
            Promise(
                f"{one.kind}: p99 of good deliveries at most x {times_max:g}",
                f"x {factor:.1f} ({one.window.accept.p99:.0f} ms, calm {calm})",
                factor <= times_max,
            ),
            Promise(
                f"{one.kind}: each answer a problem detail, none a 5xx, or a clean end",
                f"{one.report['offended']} of {one.report['exchanges']} otherwise",
                not one.report["offended"],
            ),
        ]
    refused = sum(window.refused for window in windows)
    promises += [
        Promise("every good delivery is answered 202", f"{refused} otherwise", not refused),
        Promise("all that was answered 202 is published", f"{len(missing)} of {len(ledger.accepted)} missing", not missing),
    ]
    return promises


def _write_offences(attacks: Sequence[Attack]) -> None:
    """Each request that was answered wrongly, with its answer, one a line."""
    offences = [{"attack": one.kind, **offence} for one in attacks for offence in one.report["offences"]]
    path = FOLDER / "attack-offences.jsonl"
    path.write_text("".join(f"{json.dumps(offence)}\n" for offence in offences))
    by_fault: dict[tuple[str, str, str], int] = {}
    for offence in offences:
        key = (offence["attack"], offence["case"], offence["fault"])
        by_fault[key] = by_fault.get(key, 0) + 1
    if offences:
        rows = [(*key, count) for key, count in sorted(by_fault.items())]
        print("\n" + table([("attack", "case", "what is wrong", "times"), *rows[:40]]) + f"\nrequests and answers: {path}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=["wire", "flood"], help="these attacks (%(default)s)")
    parser.add_argument("--seconds", type=float, default=12, help="of each window (%(default)g)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress, attacks, ledger = Progress(), list[Attack](), Ledger()
    print(
        f"{RATE:g} good deliveries a second. wire: {BODIES} bodies by hypothesis, all raw cases {ROUNDS} times, {HALF_SENT} "
        f"half-sent requests held open. flood: {SENDERS} senders of false bodies of 900 kB."
    )
    try:
        with running("lily", FOLDER / "attack", settings()) as system:
            offer(system, "first", RATE, 1)  # what every process does once, at its first event
            windows = [quiet(system, arguments.seconds, progress)]
            for kind in arguments.only:
                attack = attacked(system, kind, arguments.seconds, windows[-1], progress)
                attacks.append(attack)
                windows += [attack.window, attack.calm[-1]]
                ledger.accepted.update(attack.report["accepted"])
            progress.now("until all is published")
            ledger.accepted.update(*(window.accepted for window in windows))
            missing = ledger.settle(system, PUBLISHED_S)
    except Failed as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    _write_offences(attacks)
    found = {
        "windows": [figures(window) for window in windows],
        "attacks": [{"kind": one.kind, "times": round(times(one.window, one.calm), 2), **one.report} for one in attacks],
        "missing": sorted(missing),
    }
    return conclude("attack", judged(attacks, windows, ledger, missing), found)


if __name__ == "__main__":
    sys.exit(main())
