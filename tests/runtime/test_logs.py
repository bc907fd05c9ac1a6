import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
import structlog

from lily.runtime import logs, trace

ROOT = Path(__file__).parents[2]
log = logs.get("tests.logs")  # before anything is configured, as modules do


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict]]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("web", "info")
    yield lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_is_one_json_object_that_says_who_when_and_what(lines):
    log.info("event.published", event_id="e1", duration_ms=1.5)

    [line] = lines()
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "event": "event.published",
        "service": "web",
        "pid": os.getpid(),
        "logger": "tests.logs",
        "event_id": "e1",
        "duration_ms": 1.5,
    }


def test_what_is_bound_to_the_context_is_on_each_line_until_the_block_ends(lines):
    here = trace.new()

    with trace.bound(here), logs.bind(event_id="e1"):
        log.info("event.read")
        logging.getLogger("botocore").warning("slow")
    log.info("event.forgotten")

    first, second, third = lines()
    assert (first["trace_id"], first["event_id"]) == (here.trace_id, "e1")
    assert (second["trace_id"], second["event_id"]) == (here.trace_id, "e1")
    assert "trace_id" not in third
    assert "event_id" not in third


def test_lines_of_libraries_have_the_same_form(lines):
    logging.getLogger("some.library").warning("could not %s", "connect")
    warnings.warn("this is old", stacklevel=1)

    first, second = lines()
    assert (first["event"], first["logger"], first["message"]) == ("library.logged", "some.library", "could not connect")
    assert (second["event"], second["logger"]) == ("library.logged", "py.warnings")


def test_no_secret_reaches_a_line_from_lily_or_a_library(lines):
    log.info("call.refused", api_token="hunter2", url="https://lily:hunter2@host/", detail={"password": "hunter2"})
    logging.getLogger("some.library").error("Authorization: Bearer hunter2-hunter2")
    log.error("bug.caught", exc_info=ValueError("token=hunter2"))

    written = lines()
    assert len(written) == 3
    assert "hunter2" not in json.dumps(written)


def test_an_exception_is_one_field_with_its_trace(lines):
    try:
        {}["missing"]
    except KeyError as error:
        log.exception("first.seen")
        log.error("second.seen", exc_info=error)
        logging.getLogger("some.library").exception("third")

    for line in lines():
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("KeyError: 'missing'\n")


def test_what_is_below_the_level_is_not_written(lines):
    logs.configure("web", "warning")

    log.info("event.read")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("waitress.queue").warning("Task queue depth is 7")
    log.warning("event.lost")

    assert [line["event"] for line in lines()] == ["event.lost"]


def test_the_level_is_that_of_the_settings_unless_it_is_given(lines, configured):
    configured(LILY_LOG_LEVEL="error")
    logs.configure("worker")

    log.warning("event.lost")
    log.error("event.broken")

    assert [(line["event"], line["service"]) for line in lines()] == [("event.broken", "worker")]


def test_what_cannot_be_written_as_json_is_written_as_text(lines):
    log.info("odd.seen", surrogate="\ud800", huge=10**5_000, raw=b"abc", thing=object(), nan=float("nan"), members={1, 2})

    [line] = lines()
    assert line["surrogate"] == "\\ud800"
    assert (line["raw"], line["members"], line["nan"]) == ("<3 bytes>", [1, 2], None)
    assert line["thing"].startswith("<object object")


def test_a_broken_call_of_a_library_does_not_stop_the_work(lines, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("some.library").warning("%d", "not a number")
    log.info("work.continued")

    assert [line["event"] for line in lines()] == ["work.continued"]


def test_lines_of_many_threads_do_not_mix(lines):
    threads = [Thread(target=lambda: [log.info("event.read", filler="x" * 1_000) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines()) == 400


def test_a_reader_that_went_away_does_not_stop_the_work():
    script = (
        "import os, sys\n"
        "from lily.runtime import logs\n"
        "logs.configure('web', 'info')\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "logs.get('x').info('event.read')\n"
        "sys.exit(7)\n"
    )

    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 7
