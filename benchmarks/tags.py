"""How soon a tag set in the catalog's stand-in is in force in both warehouses' stand-ins, and what a backfill costs.

`python -m benchmarks.tags [--only events churn backfill]`. From the click in the stand-in, which sends the event at once, to the
state `enforced`, as the API tells when that was. Exit code 1 if a promise is broken.
"""

import argparse
import itertools
import random
import secrets
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import databricks, promises, snowflake
from benchmarks.api import Api
from benchmarks.proc import memory_of_groups
from benchmarks.promises import FOLDER, Progress, Promise, conclude
from benchmarks.system import ROOT, Failed, System, _free_port, _status, running, until
from benchmarks.warehouse import Door, Warehouse, is_clear, warehouses
from sandbox import atlan_world
from sandbox.surroundings import catalog_settings

CONNECTIONS = (atlan_world.SNOWFLAKE, atlan_world.DATABRICKS)
CHANGES, PER_SECOND = 120, 2.0
TABLES, COLUMNS = 500, 20
CHURNED, STEPS = 24, 30
CONFUSION = {"stale_reads_s": 0.4, "webhook_reorder_s": 0.8, "webhook_duplicates": 0.3, "propagation_commit_s": 0.3}
TAG, BULK = "PII", "BULK"
TOKEN, SECRET = "bench", secrets.token_hex(16)


@dataclass
class House:
    """What is measured: the system, its API, the catalog, the warehouses, and what was found so far."""

    system: System
    api: Api
    catalog: Door
    warehouses: Sequence[Warehouse]
    progress: Progress
    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def promise(self, what: str, seen: str, kept: bool, **figures: Any) -> None:
        self.promises.append(Promise(what, seen, kept))
        self.figures[what] = {"seen": seen, "kept": kept, **figures}
        self.progress.note(f"{what}: {seen}")

    def make_tables(self, names: Sequence[str]) -> None:
        """In the warehouses, and in the catalog with their first column."""
        for one, connection in zip(self.warehouses, CONNECTIONS, strict=True):
            one.make_tables(names, 5)
            told = [one.place(name, "c0") for name in names]
            tables = [
                {"database": at["database"], "schema": at["schema"], "name": at["table"], "columns": [at["column"]]}
                for at in told
            ]
            self.catalog.call("POST", "/sandbox/tables", {"connection": connection, "tables": tables})

    def assets(self, table: str, column: str) -> list[str]:
        """A column as the catalog names it, one for each warehouse."""
        places = [one.place(table, column) for one in self.warehouses]
        return [
            "/".join((connection["qualifiedName"], *(place[part] for part in ("database", "schema", "table", "column"))))
            for connection, place in zip(CONNECTIONS, places, strict=True)
        ]


