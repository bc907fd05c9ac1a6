"""Whoever means ill, as a process of its own: prepares, says `ready`, waits for its moment on standard input, writes what came.

`wire`: odd bodies and raw cases, evenly over the time, beside half-sent requests that are held open until they are answered;
`bodies`, `raw` and `half` are its parts. `flood`: senders of large bodies with false signatures, each as fast as it is answered.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import odd_bodies, raw_cases
from benchmarks.answers import Answer, Garbled, Seen, judge, parse, problem_fault
from benchmarks.exchange import exchange
from benchmarks.raw_cases import Case, post, signature

KINDS = ("wire", "bodies", "raw", "half", "flood")
BODIES = 1000
ROUNDS = 2  # of the raw cases
HALF_SENT = 1500
HELD_S = 45.0  # the server gives up on them after half a minute
SENDERS = 20
FALSE_BYTES = 900_000
EMOJI_OF_MANY_AGES = "\U0001f928\U0001f970\U0001f90f\U0001f972\U0001fae0\U0001fae8\U0001fae9"  # Unicode 10 to 16: all are tried
SHOWN_BYTES = 2000  # of what is kept of a request or an answer
OFFENCES_MAX = 1000


@dataclass
class Report:
    """What became of an attack. `accepted`: ids of the events that genuine odd bodies became."""

    answers: dict[str, int] = field(default_factory=dict)
    offences: list[dict[str, str]] = field(default_factory=list)
    offended: int = 0
    accepted: set[str] = field(default_factory=set)
    exchanges: int = 0
    late_s: float = 0.0  # how far the attack fell behind its own schedule

    def saw(self, case: Case, seen: Seen, fault: str) -> None:
        self.exchanges += 1
        with contextlib.suppress(Garbled):
            for answer in parse(seen.received)[0]:
                self._count(str(answer.status))
                if answer.status == 202:
                    self.accepted.add(json.loads(answer.body)["event_id"])
        if not seen.received:
            self._count(f"none, {seen.end}")
        if fault:
            self.offends(case.name, fault, b"".join(case.pieces), seen.received)

    def _count(self, answer: str) -> None:
        self.answers[answer] = self.answers.get(answer, 0) + 1

    def offends(self, name: str, fault: str, sent: bytes, received: bytes) -> None:
        self.offended += 1
        if len(self.offences) < OFFENCES_MAX:
            shown = {"sent": _shown(sent), "received": _shown(received)}
            self.offences.append({"case": name, "fault": fault, **shown})


async def wire(port: int, seconds: float, prepared: Sequence[Case], report: Report) -> None:
    """All of `prepared`, one after the other at even intervals; none waits for the one before."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    running = set()
    for index, case in enumerate(prepared):
        at = begin + seconds * index / len(prepared)
        await asyncio.sleep(max(0.0, at - loop.time()))
        report.late_s = max(report.late_s, loop.time() - at)
        task = asyncio.ensure_future(_try(port, case, report))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def hold(port: int, report: Report) -> None:
    """Half-sent requests, all there after a second, until the server gives up on them."""
    await asyncio.gather(*(_hold(port, number, report) for number in range(HALF_SENT)))


async def flood(port: int, seconds: float, prepared: Sequence[Case], report: Report) -> None:
    """Each sender has one connection, and sends the next body once the last is answered."""
    ends_at = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(_flood(port, prepared[number % len(prepared)], ends_at, report) for number in range(SENDERS)))


