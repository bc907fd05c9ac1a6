"""The process `web`: it leaves without breaking off what it has begun, and makes room for a successor on its port."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.servers import finish, free_port, launch, status
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[str]]
SERVE = [sys.executable, "-m", "app.serve"]


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of an AWS that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def start(silent: str) -> Iterator[Start]:
    """Starts a server process and waits until it answers."""
    begun: list[subprocess.Popen[str]] = []

    def start_one(port: int, **environ: str) -> subprocess.Popen[str]:
        settings = {"LILY_WEB_PORT": str(port), "LILY_SOURCES": "unsigned", "LILY_SOURCE_UNSIGNED_KIND": "monte-carlo"}
        settings |= {"LILY_SOURCE_UNSIGNED_UNSIGNED": "true", "LILY_AWS_ENDPOINT_URL": silent, "LILY_ACCEPT_DEADLINE_S": "1.5"}
        inherited = {name: value for name, value in os.environ.items() if name != "LILY_SOURCE_MONTE_CARLO_SECRETS"}
        process = launch(SERVE, inherited | settings | environ)
        begun.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "web.listening":
                break
        assert status(f"http://127.0.0.1:{port}/livez") == 200
        return process

    yield start_one
    for process in begun:
        finish(process)


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_request_in_work_is_answered_before_the_process_ends(start: Start) -> None:
    port = free_port()
    process = start(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"type": "anomalies", "payload": {"incident_id": "i"}})
    connection.request("POST", "/webhooks/unsigned", body, {"Content-Type": "application/json"})

    process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(port))
    answer = connection.getresponse()  # after 1.5 s, in which DynamoDB did not answer

    assert (answer.status, answer.getheader("Connection")) == (503, "close")
    answer.read()
    connection.close()
    assert process.wait(10) == 0


def test_an_idle_process_ends_soon_and_an_idle_connection_is_asked_to_leave(start: Start) -> None:
    port = free_port()
    process = start(port)
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    kept.request("GET", "/livez")
    kept.getresponse().read()

    process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(port))
    kept.request("GET", "/livez")  # on the connection that it had
    answer = kept.getresponse()

    assert (answer.status, answer.getheader("Connection")) == (200, "close")
    kept.close()
    begun = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - begun < 5


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    port = free_port()
    process = start(port)
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    kept.request("GET", "/livez")
    kept.getresponse().read()

    process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(port))
    process.send_signal(signal.SIGTERM)

    assert process.wait(2) == 128 + signal.SIGTERM
    kept.close()


def test_a_successor_on_the_same_port_loses_no_request(start: Start) -> None:
    port = free_port()
    old = start(port)
    over, failures, done = threading.Event(), [], []

    def keep_asking(keep_alive: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not over.is_set():
            try:
                connection.request("GET", "/livez", headers={} if keep_alive else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                done.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
                connection.close()
            over.wait(0.01)
        connection.close()

    askers = [threading.Thread(target=keep_asking, args=(number % 2 == 0,)) for number in range(6)]
    for asker in askers:
        asker.start()
    new = start(port)
    old.send_signal(signal.SIGTERM)
    assert old.wait(10) == 0
    enough = len(done) + 100
    eventually(lambda: len(done) > enough)
    over.set()
    for asker in askers:
        asker.join()

    assert failures == []
    assert set(done) == {200}
    assert new.poll() is None


def test_the_descriptor_limit_bounds_the_connections(start: Start) -> None:
    process = launch(["sh", "-c", f"ulimit -n 700 && exec {' '.join(SERVE)}"], os.environ | {"LILY_WEB_PORT": str(free_port())})
    try:
        assert process.stdout is not None
        line = next(json.loads(line) for line in process.stdout if "web.listening" in line)
        assert line["connections"] == (700 - 512) // 2
    finally:
        finish(process)
