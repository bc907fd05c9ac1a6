"""`make run`, with small programs in the place of Lily's: what it starts, what it says, and that it leaves nothing behind."""

import contextlib
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.surroundings import DEFAULT_PORTS, Refused, look_around
from tests.servers import SANDBOX_PYTHON, alive, finish, free_port, is_open, kill, launch
from tests.waiting import eventually

WEB = """
import http.server, json, os, urllib.parse

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"ready": True})

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        known = form["client_secret"] == [os.environ["LILY_CLIENT_DEMO_SECRET"]]
        self.answer({"access_token": f"token-of-{form['client_id'][0]}" if known else "", "expires_in": 3600})

    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["LILY_WEB_PORT"])), Handler).serve_forever()
"""


class Up:
    """One `make run` of the test's own: its ports, its folder, its Procfile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.output = folder / "output"
        self.environ = {name: str(free_port()) for name in DEFAULT_PORTS}
        self.environ |= {"LILY_RUN_DATA": str(self.data), "LILY_BUS": "default", "PATH": os.environ["PATH"]}
        self.environ["LILY_SOURCES"] = "monte-carlo"  # the web process of these tests takes no webhooks
        (folder / "web.py").write_text(WEB)
        self.web = f"web: python {folder}/web.py"

    def start(self, *lines: str, **environ: str) -> "Up":
        self.output.write_bytes(b"")
        procfile = self.folder / "Procfile"
        procfile.write_text("\n".join(lines))
        command: list[str | Path] = [SANDBOX_PYTHON, "-m", "sandbox.up", "--procfile", procfile]
        self.process = launch(command, self.environ | environ, self.output)
        return self

    def ready(self) -> "Up":
        eventually(lambda: "Lily is ready" in self.said() or self.process.poll() is not None, within_s=30)
        assert self.process.poll() is None, self.said()
        return self

    def ended(self, within_s: float = 20) -> int:
        return self.process.wait(within_s)

    def said(self) -> str:
        return self.output.read_text()

    def state(self) -> Any:
        return json.loads((self.data / "run.json").read_text())

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = self.state()["pids"]
        return pids

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text()

    def ports(self) -> list[int]:
        """Those that these runs use; Flower's may have gone to someone else meanwhile."""
        return [int(self.environ[name]) for name in DEFAULT_PORTS if name != "LILY_RUN_FLOWER_PORT"]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    if hasattr(up, "process"):
        finish(up.process)


def test_it_gets_ready_says_where_everything_is_and_ends_on_request(up: Up) -> None:
    up.start(up.web, "sleeper: sleep 1000").ready()
    eventually(lambda: "Ctrl-C here ends" in up.said())
    pids = up.pids()

    assert up.state()["ready"]
    assert "export TOKEN=token-of-demo" in up.said()
    assert f"http://127.0.0.1:{up.environ['LILY_WEB_PORT']}/docs" in up.said()
    assert "\033" not in up.said()
    assert {"redis", "aws", "monte-carlo", "web", "sleeper"} <= set(pids)
    assert stat.S_IMODE((up.data / "run.json").stat().st_mode) == stat.S_IMODE((up.data / "secrets.json").stat().st_mode) == 0o600

    began_at = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.ended() == 0
    assert time.monotonic() - began_at < 10
    assert "stopped in" in up.said()
    assert not [name for name, pid in pids.items() if alive(pid)]
    assert not [port for port in up.ports() if is_open(port)]
    assert not (up.data / "run.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_does_not_listen_is_ended_by_force(up: Up, number: int) -> None:
    up.start(up.web, "stubborn: sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done'").ready()
    pids = up.pids()

    began_at = time.monotonic()
    up.process.send_signal(number)

    assert up.ended() == 0
    assert 4 < time.monotonic() - began_at < 10
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_a_second_interrupt_ends_everything_at_once(up: Up) -> None:
    up.start(up.web, "stubborn: sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done'").ready()
    pids = up.pids()

    began_at = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in up.said())
    up.process.send_signal(signal.SIGINT)

    assert up.ended() == 0
    assert time.monotonic() - began_at < 3
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_it_can_be_interrupted_while_it_starts(up: Up) -> None:
    up.start("release: sleep 1000", up.web)
    eventually(lambda: (up.data / "run.json").exists() and "release" in up.pids(), within_s=20)
    pids = up.pids()

    up.process.send_signal(signal.SIGINT)

    assert up.ended() == 0
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_a_process_that_dies_is_reported_in_one_line_and_started_again(up: Up) -> None:
    up.start(up.web, "talker: sh -c 'echo my last words; sleep 1000'").ready()
    first = up.pids()["talker"]
    eventually(lambda: "my last words" in up.log("talker"))

    kill(first)

    second = eventually(lambda: (pid := up.pids()["talker"]) != first and alive(pid) and pid)
    (line,) = [line for line in up.said().splitlines() if "talker ended" in line]
    assert "SIGKILL" in line
    assert "my last words" in line
    assert second != first


