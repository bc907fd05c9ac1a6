"""A warehouse's stand-in beside a measured system: tables to govern, a reader, faults, and what was asked of it."""

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.system import ROOT, until

STORED = ("ann@x.example", "a text", "12.5", "2020-02-02", "short")  # in turn, with a type of its own each
SCHEMA = "bench"


class Warehouse(Protocol):
    """One stand-in, over its door for all rights. Names of tables and columns are lower case here, as stored there."""

    target: str  # the name by which Lily knows it
    url: str

    def place(self, table: str, column: str) -> dict[str, str]:
        """A column as the API names it."""

    def make_tables(self, names: Sequence[str], columns: int) -> None:
        """Tables of as many columns (c0, c1 ...) with one row each, which everybody may read."""

    def row(self, table: str, columns: Sequence[int]) -> list[Any]:
        """What somebody reads who is exempt from nothing."""

    def put_foreign_mask(self, table: str, column: int) -> None:
        """Somebody else's mask, by hand."""

    def changes(self) -> Mapping[str, int]:
        """Requests of Lily that changed tables since `forget`, by what they did."""

    def fault(self, **spec: Any) -> None: ...

    def mend(self) -> None: ...

    def forget(self) -> None: ...


@dataclass(frozen=True)
class StandIn:
    """How a stand-in is started, and the settings by which Lily knows it."""

    name: str
    environ: Mapping[str, str]
    make: Any  # its url -> Warehouse, with its small world
    settings: Any  # its url -> settings


@contextmanager
def warehouses(
    stand_ins: Sequence[StandIn], folder: Path, ports: Iterator[int]
) -> Iterator[tuple[list[Warehouse], dict[str, str]]]:
    """The running stand-ins, and the settings of a system with all of them."""
    with ExitStack() as stack:
        made, told = list[Warehouse](), dict[str, str]()
        for stand_in in stand_ins:
            url = stack.enter_context(_running(stand_in, folder, next(ports)))
            made.append(stand_in.make(url))
            told |= {name: os.environ.get(name, value) for name, value in stand_in.settings(url).items()}
        names = ",".join(one.target for one in made)
        yield made, {"LILY_TARGETS": names, "LILY_HASH_SALT": "0123456789abcdef0123456789abcdef", **CLIENT, **told}


CLIENT = {
    "LILY_CLIENTS": "bench",
    "LILY_CLIENT_BENCH_SECRET": "s" * 32,
    "LILY_CLIENT_BENCH_SCOPES": "rules:read rules:write rules:weaken annotations:write admin",
    "LILY_RATE_LIMIT": "1000000/minute",
}


@contextmanager
def _running(stand_in: StandIn, folder: Path, port: int) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    python, url = ROOT / ".venv-sandbox" / "bin" / "python", f"http://127.0.0.1:{port}"
    with (folder / f"{stand_in.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", f"sandbox.{stand_in.name}", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **stand_in.environ},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: _answers(url), f"the stand-in of {stand_in.name}")
        yield url
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Door:
    """The stand-ins' door for faults and for what was asked of them."""

    url: str

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        asked = f"{self.url}{path}{'?' + urllib.parse.urlencode(query) if query else ''}"
        request = urllib.request.Request(asked, raw, {"content-type": "application/json"}, method=method)  # noqa: S310
        with _direct.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def is_clear(warehouse: Warehouse, table: str, columns: Sequence[int]) -> bool:
    """Whether any of these columns still shows what is stored."""
    row = warehouse.row(table, columns)
    stored = [STORED[c % len(STORED)] for c in columns]
    return any(str(cell).removesuffix("0") == one.removesuffix("0") for cell, one in zip(row, stored, strict=True))


def await_hidden(warehouse: Warehouse, table: str, columns: Sequence[int], within_s: float) -> float:
    """Seconds until nothing stored shows any more, or `within_s`."""
    began_at = time.monotonic()
    while is_clear(warehouse, table, columns) and time.monotonic() - began_at < within_s:
        time.sleep(0.05)
    return time.monotonic() - began_at


def _answers(url: str) -> bool:
    try:
        with _direct.open(f"{url}/healthz", timeout=2):
            return True
    except OSError:
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
