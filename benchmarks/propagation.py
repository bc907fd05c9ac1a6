"""How soon rules and annotations are in force in Snowflake's stand-in, and that no reader sees what is hidden meanwhile.

`python -m benchmarks.propagation [--only rules annotations slow wide outage]`. Everything over HTTP, as a client and a reader see
it: from the call to the state `enforced`, polled. Exit code 1 if a promise is broken.
"""

import argparse
import hashlib
import hmac
import json
import secrets
import signal
import statistics
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import promises
from benchmarks.promises import FOLDER, Progress, Promise, conclude
from benchmarks.system import Failed, System, _free_port, running
from benchmarks.warehouse import Api, Warehouse, warehouse
from sandbox.surroundings import TARGET

PARTS = ("rules", "annotations", "slow", "wide", "outage")
TABLES, COLUMNS, RULES = 100, 20, 200
REDACT, NULLIFY, HASH = {"kind": "redact"}, {"kind": "nullify"}, {"kind": "hash"}
SETTLED = ("enforced", "nothing_to_do", "held", "attached", "partly_enforced", "failed", "conflict")
WORKER = f"worker-{TARGET}"


@dataclass
class House:
    """What is measured: the system, its API, the warehouse, and what was found so far."""

    system: System
    api: Api
    warehouse: Warehouse
    progress: Progress
    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def promise(self, what: str, seen: str, kept: bool, **figures: Any) -> None:
        self.promises.append(Promise(what, seen, kept))
        self.figures[what] = {"seen": seen, "kept": kept, **figures}
        self.progress.note(f"{what}: {seen}")


