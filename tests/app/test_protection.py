"""Protect and wait: a pipeline hears that its tables are masked, or what is missing, and never a false yes."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api import protection
from lily.domain.inventory import TableId
from lily.domain.proofs import Expected
from lily.domain.propagations import State
from lily.records import looks
from lily.runtime import clock
from tests.app.conftest import assert_problem
from tests.app.security import CUSTOMERS, Api, seen
from tests.domain.security import a_table
from tests.waiting import eventually

TABLE = a_table("customers", EMAIL="text")
PATH = "/targets/snow/protect"


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


@pytest.fixture
def worker() -> Iterator[Callable[..., None]]:
    """Somebody who, from now on, ends what is asked for: each table with the given outcome."""
    threads = []

    def work(**outcomes: tuple[str, tuple[str, ...]]) -> None:
        def once() -> None:
            wanted = [TableId("CRM", "PUBLIC", name) for name in outcomes]
            ends_at = time.monotonic() + 20
            while len(found := looks.get_many("snow", wanted)) < len(wanted) and time.monotonic() < ends_at:
                threading.Event().wait(0.02)
            looks.finish_many(list(found.values()), {table: outcomes[table.name] for table in found}, clock.now())

        thread = threading.Thread(target=once)
        thread.start()
        threads.append(thread)

    yield work
    for thread in threads:
        thread.join()


def test_tables_that_are_enforced_or_need_nothing_are_a_yes(api: Api, worker: Callable[..., None]) -> None:
    seen(TABLE, Expected(TABLE.id, masks={"EMAIL": "m"}))
    worker(customers=("enforced", ()), plain=("enforced", ()))

    answer = api("POST", PATH, {"tables": ["CRM.PUBLIC.customers", "CRM.PUBLIC.plain"], "wait_s": 20})

    assert answer["done"]
    customers, plain = answer["tables"]
    assert (customers["state"], customers["columns"], customers["reasons"]) == ("enforced", ["EMAIL"], [])
    assert (plain["state"], plain["columns"]) == ("nothing_to_protect", [])
    assert customers["ended_at"] is not None


@pytest.mark.parametrize("state", ["attached", "failed", "conflict", "held", "missing"])
def test_any_table_that_is_not_enforced_is_a_no_that_says_why(api: Api, worker: Callable[..., None], state: str) -> None:
    worker(customers=("enforced", ()), bad=(state, ("because of it",)))

    answer = api("POST", PATH, {"tables": ["CRM.PUBLIC.customers", "CRM.PUBLIC.bad"], "wait_s": 20}, 409)

    problem = assert_problem(answer, 409, "not-protected")
    assert {one["table"]: (one["state"], one["reasons"]) for one in problem["tables"]}["CRM.PUBLIC.bad"] == (
        state,
        ["because of it"],
    )
    assert "CRM.PUBLIC.bad" in problem["detail"]


def test_while_nobody_has_looked_the_answer_is_not_yet(api: Api) -> None:
    seen(TABLE, Expected(TABLE.id, masks={"EMAIL": "m"}))  # enforced once, but before the pipeline asked

    answer = api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"]}, 202)

    assert not answer["done"]
    assert [(one["state"], one["columns"], one["ended_at"]) for one in answer["tables"]] == [("pending", [], None)]
    assert looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].due_at is not None


def test_what_was_found_before_the_request_does_not_count(api: Api, worker: Callable[..., None]) -> None:
    worker(customers=("enforced", ()))
    api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"], "wait_s": 20})

    assert api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"], "wait_s": 0.2}, 202)["tables"][0]["state"] == "pending"


def test_the_wait_ends_when_the_time_is_up(api: Api) -> None:
    begun = time.monotonic()
    api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"], "wait_s": 0.5}, 202)

    assert 0.5 <= time.monotonic() - begun < 5


def test_a_target_that_does_not_enforce_is_a_no_at_once(api: Api) -> None:
    for mode in ("paused", "report"):
        api("PUT", "/targets/snow/mode", {"mode": mode})

        answer = api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"], "wait_s": 20}, 409)
        assert assert_problem(answer, 409, "not-enforcing")["mode"] == mode
    assert looks.get_many("snow", [CUSTOMERS]) == {}


def test_more_than_a_few_who_wait_are_sent_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "_places_to_wait", threading.BoundedSemaphore(1))
    body = {"tables": ["CRM.PUBLIC.customers"], "wait_s": 2}
    first = threading.Thread(target=lambda: api("POST", PATH, body, 202))
    first.start()
    eventually(lambda: looks.get_many("snow", [CUSTOMERS]), within_s=5)

    refused = api("POST", PATH, body, 503)
    first.join()

    assert_problem(refused, 503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert api("POST", PATH, body | {"wait_s": 0}, 202)  # its place is free again


@pytest.mark.parametrize(
    "body",
    [
        {"tables": []},
        {"tables": ["customers"]},
        {"tables": [f"A.B.T{n}" for n in range(101)]},
        {"tables": ["A.B.C"], "wait_s": 31},
        {"tables": ["A.B.C"], "wait_s": -1},
        {"wait_s": 1},
        {"tables": ["A.B.C"], "timeout": 1},
    ],
)
def test_a_request_that_is_not_as_documented_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert_problem(api("POST", PATH, body, 422), 422, "invalid-input")


def test_a_table_named_twice_is_one(api: Api, worker: Callable[..., None]) -> None:
    worker(customers=(State.ENFORCED.value, ()))

    assert len(api("POST", PATH, {"tables": ["CRM.PUBLIC.customers"] * 2, "wait_s": 20})["tables"]) == 1
