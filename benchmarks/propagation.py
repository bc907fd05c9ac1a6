"""How soon rules and annotations are in force in the warehouses' stand-ins, and that no reader sees what is hidden meanwhile.

`python -m benchmarks.propagation [--only rules annotations slow wide outage sick] [--targets snowflake databricks]`. Everything
over HTTP, as a client and a reader see it: from the call to the state `enforced` in all targets, polled. Exit code 1 if a promise
is broken.
"""

import argparse
import hashlib
import hmac
import itertools
import json
import secrets
import signal
import statistics
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import databricks, promises, snowflake
from benchmarks.api import Api
from benchmarks.promises import FOLDER, Progress, Promise, conclude
from benchmarks.system import Failed, System, _free_port, running
from benchmarks.warehouse import Warehouse, await_hidden, is_clear, warehouses

KINDS = {"snowflake": snowflake.stand_in, "databricks": databricks.stand_in}
TABLES, COLUMNS, RULES = 100, 20, 200
REDACT, NULLIFY, HASH = {"kind": "redact"}, {"kind": "nullify"}, {"kind": "hash"}
REQUESTS_MAX = {"snowflake": {"masks": 1.1, "tags": 1.1}, "databricks": {"all": 2.0}}  # for one change, by table


@dataclass
class House:
    """What is measured: the system, its API, the warehouses, and what was found so far."""

    system: System
    api: Api
    warehouses: Sequence[Warehouse]
    progress: Progress
    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def promise(self, what: str, seen: str, kept: bool, **figures: Any) -> None:
        self.promises.append(Promise(what, seen, kept))
        self.figures[what] = {"seen": seen, "kept": kept, **figures}
        self.progress.note(f"{what}: {seen}")

    def make_tables(self, names: Sequence[str], columns: int = COLUMNS) -> None:
        for one in self.warehouses:
            one.make_tables(names, columns)

    def annotate(self, table: str, columns: Sequence[int], *classes: str) -> None:
        """These columns, in every warehouse."""
        self.api.annotate([one.place(table, f"c{c}") for one in self.warehouses for c in columns], classes)

    def is_clear(self, table: str, columns: Sequence[int]) -> bool:
        """Whether anything stored shows in any warehouse."""
        return any(is_clear(one, table, columns) for one in self.warehouses)