def rules(house: House) -> None:
    """2 changes/s for a minute, with 200 rules and 2,000 annotated columns there."""
    api, names = house.api, [f"T{n}" for n in range(TABLES)]
    house.warehouse.make_tables(names, COLUMNS)
    for n, name in enumerate(names):
        api.annotate(name, {f"C{c}": [f"K{2 * n + (c >= COLUMNS // 2)}"] for c in range(COLUMNS)})
    made = [api.create(f"rule {n}", f"K{n}", REDACT) for n in range(RULES)]
    began_at = time.monotonic()
    for rule in made:
        api.await_state(rule, 120)
    house.progress.note(f"{RULES} rules on {TABLES * COLUMNS} columns were in force {time.monotonic() - began_at:.0f} s later")
    took: list[float] = []
    wrong: list[str] = []
    fresh: dict[int, dict[str, Any]] = {}

    def change(number: int, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        kind, place = number % 3, (7 * number) % RULES
        try:
            began_at = time.monotonic()
            if kind == 0:
                rule = fresh[number] = api.create(f"new {number}", f"K{place}", HASH)
            elif kind == 1:
                rule = api.change(made[place]["id"], NULLIFY)
            else:
                rule = api.delete(fresh[number - 2]["id"])
            api.await_state(rule, 30)
            took.append(time.monotonic() - began_at)
            mine = [c for c in range(COLUMNS) if (c >= COLUMNS // 2) == bool(place % 2)]
            (row,) = house.warehouse.read(f"T{place // 2}", ", ".join(f"C{c}" for c in mine))
            if _clear(house, f"T{place // 2}", mine) or (kind == 1 and any(cell is not None for cell in row)):
                wrong.append(rule["id"])
        except (Failed, KeyError) as error:
            wrong.append(str(error))

    start = time.monotonic() + 0.5
    threads = [threading.Thread(target=change, args=(number, start + number / 2)) for number in range(120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = _share(took, 0.5), _share(took, 0.99)
    seen = f"p50 {p50 * 1000:.0f}, p99 {p99 * 1000:.0f}, most {max(took) * 1000:.0f} ms; {len(took)} of 120, {len(wrong)} wrong"
    house.promise(
        "2 rule changes/s for 60 s: from the call to enforced p99 under 1 s", seen, p99 < 1 and not wrong, wrong=wrong[:5]
    )


def annotations(house: House) -> None:
    """200 at once, as 200 calls."""
    api, names = house.api, [f"A{n}" for n in range(100)]
    house.warehouse.make_tables(names, COLUMNS)
    rule = api.create("annotated", "AT_ONCE", REDACT)
    api.await_state(rule, 30)
    began_at = time.monotonic()
    threads = [
        threading.Thread(target=api.annotate, args=(name, {column: ["AT_ONCE"]})) for name in names for column in ("C0", "C1")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    called_s = time.monotonic() - began_at
    left = set(names)
    while left and time.monotonic() - began_at < 60:
        left = {name for name in left if _clear(house, name, [0, 1])}
        time.sleep(0.1)
    hidden_s = time.monotonic() - began_at
    told_s = hidden_s + api.await_state(rule, 60)
    seen = f"calls done after {called_s:.1f} s, all hidden after {hidden_s:.1f} s, all told enforced after {told_s:.1f} s"
    house.promise("200 annotation changes at once: enforced within 10 s", seen, told_s < 10 and not left)


def slow(house: House) -> None:
    """300 ms more for each statement."""
    house.warehouse.make_tables(["SLOW"], COLUMNS)
    house.api.annotate("SLOW", {f"C{c}": ["SLOWLY"] for c in range(COLUMNS)})
    time.sleep(2)
    house.warehouse.fault(kind="latency", delay_s=0.3, count=None)
    try:
        took = house.api.await_state(house.api.create("slow", "SLOWLY", HASH), 30)
    finally:
        house.warehouse.mend()
    house.promise("300 ms a statement: a rule on 20 columns of a table within 3 s", f"{took:.2f} s", took < 3)


def wide(house: House) -> None:
    """One rule on 2,000 columns, with a reader who polls all the time, a change, a swap and a kill."""
    api, names = house.api, [f"W{n}" for n in range(TABLES)]
    house.warehouse.make_tables(names, COLUMNS)
    house.warehouse.sql(
        "CREATE MASKING POLICY GOV.LILY.THEIRS AS (V VARCHAR) RETURNS VARCHAR -> 'theirs'; "
        "ALTER TABLE ANALYTICS.BENCH.W5 MODIFY COLUMN C0 SET MASKING POLICY GOV.LILY.THEIRS"
    )
    for name in names:
        api.annotate(name, {f"C{c}": ["WIDE"] for c in range(COLUMNS)})
    house.warehouse.forget_queries()
    with _reader(house, [(names[n], n * 4) for n in (0, 20, 40, 60, 80 - 1)]) as seen:
        rule = api.create("wide", "WIDE", REDACT)
        took = api.await_state(rule, 120, SETTLED)
        counts = {
            kind: len(house.warehouse.queries(f"^ALTER TABLE .ANALYTICS.*{words}")) / TABLES
            for kind, words in (("masks", "SET MASKING POLICY"), ("tags", "SET TAG"))
        }
        states = _states(api, rule)
        house.promise(
            "one rule on 2,000 columns of 100 tables: at most 1.1 ALTERs per table and kind",
            f"masks {counts['masks']:.2f}, tags {counts['tags']:.2f}; after {took:.1f} s",
            all(count <= 1.1 for count in counts.values()),
        )
        bare = [c for c in range(1, COLUMNS) if _clear(house, "W5", [c])]
        house.promise(
            "one column that carries somebody else's mask stops no other: all others are masked and proven",
            f"{states}; {len(bare)} other columns of its table are bare",
            states == {"enforced": TABLES - 1, "conflict": 1} and not bare,
        )
        rule = api.change(rule["id"], NULLIFY)
        api.await_state(rule, 120, SETTLED)
        other = api.create("the other", "WIDE", HASH)
        api.await_state(other, 120, SETTLED)
        api.delete(rule["id"])
        rule = api.change(other["id"], REDACT)
        time.sleep(0.3)
        house.system.kill(WORKER)
        house.system.begin(WORKER)
        api.await_state(rule, 180, SETTLED)
    house.promise(
        "a reader never sees a stored value once it was hidden: apply, update, swap, worker killed",
        f"{seen['reads']} reads of 5 columns, {seen['hidden']} of them hidden, {seen['bare']} bare after that",
        seen["bare"] == 0 and seen["hidden"] > 0,
    )
    house.warehouse.make_tables(["LATER"], 1)
    api.annotate("NEWER", {"C0": ["WIDE"]})
    time.sleep(2)
    house.warehouse.make_tables(["NEWER"], 1)
    began_at = time.monotonic()
    while _clear(house, "NEWER", [0]) and time.monotonic() - began_at < 60:
        time.sleep(0.05)
    shown = f"{time.monotonic() - began_at:.1f} s, with LILY_TARGET_*_INVENTORY_EVERY_S={house.system.environ[EVERY]}"
    house.promise("a new table that was annotated before is masked", shown, not _clear(house, "NEWER", [0]))


def outage(house: House) -> None:
    """The warehouse refuses for half a minute, then hangs for another; the API is asked all the time."""
    api, names = house.api, [f"O{n}" for n in range(30)]
    house.warehouse.make_tables(names, 4)
    for number, name in enumerate(names):
        api.annotate(name, {f"C{c}": [f"OUT{number}"] for c in range(4)})
    calm = _calls(house, 10)
    made: list[dict[str, Any]] = []
    sick: list[float] = []
    for spec in ({"kind": "status", "status": 503}, {"kind": "hang"}):
        house.warehouse.fault(**spec, count=None, on="all")
        ends_at = time.monotonic() + 30
        while time.monotonic() < ends_at:
            if len(made) < len(names):
                made.append(api.create(f"out {len(made)}", f"OUT{len(made)}", REDACT))
            sick += _calls(house, 1)
        house.warehouse.mend()
    back_at = time.monotonic()
    for rule in made:
        api.await_state(rule, 120)
    house.progress.note(f"{len(sick)} calls and deliveries meanwhile, {len(calm)} before")
    seen = f"p99 {_share(sick, 0.99) * 1000:.0f} ms, calm {_share(calm, 0.99) * 1000:.0f} ms"
    house.promise(
        "the target refuses, then hangs, for 60 s: calls of the API and deliveries at most x 2 at p99, or 50 ms",
        seen,
        _share(sick, 0.99) < max(0.05, 2 * _share(calm, 0.99)),
    )
    house.promise("when it is back all completes by itself", f"{len(made)} rules, {time.monotonic() - back_at:.0f} s later", True)


def _clear(house: House, table: str, columns: list[int]) -> bool:
    """Whether any of these columns still shows what is stored."""
    (row,) = house.warehouse.read(table, ", ".join(f"C{c}" for c in columns))
    stored = ("ann@x.example", "a text", "12.5", "2020-02-02", "short")
    return any(
        str(cell).removesuffix("0") == stored[c % len(stored)].removesuffix("0") for cell, c in zip(row, columns, strict=True)
    )


@contextmanager
def _reader(house: House, places: list[tuple[str, int]]) -> Iterator[dict[str, int]]:
    """Somebody who reads five columns over and over; of each, a value shown after it was hidden once counts as bare."""
    seen, ends, hidden = {"reads": 0, "hidden": 0, "bare": 0}, threading.Event(), set[str]()

    def read() -> None:
        while not ends.is_set():
            for table, column in places:
                is_clear = _clear(house, table, [column % COLUMNS])
                seen["reads"] += 1
                if not is_clear:
                    hidden.add(table)
                    seen["hidden"] += 1
                elif table in hidden:
                    seen["bare"] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        ends.set()
        thread.join()


def _states(api: Api, rule: dict[str, Any]) -> dict[str, int]:
    told = api.ask("GET", f"/security/rules/{rule['id']}/propagations?limit=1")[0]
    return dict(told["targets"][0]["tables"])


def _calls(house: House, seconds: float) -> list[float]:
    """How long calls and deliveries took that have nothing to do with the warehouse, one after the other."""
    took, ends_at = [], time.monotonic() + seconds
    while time.monotonic() < ends_at:
        for call in (lambda: house.api.ask("GET", "/security/rules?limit=5"), lambda: _deliver(house)):
            began_at = time.monotonic()
            call()
            took.append(time.monotonic() - began_at)
        time.sleep(0.02)
    return took


def _deliver(house: House) -> None:
    """An alert, signed as Monte Carlo does it. Raises Failed unless it is accepted."""
    incident = secrets.token_hex(16)
    payload = {
        "incident_id": incident,
        "group_id": "g",
        "event_list": [],
        "url": f"https://getmontecarlo.com/incidents/{incident}",
    }
    body = {"account": {"id": "a"}, "action": "incident", "payload": payload, "type": "open_anomaly_incident", "version": "v0.1"}
    raw = json.dumps(body).encode()
    text = urllib.parse.urlencode(json.loads(raw)).encode()
    signature = hmac.new(house.system.secret.encode(), text, hashlib.sha512).hexdigest()
    house.api.ask("POST", "/webhooks/monte-carlo", body, {"x-mcd-signature": signature})


def _share(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1] if len(values) > 1 else values[0]


MEASURED: dict[str, Callable[[House], None]] = {
    "rules": rules,
    "annotations": annotations,
    "slow": slow,
    "wide": wide,
    "outage": outage,
}
EVERY = f"LILY_TARGET_{TARGET.upper().replace('-', '_')}_INVENTORY_EVERY_S"
SHORT = {
    EVERY: "5",
    f"LILY_TARGET_{TARGET.upper().replace('-', '_')}_STATEMENT_TIMEOUT_S": "3",
    "LILY_LEASE_S": "8",
    "LILY_SWEEP_AFTER_S": "10",
    "LILY_SWEEP_EVERY_S": "2",
}
SHORT_IN = {"wide": SHORT, "outage": SHORT}  # what dies or is away comes back sooner, so that a trial ends


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.propagation", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts, each on a system of its own (all)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress = Progress()
    found: list[Promise] = []
    figures: dict[str, Any] = {}
    for part in arguments.only:
        progress.note(f"{part}: {(MEASURED[part].__doc__ or '').strip()}")
        folder = FOLDER / f"propagation-{part}"
        try:
            with (
                warehouse(folder.with_suffix(".warehouse"), _free_port()) as (stand_in, settings),
                running("lily", folder, {**promises.settings(), **settings, **SHORT_IN.get(part, {})}) as system,
            ):
                house = House(system, Api(f"http://127.0.0.1:{system.ports['web']}"), stand_in, progress)
                time.sleep(3)  # the workers' first login
                MEASURED[part](house)
                found += house.promises
                figures |= house.figures
        except Failed as error:
            found.append(Promise(part, str(error), False))
    return conclude("propagation", found, figures)


if __name__ == "__main__":
    sys.exit(main())