def test_one_that_keeps_dying_is_started_ever_more_slowly(up: Up) -> None:
    up.start(up.web, "dier: sh -c 'exit 3'").ready()

    waits = eventually(lambda: (w := [line for line in up.said().splitlines() if "dier ended" in line])[2:] and w, within_s=15)

    assert [line.partition("starts again in ")[2].split()[0] for line in waits[:3]] == ["0.5", "1", "2"]
    assert "exit code 3" in waits[0]


def test_a_pool_child_does_not_go_on_without_its_parent(up: Up) -> None:
    children = up.folder / "children"
    up.start(up.web, f"pool: sh -c 'sleep 1000 & echo $! >> {children}; wait'").ready()
    child = int(eventually(lambda: children.exists() and children.read_text()))

    kill(up.pids()["pool"])

    eventually(lambda: not alive(child))
    eventually(lambda: len(children.read_text().split()) == 2)


def test_nothing_outlives_it_when_it_is_killed(up: Up) -> None:
    children = up.folder / "children"
    up.start(up.web, f"pool: sh -c 'trap \"\" TERM HUP; sleep 1000 & echo $! >> {children}; wait'").ready()
    pids = [*up.pids().values(), int(eventually(lambda: children.exists() and children.read_text()))]

    kill(up.process.pid)

    eventually(lambda: not [pid for pid in pids if alive(pid)])
    eventually(lambda: not [port for port in up.ports() if is_open(port)])
    up.start(up.web).ready()  # and the next run finds nothing in its way


def test_a_taken_port_is_an_error_that_names_the_port_and_the_setting(up: Up) -> None:
    with socket.socket() as taken, socket.socket() as other:
        for listener in (taken, other):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        port, second = taken.getsockname()[1], other.getsockname()[1]
        up.start(up.web, LILY_WEB_PORT=str(port), LILY_RUN_REDIS_PORT=str(second))

        assert up.ended() == 1

    assert f"port {port} is taken" in up.said()
    assert "LILY_WEB_PORT=" in up.said()
    assert f"port {second} is taken" in up.said()
    assert "LILY_RUN_REDIS_PORT=" in up.said()
    assert not (up.data / "logs").exists()


