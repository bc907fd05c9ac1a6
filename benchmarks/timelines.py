"""What the records say of events: `{id: {"state", "swept", "timeline"}}` as JSON, for the ids (a JSON list) on standard input.

A process of its own, since it reads the table with Lily's own code and therefore needs the system's environment.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.system import ROOT, System

CHUNK = 500


@dataclass(frozen=True)
class Told:
    """One event: its state, and its timeline as (seconds since the epoch, what, attempt, note)."""

    state: str
    swept: int
    timeline: tuple[tuple[float, str, int, str], ...]

    def count(self, what: str) -> int:
        return sum(moment[1] == what for moment in self.timeline)


def read(system: System, ids: Iterable[str]) -> dict[str, Told]:
    """By id; those without a record are left out."""
    answer = subprocess.run(
        ["python", "-m", "benchmarks.timelines"],
        cwd=ROOT,
        env=system.environ,
        input=json.dumps(sorted(ids)),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(answer.stdout)
    return {key: Told(one["state"], one["swept"], tuple(map(tuple, one["timeline"]))) for key, one in found.items()}


def main() -> None:
    from lily.records import events

    ids, found = json.load(sys.stdin), {}
    for start in range(0, len(ids), CHUNK):
        for event in events.load_many(ids[start : start + CHUNK]).values():
            moments = [(moment.at.timestamp(), moment.what, moment.attempt, moment.note) for moment in event.timeline]
            found[event.id] = {"state": event.state.value, "swept": event.swept, "timeline": moments}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
