"""Puts the figures of the last `make bench` into docs/performance.md, between its two marks, and its plot beside it.

`python -m benchmarks.document`. What the page says around the figures is written by hand: read it again when they change.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / ".lily" / "bench" / "inbound.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
OWN = ("web", "worker-inbound", "worker-io", "beat")
ELSEWHERE = "cores taken by other work"
NAMES = {"lily": "Lily", "naive": "naive"}


def main() -> int:
    figures = json.loads(FIGURES.read_text())
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        print(f"{PAGE.relative_to(ROOT)}: the marks {BEGIN.strip()} and {END.strip()} are not both there", file=sys.stderr)
        return 1
    PAGE.write_text(before + BEGIN + block(figures) + END + after)
    shutil.copyfile(FIGURES.with_suffix(".png"), PAGE.with_suffix(".png"))
    return 0


def block(figures: Mapping[str, Any]) -> str:
    """The figures in Markdown."""
    swept = [run for run in figures["runs"] if run["part"] == "sweep"]
    runs = sorted(swept, key=lambda run: (run["system"], run["outcome"]["offered"]))
    busy = max(run["elsewhere"] for run in figures["runs"])
    parts = [
        f"Measured on {figures['at'][:10]} at commit {figures['commit'] or '(none)'}: {figures['cores']} cores, "
        f"Python {figures['python']}, settings: {_settings(figures['settings'])}. "
        + (f"Other work took up to {busy:.1f} cores meanwhile." if busy > 0.15 else "Nothing else was at work."),
        _comparison(figures["comparisons"]),
        _table(
            [
                "",
                "offered/s",
                "seconds",
                "published/s",
                "accept p50 / p99 ms",
                "scheduled to published p50 / p99 ms",
                "answers",
                ELSEWHERE,
            ],
            [_speed(run) for run in runs],
        ),
        _table(
            ["", "offered/s", "own CPU ms", "web", "worker", "AWS stand-in", "Redis", "AWS calls", "Celery messages"],
            [_cost(run) for run in runs],
            "Per published event. The AWS calls and messages of all that ran are counted, the sweep's included.",
        ),
    ]
    return "".join(f"{part}\n\n" for part in parts if part)


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items()) or "the defaults"


def _comparison(comparisons: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{made['naive_per_s'][0]:.0f}",
            f"**{made['lily_per_s']:.0f}**",
            f"{made['naive_per_s'][1]:.0f}",
            f"**{made['times_naive']:.1f}**",
            f"{made['naive_own_cpu_by_lily']:.1f}",
            "" if made["counts"] else "thrown away: naive differs from itself",
        ]
        for made in comparisons
    ]
    head = ["naive before, events/s", "Lily", "naive after", "times naive", "naive's own CPU per event by Lily's", ""]
    return _table(head, rows, "At saturation, in neighbouring runs:") if rows else ""


def _speed(run: Mapping[str, Any]) -> list[str]:
    seen = run["outcome"]
    accept, end_to_end = seen["accept"], seen["end_to_end"]
    answers = ", ".join(f"{count} x {status}" for status, count in seen["status"].items())
    return [
        NAMES[run["system"]],
        f"{seen['offered']:.0f}",
        f"{seen['seconds']:.0f}",
        f"{seen['published_per_s']:.0f}",
        f"{accept['p50']:.0f} / {accept['p99']:.0f}",
        f"{end_to_end['p50']:.0f} / {end_to_end['p99']:.0f}",
        answers + (f"; {seen['lost']} lost" if seen["lost"] else ""),
        f"{run['elsewhere']:.1f}",
    ]


def _cost(run: Mapping[str, Any]) -> list[str]:
    cpu = run["cpu_ms"]
    own = sum(cpu.get(name, 0.0) for name in OWN)
    by_process = [f"{cpu.get(name, 0.0):.2f}" for name in ("web", "worker-inbound", "aws", "redis")]
    counts = [f"{run['aws_calls']:.2f}", f"{run['messages']:.2f}"]
    return [NAMES[run["system"]], f"{run['outcome']['offered']:.0f}", f"{own:.2f}", *by_process, *counts]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], above: str = "") -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([*([above, ""] if above else []), *lines])


if __name__ == "__main__":
    sys.exit(main())
