"""Each captured exchange with databricks-sdk: the stand-in answers the same request with the same shape."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Databricks
from tests.waiting import eventually

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads" / "databricks"
WAREHOUSE = "abcdef0123456789"
# Values that differ from run to run, or that are told approximately: only their type is compared.
OPEN = {
    "id", "statement_id", "table_id", "function_id", "metastore_id", "created_at", "updated_at", "update_time", "create_time",
    "access_token", "message", "$ref", "value", "updated_by", "created_by", "port", "protocol", "properties",
}  # fmt: skip
EXTRA = {"create_time", "update_time", "type_precision", "type_scale"}  # what the stand-in may tell beyond the captured answer
WORLD = (
    "CREATE CATALOG main", "CREATE SCHEMA main.crm", "CREATE SCHEMA main.lily",
    "CREATE TABLE main.crm.customers (id BIGINT, email STRING, salary DECIMAL(10,2), region STRING)",
    "ALTER TABLE main.crm.customers OWNER TO `data-eng`",
    "CREATE FUNCTION main.lily.m_email_v3 (v STRING) RETURNS STRING COMMENT 'lily:rule=r-1;version=3' "
    "RETURN CASE WHEN is_account_group_member('pii_readers') THEN v ELSE '***' END",
    "CREATE FUNCTION main.lily.abac_email_v1 (v STRING) RETURNS STRING RETURN '***'",
    "CREATE FUNCTION main.lily.m_null_dec_10_2 (v DECIMAL(10,2), region STRING) RETURNS DECIMAL(10,2) RETURN NULL",
    "CREATE FUNCTION main.lily.rf_region_v1 (r STRING) RETURNS BOOLEAN RETURN r = 'EU'",
    "CREATE GOVERNED TAG pii DESCRIPTION 'kind of personal data' VALUES ('email', 'name')",
)  # fmt: skip
MASKED = (
    "ALTER TABLE main.crm.customers ALTER COLUMN email SET MASK main.lily.m_email_v3",
    "ALTER TABLE main.crm.customers ALTER COLUMN salary SET MASK main.lily.m_null_dec_10_2 USING COLUMNS (region)",
    "ALTER TABLE main.crm.customers SET ROW FILTER main.lily.rf_region_v1 ON (region)",
)
POLICY = (
    "CREATE POLICY lily_r1_email ON SCHEMA main.crm COMMENT 'lily:rule=r-1;version=1' COLUMN MASK main.lily.abac_email_v1 "
    "TO `account users` EXCEPT pii_readers FOR TABLES MATCH COLUMNS has_tag_value('pii','email') AS c ON COLUMN c"
)
TAG = "ALTER TABLE main.crm.customers ALTER COLUMN email SET TAGS ('pii' = 'email', 'gdpr')"
BEFORE: dict[str, tuple[str, ...]] = {
    "uc_table_masked": MASKED,
    "uc_table_plain": ("CREATE OR REPLACE TABLE main.crm.customers (id BIGINT)",),
    "policy_list_inherited": (POLICY,), "policy_get": (POLICY,), "policy_update": (POLICY,), "policy_delete": (POLICY,),
    "tags_list": (TAG,), "tags_update": (TAG,), "tags_delete": (TAG,),
    "tag_policy_create": ("DROP GOVERNED TAG pii",),
    "grants_effective": ("GRANT MANAGE ON SCHEMA main.crm TO `lily-sp`", "GRANT USE SCHEMA ON CATALOG main TO `lily-sp`"),
    "grants_effective_function": ("GRANT EXECUTE ON SCHEMA main.lily TO `account users`",),
    "statement_select_params": (
        "CREATE OR REPLACE TABLE main.crm.customers "
        "(id BIGINT, email STRING, born DATE, amount DECIMAL(10,2), ok BOOLEAN, n STRING)",
        "INSERT INTO main.crm.customers VALUES (1, '***@ex.com', '1990-01-01', 12.5, true, NULL)",
    ),
}  # fmt: skip
ALONE = {"http_403", "http_429_retry_after", "http_503_no_header", "path_not_escaped", "groups_list"} | {
    path.stem for path in PAYLOADS.glob("*.json") if re.match("auth_|statement_(failed|pending|cancel)", path.stem)
}
AS_CAPTURED = sorted(path.stem for path in PAYLOADS.glob("*.json") if path.stem not in ALONE)


def exchanges(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((PAYLOADS / f"{name}.json").read_text())["exchanges"]
    return found


@pytest.fixture
def fresh(databricks_process: Databricks) -> Databricks:
    """The objects that the captured exchanges speak of, and `lily-sp`, who may do everything."""
    stand_in = databricks_process
    stand_in.post("reset")
    stand_in.post("principals", name="lily-sp", kind="ServicePrincipal", secret="s3cret", admin=True)
    stand_in.post("principals", name="data-eng")
    stand_in.post("groups", name="pii_readers")
    stand_in.post("groups", name="lily_operators", add=["lily-sp"])
    stand_in.post("groups", name="lily_proof_exempt", assumers=["lily-sp"])
    stand_in.post("warehouses", id=WAREHOUSE, name="lily")
    stand_in.sql(*WORLD, user="lily-sp")
    return stand_in


def send(stand_in: Databricks, request: dict[str, Any], token: str | None) -> httpx.Response:
    body = request["body"]
    raw = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return stand_in.http.request(request["method"], request["path"], content=raw, headers=headers)


def token(stand_in: Databricks, **more: str) -> str:
    form = {"grant_type": "client_credentials", "scope": "all-apis", **more}
    answer = stand_in.http.post("/oidc/v1/token", data=form, auth=("lily-sp", "s3cret"))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def compare(captured: Any, answered: Any, where: str = "") -> None:
    """The same keys, types and values, but for what differs from run to run."""
    if isinstance(captured, dict):
        assert isinstance(answered, dict), where
        assert set(answered) - EXTRA <= set(captured) <= set(answered), (where, sorted(set(answered) ^ set(captured)))
        for name, value in captured.items():
            if name in OPEN:
                assert type(value) is type(answered[name]), f"{where}.{name}"
            else:
                compare(value, answered[name], f"{where}.{name}")
    elif isinstance(captured, list):
        assert len(captured) == len(answered), where
        for at, (one, other) in enumerate(zip(captured, answered, strict=True)):
            compare(one, other, f"{where}[{at}]")
    elif isinstance(captured, str) and "type_json" in where:
        compare(json.loads(captured), json.loads(answered), where.replace("type_json", "json"))
    else:
        assert answered == captured, where


@pytest.mark.parametrize("name", AS_CAPTURED)
def test_a_captured_request_gets_the_captured_answer(fresh: Databricks, name: str) -> None:
    fresh.sql(*BEFORE.get(name, ()))
    if name == "uc_table_plain":
        fresh.sql("ALTER TABLE main.crm.customers OWNER TO `data-eng`")
    acting = token(fresh)

    for exchange in exchanges(name):
        request, response = exchange["request"], exchange["response"]
        answer = send(fresh, request, acting)
        assert answer.status_code == response["status"], answer.text
        compare(response["body"], answer.json())


@pytest.mark.parametrize("name", ["auth_m2m_first_call", "auth_m2m_assume_group"])
def test_the_way_to_the_first_answer_is_the_captured_one(fresh: Databricks, name: str) -> None:
    groups = fresh.http.get("/sandbox/dump").json()["groups"]
    assert "lily_proof_exempt" in groups
    acting: str | None = None
    for exchange in exchanges(name):
        request, response = exchange["request"], exchange["response"]
        if request["path"] == "/oidc/v1/token":
            group_id = fresh.post("groups", name="lily_proof_exempt")["id"]
            acting = token(fresh, **({"assume_group": group_id} if "assume_group" in request["body"] else {}))
            continue
        if name == "auth_m2m_assume_group":
            fresh.post("warehouses", id=WAREHOUSE, name="lily", users=["lily_proof_exempt"])
        answer = send(fresh, request, acting)
        body = json.loads(json.dumps(response["body"]).replace("http://127.0.0.1:PORT", fresh.url))
        if "userName" in body:
            body |= {"userName": "lily-sp"}
        compare(body, answer.json())


@pytest.mark.parametrize(
    ("name", "before", "statement"),
    [
        ("statement_failed_parse", (), "ALTER TABLE main.crm.customers ALTER COLUMN email SET MSK main.lily.m_email_v3"),
        ("statement_failed_table_not_found", (), "SELECT * FROM main.crm.nope"),
        (
            "statement_failed_check_constraint",
            ("ALTER TABLE main.crm.customers ADD CONSTRAINT c CHECK (id > 0)",),
            "ALTER TABLE main.crm.customers ALTER COLUMN email SET MASK main.lily.m_email_v3",
        ),
        ("statement_failed_multiple_masks", (*MASKED[:1], TAG, POLICY), "SELECT id FROM main.crm.customers"),
    ],
)
def test_a_failure_is_told_with_the_captured_class_and_state(
    fresh: Databricks, name: str, before: tuple[str, ...], statement: str
) -> None:
    fresh.sql(*before)
    [exchange] = exchanges(name)
    request, captured = exchange["request"], exchange["response"]["body"]

    answer = send(fresh, {**request, "body": {**request["body"], "statement": statement}}, token(fresh)).json()

    compare(captured, answer)
    assert error_class(answer) == error_class(captured)


def error_class(body: dict[str, Any]) -> str:
    return str(body["status"]["error"]["message"]).partition("]")[0]


def test_missing_privileges_are_told_as_captured(fresh: Databricks) -> None:
    fresh.sql("GRANT USE CATALOG ON CATALOG main TO `data-eng`")
    fresh.post("principals", name="data-eng", secret="s3cret")
    fresh.sql("ALTER TABLE main.crm.customers OWNER TO `lily-sp`", "GRANT USE SCHEMA ON SCHEMA main.lily TO `data-eng`")
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    acting = fresh.http.post("/oidc/v1/token", data=form, auth=("data-eng", "s3cret")).json()["access_token"]

    [exchange] = exchanges("http_403")
    answer = send(fresh, exchange["request"], acting)
    assert answer.status_code == 403
    assert answer.json() == exchange["response"]["body"]

    fresh.sql("GRANT USE SCHEMA ON SCHEMA main.crm TO `data-eng`")
    fresh.post("warehouses", id=WAREHOUSE, users=["data-eng"])
    [exchange] = exchanges("statement_failed_permission")
    statement = "ALTER TABLE main.crm.customers ALTER COLUMN email DROP MASK"
    failed = send(fresh, {**exchange["request"], "body": {**exchange["request"]["body"], "statement": statement}}, acting).json()
    compare(exchange["response"]["body"], failed)
    assert failed["status"]["error"]["message"] == exchange["response"]["body"]["status"]["error"]["message"]


@pytest.mark.parametrize("name", ["http_429_retry_after", "http_503_no_header"])
def test_a_busy_service_is_told_as_captured(fresh: Databricks, name: str) -> None:
    first, second = exchanges(name)
    captured = first["response"]
    wait = {"retry_after_s": 1} if "Retry-After" in captured["headers"] else {}
    fresh.fault(kind="status", status=captured["status"], message=captured["body"]["message"], **wait)
    acting = token(fresh)

    answer = send(fresh, first["request"], acting)
    assert (answer.status_code, answer.json()) == (captured["status"], captured["body"])
    assert answer.headers.get("retry-after") == captured["headers"].get("Retry-After")
    assert send(fresh, second["request"], acting).status_code == 200


def test_a_statement_that_takes_long_is_pending_then_running_then_done(fresh: Databricks) -> None:
    post, *looks = exchanges("statement_pending_then_done")
    fresh.fault(kind="pending", delay_s=0.1)
    fresh.settings(latency_s=0.2)
    acting = token(fresh)

    answer = send(fresh, {**post["request"], "body": {**post["request"]["body"], "wait_timeout": "0s"}}, acting).json()
    compare(post["response"]["body"], answer)

    for exchange in looks:
        path = exchange["request"]["path"].replace(exchange["response"]["body"]["statement_id"], answer["statement_id"])
        captured = exchange["response"]["body"]

        def look(path: str = path, captured: dict[str, Any] = captured) -> Any:
            told = send(fresh, {"method": "GET", "path": path, "body": None}, acting).json()
            return told if told["status"] == captured["status"] else None

        compare(captured, eventually(look))


def test_a_statement_that_is_cancelled_is_told_as_captured(fresh: Databricks) -> None:
    fresh.fault(kind="pending", delay_s=600)
    acting = token(fresh)
    body = {"statement": "SELECT 1", "warehouse_id": WAREHOUSE, "wait_timeout": "0s"}
    answer = send(fresh, {"method": "POST", "path": "/api/2.0/sql/statements", "body": body}, acting).json()

    cancel, look = exchanges("statement_cancel")
    captured_id = look["response"]["body"]["statement_id"]
    for exchange in (cancel, look):
        path = exchange["request"]["path"].replace(captured_id, answer["statement_id"])
        compare(exchange["response"]["body"], send(fresh, {**exchange["request"], "path": path}, acting).json())


def test_groups_are_found_by_name_and_the_second_page_is_empty(fresh: Databricks) -> None:
    first, second = exchanges("groups_list")
    acting = token(fresh)

    compare(first["response"]["body"], send(fresh, first["request"], acting).json())
    assert "Resources" not in send(fresh, second["request"], acting).json()


def test_a_path_is_split_before_its_percent_signs_are_read(fresh: Databricks) -> None:
    fresh.sql("CREATE TABLE main.crm.`a?b` (id BIGINT)", "CREATE TABLE main.crm.`a` (id BIGINT)")
    fresh.sql("CREATE TABLE main.crm.`a%2fb#é` (id BIGINT)")
    acting = token(fresh)

    names = [
        send(fresh, {"method": "GET", "path": f"/api/2.1/unity-catalog/tables/main.crm.{path}", "body": None}, acting).json()[
            "name"
        ]
        for path in ("a?b", "a%3Fb", "a%252fb%23%C3%A9")
    ]
    assert names == ["a", "a?b", "a%2fb#é"]
