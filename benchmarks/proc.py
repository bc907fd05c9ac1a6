"""What processes cost, read from /proc: CPU seconds of whole process groups, and how much memory each process holds."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Stat:
    """One process. `cpu_s` includes its children that have ended and were waited for."""

    pid: int
    group: int
    cpu_s: float


def parse(line: str) -> Stat:
    """A line of /proc/<pid>/stat (proc(5)). The name in it may contain anything, so what follows its last bracket counts."""
    before, _, after = line.rpartition(")")
    fields = after.split()
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return Stat(int(before.partition(" ")[0]), int(fields[2]), ticks * TICK_S)


def cpu_of_groups(groups: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far, by the name of the process group."""
    by_group = dict.fromkeys(groups.values(), 0.0)
    for stat in _all():
        if stat.group in by_group:
            by_group[stat.group] += stat.cpu_s
    return {name: by_group[group] for name, group in groups.items()}


def memory_of_groups(groups: Mapping[str, int]) -> dict[str, list[float]]:
    """Resident MB of each process, by the name of its group, largest first."""
    return {name: sorted(sizes.values(), reverse=True) for name, sizes in memory_by_pid(groups).items()}


def memory_by_pid(groups: Mapping[str, int]) -> dict[str, dict[int, float]]:
    """Resident MB by process id, by the name of its group. The id of a group is that of its first process."""
    names = {group: name for name, group in groups.items()}
    found: dict[str, dict[int, float]] = {name: {} for name in groups}
    for stat in _all():
        if stat.group in names and (size := _resident_mb(stat.pid)):
            found[names[stat.group]][stat.pid] = size
    return found


def children(pid: int) -> list[int]:
    """Of all its threads; empty if it is gone."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return sorted(found)


def busy_s() -> float:
    """CPU seconds that the whole machine has worked so far: what exceeds the benchmark's own is someone else's work."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = map(int, fields)
    return (user + nice + system + irq + softirq) * TICK_S


def _all() -> Iterable[Stat]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                yield parse((folder / "stat").read_text())
            except (OSError, ValueError):  # it ended just now
                continue


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
