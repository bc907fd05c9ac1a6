"""DynamoDB slow, and DynamoDB throttling parts of batches: groups must widen, and each sender must be told the truth."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import timelines
from benchmarks.answers import Answer, Garbled, parse, problem_fault
from benchmarks.bad_day import BadDay, bad_day, group_size
from benchmarks.deliveries import Prepared, prepare
from benchmarks.exchange import exchange
from benchmarks.promises import FOLDER, Progress, Promise, settings
from benchmarks.raw_cases import Case
from benchmarks.redis_outages import SWIFT
from benchmarks.system import System, running
from benchmarks.windows import Ledger, Window, figures, line, offer

SLOW_S = 0.3
SLOW_RATE = 300.0  # offered
ACCEPTED_MIN = 200.0  # per second and web process
RATE = 60.0
SETTLED_S = 120.0
SLOW = {"kind": "latency", "operation": "DynamoDB_*", "delay_s": SLOW_S}
DEGREES = {"some": 0.3, "most": 0.9}  # share of what DynamoDB refuses


def throttled(share: float) -> list[dict[str, Any]]:
    """Parts of batches, and a third as often whole calls; a few that were done lose their answer."""
    parts = [
        {"kind": "parts", "operation": name, "share": share, "code": code}
        for name, code in (
            ("BatchExecuteStatement", "ThrottlingError"),
            ("BatchWriteItem", ""),
            ("BatchGetItem", ""),
        )
    ]
    whole = [
        {"kind": "error", "operation": "DynamoDB_*", "share": share / 3, "status": status, "code": code}
        for status, code in ((400, "ThrottlingException"), (500, "InternalServerError"))
    ]
    lost = {"kind": "drop_after", "operation": "DynamoDB_*", "share": share / 15}
    single = {"kind": "error", "operation": "PutItem", "share": share, "code": "ProvisionedThroughputExceededException"}
    return [*whole, lost, single, *parts]


@dataclass
class Told:
    """What senders were told while DynamoDB throttled, and what of it was not true."""

    degree: str
    answers: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    settled_s: float = 0.0
    stored_unsaid: int = 0  # stored although its sender was told 503: allowed, it is sent again
    refused_parts: int = 0
    refused_calls: int = 0


def slow(seconds: float, progress: Progress) -> tuple[list[Promise], dict[str, Any]]:
    """The same load with and without SLOW_S before each call to DynamoDB. Raises Failed."""
    with running("lily", FOLDER / "outages", {**SWIFT, **settings()}) as system, bad_day(system, 50) as day:
        ledger = Ledger()
        progress.now("DynamoDB well")
        calm, calm_group, text = _measured(system, day, "well", seconds)
        progress.note(text)
        day.faulty(SLOW)
        progress.now("DynamoDB slow")
        window, group, text = _measured(system, day, "slow", seconds)
        progress.note(text)
        day.well()
        ledger.accepted |= calm.accepted | window.accepted
        progress.now("until all is published")
        missing = ledger.settle(system, SETTLED_S)
    promises = [
        Promise(
            f"DynamoDB at {SLOW_S * 1000:.0f} ms a call: at least {ACCEPTED_MIN:.0f} accepted/s by one web process",
            f"{window.accepted_per_s:.0f}/s of {SLOW_RATE:.0f}/s offered",
            window.accepted_per_s >= ACCEPTED_MIN,
        ),
        Promise("its groups widen", f"from {calm_group:.1f} to {group:.1f} deliveries a write", group > calm_group),
        Promise("nothing but 202 and 503 is answered", _counts(window.answers), set(window.answers) <= {"202", "503"}),
        Promise("nothing is lost", f"{len(missing)} of {len(ledger.accepted)} missing", not missing),
    ]
    groups = {"well": round(calm_group, 2), "slow": round(group, 2)}
    return promises, {"windows": [figures(calm), figures(window)], "group_size": groups, "missing": sorted(missing)}


def _measured(system: System, day: BadDay, name: str, seconds: float) -> tuple[Window, float, str]:
    """A window, deliveries per write in it, and the line that tells of both."""
    day.web.calls()
    window = offer(system, name, SLOW_RATE, seconds)
    calls = day.web.calls()
    group = group_size(calls)
    written = ", ".join(f"{one.get('calls', 0)} {operation}" for operation, one in calls.items() if operation)
    return window, group, f"{line(window)}; {window.accepted_per_s:.0f} accepted/s, {group:.1f} a write ({written})"


def truth(seconds: float, progress: Progress) -> tuple[list[Promise], dict[str, Any]]:
    """Deliveries while DynamoDB throttles, each answer held against the table. Raises Failed."""
    found = []
    with running("lily", FOLDER / "outages", {**SWIFT, **settings()}) as system, bad_day(system, 20) as day:
        for degree, share in DEGREES.items():
            told = Told(degree)
            count = round(RATE * seconds)
            deliveries = list(prepare(count, f"127.0.0.1:{system.ports['web']}", system.secret))
            day.faulty(*throttled(share))
            progress.now(f"DynamoDB refuses {degree}")
            answers = asyncio.run(_send(system, deliveries, told))
            day.well()
            calls = day.web.calls()
            told.refused_parts = sum(one.get("refused_parts", 0) for one in calls.values())
            told.refused_calls = sum(one.get("error", 0) + one.get("drop_after", 0) for one in calls.values())
            _hold_against_table(system, deliveries, answers, told)
            progress.now(f"DynamoDB refuses {degree}: once more what had no 202")
            _send_again(system, deliveries, answers, told)
            began_at = time.monotonic()
            progress.now(f"DynamoDB refuses {degree}: until all is published")
            told.missing = frozenset(Ledger({one.event_id for one in deliveries}).settle(system, SETTLED_S))
            told.settled_s = time.monotonic() - began_at
            progress.note(
                f"{degree}: {_counts(told.answers)}; {told.refused_calls} calls and {told.refused_parts} parts of calls refused; "
                f"{told.stored_unsaid} stored though answered 503; {len(told.false)} told something false; "
                f"{len(told.missing)} missing {told.settled_s:.0f} s later"
            )
            found.append(told)
    return [promise for told in found for promise in _promises(told)], {
        told.degree: {
            "answers": dict(told.answers),
            "false": told.false[:100],
            "missing": sorted(told.missing),
            "settled_s": round(told.settled_s, 1),
            "stored_unsaid": told.stored_unsaid,
            "refused_parts": told.refused_parts,
            "refused_calls": told.refused_calls,
        }
        for told in found
    }


async def _send(system: System, deliveries: Sequence[Prepared], told: Told) -> dict[str, Answer]:
    """Each at its moment, RATE a second, on a connection of its own; the answers by event id."""
    loop = asyncio.get_running_loop()
    begin, answers = loop.time(), dict[str, Answer]()

    async def send(index: int, delivery: Prepared) -> None:
        await asyncio.sleep(begin + index / RATE - loop.time())
        seen = await exchange(system.ports["web"], Case(delivery.event_id, (delivery.request,)))
        try:
            found = parse(seen.received)[0]
        except Garbled as error:
            told.false.append(f"{delivery.event_id}: {error}")
            return
        told.answers[str(found[0].status) if found else f"none, {seen.end}"] += 1
        if found:
            answers[delivery.event_id] = found[0]
            told.false += [f"{delivery.event_id}: {fault}" for fault in _faults(delivery, found[0])]

    await asyncio.gather(*(send(index, delivery) for index, delivery in enumerate(deliveries)))
    return answers


def _faults(delivery: Prepared, answer: Answer) -> list[str]:
    """What an answer must be, whatever the table says."""
    if answer.status == 202:
        said = json.loads(answer.body)
        return [] if said["event_id"] == delivery.event_id else [f"202 for {said['event_id']}"]
    if answer.status != 503:
        return [f"answered {answer.status}"]
    if fault := problem_fault(answer):
        return [fault]
    wait = answer.headers.get("retry-after", "")
    return [] if wait.isdecimal() and int(wait) > 0 else [f"503 with Retry-After {wait!r}"]


def _hold_against_table(system: System, deliveries: Sequence[Prepared], answers: Mapping[str, Answer], told: Told) -> None:
    there = set(timelines.read(system, [one.event_id for one in deliveries]))
    accepted = {event_id for event_id, answer in answers.items() if answer.status == 202}
    told.false += [f"{event_id}: 202, and nothing is stored" for event_id in sorted(accepted - there)]
    told.false += [f"{event_id}: called a duplicate" for event_id in accepted if json.loads(answers[event_id].body)["duplicate"]]
    told.stored_unsaid = len(there - accepted)


def _send_again(system: System, deliveries: Sequence[Prepared], answers: Mapping[str, Answer], told: Told) -> None:
    """What had no 202, and every tenth of the others: all 202 now, and a duplicate exactly if it was stored before."""
    before = set(timelines.read(system, [one.event_id for one in deliveries]))
    others = [one for one in deliveries if _status(answers, one) == 202][::10]
    again = [one for one in deliveries if _status(answers, one) != 202] + others
    second = asyncio.run(_send(system, again, Told("again")))
    for one in again:
        if _status(second, one) != 202:
            told.false.append(f"{one.event_id}: sent again, it was answered {_status(second, one)}")
        elif json.loads(second[one.event_id].body)["duplicate"] != (one.event_id in before):
            told.false.append(f"{one.event_id}: sent again, it was called {'new' if one.event_id in before else 'a duplicate'}")


def _status(answers: Mapping[str, Answer], delivery: Prepared) -> int:
    return answers[delivery.event_id].status if delivery.event_id in answers else 0


def _promises(told: Told) -> list[Promise]:
    name = f"DynamoDB refuses {told.degree} ({DEGREES[told.degree]:.0%})"
    return [
        Promise(
            f"{name}: each request gets its own true answer", f"{_counts(told.answers)}; {len(told.false)} false", not told.false
        ),
        Promise(
            f"{name}: sent again, all is accepted; nothing is lost",
            f"{len(told.missing)} missing {told.settled_s:.0f} s later",
            not told.missing,
        ),
    ]


def _counts(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(answers.items()))
