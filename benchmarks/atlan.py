"""How soon an alert is seen on its asset in the catalog's stand-in, and what that costs in calls.

`python -m benchmarks.atlan [--only idle flow slow burst outage]`. From the moment at which the webhook should leave (open loop)
to the write that shows it, by the stand-in's own time stamps as its events tell them. Exit code 1 if a promise is broken.
"""

import argparse
import hmac
import http.client
import json
import queue
import random
import re
import signal
import statistics
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

from benchmarks import promises
from benchmarks.offering import offering
from benchmarks.promises import FOLDER, Progress, Promise, conclude
from benchmarks.system import Failed, System, _free_port, running, until
from benchmarks.tags import TOKEN, catalog
from benchmarks.warehouse import Door

SNOW = {"name": "snow", "qualifiedName": "default/snowflake/1732406400"}
LOADED = "ARTEMIS"  # the table that the load generator's alerts are about
WARMING = "APOLLO"
ASSETS, PER_SECOND, LASTS_S = 200, 20.0, 60.0
SENDERS = 16


@dataclass
class Seen:
    """What the catalog's events say: how many open incidents an asset showed, and when."""

    by_asset: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, body: dict[str, Any]) -> None:
        message = body.get("message") or {}
        attributes = (message.get("entity") or {}).get("attributes") or {}
        title = attributes.get("announcementTitle")
        if message.get("operationType") == "ENTITY_UPDATE" and attributes.get("announcementType") == "issue":
            number = re.search(r"(\d+) open incidents$", title or "")
            shown = (message["eventTime"] / 1000, int(number[1]) if number else 1)
            self.by_asset[attributes["name"]].append(shown)

    def when(self, asset: str, count: int) -> float | None:
        return min((at for at, number in self.by_asset[asset] if number >= count), default=None)


@dataclass
class House:
    """What is measured: the system, the catalog and its events, and what was found so far."""

    system: System
    door: Door
    seen: Seen
    progress: Progress
    names: Sequence[str]
    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def promise(self, what: str, seen: str, kept: bool, **figures: Any) -> None:
        self.promises.append(Promise(what, seen, kept))
        self.figures[what] = {"seen": seen, "kept": kept, **figures}
        self.progress.note(f"{what}: {seen}")

    def calls(self) -> dict[str, int]:
        found: dict[str, int] = self.door.call("GET", "/sandbox/requests")["calls"]
        return found

    def told(self, alerts: Sequence["Alert"]) -> bool:
        return all(self.seen.when(alert.asset, alert.number) is not None for alert in alerts)


@dataclass(frozen=True)
class Alert:
    """The `number`th incident of an asset, and when its webhook should leave."""

    asset: str
    number: int
    at: float


