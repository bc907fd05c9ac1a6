"""Trouble on demand in the Databricks stand-in, met with the vendor's SDK and with plain HTTP."""

import time
from typing import Any

import httpx
import pytest
from databricks.sdk.clock import RealClock
from databricks.sdk.errors import InternalError

from sandbox.databricks_world import WAREHOUSE
from tests.sandbox.conftest import Databricks
from tests.waiting import eventually

CUSTOMERS = "analytics.crm.customers"
CREATE = "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'"


class Hurried(RealClock):
    """The SDK waits a second and more before it tries again; here it does not."""

    def sleep(self, _seconds: float) -> None:
        pass


@pytest.fixture
def client(databricks: Databricks) -> Any:
    return databricks.client(clock=Hurried())


@pytest.fixture
def plain(databricks: Databricks) -> Any:
    """HTTP with a token and nothing that tries again."""
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    token = databricks.http.post("/oidc/v1/token", data=form, auth=("lily-svc", "s3cret")).json()["access_token"]
    with httpx.Client(base_url=databricks.url, headers={"authorization": f"Bearer {token}"}, timeout=1) as http:
        yield http


def post(plain: httpx.Client, statement: str, **more: Any) -> httpx.Response:
    body = {"statement": statement, "warehouse_id": WAREHOUSE, **more}
    return plain.post("/api/2.0/sql/statements", json=body)


def functions(databricks: Databricks) -> list[str]:
    return list(databricks.dump()["functions"])


def test_the_sdk_sends_again_after_503_and_after_a_connection_that_was_dropped(databricks: Databricks, client: Any) -> None:
    create = CREATE.replace("CREATE", "CREATE OR REPLACE")
    databricks.fault(kind="status", status=503, match="^CREATE", retry_after_s=0)
    databricks.fault(kind="drop_after", match="^CREATE")

    assert databricks.run(client, create).status.state.value == "SUCCEEDED"
    assert [entry["state"] for entry in databricks.statements("^CREATE")] == ["SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("kind", "was_done"), [("drop_before", False), ("drop_after", True), ("hang", False), ("hang_after", True)]
)
def test_a_lost_answer_tells_nothing_about_what_was_done(
    databricks: Databricks, plain: httpx.Client, kind: str, *, was_done: bool
) -> None:
    databricks.fault(kind=kind, match="^CREATE")
    plain.timeout = 0.3

    with pytest.raises(httpx.TransportError):
        post(plain, CREATE)

    assert eventually(lambda: functions(databricks) == (["gov.lily.m"] if was_done else []))


