"""The guided tour: that it ends well on a system that works, and says what is wrong with one that does not."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.demo_report import FIGURES, TEXTS, WIDTH, Check, Ink, document, figures, judged, short, table
from sandbox.surroundings import DEFAULT_PORTS
from tests.servers import ROOT, SANDBOX_PYTHON, finish, free_port, launch, sandbox, status
from tests.waiting import eventually

PLAIN = Ink(colours=False)
A_ROW = ["owner changed", "0123abcd.2", "4567cdef", "shop:crm.users", "SEV-2", "published", "reopened"]


@dataclass(frozen=True)
class Running:
    """A system of its own, as `make run` starts it."""

    environ: dict[str, str]
    monte_carlo: str

    def demo(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return demo(self.environ, *arguments)

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.monte_carlo}/sandbox{path}", data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


def demo(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, encoding="utf-8", timeout=60)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    ports = {name: free_port() for name in DEFAULT_PORTS}
    environ = {name: str(port) for name, port in ports.items()} | {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    environ["LILY_RUN_DATA"] = str(tmp_path_factory.mktemp("data"))
    process = launch(sandbox("up"), environ)
    try:
        eventually(lambda: status(f"http://127.0.0.1:{ports['LILY_WEB_PORT']}/readyz") == 200, within_s=60, every_s=0.1)
        yield Running(environ, f"http://127.0.0.1:{ports['LILY_RUN_MONTE_CARLO_PORT']}")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    finally:
        finish(process)


def test_the_tour_can_be_taken_again_and_again_and_all_is_well(system: Running) -> None:
    for _ in range(2):
        taken = system.demo()

        assert (taken.returncode, taken.stderr) == (0, "")
        assert "✗" not in taken.stdout
        assert taken.stdout.rstrip().splitlines()[-1].startswith("✓ All is as it should be")
        assert "\033" not in taken.stdout  # no terminal, no colours


def test_the_table_shows_every_event_and_what_it_did(system: Running) -> None:
    lines = system.demo().stdout.splitlines()

    start = next(number for number, line in enumerate(lines) if line.startswith("what ")) + 1
    rows = [re.split(r"  +", line) for line in lines[start : lines.index("", start)]]
    assert [(row[0], row[6]) for row in rows] == [
        ("opened", "opened"),
        ("owner changed", "updated"),
        ("acknowledged", "updated"),
        ("in progress", "updated"),
        ("marked", "updated"),
        ("unmarked", "updated"),
        ("resolved", "resolved"),
        ("custom rule", "opened"),
        ("unknown type", "opened"),
        ("another", "opened"),
        ("fixed", "resolved"),
        ("reopened", "reopened"),
        ("fixed again", "resolved"),
    ]
    assert rows[-1][1] == f"{rows[-3][1]}.2"


def test_a_webhook_that_is_not_accepted_ends_the_tour(system: Running) -> None:
    secret = json.loads((Path(system.environ["LILY_RUN_DATA"]) / "run.json").read_text())["webhook_secret"]
    system.sandbox("PATCH", "/webhooks", {"secret": "another"})
    try:
        taken = system.demo()
    finally:
        system.sandbox("PATCH", "/webhooks", {"secret": secret})

    assert taken.returncode == 1
    assert "opened: Lily was to accept the webhook with 202 and the id of its event, but answered 401" in taken.stderr


def test_an_event_that_is_not_published_in_time_ends_the_tour(system: Running) -> None:
    taken = system.demo("--patience", "0")

    assert taken.returncode == 1
    assert re.search(r"its event was to be published within 0 s, but is (received|stored)", taken.stderr)


def test_details_that_never_come_are_missed(system: Running) -> None:
    system.sandbox("POST", "/faults", {"kind": "status", "status": 503, "count": None})
    try:
        taken = system.demo("--patience", "1")
    finally:
        system.sandbox("DELETE", "/faults")

    assert taken.returncode == 1
    assert "✗ each has the table and the owner that Monte Carlo's API knows" in taken.stdout
    assert "opened: expected done, shop:crm.users, dana@example.com; saw pending, shop:crm.users, " in taken.stdout
    assert "✓ every event is published" in taken.stdout  # a source's API that is away holds nothing up


def test_without_a_running_system_one_line_says_what_to_do(tmp_path: Path) -> None:
    taken = demo({**os.environ, "LILY_RUN_DATA": str(tmp_path)})

    assert (taken.returncode, taken.stdout) == (1, "")
    assert (
        taken.stderr
        == "error: nothing runs here: start `make run` in another terminal, wait until it says ready, then try again\n"
    )


def test_a_system_that_was_killed_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "run.json").write_text(json.dumps({"pid": gone.pid}))

    assert "nothing runs here" in demo({**os.environ, "LILY_RUN_DATA": str(tmp_path)}).stderr


def test_a_table_fits_a_terminal_of_120_columns() -> None:
    slow = figures({"ingested": 1234.5, "enriched": 812.0, "stored": 12345.0, "published": 12.3, "total": 14404.0}, 2000.0)

    assert max(map(len, table([[*A_ROW, *slow]], PLAIN))) <= 120


@given(st.lists(st.lists(st.text("abc ", max_size=9), min_size=len(TEXTS) + len(FIGURES), max_size=len(TEXTS) + len(FIGURES))))
def test_columns_stand_below_each_other(rows: list[list[str]]) -> None:
    assert len({len(line) for line in table(rows, PLAIN)}) == 1


def test_a_step_that_did_not_happen_is_a_dash() -> None:
    assert figures({"ingested": 1.4, "not_enriched": 2.6, "total": 4.0}, 7.5) == ["8", "1", "3", "–", "–", "4"]


def test_ids_are_shortened_and_keep_their_occurrence() -> None:
    assert (short("0123456789abcdef"), short("0123456789abcdef.12")) == ("01234567", "01234567.12")


def test_long_lines_of_a_message_are_cut() -> None:
    assert max(map(len, document({"key": "v" * 500, "other": [1]}))) == WIDTH


@given(
    st.dictionaries(st.text("ab", min_size=1), st.integers(0, 2)), st.dictionaries(st.text("ab", min_size=1), st.integers(0, 2))
)
def test_a_check_holds_exactly_if_there_is_no_difference_to_tell(expected: dict[str, int], seen: dict[str, int]) -> None:
    check = Check("they are equal", expected, seen)

    assert check.holds == (not list(check.differences()))


def test_a_cross_comes_with_what_was_expected_and_what_was_seen() -> None:
    checks = [Check("two", 2, 3), Check("by name", {"a": "x", "b": "y"}, {"a": "x", "c": None}), Check("one", 1, 1)]

    assert judged(checks, PLAIN) == [
        "  ✗ two",
        "      expected 2; saw 3",
        "  ✗ by name",
        "      b: expected y; saw nothing",
        "      c: expected nothing; saw null",
        "  ✓ one",
    ]
    assert judged(checks[2:], Ink(colours=True)) == ["  \033[32m✓\033[0m one"]
