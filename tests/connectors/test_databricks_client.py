"""The way to Databricks: tokens, deadlines, one try for each request, and what each failure means for whoever asked."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors import databricks as connector
from connectors.contracts import Refused
from connectors.databricks import client, failures
from lily.runtime import breaker
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings
from tests.connectors.databricks_workspace import NAME, SECRET, Workspace, workspace
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

STATEMENTS = "POST /api/2.0/sql/statements"
TOKENS = "POST /oidc/v1/token"


def fails(ask: Callable[[], Any]) -> Transient | Permanent:
    with pytest.raises((Transient, Permanent)) as failed:
        ask()
    assert SECRET not in str(failed.value)
    return failed.value


def test_what_is_bound_comes_back_as_it_was(workspace: Workspace) -> None:
    odd = "it's \\ \n`\"' ; -- 😀"

    answer = client.run(NAME, "SELECT :a AS A, NULL AS B", {"a": odd})

    assert answer.dicts == [{"A": odd, "B": None}]
    assert answer.query_id


def test_many_threads_log_in_once(workspace: Workspace) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: client.run(NAME, "SELECT :n", {"n": str(n)}).rows, range(60)))

    assert answers == [[[str(n)]] for n in range(60)]
    assert workspace.requests()[TOKENS] == 1


FORKED = f"""
import os, sys
from connectors import databricks
from connectors.databricks import client
assert not [name for name in sys.modules if name.startswith("databricks")]
print(client.run({NAME!r}, "SELECT 1").rows, flush=True)
child = os.fork()
if child == 0:
    print(client.run({NAME!r}, "SELECT 2").rows, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_the_child_of_a_fork_has_connections_of_its_own(workspace: Workspace) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=30)

    assert (done.stdout.split("\n")[:2], done.returncode) == (["[['1']]", "[['2']]"], 0), done.stderr
    assert workspace.requests()[TOKENS] == 2


def test_what_the_environment_says_of_databricks_is_not_heard(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "AUTH_TYPE", "CONFIG_PROFILE"):
        monkeypatch.setenv(f"DATABRICKS_{name}", "http://127.0.0.1:9")

    assert client.run(NAME, "SELECT 1").rows == [["1"]]


@pytest.mark.parametrize(("status", "after_s"), [(429, 7), (503, 7), (500, None), (502, None), (504, None)])
def test_a_service_that_is_busy_is_asked_once_and_its_wish_is_passed_on(
    workspace: Workspace, status: int, after_s: float | None
) -> None:
    client.run(NAME, "SELECT 1")
    workspace.forget()
    workspace.stand_in.fault(kind="status", status=status, retry_after_s=after_s)
    began = time.monotonic()

    failed = fails(lambda: client.run(NAME, "SELECT 2"))

    assert isinstance(failed, Transient)
    assert failed.retry_after_s == after_s
    assert time.monotonic() - began < 1
    assert workspace.requests() == {STATEMENTS: 1}


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "malformed"])
def test_a_statement_whose_answer_is_lost_is_sent_once_and_told_as_unknown(workspace: Workspace, kind: str) -> None:
    client.run(NAME, "SELECT 1")
    workspace.forget()
    workspace.stand_in.fault(kind=kind)

    assert isinstance(fails(lambda: client.run(NAME, "SELECT 2")), Transient)
    assert workspace.requests() == {STATEMENTS: 1}


@pytest.mark.parametrize("on", ["statement", "token", "config"])
def test_a_host_that_hangs_holds_nobody_longer_than_the_deadline(
    workspace: Workspace, configured: Callable[..., None], on: str
) -> None:
    configured(LILY_TARGET_BRICKS_STATEMENT_TIMEOUT_S="0.5")
    workspace.stand_in.fault(kind="hang", on=on, count=None)
    began = time.monotonic()

    assert isinstance(fails(lambda: client.run(NAME, "SELECT 1")), Transient)
    assert time.monotonic() - began < 3


def test_a_statement_that_takes_its_time_is_waited_for(workspace: Workspace, configured: Callable[..., None]) -> None:
    workspace.stand_in.fault(kind="pending", delay_s=0.4)
    configured(LILY_TARGET_BRICKS_STATEMENT_TIMEOUT_S="3")

    assert client.run(NAME, "SELECT 1").rows == [["1"]]
    assert workspace.requests()["GET /api/2.0/sql/statements/{id}"] >= 1


