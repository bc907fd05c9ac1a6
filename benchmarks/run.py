"""One run: warm up, offer a rate for some seconds, wait until all is published, count. The clock stops before the counting."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import proc, profiles
from benchmarks.offering import Offering, offering
from benchmarks.system import System
from benchmarks.verify import Run, outcome

ANSWERS_S = 30.0  # bound of what may hang
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
    with offering(system, plan.rate, plan.warm_up_s + plan.seconds, per_incident=plan.per_incident) as load:
        return _measure(system, plan, settings, load)


def _measure(system: System, plan: Plan, settings: Mapping[str, str], load: Offering) -> Run:
    groups = {**system.groups, "generator": load.process.pid}
    calls, messages = system.aws_calls(), system.messages_sent()
    start_at = time.time() + 0.2
    load.begin(start_at)
    begins_at = start_at + plan.warm_up_s
    _sleep_until(begins_at)
    cpu, busy = proc.cpu_of_groups(groups), proc.busy_s()
    profiler = profiles.start(system.groups, system.folder, plan.seconds) if plan.profile else None
    _sleep_until(begins_at + plan.seconds)
    cpu_after, busy_after = proc.cpu_of_groups(groups), proc.busy_s()
    memory = proc.memory_of_groups(system.groups)
    sent = load.result(ANSWERS_S)
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


def _drain(system: System, accepted: int, ends_at: float) -> None:
    while system.queue_size() < accepted and time.time() < ends_at:
        time.sleep(0.2)
    time.sleep(SETTLE_S)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))
