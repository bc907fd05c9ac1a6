"""The way to Snowflake: logins, deadlines, lost sessions, and what each error means for whoever asked."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors import snowflake as connector
from connectors.contracts import Refused
from connectors.snowflake import client
from lily.runtime import breaker
from lily.runtime.errors import Permanent, Transient
from tests.connectors.snowflake_account import NAME, Account, account
from tests.sandbox.conftest import snowflake, snowflake_process

__all__ = ["account", "snowflake", "snowflake_process"]


@pytest.fixture(autouse=True)
def _mended(account: Account) -> Any:
    breaker._start_anew()
    yield
    account.stand_in.http.delete("/sandbox/faults")
    breaker._start_anew()


def fault(account: Account, **spec: Any) -> None:
    account.stand_in.fault(**{"count": None, **spec})


def test_statements_of_many_threads_go_out_over_the_sessions_there_are(account: Account, configured: Callable[..., None]) -> None:
    configured(LILY_TARGET_SNOW_SESSIONS="3")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: client.run(NAME, "SELECT ?", [n]).rows, range(60)))

    assert answers == [[(n,)] for n in range(60)]
    assert len(account.stand_in.http.get("/sandbox/sessions").json()) <= 3


def test_every_statement_says_whose_it_is(account: Account) -> None:
    client.run(NAME, "SELECT 1 AS WHO", about="a test")
    (logged,) = account.stand_in.queries("AS WHO")
    assert (logged["tag"], logged["user"], logged["role"]) == ("lily a test", "LILY_SVC", "LILY")


FORKED = f"""
import os, sys
from connectors import registry, snowflake
from connectors.snowflake import client
assert "snowflake.connector" not in sys.modules
child = os.fork()
if child == 0:
    print(client.run({NAME!r}, "SELECT 1").rows, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_process_that_was_forked_imports_and_connects(account: Account) -> None:
    """The vendor's connector hangs in the child of a process that has imported it; here the parent has not."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=20)
    assert (done.stdout.strip(), done.returncode) == ("[(1,)]", 0), done.stderr


@pytest.mark.parametrize("what", ["session", "master", "all"])
def test_a_session_that_ended_is_begun_anew(account: Account, what: str) -> None:
    client.run(NAME, "SELECT 1")
    assert account.stand_in.http.post("/sandbox/sessions/expire", json={"what": what}).is_success

    assert client.run(NAME, "SELECT 2").rows == [(2,)]


@pytest.mark.parametrize("what", ["session", "master", "all"])
def test_many_sessions_that_ended_fail_no_statement(account: Account, configured: Callable[..., None], what: str) -> None:
    configured(LILY_TARGET_SNOW_SESSIONS="4")
    client.warm(NAME)
    assert account.stand_in.http.post("/sandbox/sessions/expire", json={"what": what}).is_success

    assert [client.run(NAME, f"SELECT {n}").rows for n in range(6)] == [[(n,)] for n in range(6)]


def test_it_logs_in_by_oauth_as_well(account: Account, configured: Callable[..., None]) -> None:
    made = account.stand_in.http.post("/sandbox/oauth/clients", json={"id": "c", "secret": "s3", "user": "LILY_SVC"})
    assert made.is_success
    configured(
        LILY_TARGET_SNOW_PRIVATE_KEY="",
        LILY_TARGET_SNOW_OAUTH_CLIENT_ID="c",
        LILY_TARGET_SNOW_OAUTH_CLIENT_SECRET="s3",
        LILY_TARGET_SNOW_OAUTH_TOKEN_URL=f"http://127.0.0.1:{account.stand_in.port}/oauth/token",
        LILY_TARGET_SNOW_OAUTH_SCOPE="session:role:LILY",
    )
    connector.close(NAME)

    assert client.run(NAME, "SELECT CURRENT_USER()").rows == [("LILY_SVC",)]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"kind": "status", "status": 503}, None),
        ({"kind": "status", "status": 429, "retry_after_s": 1}, None),
        ({"kind": "drop_before"}, None),
        ({"kind": "drop_after"}, None),
        ({"kind": "malformed"}, None),
        ({"kind": "error", "code": "000604", "sqlstate": "57014", "message": "cancelled"}, "cancelled"),
        ({"kind": "error", "code": "000630", "sqlstate": "57014", "message": "timeout"}, "timeout"),
    ],
)
def test_what_may_be_otherwise_later_is_transient_and_asked_once(
    account: Account, spec: dict[str, Any], reason: str | None
) -> None:
    client.run(NAME, "SELECT 1")
    fault(account, match="AS ONCE", **spec)
    began_at = time.monotonic()
    with pytest.raises(Transient, match=reason):
        client.run(NAME, "SELECT 1 AS ONCE")

    assert time.monotonic() - began_at < 3
    assert len(account.stand_in.queries("AS ONCE")) <= 1
    account.stand_in.http.delete("/sandbox/faults")
    assert client.run(NAME, "SELECT 2").rows == [(2,)]


@pytest.mark.parametrize("kind", ["hang", "hang_after"])
def test_a_statement_that_hangs_ends_at_its_deadline(account: Account, configured: Callable[..., None], kind: str) -> None:
    configured(LILY_TARGET_SNOW_STATEMENT_TIMEOUT_S="1")
    client.run(NAME, "SELECT 1")
    fault(account, kind=kind, match="AS SLOW")
    began_at = time.monotonic()
    with pytest.raises(Transient):
        client.run(NAME, "SELECT 1 AS SLOW")
    assert time.monotonic() - began_at < 3


def test_a_login_that_is_refused_can_be_tried_again_and_says_what_to_look_at(account: Account) -> None:
    account.sql("ALTER USER LILY_SVC UNSET RSA_PUBLIC_KEY")
    connector.close(NAME)
    with pytest.raises(Transient, match="look at the key, the user"):
        client.run(NAME, "SELECT 1")


def test_a_target_that_is_not_there_is_asked_less_and_less(account: Account, configured: Callable[..., None]) -> None:
    configured(LILY_TARGET_SNOW_URL="http://127.0.0.1:9", LILY_TARGET_SNOW_STATEMENT_TIMEOUT_S="1")
    connector.close(NAME)
    for _ in range(5):
        with pytest.raises(Transient):
            client.run(NAME, "SELECT 1")
    with pytest.raises(Transient, match="breaker open"):
        client.run(NAME, "SELECT 1")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM DB.S.NOBODY", "gone"),
        ("DESCRIBE TABLE NOWHERE.S.T", "gone"),
        ("DROP MASKING POLICY GOV.LILY.NOBODY", "gone"),
        ("SELEKT 1", "statement"),
        ("SELECT 1; SELECT 2", "statement"),
        ("CREATE DATABASE MINE", "denied"),
        ("CREATE TAG GOV.LILY.TWICE", "exists"),
        ("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.OTHER", "taken"),
        ("DROP MASKING POLICY GOV.LILY.USED", "in_use"),
        ("ALTER TABLE DB.S.T MODIFY COLUMN NOBODY SET MASKING POLICY GOV.LILY.OTHER", "gone"),
    ],
)
def test_what_is_refused_says_what_may_follow(account: Account, statement: str, code: str) -> None:
    for name in ("USED", "OTHER"):
        client.run(NAME, f"CREATE MASKING POLICY GOV.LILY.{name} AS (V VARCHAR) RETURNS VARCHAR -> V")
    client.run(NAME, "CREATE TAG GOV.LILY.TWICE")
    client.run(NAME, "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.USED")

    with pytest.raises(Refused) as refused:
        client.run(NAME, statement)
    assert refused.value.code == code
    assert isinstance(refused.value, Permanent)


def test_an_account_that_cannot_mask_says_so(account: Account) -> None:
    account.stand_in.settings(edition="STANDARD")
    try:
        with pytest.raises(Refused) as refused:
            connector.check(NAME)
        assert refused.value.code == "unsupported"
    finally:
        account.stand_in.settings(edition="ENTERPRISE")


def test_a_warehouse_that_is_suspended_is_named(account: Account) -> None:
    account.sql("CREATE WAREHOUSE IF NOT EXISTS ASLEEP")
    with pytest.raises(Refused, match="GRANT USAGE ON WAREHOUSE"):
        fault(account, kind="error", code="000606", sqlstate="57P03", message="No active warehouse selected", match="AS ASLEEP")
        client.run(NAME, "SELECT 1 AS ASLEEP")
