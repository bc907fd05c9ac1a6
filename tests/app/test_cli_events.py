"""`lily events`: those that are there and those that arrive, and once more; and the command as a process of its own."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.records import events
from tests.app.cli import Shell, served
from tests.app.conftest import bearer, body_of

COMMAND = Path(__file__).resolve().parents[2] / "bin" / "lily"


@pytest.fixture
def shell(whole: FlaskClient) -> Iterator[Shell]:
    with served(whole.application) as url:
        yield Shell(url)


def accepted(deliver: Callable[..., Any], *incidents: str) -> list[str]:
    return [deliver(body_of(incident)).get_json()["event_id"] for incident in incidents]


def test_the_last_events_are_shown_in_the_order_of_their_arrival(shell: Shell, deliver: Callable[..., Any]) -> None:
    ids = accepted(deliver, "i-1", "i-2", "i-3")

    lines = shell("events", "tail", "--no-follow", "-n", "2", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids[1:]
    assert ids[0][:12] in shell("events", "tail", "--no-follow", "--source", "monte-carlo").stdout
    assert shell("events", "tail", "--no-follow", "--status", "parked").stdout == ""


def test_an_event_that_arrives_is_shown_at_once_and_ctrl_c_ends_it_well(shell: Shell, deliver: Callable[..., Any]) -> None:
    (old,) = accepted(deliver, "i-1")
    token = bearer(scope="events:read")["Authorization"].removeprefix("Bearer ")
    environ = {"PATH": os.environ["PATH"], "LILY_URL": shell.url, "LILY_TOKEN": token, "PYTHONUNBUFFERED": "1"}
    command = [str(COMMAND), "events", "tail", "-n", "1", "-o", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == old
        (new,) = accepted(deliver, "i-2")
        assert json.loads(process.stdout.readline())["id"] == new
        process.send_signal(signal.SIGINT)
        assert (process.wait(10), process.stdout.read(), process.stderr.read()) == (0, "", "")


def test_a_replay_counts_first_and_asks(shell: Shell, deliver: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ids = accepted(deliver, "i-1", "i-2")

    counted = shell.json("events", "replay", "--source", "monte-carlo", "--dry-run")
    assert (counted["matched"], counted["replayed"], counted["dry_run"]) == (2, 0, True)
    shell("events", "replay", "--source", "monte-carlo", code=1, answer="n\n")
    done = shell.json("events", "replay", "--source", "monte-carlo", "--yes")
    assert (done["matched"], done["replayed"], done["skipped"]) == (2, 0, 2)  # both are still in work
    assert shell.json("events", "replay", *ids)["skipped"] == 2
    assert events.get(ids[0]) is not None
    assert "There is no event" in shell("events", "replay", "f" * 64, code=1).stderr
    shell("events", "replay", code=2)
    shell("events", "replay", ids[0], "--status", "parked", code=2)