def events(house: House) -> None:
    """2 tags a second for a minute, each on a column of both warehouses."""
    names = [f"t{n}" for n in range(CHANGES)]
    house.make_tables(names)
    rule = house.api.create("tagged", TAG, {"kind": "redact"})
    house.api.await_state(rule, 30)
    clicked: dict[str, float] = {}

    def click(number: int, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        clicked[names[number]] = time.time()
        specs = [{"asset": asset, "add": [TAG]} for asset in house.assets(names[number], "c0")]
        house.catalog.call("POST", "/sandbox/tags", specs)

    start = time.monotonic() + 0.5
    threads = [threading.Thread(target=click, args=(n, start + n / PER_SECOND)) for n in range(CHANGES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(5)
    enforced = _enforced(house, rule)
    took = [max(enforced[name]) - at for name, at in clicked.items() if len(enforced.get(name, ())) == len(house.warehouses)]
    clear = [name for name in names if any(is_clear(one, name, [0]) for one in house.warehouses)]
    if not took:
        raise Failed("not one tag came into force")
    p50, p99 = (statistics.quantiles(took, n=1000, method="inclusive")[place] for place in (499, 989))
    seen = f"p50 {p50 * 1000:.0f}, p99 {p99 * 1000:.0f}, most {max(took) * 1000:.0f} ms; {len(took)} of {CHANGES}"
    house.promise(
        "tags set at 2/s for 60 s: from the click to enforced in both warehouses p99 under 2 s",
        f"{seen}, {len(clear)} readable at the end",
        p99 < 2 and len(took) == CHANGES and not clear,
        milliseconds=sorted(round(one * 1000) for one in took),
    )


def churn(house: House) -> None:
    """Tags put on, taken off and put on again, by two sources; events late, twice and out of order, the store behind them."""
    names = [f"u{n}" for n in range(CHURNED)]
    house.make_tables(names)
    rule = house.api.create("churned", TAG, {"kind": "redact"})
    house.api.await_state(rule, 30)
    house.catalog.call("PATCH", "/sandbox/settings", CONFUSION)
    dice = random.Random(7)
    kept, all_assets = names[::3], {name: house.assets(name, "c0") for name in names}
    house.catalog.call("POST", "/sandbox/tags", [{"asset": asset, "add": [TAG]} for name in kept for asset in all_assets[name]])
    until(lambda: not any(is_clear(one, name, [0]) for name in kept for one in house.warehouses), "the first tags", 60)
    seen_clear, stop, direct = set[str](), threading.Event(), set[str]()

    def look() -> None:
        while not stop.is_set():
            seen_clear.update(name for name in kept if any(is_clear(one, name, [0]) for one in house.warehouses))

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(STEPS):
        for name in dice.sample(names, CHURNED // 4):
            where = [asset.rpartition("/")[0] if dice.random() < 0.3 else asset for asset in all_assets[name]]
            words = ["remove" if asset in direct and name not in kept else "add" for asset in where]
            direct ^= {asset for asset in where if name not in kept}
            specs = [{"asset": asset, word: [TAG], "propagate": True} for asset, word in zip(where, words, strict=True)]
            house.catalog.call("POST", "/sandbox/tags", specs)
        time.sleep(0.5)
    until(lambda: bool(house.catalog.call("GET", "/sandbox/idle")["idle"]), "the last event", 60)
    stop.set()
    looking.join()
    state = house.catalog.call("GET", "/sandbox/state")["assets"]
    tagged = {one["attributes"]["qualifiedName"] for one in state if TAG in (*one["direct"], *one["propagated"])}
    wrong = _differing(house, all_assets, tagged)
    began_at = time.monotonic()
    while wrong and time.monotonic() - began_at < 60:
        time.sleep(0.5)
        wrong = _differing(house, all_assets, tagged)
    there = sum(asset in tagged for some in all_assets.values() for asset in some)
    seen = (
        f"{there} tagged, {len(wrong)} of {2 * CHURNED} columns differ {time.monotonic() - began_at:.0f} s after the last event"
    )
    house.promise(
        "add, remove, add by two sources, events doubled, late and reordered, stale reads: the warehouses end as the catalog",
        f"{seen}; {len(seen_clear)} of {len(kept)} that were tagged all the time were readable in between",
        not wrong and not seen_clear,
        wrong=sorted(wrong)[:10],
        readable=sorted(seen_clear),
    )


def _differing(house: House, assets: Mapping[str, Sequence[str]], tagged: Collection[str]) -> list[str]:
    """The columns that are readable though tagged, or hidden though not."""
    return [
        asset
        for name, some in assets.items()
        for one, asset in zip(house.warehouses, some, strict=True)
        if is_clear(one, name, [0]) == (asset in tagged)
    ]


def _enforced(house: House, rule: dict[str, Any]) -> dict[str, list[float]]:
    """When each table came to be enforced, by its name, once for each warehouse."""
    found: dict[str, list[float]] = {}
    cursor = ""
    while True:
        page, _ = house.api.ask("GET", f"/security/rules/{rule['id']}/propagations?limit=200{cursor}")
        for one in page["items"]:
            if one["state"] == "enforced":
                name = one["table"].rpartition(".")[2].strip('"').lower()
                found.setdefault(name, []).append(datetime.fromisoformat(one["since"]).timestamp())
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def backfill(house: House) -> None:
    """10,000 tagged columns, the worker killed in between."""
    columns = [{"name": f"C{n}", "tags": [BULK]} for n in range(COLUMNS)]
    for first in range(0, TABLES, 50):
        tables = [{"database": "ANALYTICS", "schema": "BULK", "name": f"B{first + n}", "columns": columns} for n in range(50)]
        house.catalog.call("POST", "/sandbox/tables", {"connection": CONNECTIONS[0], "tables": tables})
    house.catalog.call("DELETE", "/sandbox/requests")
    most_mb: dict[str, float] = {}
    began_at = time.monotonic()
    wish = {"connection": CONNECTIONS[0]["qualifiedName"]}
    one, _ = house.api.ask("POST", "/security/annotations/sync", wish)
    killed = False
    while one["state"] == "running" and time.monotonic() - began_at < 600:
        time.sleep(0.5)
        for name, sizes in memory_of_groups(house.system.groups).items():
            most_mb[name] = max(most_mb.get(name, 0.0), *sizes)
        one, _ = house.api.ask("GET", f"/security/annotations/sync/{one['id']}")
        house.progress.now(f"{one['phase']}: {one['seen']} seen, {one['checked']} checked")
        if not killed and one["seen"] >= TABLES * COLUMNS // 3:
            house.system.kill("worker-io")
            house.system.begin("worker-io")
            killed = True
    took_s = time.monotonic() - began_at
    calls = house.catalog.call("GET", "/sandbox/requests")["total"]
    count = TABLES * COLUMNS
    done = one["state"] == "done" and one["seen"] >= count and one["checked"] >= count
    lily_mb = {name: mb for name, mb in most_mb.items() if name not in ("aws", "redis")}
    where = max(lily_mb, key=lambda name: lily_mb[name])
    house.promise(
        "backfill of 10,000 tagged columns, killed and resumed: all of them, at most 0.05 calls per column",
        f"{one['state']}: {one['seen']} seen, {one['checked']} checked in {took_s:.0f} s, {calls / count:.4f} calls per column",
        done and killed and calls / count <= 0.05,
        calls=calls,
    )
    house.promise(
        "RSS of any process under 300 MB meanwhile",
        f"at most {lily_mb[where]:.0f} MB ({where})",
        lily_mb[where] < 300,
        mb={name: round(mb) for name, mb in most_mb.items()},
    )


@contextmanager
def catalog(folder: Path, port: int) -> Iterator[Door]:
    """The running stand-in of the catalog, with the tags that are set here."""
    folder.mkdir(parents=True, exist_ok=True)
    python, url = ROOT / ".venv-sandbox" / "bin" / "python", f"http://127.0.0.1:{port}"
    command = [python, "-m", "sandbox.atlan", "--port", str(port), "--token", TOKEN]
    with (folder / "atlan.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: _status(f"{url}/healthz") == 200, "the stand-in of the catalog")
        door = Door(url)
        tags = [{"displayName": name} for name in (TAG, BULK)]
        door.call("POST", "/sandbox/typedefs", {"classificationDefs": tags})
        yield door
    finally:
        process.kill()
        process.wait()


MEASURED: dict[str, Callable[[House], None]] = {"events": events, "churn": churn, "backfill": backfill}
FREE = {
    f"LILY_TARGET_{name}_BRAKE_PLACES": "1000" for name in ("SNOWFLAKE_PROD", "DATABRICKS_PROD")
}  # who takes tags off means it
SHORT = {"LILY_LEASE_S": "8", "LILY_SWEEP_AFTER_S": "10", "LILY_SWEEP_EVERY_S": "2"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tags", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=list(MEASURED), help="parts, each on its own system (all)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end what was started
    progress = Progress()
    found: list[Promise] = []
    figures: dict[str, Any] = {}
    for part in arguments.only:
        progress.note(f"{part}: {(MEASURED[part].__doc__ or '').strip()}")
        folder, ports = FOLDER / f"tags-{part}", itertools.starmap(_free_port, itertools.repeat(()))
        try:
            with (
                catalog(folder.with_suffix(".catalog"), next(ports)) as door,
                warehouses([snowflake.stand_in(), databricks.stand_in()], folder.with_suffix(".warehouses"), ports) as (
                    made,
                    settings,
                ),
                running(
                    "lily",
                    folder,
                    {
                        **promises.settings(),
                        **settings,
                        **catalog_settings(door.url, TOKEN, SECRET),
                        **(SHORT if part == "backfill" else FREE),
                    },
                ) as system,
            ):
                url = f"http://127.0.0.1:{system.ports['web']}"
                door.call("POST", "/sandbox/webhooks", {"url": f"{url}/webhooks/atlan", "secret": SECRET})
                house = House(system, Api(url, [one.target for one in made]), door, made, progress)
                time.sleep(3)  # the workers' first login
                MEASURED[part](house)
                found += house.promises
                figures |= house.figures
        except Failed as error:
            found.append(Promise(part, str(error), False))
    parts = "" if len(arguments.only) == len(MEASURED) else f"-{'-'.join(arguments.only)}"
    return conclude(f"tags{parts}", found, figures)


if __name__ == "__main__":
    sys.exit(main())
