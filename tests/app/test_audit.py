"""The audit log over HTTP: the latest first, and a chain that shows who touched it."""

import pytest
from flask.testing import FlaskClient

from lily.runtime import aws
from lily.runtime.settings import settings
from tests.app.conftest import assert_problem
from tests.app.security import Api


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def test_every_change_is_in_the_log_the_latest_first(api: Api) -> None:
    rule = api.create()
    changed = api.change(rule, action={"kind": "hash"})
    api.delete(changed)
    api("POST", "/targets/pause")

    entries = api.all("/audit")

    assert [entry["sequence"] for entry in entries] == [4, 3, 2, 1]
    assert [entry["action"] for entry in entries] == ["targets.paused", "rule.deleted", "rule.replaced", "rule.created"]
    assert entries[2]["details"]["may_weaken"] == ["action"]
    assert [entry["before"] for entry in entries] == [*(entry["hash"] for entry in entries[1:]), "0" * 64]
    assert api("GET", "/audit")["chain"] is None


def test_a_chain_that_somebody_touched_says_where(api: Api) -> None:
    for _ in range(3):
        api.create()
    assert api("GET", "/audit?verify=true")["chain"]["holds"]

    aws.client("dynamodb").delete_item(TableName=settings().table, Key={"pk": {"S": "AUDIT"}, "sk": {"S": f"{2:012d}"}})

    chain = api("GET", "/audit?verify=true")["chain"]
    assert (chain["holds"], chain["sequence"]) == (False, 3)
    assert chain["reason"]


def test_what_changes_nothing_is_not_in_the_log(api: Api) -> None:
    rule = api.create()
    api.change(rule)
    api.as_one_who_may("rules:write").change(rule, 403, enabled=False)
    api("GET", f"/rules/{rule['id']}")

    assert len(api("GET", "/audit")["items"]) == 1


def test_only_auditors_read_the_log(api: Api) -> None:
    answer = api.as_one_who_may("rules:read rules:write rules:weaken admin")("GET", "/audit", None, 403)

    assert assert_problem(answer, 403, "insufficient-scope")["scope"] == "audit:read"
