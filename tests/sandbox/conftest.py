"""The Monte Carlo stand-in as a process, and a receiver that its webhooks can reach."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SANDBOX_PYTHON = ROOT / ".venv-sandbox" / "bin" / "python"
SECRET = "lily-test-secret"
SECOND_SECRET = "the-next-secret"
AUTH = {"x-mcd-id": "key", "x-mcd-token": "token"}


def start(*arguments: str) -> subprocess.Popen[str]:
    """The stand-in with `arguments`, on any free port."""
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.monte_carlo", *arguments]
    environ = {**os.environ, "SANDBOX_MC_ID": AUTH["x-mcd-id"], "SANDBOX_MC_TOKEN": AUTH["x-mcd-token"]}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


@dataclass
class Received:
    body: bytes
    signature: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    url: str = ""
    status: int = 202
    got: list[Received] = field(default_factory=list)


@dataclass(frozen=True)
class MonteCarlo:
    """The stand-in, as seen over HTTP."""

    http: httpx.Client

    def post(self, path: str, value: Any = None) -> Any:
        answer = self.http.post(path, json=value)
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, value: Any) -> Any:
        answer = self.http.patch(path, json=value)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.http.get(path).json()

    def alert(self, **spec: Any) -> dict[str, Any]:
        """A new alert, as the API shows it."""
        made: dict[str, Any] = self.post("/sandbox/alerts", spec)["alert"]
        return made

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query that has no errors."""
        answer = self.http.post("/graphql", json={"query": query, "variables": variables}, headers=AUTH).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


@pytest.fixture(scope="session")
def process() -> Iterator[httpx.Client]:
    if not SANDBOX_PYTHON.exists():
        pytest.fail(f"{SANDBOX_PYTHON} is missing; `make test` creates it")
    running = start("--port", "0", "--secret", SECRET, "--second-secret", SECOND_SECRET)
    assert running.stdout
    words = running.stdout.readline().split()  # blocks until it listens
    assert "listening" in words, running.communicate(timeout=5)
    with httpx.Client(base_url=next(word.rstrip(",") for word in words if word.startswith("http://"))) as client:
        yield client
    running.terminate()
    running.communicate(timeout=10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(Received(body, self.headers["x-mcd-signature"]))
            answer = b'{"duplicate": false}'
            self.send_response(receiver.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks/monte-carlo"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        server.shutdown()


@pytest.fixture
def monte_carlo(process: httpx.Client, receiver: Receiver) -> MonteCarlo:
    """As new, with its webhooks going to `receiver`."""
    stand_in = MonteCarlo(process)
    stand_in.post("/sandbox/reset")
    stand_in.patch("/sandbox/webhooks", {"url": receiver.url})
    return stand_in
