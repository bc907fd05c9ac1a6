"""What a system has promised, what was seen of it, and the end of a trial that looked: a table, a file, an exit code."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.system import ROOT

FOLDER = ROOT / ".lily" / "bench"


@dataclass(frozen=True)
class Promise:
    """One promise in words, what was seen, in words, and whether that keeps it."""

    what: str
    seen: str
    kept: bool


def conclude(name: str, promises: Sequence[Promise], figures: Mapping[str, Any]) -> int:
    """Tell, write `<name>.json`, and return the exit code: 1 if any promise is broken."""
    path = write(name, {**figures, "promises": [asdict(promise) for promise in promises]})
    rows = [(promise.what, promise.seen, "kept" if promise.kept else "BROKEN") for promise in promises]
    print("\n" + table([("promise", "seen", ""), *rows]))
    print(f"\nall figures: {path.relative_to(ROOT)}")
    return 0 if all(promise.kept for promise in promises) else 1


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Write `<name>.json`, with what was measured where."""
    head = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "settings": settings(),
    }
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, **figures}, indent=1))
    return path


def settings() -> dict[str, str]:
    """The `LILY_*` variables with which this was started; the system gets them too."""
    return {name: value for name, value in os.environ.items() if name.startswith("LILY_") and not name.startswith("LILY_RUN_")}


def table(rows: Iterable[Sequence[object]]) -> str:
    """Rows in columns; those of figures to the right. The first row is the head."""
    texts = [[str(cell) for cell in row] for row in rows]
    columns = [_aligned(column) for column in zip(*texts, strict=True)]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def _aligned(column: Sequence[str]) -> list[str]:
    width, numeric = max(map(len, column)), all(text.replace(".", "", 1).isdecimal() or text in {"", "-"} for text in column[1:])
    return [text.rjust(width) if numeric else text.ljust(width) for text in column]


def commit() -> str:
    """What is measured. Empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


class Progress:
    """One line on a terminal that is always rewritten, above it what is worth keeping. Elsewhere only the latter."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began_at

    def now(self, text: str) -> None:
        if sys.stdout.isatty():
            print(f"\r\x1b[K{self.elapsed_s:5.0f} s  {text}", end="", flush=True)

    def note(self, text: str) -> None:
        clear = "\r\x1b[K" if sys.stdout.isatty() else ""
        print(f"{clear}{self.elapsed_s:5.0f} s  {text}", flush=True)