def test_429_with_and_without_a_wait(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.fault(kind="status", status=429, retry_after_s=7)
    databricks.fault(kind="status", status=429)

    first, second, third = (post(plain, "SELECT 1") for _ in range(3))

    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert (second.status_code, "retry-after" in second.headers) == (429, False)
    assert second.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert third.status_code == 200


@pytest.mark.parametrize(("kind", "done"), [("failed", []), ("failed_after", ["gov.lily.m"])])
def test_a_statement_fails_with_the_wished_class(databricks: Databricks, client: Any, kind: str, done: list[str]) -> None:
    databricks.fault(kind=kind, match="^CREATE", error_class="DELTA_METADATA_CHANGED", sqlstate="2D521", message="Changed")

    assert databricks.refusal(client, CREATE) == ("DELTA_METADATA_CHANGED", "2D521")
    assert functions(databricks) == done


def test_one_statement_inside_of_a_script_fails(databricks: Databricks, client: Any) -> None:
    databricks.fault(kind="failed", on="inner", match="phone", error_class="INTERNAL_ERROR")
    tag = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN {{}} SET TAGS ('pii')"
    script = f"BEGIN {'; '.join(tag.format(name) for name in ('email', 'phone', 'name'))}; END"

    assert databricks.refusal(client, script)[0] == "INTERNAL_ERROR"
    columns = databricks.dump()["tables"][CUSTOMERS]["columns"]
    assert [column["name"] for column in columns if column["tags"]] == ["email"]


def test_the_third_alter_is_slow_and_no_other(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.fault(kind="latency", delay_s=0.3, match="^ALTER", skip=2)
    alter = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')"

    states = [post(plain, alter, wait_timeout="0s").json()["status"]["state"] for _ in range(3)]
    assert states[2] in ("PENDING", "RUNNING")
    eventually(lambda: all(entry["state"] == "SUCCEEDED" for entry in databricks.statements("^ALTER")))
    assert [entry["ms"] >= 250 for entry in databricks.statements("^ALTER")] == [False, False, True]


def test_a_long_statement_is_pending_and_is_found_again_by_its_id(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.fault(kind="pending", delay_s=0.3)

    statement_id = post(plain, CREATE, wait_timeout="0s").json()["statement_id"]

    def state() -> str:
        found: str = plain.get(f"/api/2.0/sql/statements/{statement_id}").json()["status"]["state"]
        return found

    assert state() == "PENDING"
    eventually(lambda: state() == "SUCCEEDED")
    assert functions(databricks) == ["gov.lily.m"]


def test_a_statement_that_was_cancelled_does_nothing_more(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.settings(latency_s=0.2)
    script = f"BEGIN {CREATE}; {CREATE.replace('.m ', '.n ')}; END"
    statement_id = post(plain, script, wait_timeout="0s").json()["statement_id"]
    eventually(lambda: functions(databricks) == ["gov.lily.m"])

    plain.post(f"/api/2.0/sql/statements/{statement_id}/cancel", json={})

    eventually(lambda: databricks.statements("BEGIN")[0]["ms"] is not None)
    assert databricks.statements("BEGIN")[0]["state"] == "CANCELED"
    assert functions(databricks) == ["gov.lily.m"]


def test_waiting_too_long_cancels_if_so_asked(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.fault(kind="latency", delay_s=600)

    answer = post(plain, CREATE, wait_timeout="0s", on_wait_timeout="CANCEL").json()

    assert answer["status"]["state"] == "CANCELED"
    assert post(plain, "SELECT 1", wait_timeout="3s").status_code == 400


def test_a_stopped_warehouse_starts_with_the_first_statement(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.post("warehouses", id=WAREHOUSE, state="STOPPED", starts_in_s=0.2)

    answer = post(plain, "SELECT 1", wait_timeout="0s").json()

    assert answer["status"]["state"] == "PENDING"
    path = f"/api/2.0/sql/warehouses/{WAREHOUSE}"
    eventually(lambda: plain.get(path).json()["state"] == "STARTING")
    eventually(lambda: plain.get(path).json()["state"] == "RUNNING")


def test_a_hanging_token_endpoint_holds_nobody_else(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.fault(kind="hang", on="token", count=None)
    form = {"grant_type": "client_credentials"}
    try:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{databricks.url}/oidc/v1/token", data=form, timeout=0.2)
        started = time.monotonic()
        assert post(plain, "SELECT 1").status_code == 200
        assert time.monotonic() - started < 1
    finally:
        databricks.http.delete("/sandbox/faults")


def test_a_catalog_call_that_is_refused_and_one_that_is_half_a_document(databricks: Databricks, client: Any) -> None:
    databricks.fault(kind="status", status=500, on="rest", match="/tables/")
    with pytest.raises(InternalError):
        client.tables.get(CUSTOMERS)
    assert client.tables.get(CUSTOMERS).name == "customers"

    databricks.fault(kind="malformed", on="rest", match="/tables/")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|JSON"):
        client.tables.get(CUSTOMERS)


def test_an_expired_token_is_401(databricks: Databricks, plain: httpx.Client) -> None:
    databricks.post("tokens/expire")

    answer = post(plain, "SELECT 1")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_requests_are_counted_by_path(databricks: Databricks, client: Any) -> None:
    databricks.http.delete("/sandbox/statements")
    databricks.run(client, "SELECT 1")
    client.tables.get(CUSTOMERS)

    counted = databricks.http.get("/sandbox/requests", params={"user": "lily-svc"}).json()

    table = f"GET /api/2.1/unity-catalog/tables/{CUSTOMERS}"
    assert counted["by_path"] == {"POST /api/2.0/sql/statements": 1, table: 1}


@pytest.mark.parametrize(
    "spec",
    [{"kind": "x"}, {"kind": "hang", "count": 0}, {"kind": "hang", "on": "inner"}, {"kind": "hang", "match": "("}],
)
def test_a_fault_that_means_nothing_is_refused(databricks: Databricks, spec: dict[str, Any]) -> None:
    assert databricks.http.post("/sandbox/faults", json=spec).status_code == 400
    assert databricks.http.get("/sandbox/faults").json() == []


def test_the_page_shows_tables_groups_and_statements(databricks: Databricks, client: Any) -> None:
    databricks.run(client, "SELECT '<b>'")

    page = databricks.http.get("/").text

    assert CUSTOMERS in page
    assert "data_stewards" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