def false_deliveries(secret: str) -> list[Case]:
    """Well formed, 900 kB, with a signature that was made with another secret; text, many small things, and emoji."""
    head: dict[str, Any] = {"type": "anomalies", "version": "v0.1"}
    rows = [{"field": "amount", "value": "50.0", "hit": None, "at": 1} for _ in range(FALSE_BYTES // 68)]
    texts: dict[str, object] = {
        "text": 'He said: "50 % off"; ' * (FALSE_BYTES // 23),
        "rows": rows,
        "emoji": EMOJI_OF_MANY_AGES * 1200 + "text" * (FALSE_BYTES // 5),
    }
    made = []
    for name, content in texts.items():
        body = json.dumps({**head, "payload": {"incident_id": "i", "event_list": [content]}}).encode()
        body += b" " * (FALSE_BYTES - len(body))
        made.append(Case(f"false {name}", (post(body, signature(body, f"not {secret}")),), (401, 429)))
    return made


async def _try(port: int, case: Case, report: Report) -> None:
    try:
        seen = await exchange(port, case)
    except OSError as error:
        report.offends(case.name, f"no connection: {error}", b"", b"")
        return
    report.saw(case, seen, judge(seen, case.statuses, case.answers_max, case.closes))


async def _hold(port: int, number: int, report: Report) -> None:
    """A request that stops half way. It is right to close it, or to say that it took too long."""
    await asyncio.sleep(number / HALF_SENT)
    sent = _half(number)
    case = Case(f"half-sent {number % 5}", (sent,), (408,), closes=True)
    try:
        seen = await exchange(port, case, HELD_S)
    except OSError as error:
        report.offends(case.name, f"no connection: {error}", b"", b"")
        return
    report.saw(case, seen, judge(seen, case.statuses, case.answers_max, case.closes))


def _half(number: int) -> bytes:
    request = post(b"{" * 900_000)
    kinds = (
        request[:15],
        request[:60],
        request[:500],
        request[:75_000] if number % 50 == 4 else request[:2000],  # a few are so large that they go to files
        raw_cases.chunked(b"ff\r\n{"),
    )
    return kinds[number % len(kinds)]


async def _flood(port: int, case: Case, ends_at: float, report: Report) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < ends_at:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            report.offends(case.name, f"no connection: {error}", b"", b"")
            await asyncio.sleep(0.1)
            continue
        try:
            while loop.time() < ends_at and await _one_more(reader, writer, case, report):
                pass
        except OSError as error:
            report.offends(case.name, f"connection lost: {error}", b"".join(case.pieces), b"")
        finally:
            writer.close()


async def _one_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case, report: Report) -> bool:
    """Whether the connection is good for another."""
    writer.writelines(case.pieces)
    received = bytearray()
    answers: list[Answer] = []
    while not answers:
        data = await reader.read(65536)
        if not data:
            report.saw(case, Seen(bytes(received), "ended"), "" if not received else "an answer ends half way")
            return False
        received += data
        answers, _ = parse(bytes(received))
    (answer,) = answers
    # Turned away because too many large ones wait is right as well, if it says for how long.
    is_turned_away = answer.status == 503 and "retry-after" in answer.headers and not problem_fault(answer)
    seen = Seen(bytes(received), "open")
    report.saw(case, seen, "" if is_turned_away else judge(seen, case.statuses))
    return answer.headers.get("connection", "").lower() != "close"


def _shown(raw: bytes) -> str:
    text = raw[:SHOWN_BYTES].decode("latin-1")
    return text if len(raw) <= SHOWN_BYTES else f"{text} ... ({len(raw)} bytes)"


def _prepared(kind: str, secret: str) -> list[Case]:
    cases = odd_bodies.cases(BODIES, secret) if kind in {"wire", "bodies"} else []
    cases += list(raw_cases.cases(secret)) * ROUNDS if kind in {"wire", "raw"} else []
    random.Random(1).shuffle(cases)
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attackers", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 10_000, hard))
    kind, port, report = arguments.kind, arguments.port, Report()
    prepared = false_deliveries(arguments.secret) if kind == "flood" else _prepared(kind, arguments.secret)
    print("ready", os.getpid(), flush=True)
    start_at = float(sys.stdin.readline())
    time.sleep(max(0.0, start_at - time.time()))

    async def attack() -> None:
        if kind == "flood":
            await flood(port, arguments.seconds, prepared, report)
        else:
            holding = hold(port, report) if kind in {"wire", "half"} else asyncio.sleep(0)
            await asyncio.gather(wire(port, arguments.seconds, prepared, report), holding)

    asyncio.run(attack())
    arguments.out.write_text(json.dumps({**asdict(report), "accepted": sorted(report.accepted)}))


if __name__ == "__main__":
    main()
