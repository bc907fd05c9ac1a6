"""Where the time goes: py-spy on the web process and on one child of the inbound worker, and the dearest functions of each."""

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.system import ROOT

PY_SPY = ROOT / ".venv-bench" / "bin" / "py-spy"
SAMPLES_PER_S = 200
ROWS = 60
FRAME_MAX = 0.9  # what nearly every stack begins with says nothing


@dataclass(frozen=True)
class Profile:
    name: str
    path: Path
    process: "subprocess.Popen[bytes]"


def start(groups: Mapping[str, int], folder: Path, seconds: float) -> list[Profile]:
    """Begin to sample whoever holds the interpreter lock at the moment, without stopping the processes for it."""
    pids = {"web": groups["web"], "worker": _children(groups["worker-inbound"])[-1], "aws": groups["aws"]}
    profiles = []
    for name, pid in pids.items():
        path = folder.parent / f"profile-{folder.name}-{name}.txt"
        options = ["--gil", "--nonblocking", "-r", SAMPLES_PER_S, "-d", max(1, int(seconds)), "-f", "raw", "-o", path, "-p", pid]
        command = [str(word) for word in (PY_SPY, "record", *options)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        profiles.append(Profile(name, path, process))
    return profiles


def finish(profiles: Sequence[Profile]) -> None:
    """Print the dearest functions and leave the stacks (collapsed, one a line) where they are."""
    for profile in profiles:
        profile.process.wait(30)
        stacks = parse(profile.path.read_text())
        total = sum(stacks.values())
        print(f"\n{profile.name}: {total} samples; share with what is called, share alone ({profile.path})")
        within, alone = shares(stacks)
        telling = [(name, count) for name, count in within.most_common() if count < FRAME_MAX * total]
        for name, count in telling[:ROWS]:
            print(f"  {count / total:6.1%} {alone[name] / total:6.1%}  {name}")
        print("  the dearest alone:")
        for name, count in alone.most_common(ROWS // 3):
            print(f"  {within[name] / total:6.1%} {count / total:6.1%}  {name}")


def parse(text: str) -> Counter[tuple[str, ...]]:
    """Collapsed stacks: `outer;inner 12` a line. Line numbers are taken off, so that a function is one thing."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[tuple(_function(frame) for frame in stack.split(";"))] += int(count)
    return stacks


def shares(stacks: Mapping[tuple[str, ...], int]) -> tuple[Counter[str], Counter[str]]:
    """Samples by function: with what it calls (a recursive one counts once), and of itself."""
    within: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for stack, count in stacks.items():
        for name in set(stack):
            within[name] += count
        alone[stack[-1]] += count
    return within, alone


def _function(frame: str) -> str:
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rpartition(':')[0] or place})" if place else name


def _children(pid: int) -> list[int]:
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
