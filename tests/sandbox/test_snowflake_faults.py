"""Faults on demand in Snowflake's stand-in, its admin door, and what outlives its process."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from snowflake.connector import errors

from tests.sandbox.conftest import Snowflake, refusal
from tests.servers import free_port, running, sandbox
from tests.waiting import eventually


def test_latency_makes_each_statement_take_so_long(snowflake: Snowflake, lily: Any) -> None:
    snowflake.fault(kind="latency", delay_s=0.2, count=None, match="^SELECT")
    started = time.perf_counter()
    lily.execute("SELECT 1")
    lily.execute("SELECT 2")
    assert time.perf_counter() - started >= 0.4

    snowflake.http.delete("/sandbox/faults")
    started = time.perf_counter()
    lily.execute("SELECT 3")
    assert time.perf_counter() - started < 0.2


def test_an_error_hits_the_statement_of_that_number(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE TAG GOV.LILY.A")
    snowflake.fault(kind="error", code="000603", sqlstate="XX000", message="broken", match="(?i)^alter table", skip=1)
    statement = "ALTER TABLE DB.S.T SET TAG GOV.LILY.A = 'x'"

    lily.execute(statement)
    assert refusal(lily, statement) == (603, "XX000")
    lily.execute(statement)


@pytest.mark.parametrize(("status", "tries"), [(429, 1), (503, 3)])
def test_a_refused_request_was_not_run(snowflake: Snowflake, lily: Any, status: int, tries: int) -> None:
    snowflake.fault(kind="status", status=status, count=None, match="^CREATE TAG")

    with pytest.raises(errors.Error):
        lily.execute("CREATE TAG GOV.LILY.A")
    assert snowflake.queries("^CREATE TAG") == []


@pytest.mark.parametrize(("kind", "done"), [("drop_before", False), ("drop_after", True)])
def test_a_dropped_connection_leaves_it_undone_or_done(snowflake: Snowflake, lily: Any, kind: str, done: bool) -> None:
    snowflake.fault(kind=kind, count=None, match="^CREATE TAG")

    with pytest.raises(errors.Error):
        lily.execute("CREATE TAG GOV.LILY.A")

    snowflake.http.delete("/sandbox/faults")
    assert bool(snowflake.sql("SHOW TAGS IN SCHEMA GOV.LILY")) is done


@pytest.mark.parametrize(("kind", "done"), [("hang", False), ("hang_after", True)])
def test_a_request_that_hangs_ends_when_faults_are_cleared(snowflake: Snowflake, kind: str, done: bool) -> None:
    lily = snowflake.connect(retry_max_attempts=3).cursor()
    snowflake.fault(kind=kind, match="^CREATE TAG")
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(lily.execute, "CREATE TAG GOV.LILY.A")
        eventually(lambda: snowflake.http.get("/sandbox/faults").json() == [])
        if done:
            eventually(lambda: snowflake.queries("^CREATE TAG"))
        assert not hanging.done()

        snowflake.http.delete("/sandbox/faults")

        # The connector sends the request again. Done the first time, it is not done a second time.
        assert hanging.exception(timeout=10) is None
    assert [entry["retries"] for entry in snowflake.queries("^CREATE TAG")] == [int(done)]


def test_a_login_can_be_refused(snowflake: Snowflake) -> None:
    snowflake.fault(kind="status", status=503, on="login", count=None)

    with pytest.raises(errors.Error):
        snowflake.connect(login_timeout=2)


def test_half_an_answer_is_an_error(snowflake: Snowflake, lily: Any) -> None:
    snowflake.fault(kind="malformed", count=None)

    with pytest.raises(errors.Error):
        lily.execute("SELECT 1")


NONSENSE: list[tuple[str, Any]] = [
    ("faults", {"kind": "fire"}),
    ("faults", {"kind": "hang", "count": 0}),
    ("faults", {"kind": "hang", "match": "("}),
    ("faults", {"kind": "hang", "unknown": 1}),
    ("faults", {"kind": "status", "status": 200}),
    ("faults", {"kind": "latency", "delay_s": -1}),
    ("faults", {"kind": "hang", "on": "monday"}),
    ("faults", [1]),
    ("sql", {"statement": "SELECT 1"}),
    ("sql", []),
    ("sessions/expire", {"what": "x"}),
    ("oauth/clients", {"id": "c"}),
    ("nothing", {}),
]


def test_what_the_admin_door_does_not_understand_it_refuses(snowflake: Snowflake) -> None:
    for path, body in NONSENSE:
        answer = snowflake.http.post(f"/sandbox/{path}", json=body)
        assert answer.status_code in (400, 404), (path, body)
        assert answer.json()["error"]


def test_settings_are_checked(snowflake: Snowflake) -> None:
    for body in ({"edition": "FREE"}, {"policy_context": 1}, {"detach_after_s": "soon"}, {"unknown": 1}, {"detach_after_s": -1}):
        assert snowflake.http.patch("/sandbox/settings", json=body).status_code == 400
    assert snowflake.http.get("/sandbox/settings").json()["edition"] == "ENTERPRISE"


def test_the_page_tells_what_is_there(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql('CREATE TABLE DB.S."<b>" (A INT)')
    text = snowflake.http.get("/").text

    assert "DB.S.T" in text
    assert "&lt;b&gt;" in text


def test_the_log_of_queries_can_be_read_in_parts(snowflake: Snowflake, lily: Any) -> None:
    for number in range(3):
        lily.execute(f"SELECT {number}")
    found = snowflake.queries()
    assert [entry["text"] for entry in found] == ["SELECT 0", "SELECT 1", "SELECT 2"]
    assert {(entry["user"], entry["state"], entry["rows"]) for entry in found} == {("LILY_SVC", "success", 1)}

    later = snowflake.http.get("/sandbox/queries", params={"after": found[0]["id"]}).json()
    assert [entry["text"] for entry in later] == ["SELECT 1", "SELECT 2"]
    assert snowflake.http.get("/sandbox/queries", params={"user": "X"}).json() == []
    snowflake.http.delete("/sandbox/queries")
    assert snowflake.queries() == []


# What outlives the process


@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_the_account_outlives_its_process(tmp_path: Path, death: signal.Signals) -> None:
    """Twice, so that what was read back is kept too."""
    made = """CREATE DATABASE DB; CREATE ROLE R; CREATE USER U PASSWORD = 'pw'; GRANT ROLE R TO USER U; CREATE TAG DB.PUBLIC.K;
      CREATE TABLE DB.PUBLIC.T (A VARCHAR, "ä" NUMBER(10,2) NOT NULL, V VARIANT);
      INSERT INTO DB.PUBLIC.T SELECT 'secret', 1.5, PARSE_JSON('{"x": 1}');
      CREATE MASKING POLICY DB.PUBLIC.M AS (V VARCHAR) RETURNS VARCHAR -> IFF(IS_ROLE_IN_SESSION('R'), V, '***');
      ALTER TABLE DB.PUBLIC.T MODIFY COLUMN A SET MASKING POLICY DB.PUBLIC.M;
      ALTER TABLE DB.PUBLIC.T MODIFY COLUMN A SET TAG DB.PUBLIC.K = 'v';
      CREATE VIEW DB.PUBLIC.W AS SELECT A FROM DB.PUBLIC.T; UPDATE DB.PUBLIC.T SET "ä" = 2.25"""
    for turn in range(3):
        port = free_port()
        command = sandbox("snowflake", "--port", str(port), "--state", tmp_path)
        with running(command, port, path="/healthz") as process, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:

            def sql(text: str, http: httpx.Client = http, **how: Any) -> Any:
                answer = http.post("/sandbox/sql", json={"sql": text, **how})
                assert answer.is_success, answer.text
                return answer.json()["rows"]

            if turn == 0:
                sql(made)
            assert sql('SELECT A, "ä", V FROM DB.PUBLIC.T') == [["***", "2.25", '{"x":1}']]
            assert sql("SELECT * FROM DB.PUBLIC.W", role="R") == [["secret"]]
            assert http.post("/sandbox/sql", json={"sql": "DROP MASKING POLICY DB.PUBLIC.M"}).json()["code"] == "003551"
            references = "SELECT TAG_VALUE FROM TABLE(DB.INFORMATION_SCHEMA.TAG_REFERENCES_ALL_COLUMNS('DB.PUBLIC.T', 'TABLE'))"
            assert sql(references) == [["v"]]
            sql(f"CREATE TABLE DB.PUBLIC.LATER{turn} (A INT)")
            process.send_signal(death)
            process.wait(timeout=10)


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    import subprocess

    port = free_port()
    with running(sandbox("snowflake", "--port", str(port), "--state", tmp_path), port, path="/healthz"):
        second = subprocess.run(
            sandbox("snowflake", "--port", "0", "--state", tmp_path), capture_output=True, text=True, timeout=20
        )

    assert (second.returncode, "another process uses it" in second.stderr) == (1, True)