def offer(house: House, alerts: Sequence[Alert]) -> None:
    """Send each at its time, whatever became of those before."""
    waiting: queue.Queue[Alert] = queue.Queue()
    for alert in alerts:
        waiting.put(alert)
    refused: list[int] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", house.system.ports["web"], timeout=30)
        while True:
            try:
                alert = waiting.get_nowait()
            except queue.Empty:
                return
            time.sleep(max(0.0, alert.at - time.time()))
            body = a_body(alert)
            signature = hmac.digest(house.system.secret.encode(), urlencode(body).encode(), "sha512").hex()
            headers = {"content-type": "application/json", "x-mcd-signature": signature}
            connection.request("POST", "/webhooks/monte-carlo", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                refused.append(answer.status)

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if refused:
        raise Failed(f"{len(refused)} webhooks were refused: {sorted(set(refused))}")


def a_body(alert: Alert) -> dict[str, Any]:
    incident = str(uuid.uuid4())
    return {
        "account": {"id": "acme"},
        "action": "incident",
        "payload": {
            "event_list": [{"event_details": "Has 42 rows vs. 101 expected", "table_name": alert.asset.lower()}],
            "group_id": "zeus:ares",
            "incident_id": incident,
            "url": f"https://getmontecarlo.com/incidents/{incident}",
        },
        "type": "open_anomaly_incident",
        "version": "v0.1",
    }


def planned(names: Sequence[str], count: int, per_second: float, begin: float) -> list[Alert]:
    numbers: dict[str, int] = defaultdict(int)
    alerts = []
    dice = random.Random(1)
    for place in range(count):
        name = dice.choice(names)
        numbers[name] += 1
        alerts.append(Alert(name, numbers[name], begin + place / per_second))
    return alerts


def measured(house: House, alerts: Sequence[Alert], patience_s: float) -> list[float]:
    """Seconds from when each should have left to when it was seen. Raises Failed if one never was."""
    until(lambda: house.told(alerts), "the last badge", patience_s)
    return [(house.seen.when(alert.asset, alert.number) or 0.0) - alert.at for alert in alerts]


def in_words(took: Sequence[float]) -> str:
    p50, p99 = quantiles(took)
    return f"p50 {p50 * 1000:.0f}, p99 {p99 * 1000:.0f}, most {max(took) * 1000:.0f} ms"


def quantiles(took: Sequence[float]) -> tuple[float, float]:
    cut = statistics.quantiles(took, n=1000, method="inclusive")
    return cut[499], cut[989]


def idle(house: House) -> None:
    """One alert at a time on an idle system."""
    took = []
    for number in range(12):
        alert = Alert(house.names[number % 4], 1 + number // 4, time.time() + 1.5)
        offer(house, [alert])
        took += measured(house, [alert], 20)
    house.promise("one alert on an idle system is seen in under 250 ms", in_words(took), max(took) < 0.25, seconds=took)


def flow(house: House) -> None:
    """20 alerts a second over 200 assets, for a minute, the vendor's limit of calls in force."""
    _flow(house, "20 alerts/s over 200 assets: p50 under 500 ms, p99 under 1.5 s", 0.5, 1.5)


def slow(house: House) -> None:
    """The same, with 200 ms a call and 5 % of 429."""
    house.door.call("POST", "/sandbox/faults", {"kind": "status", "status": 429, "share": 0.05, "retry_after_s": 1})
    house.door.call("POST", "/sandbox/faults", {"kind": "latency", "delay_s": 0.2})
    _flow(house, "the same with 200 ms a call and 5 % of 429: p99 under 5 s", 5.0, 5.0)


def _flow(house: House, what: str, p50_s: float, p99_s: float) -> None:
    alerts = planned(house.names, round(PER_SECOND * LASTS_S), PER_SECOND, time.time() + 2)
    before = house.calls()
    offer(house, alerts)
    took = measured(house, alerts, 60)
    after = house.calls()
    calls = {name: after[name] - before.get(name, 0) for name in after}
    p50, p99 = quantiles(took)
    each = sum(calls.values()) / len(alerts)
    house.promise(what, f"{in_words(took)}; {each:.2f} calls an alert", p50 < p50_s and p99 < p99_s, calls=calls)


def burst(house: House) -> None:
    """1,000 alerts on one asset within a second."""
    with offering(house.system, 1000, 1) as load:
        begin = time.time() + 1
        load.begin(begin)
        sent = load.result(60)
    until(lambda: house.seen.when(LOADED, 1000) is not None, "the last badge", 60)
    time.sleep(2)
    published = max(at for _, at in house.system.take_messages())
    writes = house.seen.by_asset[LOADED]
    first, last = min(writes)[0] - begin, (house.seen.when(LOADED, 1000) or 0.0) - max(sent.scheduled)
    house.promise(
        "1,000 alerts on one asset within a second: first write within 1 s, last within 2 s of the last alert, at most 5",
        f"first {first * 1000:.0f} ms, last {last * 1000:.0f} ms after the last alert, {len(writes)} writes; "
        f"the last was published {(published - max(sent.scheduled)) * 1000:.0f} ms after it was sent",
        first < 1 and last < 2 and len(writes) <= 5,
        writes=writes,
    )


def outage(house: House) -> None:
    """500 alerts in a minute in which the catalog refuses, hangs and answers 429."""
    begin = time.time() + 2
    alerts = planned(house.names, 500, 500 / 60, begin)

    def disturb() -> None:
        for fault in ({"kind": "drop_before"}, {"kind": "hang"}, {"kind": "status", "status": 429}):
            house.door.call("DELETE", "/sandbox/faults")
            house.door.call("POST", "/sandbox/faults", fault)
            time.sleep(20)
        house.door.call("DELETE", "/sandbox/faults")

    house.system.take_messages()
    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    offer(house, alerts)
    disturbing.join()
    ended_at = time.time()
    until(lambda: house.told(alerts), "the last badge", 180)
    published = sorted(at for _, at in house.system.take_messages())
    delays = [at - alert.at for at, alert in zip(published, alerts, strict=False)]
    after_s = max((house.seen.when(alert.asset, alert.number) or 0.0) for alert in alerts) - ended_at
    p99 = quantiles(delays)[1]
    house.promise(
        "a catalog that refuses, hangs and answers 429 for 60 s during 500 alerts: all are seen after, publishing does not wait",
        f"the last badge {after_s:.1f} s after; {len(published)} published, p99 {p99 * 1000:.0f} ms",
        len(published) == len(alerts) and p99 < 1,
    )


@contextmanager
def listening(seen: Seen) -> Iterator[str]:
    """Where the catalog sends its events."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.note(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


MEASURED: dict[str, Callable[[House], None]] = {"idle": idle, "flow": flow, "slow": slow, "burst": burst, "outage": outage}


def settings(url: str) -> dict[str, str]:
    return {
        **promises.settings(),
        "LILY_CATALOGS": "atlan",
        "LILY_CATALOG_ATLAN_URL": url,
        "LILY_CATALOG_ATLAN_TOKEN": TOKEN,
        "LILY_CONNECTIONS": "snow",
        "LILY_CONNECTION_SNOW_KIND": "snowflake",
        "LILY_CONNECTION_SNOW_QUALIFIED_NAME": SNOW["qualifiedName"],
    }


def measure(part: str, progress: Progress) -> House:
    folder, seen = FOLDER / f"atlan-{part}", Seen()
    more = {"LILY_CATALOG_ATLAN_BLOCK_S": "5", "LILY_SWEEP_AFTER_S": "10", "LILY_LEASE_S": "8"} if part == "outage" else {}
    with (
        catalog(folder.with_suffix(".catalog"), _free_port()) as door,
        listening(seen) as url,
        running("lily", folder, {**settings(door.url), **more}) as system,
    ):
        names = [f"T{number}" for number in range(ASSETS)]
        tables = [{"database": "ZEUS", "schema": "ARES", "name": name, "columns": ["ID"]} for name in (*names, LOADED, WARMING)]
        door.call("POST", "/sandbox/tables", {"connection": SNOW, "tables": tables})
        door.call("POST", "/sandbox/webhooks", {"url": url, "secret": "bench"})
        house = House(system, door, seen, progress, names)
        time.sleep(3)  # the workers' first connections
        first = Alert(WARMING, 1, time.time())  # what is measured is a system in use
        offer(house, [first])
        measured(house, [first], 20)
        MEASURED[part](house)
        return house


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.atlan", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=list(MEASURED), help="parts, each on its own system (all)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress = Progress()
    found: list[Promise] = []
    figures: dict[str, Any] = {}
    for part in arguments.only:
        progress.note(f"{part}: {(MEASURED[part].__doc__ or '').strip()}")
        try:
            house = measure(part, progress)
            found += house.promises
            figures |= house.figures
        except Failed as error:
            found.append(Promise(part, str(error), False))
    parts = "" if len(arguments.only) == len(MEASURED) else f"-{'-'.join(arguments.only)}"
    return conclude(f"atlan{parts}", found, figures)


if __name__ == "__main__":
    sys.exit(main())