def rules(house: House) -> None:
    """2 changes/s for a minute, with 200 rules and 2,000 annotated columns there."""
    api, names = house.api, [f"t{n}" for n in range(TABLES)]
    house.make_tables(names)
    for n, name in enumerate(names):
        house.annotate(name, range(COLUMNS // 2), f"K{2 * n}")
        house.annotate(name, range(COLUMNS // 2, COLUMNS), f"K{2 * n + 1}")
    made = [api.create(f"rule {n}", f"K{n}", REDACT) for n in range(RULES)]
    began_at = time.monotonic()
    for rule in made:
        api.await_state(rule, 120)
    house.progress.note(f"{RULES} rules on {TABLES * COLUMNS} columns were in force {time.monotonic() - began_at:.0f} s later")
    took, wrong = _changes_of(house, made)
    if not took:
        raise Failed(f"not one change came into force: {wrong[:3]}")
    p50, p99 = _share(took, 0.5), _share(took, 0.99)
    seen = f"p50 {p50 * 1000:.0f}, p99 {p99 * 1000:.0f}, most {max(took) * 1000:.0f} ms; {len(took)} of 120, {len(wrong)} wrong"
    house.promise(
        "2 rule changes/s for 60 s: from the call to enforced everywhere p99 under 1 s",
        seen,
        p99 < 1 and not wrong and len(took) == 120,
        wrong=wrong[:5],
    )


def _changes_of(house: House, made: Sequence[dict[str, Any]]) -> tuple[list[float], list[str]]:
    """120 changes, 2 a second: how long each took until it was enforced everywhere, and what was not as it should be then."""
    api, took, wrong, fresh = house.api, list[float](), list[str](), dict[int, dict[str, Any]]()
    moments = list[tuple[int, int, int]]()
    house.figures["each change: number, kind, ms"] = moments

    def change(number: int, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        kind, place = number % 3, (7 * number) % RULES
        try:
            began_at = time.monotonic()
            if kind == 0:
                rule = fresh[number] = api.create(f"new {number}", f"K{place}", HASH)
            elif kind == 1:
                rule = api.change(made[place]["id"], NULLIFY)
            elif number < 5:
                rule = api.change(made[place]["id"], REDACT | {"parameters": {"text": "-"}})
            else:
                rule = api.delete(fresh[number - 5]["id"])  # not before somebody has seen it enforced
            api.await_state(rule, 30)
            took.append(time.monotonic() - began_at)
            moments.append((number, kind, round(took[-1] * 1000)))
            mine = [c for c in range(COLUMNS) if (c >= COLUMNS // 2) == bool(place % 2)]
            rows = [one.row(f"t{place // 2}", mine) for one in house.warehouses]
            is_null = all(cell is None for row in rows for cell in row)
            if house.is_clear(f"t{place // 2}", mine) or (kind == 1 and not is_null):
                wrong.append(rule["id"])
        except (Failed, KeyError) as error:
            wrong.append(str(error))

    start = time.monotonic() + 0.5
    threads = [threading.Thread(target=change, args=(number, start + number / 2)) for number in range(120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, wrong


def annotations(house: House) -> None:
    """200 at once, as 200 calls."""
    api, names = house.api, [f"a{n}" for n in range(100)]
    house.make_tables(names)
    rule = api.create("annotated", "AT_ONCE", REDACT)
    api.await_state(rule, 30)
    began_at = time.monotonic()
    threads = [threading.Thread(target=house.annotate, args=(name, [c], "AT_ONCE")) for name in names for c in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    called_s = time.monotonic() - began_at
    left = set(names)
    while left and time.monotonic() - began_at < 60:
        left = {name for name in left if house.is_clear(name, [0, 1])}
        time.sleep(0.1)
    hidden_s = time.monotonic() - began_at
    told_s = hidden_s + api.await_state(rule, 60)
    seen = f"calls done after {called_s:.1f} s, all hidden after {hidden_s:.1f} s, all told enforced after {told_s:.1f} s"
    house.promise("200 annotation changes at once: enforced within 10 s", seen, told_s < 10 and not left)


def slow(house: House) -> None:
    """300 ms more for each statement."""
    house.make_tables(["slow"])
    house.annotate("slow", range(COLUMNS), "SLOWLY")
    time.sleep(2)
    for one in house.warehouses:
        one.fault(kind="latency", delay_s=0.3, count=None)
    try:
        took = house.api.await_state(house.api.create("slow", "SLOWLY", HASH), 30)
    finally:
        for one in house.warehouses:
            one.mend()
    house.promise("300 ms a statement: a rule on 20 columns of a table within 3 s", f"{took:.2f} s", took < 3)


def wide(house: House) -> None:
    """One rule on 2,000 columns, with a reader who polls all the time, a change, a swap and a kill."""
    api, names = house.api, [f"w{n}" for n in range(TABLES)]
    house.make_tables(names)
    for one in house.warehouses:
        one.put_foreign_mask("w5", 0)
    for name in names:
        house.annotate(name, range(COLUMNS), "WIDE")
    for one in house.warehouses:
        one.forget()
    with _reader(house, [(names[n], n * 4) for n in (0, 20, 40, 60, 80 - 1)]) as seen:
        rule = api.create("wide", "WIDE", REDACT)
        took = api.await_end(rule, 120)
        _few_requests(house, took)
        states = api.tables(rule)
        bare = [c for c in range(1, COLUMNS) if house.is_clear("w5", [c])]
        house.promise(
            "one column that carries somebody else's mask stops no other: all others are masked and proven",
            f"{states}; {len(bare)} other columns of its table are bare",
            all(of == {"enforced": TABLES - 1, "conflict": 1} for of in states.values()) and not bare,
        )
        rule = api.change(rule["id"], NULLIFY)
        api.await_end(rule, 120)
        other = api.create("the other", "WIDE", HASH)
        api.await_end(other, 120)
        api.delete(rule["id"])
        rule = api.change(other["id"], REDACT)
        time.sleep(0.3)
        for one in house.warehouses:
            house.system.kill(f"worker-{one.target}")
            house.system.begin(f"worker-{one.target}")
        api.await_end(rule, 180)
    house.promise(
        "a reader never sees a stored value once it was hidden: apply, update, swap, worker killed",
        f"{seen['reads']} reads of 5 columns, {seen['hidden']} of them hidden, {seen['bare']} bare after that",
        seen["bare"] == 0 and seen["hidden"] > 0,
    )
    house.annotate("newer", [0], "WIDE")
    time.sleep(2)
    house.make_tables(["newer"], 1)
    took = max(await_hidden(one, "newer", [0], 60) for one in house.warehouses)
    house.promise(
        "a new table that was annotated before is masked",
        f"{took:.1f} s, with LILY_TARGET_*_INVENTORY_EVERY_S=5",
        not house.is_clear("newer", [0]),
    )


def _few_requests(house: House, took: float) -> None:
    for one in house.warehouses:
        kind = one.target.partition("-")[0]
        counts = {what: count / TABLES for what, count in one.changes().items() if what in REQUESTS_MAX[kind]}
        house.promise(
            f"{kind}: one rule on 2,000 columns of 100 tables takes at most {REQUESTS_MAX[kind]} requests a table",
            f"{', '.join(f'{what} {count:.2f}' for what, count in counts.items())}; after {took:.1f} s",
            all(count <= REQUESTS_MAX[kind][what] for what, count in counts.items()) and bool(counts),
        )


def outage(house: House) -> None:
    """The warehouses refuse for half a minute, then hang for another; the API is asked all the time."""
    api, names = house.api, [f"o{n}" for n in range(30)]
    house.make_tables(names, 4)
    for number, name in enumerate(names):
        house.annotate(name, range(4), f"OUT{number}")
    calm = _calls(house, 10)
    made: list[dict[str, Any]] = []
    sick: list[float] = []
    for spec in ({"kind": "status", "status": 503}, {"kind": "hang"}):
        for one in house.warehouses:
            one.fault(**spec, count=None, on="all")
        ends_at = time.monotonic() + 30
        while time.monotonic() < ends_at:
            if len(made) < len(names):
                made.append(api.create(f"out {len(made)}", f"OUT{len(made)}", REDACT))
            sick += _calls(house, 1)
        for one in house.warehouses:
            one.mend()
    back_at = time.monotonic()
    for rule in made:
        api.await_state(rule, 120)
    house.progress.note(f"{len(sick)} calls and deliveries meanwhile, {len(calm)} before")
    seen = f"p99 {_share(sick, 0.99) * 1000:.0f} ms, calm {_share(calm, 0.99) * 1000:.0f} ms"
    house.promise(
        "the targets refuse, then hang, for 60 s: calls of the API and deliveries at most x 2 at p99, or 50 ms",
        seen,
        _share(sick, 0.99) < max(0.05, 2 * _share(calm, 0.99)),
    )
    house.promise(
        "when they are back all completes by itself", f"{len(made)} rules, {time.monotonic() - back_at:.0f} s later", True
    )


def sick(house: House) -> None:
    """One target refuses, then hangs; rules for the other one, beside and without that, in pairs."""
    if len(house.warehouses) < 2:
        house.progress.note("needs two targets")
        return
    numbers = itertools.count()
    strays, looks = [0], [0]
    with _watched(house, strays, looks):
        _pairs(house, numbers)
    house.promise(
        "no call for a target ever waits in another target's queue",
        f"{strays[0]} messages, in {looks[0]} looks at all queues",
        strays[0] == 0 and looks[0] > 0,
    )


def _pairs(house: House, numbers: Iterator[int]) -> None:
    for ill, well in (house.warehouses, house.warehouses[::-1]):
        for spec in ({"kind": "status", "status": 503}, {"kind": "hang"}):
            ratios, seen = [], []
            for _ in range(5):
                calm = _share(_changes(house, well, ill, numbers, 20), 0.99)
                ill.fault(**spec, count=None, on="all")
                try:
                    beside = _share(_changes(house, well, ill, numbers, 20), 0.99)
                finally:
                    ill.mend()
                ratios.append(beside / calm)
                seen.append(f"{calm * 1000:.0f}:{beside * 1000:.0f}")
            what = "refuses" if "status" in spec else "hangs"
            house.promise(
                f"{ill.target} {what}: rules of {well.target} at most x 1.5 at p99, median of 5 pairs",
                f"x {statistics.median(ratios):.2f} (ms: {', '.join(seen)})",
                statistics.median(ratios) <= 1.5,
            )


@contextmanager
def _watched(house: House, strays: list[int], looks: list[int]) -> Iterator[None]:
    """Looks at the queues all the time: messages that name one target, in a queue that is not its own."""
    ends, broker = threading.Event(), house.system.redis()
    task_by_target = {one.target: f"propagate_to_{one.target.partition('-')[0]}" for one in house.warehouses}

    def look() -> None:
        while not ends.wait(0.02):
            for queue in ("inbound", "io", *(f"target-{target}" for target in task_by_target)):
                waiting: Any = broker.lrange(queue, 0, -1)
                named = [json.loads(message)["headers"]["task"] for message in waiting]
                foreign = [task for target, task in task_by_target.items() if queue != f"target-{target}"]
                strays[0] += sum(task in foreign for task in named)
            looks[0] += 1

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def _changes(house: House, well: Warehouse, ill: Warehouse, numbers: Iterator[int], count: int) -> list[float]:
    """How long rules of the well target took, 4 a second; each time the ill one has something to do as well."""
    took: list[float] = []

    def change(number: int, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        began_at = time.monotonic()
        rule = house.api.create(f"well {number}", f"WELL{number}", REDACT, [well.target])
        house.api.await_state(rule, 30)
        took.append(time.monotonic() - began_at)

    chosen = [next(numbers) for _ in range(count)]
    well.make_tables([f"s{number}" for number in chosen], 4)
    ill.make_tables([f"s{number}" for number in chosen], 4)
    for number in chosen:
        house.api.annotate([well.place(f"s{number}", f"c{c}") for c in range(4)], [f"WELL{number}"])
        house.api.create(f"ill {number}", f"ILL{number}", REDACT, [ill.target])
    start = time.monotonic() + 0.3
    threads = [threading.Thread(target=change, args=(number, start + at / 4)) for at, number in enumerate(chosen)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


@contextmanager
def _reader(house: House, places: list[tuple[str, int]]) -> Iterator[dict[str, int]]:
    """Somebody who reads five columns over and over; of each, a value shown after it was hidden once counts as bare."""
    seen, ends, hidden = {"reads": 0, "hidden": 0, "bare": 0}, threading.Event(), set[tuple[str, str]]()

    def read() -> None:
        while not ends.is_set():
            for (table, column), one in itertools.product(places, house.warehouses):
                clear = is_clear(one, table, [column % COLUMNS])
                seen["reads"] += 1
                if not clear:
                    hidden.add((one.target, table))
                    seen["hidden"] += 1
                elif (one.target, table) in hidden:
                    seen["bare"] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        ends.set()
        thread.join()


def _calls(house: House, seconds: float) -> list[float]:
    """How long calls and deliveries took that have nothing to do with the warehouses, one after the other."""
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
    "sick": sick,
}
SHORT = {"LILY_LEASE_S": "8", "LILY_SWEEP_AFTER_S": "10", "LILY_SWEEP_EVERY_S": "2"}
SHORT_FOR_EACH = {"INVENTORY_EVERY_S": "5", "STATEMENT_TIMEOUT_S": "3"}
SHORT_IN = ("wide", "outage", "sick")  # what dies or is away comes back sooner, so that a trial ends


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.propagation", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=MEASURED, default=list(MEASURED), help="parts, each on a system of its own (all)"
    )
    parser.add_argument("--targets", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of warehouses (all)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress = Progress()
    found: list[Promise] = []
    figures: dict[str, Any] = {}
    for part in arguments.only:
        progress.note(f"{part}: {(MEASURED[part].__doc__ or '').strip()}")
        folder = FOLDER / f"propagation-{part}"
        ports = iter(_free_port, 0)
        stand_ins = [KINDS[kind]() for kind in arguments.targets]
        try:
            with (
                warehouses(stand_ins, folder.with_suffix(".warehouses"), ports) as (made, settings),
                running("lily", folder, {**promises.settings(), **settings, **_short(part, made)}) as system,
            ):
                api = Api(f"http://127.0.0.1:{system.ports['web']}", [one.target for one in made])
                house = House(system, api, made, progress)
                time.sleep(3)  # the workers' first login
                MEASURED[part](house)
                found += house.promises
                figures |= house.figures
        except Failed as error:
            found.append(Promise(part, str(error), False))
    parts = "" if len(arguments.only) == len(MEASURED) else f"-{'-'.join(arguments.only)}"
    return conclude(f"propagation{parts}", found, figures)


def _short(part: str, made: Sequence[Warehouse]) -> dict[str, str]:
    if part not in SHORT_IN:
        return {}
    prefixes = [f"LILY_TARGET_{one.target.upper().replace('-', '_')}_" for one in made]
    return {**SHORT, **{f"{prefix}{name}": value for prefix in prefixes for name, value in SHORT_FOR_EACH.items()}}


if __name__ == "__main__":
    sys.exit(main())
