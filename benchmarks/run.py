"""One run: warm up, offer a rate for some seconds, wait until all is published, count. The clock stops before the counting."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import proc, profiles
from benchmarks.system import ROOT, Failed, System
from benchmarks.verify import Run, Sent, outcome

BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PREPARE_S = 60.0  # bounds of what may hang
ANSWERS_S = 30.0
SETTLE_S = 0.5  # after the last message: the writes that follow it, which count as calls too


@dataclass(frozen=True)
class Plan:
    """What is offered. Seconds; `drain_s` is how long is waited at most for what is not published when the clock stops."""

    rate: float
    seconds: float
    warm_up_s: float = 1.0
    drain_s: float = 60.0
    per_incident: int = 1
    profile: bool = False


def run(system: System, plan: Plan, settings: Mapping[str, str]) -> Run:
    """Offer `plan` to a running system and say what became of it. Raises Failed if the generator does not come to an end."""
    generator = _generator(system, plan)
    try:
        return _measure(system, plan, settings, generator)
    finally:
        generator.kill()
        generator.wait()


def _measure(system: System, plan: Plan, settings: Mapping[str, str], generator: "subprocess.Popen[str]") -> Run:
    groups = {**system.groups, "generator": generator.pid}
    calls, messages = system.aws_calls(), system.messages_sent()
    start_at = time.time() + 0.2
    _tell(generator, start_at)
    begins_at = start_at + plan.warm_up_s
    _sleep_until(begins_at)
    cpu, busy = proc.cpu_of_groups(groups), proc.busy_s()
    profiler = profiles.start(system.groups, system.folder, plan.seconds) if plan.profile else None
    _sleep_until(begins_at + plan.seconds)
    cpu_after, busy_after = proc.cpu_of_groups(groups), proc.busy_s()
    memory = proc.memory_of_groups(system.groups)
    sent = _sent(system, generator)
    _drain(system, sent.accepted, begins_at + plan.seconds + plan.drain_s)
    calls_after, messages_after = system.aws_calls(), system.messages_sent()
    arrivals = system.take_messages()
    if profiler:
        profiles.finish(profiler)

    seen = outcome(sent, arrivals, begins_at, plan.seconds)
    spent = {name: cpu_after[name] - cpu[name] for name in groups}
    published, total = max(1.0, seen.published_per_s * plan.seconds), max(1, len(arrivals))
    by_call = {name: (count - calls.get(name, 0)) / total for name, count in calls_after.items() if count != calls.get(name, 0)}
    return Run(
        system=system.kind,
        settings=dict(settings),
        outcome=seen,
        cpu_ms={name: round(seconds * 1000 / published, 3) for name, seconds in spent.items()},
        aws_calls=round(sum(by_call.values()), 4),
        calls={name: round(share, 4) for name, share in sorted(by_call.items())},
        messages=round((messages_after - messages) / total, 4),
        memory_mb={name: [round(size, 1) for size in sizes] for name, sizes in memory.items()},
        elsewhere=round(max(0.0, busy_after - busy - sum(spent.values())) / plan.seconds, 2),
        generator_late_ms=round(sent.late_max * 1000, 1),
        connections=sent.connections,
    )


def _generator(system: System, plan: Plan) -> "subprocess.Popen[str]":
    options = {
        "port": system.ports["web"],
        "secret": system.secret,
        "rate": plan.rate,
        "seconds": plan.warm_up_s + plan.seconds,
        "per-incident": plan.per_incident,
        "out": _log(system),
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(
        [str(BENCH_PYTHON), "-m", "benchmarks.load", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    system.keeper.hold(process.pid)
    if not process.stdout or not process.stdout.readline().startswith("ready"):
        process.kill()
        raise Failed("the load generator did not start; its message is above")
    return process


def _tell(generator: "subprocess.Popen[str]", start_at: float) -> None:
    if generator.stdin:
        generator.stdin.write(f"{start_at}\n")
        generator.stdin.flush()


def _sent(system: System, generator: "subprocess.Popen[str]") -> Sent:
    try:
        generator.wait(ANSWERS_S)
    except subprocess.TimeoutExpired:
        raise Failed("the load generator did not end") from None
    system.keeper.release(generator.pid)
    return Sent(**json.loads(_log(system).read_text()))


def _drain(system: System, accepted: int, ends_at: float) -> None:
    while system.queue_size() < accepted and time.time() < ends_at:
        time.sleep(0.2)
    time.sleep(SETTLE_S)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


def _log(system: System) -> Path:
    return system.folder / "sent.json"