def test_one_that_takes_too_long_is_cancelled(workspace: Workspace, configured: Callable[..., None]) -> None:
    workspace.stand_in.fault(kind="pending", delay_s=60)
    configured(LILY_TARGET_BRICKS_STATEMENT_TIMEOUT_S="0.6")
    began = time.monotonic()

    failed = fails(lambda: client.run(NAME, "SELECT 1"))

    assert isinstance(failed, Transient)
    assert "PENDING" in failed.reason
    assert time.monotonic() - began < 3
    assert workspace.requests()["POST /api/2.0/sql/statements/{id}/cancel"] == 1


def test_a_token_that_ended_is_fetched_anew_and_the_statement_sent_again(workspace: Workspace) -> None:
    client.run(NAME, "SELECT 1")
    workspace.stand_in.post("tokens/expire")

    assert client.run(NAME, "SELECT 2").rows == [["2"]]
    assert workspace.requests()[TOKENS] == 2


def test_many_threads_whose_token_ended_log_in_once_more(workspace: Workspace) -> None:
    client.run(NAME, "SELECT 1")
    workspace.stand_in.post("tokens/expire")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: client.run(NAME, "SELECT :n", {"n": str(n)}), range(32)))

    assert workspace.requests()[TOKENS] == 2


def test_a_wrong_secret_is_told_without_it(workspace: Workspace, configured: Callable[..., None]) -> None:
    configured(LILY_TARGET_BRICKS_OAUTH_CLIENT_SECRET="not-the-s3cret-at-all")

    failed = fails(lambda: client.run(NAME, "SELECT 1"))

    assert isinstance(failed, Transient)
    assert "login refused" in failed.reason
    assert "not-the" not in failed.reason


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM analytics.crm.nowhere", "gone"),
        ("SELECT nothing FROM analytics.crm.customers", "gone"),
        ("DROP FUNCTION gov.lily.nothing", "gone"),
        ("SELEC 1", "statement"),
        ("CREATE SCHEMA analytics.mine", "denied"),
    ],
)
def test_what_is_refused_has_its_code(workspace: Workspace, statement: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        client.run(NAME, statement)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("error_class", "state", "code"),
    [
        ("ROUTINE_ALREADY_EXISTS", "42723", "exists"),
        ("COLUMN_MASKS_CHECK_CONSTRAINT_UNSUPPORTED", "0A000", "unsupported"),
        ("COLUMN_MASKS_FEATURE_NOT_SUPPORTED.MULTIPLE_MASKS", "0A000", "unsupported"),
        ("SOMETHING_NEW", "42XYZ", "statement"),
        ("SOMETHING_NEW", "0A000", "unsupported"),
        ("SOMETHING_NEW", "42501", "denied"),
        ("DELTA_METADATA_CHANGED", "2D521", None),
        ("SOMETHING_NEW", "XX000", None),
        ("", "", None),
    ],
)
def test_a_failure_is_known_by_class_and_state_whatever_its_words(
    workspace: Workspace, error_class: str, state: str, code: str | None
) -> None:
    said = f"[{error_class}] table not found, permission denied, already exists" if error_class else "no"
    status = {"state": "FAILED", "sql_state": state, "error": {"error_code": "BAD_REQUEST", "message": said}}

    failed = failures.of_statement(status, settings().targets[NAME])

    assert getattr(failed, "code", None) == code


def test_a_function_of_that_name_that_is_there_is_told(workspace: Workspace) -> None:
    text = "CREATE FUNCTION gov.lily.f(V STRING) RETURNS STRING RETURN V"
    client.run(NAME, text)

    with pytest.raises(Refused) as refused:
        client.run(NAME, text)

    assert refused.value.code == "exists"


def test_what_is_not_there_and_what_may_not_be_seen_over_rest(workspace: Workspace) -> None:
    with pytest.raises(Refused) as refused:
        client.get(NAME, "/api/2.1/unity-catalog/tables/analytics.crm.nowhere")

    assert refused.value.code == "gone"


def test_after_five_failures_in_a_row_nobody_is_asked_for_a_while(workspace: Workspace) -> None:
    client.run(NAME, "SELECT 1")
    workspace.stand_in.fault(kind="status", status=503, count=None)
    for _ in range(5):
        fails(lambda: client.run(NAME, "SELECT 1"))
    workspace.forget()

    assert "breaker open" in fails(lambda: client.run(NAME, "SELECT 1")).reason
    assert workspace.requests() == {}
    breaker._start_anew()


def test_a_group_that_may_not_be_assumed_is_no_failure_of_the_login(workspace: Workspace) -> None:
    workspace.stand_in.settings(role_assumption=False)

    ready = connector.check(NAME)

    assert ready.proves
    assert any("cannot be assumed" in remark for remark in ready.remarks)
    assert client.run(NAME, "SELECT 1").rows == [["1"]]