@pytest.mark.parametrize("value", ["", "http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(value: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="LILY_RUN_AWS_PORT: "):
        look_around({"LILY_RUN_AWS_PORT": value, "LILY_RUN_DATA": str(tmp_path)})


def test_two_runs_cannot_share_their_data(up: Up, tmp_path: Path) -> None:
    up.start(up.web).ready()
    (tmp_path / "second").mkdir()
    second = Up(tmp_path / "second").start(up.web, LILY_RUN_DATA=str(up.data))
    try:
        assert second.ended() == 1
    finally:
        finish(second.process)

    assert "another make run" in second.said()
    assert "LILY_RUN_DATA" in second.said()
    assert up.process.poll() is None


def test_a_second_run_by_mistake_is_told_that_there_is_a_first(up: Up) -> None:
    up.start(up.web).ready()

    with pytest.raises(Refused, match=f"port {up.environ['LILY_WEB_PORT']} is taken") as refused:
        look_around(up.environ)

    assert f"at work already, as process {up.process.pid}" in str(refused.value)


def test_when_the_release_fails_its_words_are_shown_and_nothing_is_left(up: Up) -> None:
    up.start("release: sh -c 'echo LILY_SEAL_KEY: too short; exit 4'", up.web)

    assert up.ended() == 1
    assert "exit code 4" in up.said()
    assert "LILY_SEAL_KEY: too short" in up.said()
    assert not [port for port in up.ports() if is_open(port)]


def test_processes_see_lilys_settings_and_nothing_of_the_users_own(up: Up) -> None:
    mine = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_PROFILE": "production", "EDITOR": "ed", "HOME": str(up.folder)}
    given = {"LILY_SOURCE_MONTE_CARLO_SECRETS": "x", "LILY_CLIENTS": "bi", "LILY_CLIENT_BI_SECRET": "s" * 32}
    up.start(up.web, "shower: sh -c 'env; sleep 1000'", **mine, **given).ready()

    seen = dict(line.split("=", 1) for line in eventually(lambda: up.log("shower")).splitlines())

    assert seen.keys() >= given.keys() - {"LILY_CLIENTS"}
    assert seen["LILY_SOURCE_MONTE_CARLO_SECRETS"] == "x" == up.state()["webhook_secret"]
    assert seen["LILY_CLIENTS"] == "bi,demo"
    assert seen["AWS_ACCESS_KEY_ID"].isdecimal()
    assert seen["PATH"].split(":")[0].endswith("/.venv/bin")
    others = {name for name in seen if not name.startswith(("LILY_", "AWS_"))}
    assert others <= {"PATH", "HOME", "PYTHONUNBUFFERED", "PWD", "OLDPWD", "SHLVL", "_"}
    assert not {"AWS_PROFILE", "EDITOR"} & seen.keys()


def test_secrets_are_made_once(up: Up) -> None:
    first = look_around(up.environ).lily
    again = look_around(up.environ).lily

    assert first == again
    assert len(first["LILY_JWT_SECRETS"]) >= 32


def test_data_survives_the_death_of_the_aws_stand_in_and_the_demo_queue_is_made_again(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    up.start(up.web).ready()
    aws = _client(up, monkeypatch)
    aws("dynamodb").create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    aws("dynamodb").put_item(TableName="things", Item={"pk": {"S": "1"}})

    kill(up.pids()["aws"])
    eventually(lambda: "aws is back" in up.said(), within_s=20)

    assert aws("dynamodb").scan(TableName="things")["Items"] == [{"pk": {"S": "1"}}]
    event = {"Source": "lily", "DetailType": "t", "Detail": "{}", "EventBusName": "default"}
    aws("events").put_events(Entries=[event])
    eventually(lambda: aws("sqs").receive_message(QueueUrl=up.state()["queue_url"]).get("Messages"))

    up.process.terminate()
    assert up.ended() == 0
    up.start(up.web).ready()
    assert aws("dynamodb").scan(TableName="things")["Items"] == [{"pk": {"S": "1"}}]


def test_logs_begin_anew_and_the_one_before_is_kept(up: Up) -> None:
    for number in ("first", "second"):
        up.start(up.web, f"talker: sh -c 'echo {number}; sleep 1000'").ready()
        eventually(lambda: up.log("talker"))
        up.process.terminate()
        up.ended()

    assert up.log("talker") == "second\n"
    assert (up.data / "logs" / "talker.log.1").read_text() == "first\n"


def test_redis_answers_and_keeps_nothing_on_disk(up: Up) -> None:
    up.start(up.web).ready()

    with socket.create_connection(("127.0.0.1", int(up.environ["LILY_RUN_REDIS_PORT"])), timeout=5) as connection:
        connection.sendall(b"CONFIG GET save\r\nCONFIG GET appendonly\r\nCONFIG GET bind\r\nLPUSH l 1 2\r\nLPOP l 2\r\n")
        with contextlib.suppress(TimeoutError):
            connection.settimeout(0.5)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece

    words = answer.decode().split("\r\n")
    assert words[words.index("save") + 2] == ""
    assert words[words.index("appendonly") + 2] == "no"
    assert words[words.index("bind") + 2] == "127.0.0.1"
    assert "-ERR" not in answer.decode()


def _client(up: Up, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    state = up.state()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", state["aws_account"])

    def client(service: str) -> Any:
        made: Any = boto3.Session().client(service, endpoint_url=state["aws_url"], region_name=state["aws_region"])
        return made

    return client
