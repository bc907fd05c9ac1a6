"""Load for a running system, from a process of its own (`benchmarks/load.py`): prepared, begun at a moment, waited for."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.system import ROOT, Failed, System
from benchmarks.verify import Sent

BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Offering:
    """Deliveries that are ready to leave at `rate` per second for `seconds`."""

    rate: float
    seconds: float
    process: "subprocess.Popen[str]"
    path: Path

    @property
    def count(self) -> int:
        return round(self.rate * self.seconds)

    def begin(self, at: float) -> None:
        """The first delivery leaves at `at`, in seconds since the epoch."""
        if self.process.stdin:
            self.process.stdin.write(f"{at}\n")
            self.process.stdin.flush()

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def result(self, within_s: float) -> Sent:
        """What became of each, once all are answered. Raises Failed if that takes longer than `within_s`."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise Failed("the load generator did not end") from None
        return Sent(**json.loads(self.path.read_text()))


@contextlib.contextmanager
def offering(
    system: System,
    rate: float,
    seconds: float,
    *,
    per_incident: int = 1,
    connections: int = 0,
    again: bool = False,
    name: str = "sent",
) -> Iterator[Offering]:
    """Prepare deliveries, none like another; `per_incident` of them concern the same incident.

    `connections`: kept and used in turn; with 0 as few as will do. `again`: what had no 202 is sent once more in the end.
    Raises Failed if the generator does not start.
    """
    path = system.folder / f"{name}.json"
    options = {
        "port": system.ports["web"],
        "secret": system.secret,
        "rate": rate,
        "seconds": seconds,
        "per-incident": per_incident,
        "connections": connections,
        "out": path,
    }
    words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    process = subprocess.Popen(
        [str(BENCH_PYTHON), "-m", "benchmarks.load", *words, *(["--again"] if again else [])],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    system.keeper.hold(process.pid)
    try:
        if not process.stdout or not process.stdout.readline().startswith("ready"):
            raise Failed("the load generator did not start; its message is above")
        yield Offering(rate, seconds, process, path)
    finally:
        process.kill()
        process.wait()
        system.keeper.release(process.pid)
