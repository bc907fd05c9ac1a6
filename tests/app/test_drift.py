"""Drift over HTTP: found in one target or all, open or repaired; and reconciliation at once."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from lily.domain.drift import Drift, DriftKind
from lily.domain.inventory import Site, TableId
from lily.records import drifts
from lily.records.drifts import Found
from lily.runtime import clock
from tasks import doors
from tests.app.conftest import assert_problem
from tests.app.security import CUSTOMERS, Api

ORDERS = TableId("CRM", "PUBLIC", "orders")


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def drifted(target: str, table: TableId, kind: DriftKind, column: str | None = None) -> None:
    drifts.save_many([Found(target, Drift(kind, Site(table, column), f"{kind} in {table}"), clock.now() - timedelta(minutes=1))])


def test_drift_is_found_in_all_targets_or_one_page_by_page(api: Api) -> None:
    drifted("snow", CUSTOMERS, DriftKind.DETACHED, "EMAIL")
    drifted("snow", CUSTOMERS, DriftKind.TABLE_RECREATED)
    drifted("snow", ORDERS, DriftKind.REPLACED, "X")
    drifted("bricks", ORDERS, DriftKind.BODY_CHANGED)

    everywhere = api.all("/drift")

    assert {(one["target"], one["kind"], one["column"]) for one in everywhere} == {
        ("snow", "detached", "EMAIL"),
        ("snow", "table_recreated", None),
        ("snow", "replaced", "X"),
        ("bricks", "body_changed", None),
    }
    assert {one["table"] for one in everywhere} == {"CRM.PUBLIC.customers", "CRM.PUBLIC.orders"}
    assert [one["kind"] for one in api.all("/drift?target=bricks")] == ["body_changed"]
    assert_problem(api("GET", "/drift?target=none", None, 422), 422, "invalid-input")


def test_what_was_repaired_says_when_and_can_be_left_out(api: Api) -> None:
    drifted("snow", CUSTOMERS, DriftKind.DETACHED, "EMAIL")
    drifted("snow", ORDERS, DriftKind.DETACHED, "X")
    drifts.settle("snow", CUSTOMERS, clock.now())

    assert [one["table"] for one in api.all("/drift?open=true")] == ["CRM.PUBLIC.orders"]
    repaired = {one["table"]: one["repaired_at"] for one in api.all("/drift")}
    assert repaired["CRM.PUBLIC.customers"] is not None and repaired["CRM.PUBLIC.orders"] is None


def test_reconciliation_is_asked_of_each_target_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(doors, "_send", lambda name, target: sent.append((name, target)))

    assert api("POST", "/reconcile", None, 202) == {"targets": ["bricks", "snow"]}
    assert api("POST", "/reconcile", {"targets": ["snow", "snow"]}, 202) == {"targets": ["snow"]}

    assert sent == [("reconcile", "bricks"), ("reconcile", "snow"), ("reconcile", "snow")]


def test_reconciliation_of_no_target_is_refused(api: Api) -> None:
    answer = api("POST", "/reconcile", {"targets": ["snow", "none"]}, 422)

    (fault,) = assert_problem(answer, 422, "invalid-input")["errors"]
    assert fault["field"] == "targets[1]"
