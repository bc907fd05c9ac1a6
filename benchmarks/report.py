"""What was measured, for people: one line a run, and the comparison."""

from collections.abc import Sequence

from benchmarks.verify import Run

OWN = ("web", "worker-inbound", "worker-io", "beat")
STANDINS = ("aws", "redis")
HEAD = (
    "system  offered/s  published/s  kept up   accept p50   p99 | end to end p50    p99 | own ms  stand-ins  gen | calls   msgs"
)


def line(run: Run) -> str:
    seen = run.outcome
    return (
        f"{run.system:6}{seen.offered:10.0f}{seen.published_per_s:13.1f}{seen.kept_up:9.1%}"
        f"{seen.accept.p50:13.1f}{seen.accept.p99:6.0f} |{seen.end_to_end.p50:15.1f}{seen.end_to_end.p99:7.0f} |"
        f"{own_cpu_ms(run):7.2f}{standins_cpu_ms(run):11.2f}{run.cpu_ms['generator']:5.2f} |"
        f"{run.aws_calls:6.3f}{run.messages:7.3f}  {remarks(run)}"
    ).rstrip()


def remarks(run: Run) -> str:
    """What is not as it should be, if anything."""
    seen = run.outcome
    found = {
        "LOST": seen.lost,
        "published twice": seen.duplicates,
        "published without 202": seen.unaccepted,
        "STRANGERS": seen.strangers,
    }
    words = [f"{name}: {count}" for name, count in found.items() if count]
    words += [f"{count} x {status}" for status, count in seen.status.items() if status != "202"]
    if seen.drained_s > 1:
        words.append(f"all published {seen.drained_s:.0f} s later")
    if run.elsewhere > 0.15:
        words.append(f"({run.elsewhere:.1f} cores busy elsewhere)")
    if run.generator_late_ms > 50:
        words.append(f"(generator up to {run.generator_late_ms:.0f} ms late)")
    return ", ".join(words)


def own_cpu_ms(run: Run) -> float:
    """CPU per event of the system's own processes."""
    return sum(run.cpu_ms.get(name, 0.0) for name in OWN)


def standins_cpu_ms(run: Run) -> float:
    return sum(run.cpu_ms.get(name, 0.0) for name in STANDINS)


def costs(run: Run) -> str:
    """CPU and memory of one run, process by process."""
    cpu = "  ".join(f"{name} {ms:.2f}" for name, ms in run.cpu_ms.items())
    memory = "  ".join(f"{name} {'+'.join(f'{size:.0f}' for size in sizes)}" for name, sizes in run.memory_mb.items())
    calls = "  ".join(f"{name} {share:.3f}" for name, share in run.calls.items())
    return f"  CPU ms/event: {cpu}\n  resident MB: {memory}\n  AWS calls/event: {calls}"


def best(runs: Sequence[Run]) -> Run | None:
    """The run with the highest rate with which the system kept up."""
    return max((run for run in runs if run.outcome.has_kept_up), key=lambda run: run.outcome.offered, default=None)
