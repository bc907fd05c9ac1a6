"""A running system whose calls to AWS go through two fault proxies: one for web, one for all others, each with its own counts."""

import contextlib
import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.system import ROOT, Failed, System, until
from benchmarks.windows import Ledger, offer

OTHERS = ("worker-inbound", "worker-io", "beat")
WRITES = ("PutItem", "BatchExecuteStatement")  # what accept stores deliveries with


@dataclass(frozen=True)
class Proxy:
    url: str

    def faulty(self, *faults: Mapping[str, Any]) -> None:
        self._ask("POST", "faults", list(faults))

    def well(self) -> None:
        self._ask("DELETE", "faults")

    def calls(self) -> dict[str, dict[str, int]]:
        """Since the last time."""
        found: dict[str, dict[str, int]] = self._ask("GET", "calls")
        self._ask("DELETE", "calls")
        return found

    def _ask(self, method: str, what: str, body: Sequence[object] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/sandbox/{what}", data, method=method)  # noqa: S310
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)


@dataclass(frozen=True)
class BadDay:
    web: Proxy
    others: Proxy

    def faulty(self, *faults: Mapping[str, Any]) -> None:
        for proxy in (self.web, self.others):
            proxy.faulty(*faults)

    def well(self) -> None:
        for proxy in (self.web, self.others):
            proxy.well()


@contextlib.contextmanager
def bad_day(system: System, rate: float) -> Iterator[BadDay]:
    """Starts the system's processes anew, behind the proxies, and lets a few deliveries through. Raises Failed."""
    with _proxy(system) as web, _proxy(system) as others:
        for name, proxy in {"web": web, **dict.fromkeys(OTHERS, others)}.items():
            system.environ["LILY_AWS_ENDPOINT_URL"] = proxy.url
            system.kill(name)
            system.begin(name)
        until(lambda: _is_open(system.ports["web"]), "web behind the fault proxy")
        ledger = Ledger(offer(system, "first", rate, 1).accepted)
        if ledger.settle(system, 30):
            raise Failed(f"the system does not work behind the fault proxies; see {system.folder}/logs")
        for proxy in (web, others):
            proxy.calls()
        yield BadDay(web, others)


def group_size(calls: Mapping[str, Mapping[str, int]]) -> float:
    """Deliveries per write, of what web has called."""
    written = [calls.get(name, {}) for name in WRITES]
    return sum(one.get("parts", 0) for one in written) / max(1, sum(one.get("calls", 0) for one in written))


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _proxy(system: System) -> Iterator[Proxy]:
    command = [
        ROOT / ".venv-sandbox" / "bin" / "python",
        "-m",
        "sandbox.aws_faults",
        "--port",
        0,
        "--behind",
        system.ports["aws"],
    ]
    process = subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    system.keeper.hold(process.pid)
    try:
        words = process.stdout.readline().split() if process.stdout else []
        urls = [word.rstrip(",") for word in words if word.startswith("http://")]
        if not urls:
            raise Failed("the fault proxy did not start; its message is above")
        yield Proxy(urls[0])
    finally:
        process.kill()
        process.wait()
        system.keeper.release(process.pid)
