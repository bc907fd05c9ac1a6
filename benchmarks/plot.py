"""Throughput and latency against the offered rate, as a picture. `python -m benchmarks.plot figures.json picture.png`.

Standard library and matplotlib only: it runs in the benchmark's own virtualenv.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter, ScalarFormatter

COLOURS = {"lily": "#2563a8", "naive": "#c2571a"}
NAMES = {"lily": "Lily", "naive": "naive"}


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text())
    drawn, (throughput, latency) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    for system, colour in COLOURS.items():
        throughput.plot(*_points(figures, system, "search", "published_per_s"), ".", color=colour, alpha=0.4)
        runs = _runs(figures, system, "sweep")
        offered = [seen["offered"] for seen in runs]
        throughput.plot(offered, [seen["published_per_s"] for seen in runs], "o-", color=colour, label=NAMES[system])
        latency.plot(offered, [seen["end_to_end"]["p50"] for seen in runs], "o-", color=colour, label=f"{NAMES[system]}, p50")
        latency.plot(offered, [seen["end_to_end"]["p99"] for seen in runs], "o:", color=colour, label=f"{NAMES[system]}, p99")
    most = max(run["outcome"]["offered"] for run in figures["runs"])
    throughput.plot([0, most], [0, most], color="#999999", linewidth=0.8, zorder=0)
    _dress(throughput, "Published to EventBridge", "events per second")
    _dress(latency, "From the scheduled moment to published", "milliseconds")
    latency.set(xscale="log", yscale="log")
    latency.set_xticks([rate for rate in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if rate <= most])
    for axis in (latency.xaxis, latency.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    drawn.suptitle(
        f"Inbound path, everything on {figures['cores']} cores ({figures['at'][:10]}). Small dots: the search for saturation",
        size=11,
    )
    drawn.savefig(sys.argv[2], dpi=120)


def _runs(figures: Any, system: str, part: str) -> list[Any]:
    chosen = [run["outcome"] for run in figures["runs"] if (run["system"], run["part"]) == (system, part)]
    return sorted(chosen, key=lambda seen: seen["offered"])


def _points(figures: Any, system: str, part: str, what: str) -> tuple[list[float], list[float]]:
    runs = _runs(figures, system, part)
    return [seen["offered"] for seen in runs], [seen[what] for seen in runs]


def _dress(axes: Any, title: str, unit: str) -> None:
    axes.set(title=title, xlabel="offered events per second", ylabel=unit)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    main()
