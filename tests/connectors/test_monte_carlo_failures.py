"""Monte Carlo's API slow, away, refusing, half right: what becomes of a batch, over HTTP, from a server that fails on request."""

import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors import monte_carlo
from lily.runtime.errors import Permanent, Transient
from tests.connectors.monte_carlo_api import (
    A,
    B,
    a_node,
    an_answer,
    answering,
    answering_json,
    hanging,
    hanging_up,
    trickling,
)


def test_an_error_about_one_alert_costs_that_alert_only(api, fetch):
    errors = [{"message": "boom", "path": ["getAlerts", "edges", 0, "node", "owner"]}]
    api.faults.append(answering_json(an_answer({"node": a_node(A, owner=None)}, {"node": a_node(B)}, errors=errors)))

    with capture_logs() as lines:
        assert fetch(A, B).keys() == {B}

    assert [(line["event"], line["reason"]) for line in lines] == [("alert.left_out", "boom")]


def test_an_alert_that_could_not_be_resolved_at_all_costs_that_alert_only(api, fetch):
    errors = [{"message": "boom", "path": ["getAlerts", "edges", 1]}]
    api.faults.append(answering_json(an_answer({"node": a_node(A)}, None, errors=errors)))

    assert fetch(A, B).keys() == {A}


def test_an_alert_whose_tables_could_not_be_resolved_still_has_its_state(api, fetch):
    errors = [{"message": "boom", "path": ["getAlerts", "edges", 0, "node", "tables"]}]
    api.faults.append(answering_json(an_answer({"node": a_node(A, tables=None)}, errors=errors)))

    found = fetch(A)[A]

    assert (found.status, found.tables) == ("work_in_progress", ())


def test_the_servers_own_partial_answers_are_understood(api, fetch):
    del (broken := a_node(A))["title"]  # of a type that may not be null: GraphQL makes the whole alert null
    api.alerts = {A: broken, B: a_node(B)}

    assert fetch(A, B).keys() == {B}


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Cannot query field 'updatedTime' on type 'Alert'."},
        {"message": "Not authorized", "path": ["getAlerts"], "extensions": {"code": "FORBIDDEN"}},
        {},
        "text",
        {"message": None, "path": "getAlerts", "extensions": []},
    ],
)
def test_a_query_that_is_refused_is_permanent_and_says_why(api, fetch, error):
    api.faults.append(answering_json({"errors": [error], "data": None}))

    with pytest.raises(Permanent, match="Monte Carlo refused the query"):
        fetch(A)
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Request was throttled"},
        {"message": "no", "extensions": {"code": "RATE_LIMITED"}},
        {"message": "API quota exceeded for account"},
        {"message": "Too many requests"},
    ],
)
def test_a_query_that_is_one_too_many_is_not_sent_again_at_once(api, fetch, error):
    api.faults.append(answering_json({"errors": [error], "data": {"getAlerts": None}}))

    with pytest.raises(Transient) as caught:
        fetch(A)
    assert caught.value.retry_after_s
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [
        answering(503),
        answering(500, b"<html>"),
        answering(200, b"<html>"),
        answering(200, b'{"data": '),
        answering_json({"errors": [{"message": "Internal server error", "path": ["getAlerts"]}], "data": {"getAlerts": None}}),
        answering_json({"errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}),
        answering_json({"data": {"getAlerts": None}}),
        answering_json({"data": None}),
        answering_json({}),
        answering_json([1]),
        answering_json(None),
        answering_json("text"),
        answering_json({"data": {"getAlerts": {"edges": 7, "pageInfo": {}}}}),
        answering_json({"data": {"getAlerts": {"edges": "text", "pageInfo": {}}}}),
        answering_json({"data": {"getAlerts": {"edges": [{}], "pageInfo": {}}}}),
        answering_json({"data": {"getAlerts": {"edges": []}}}),
        hanging_up,
    ],
)
def test_a_failure_that_came_fast_is_tried_once_more(api, fetch, fault):
    api.alerts[A] = a_node()
    api.faults.append(fault)

    assert fetch(A).keys() == {A}
    assert len(api.calls) == 2


def test_a_second_failure_is_the_callers_to_know(api, fetch):
    api.faults += [answering(503), answering(503)]

    with pytest.raises(Transient, match="503"):
        fetch(A)
    assert len(api.calls) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_what_asks_for_patience_gets_it(api, fetch, status):
    api.faults.append(answering(status, retry_after="7"))

    with pytest.raises(Transient) as caught:
        fetch(A)
    assert caught.value.retry_after_s == 7
    assert len(api.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_call_is_permanent(api, fetch, status):
    api.faults.append(answering(status, b'{"message": "no"}'))

    with pytest.raises(Permanent, match=str(status)):
        fetch(A)
    assert len(api.calls) == 1


@pytest.mark.parametrize("fault", [hanging, trickling])
def test_a_slow_answer_ends_at_the_deadline_and_is_not_asked_for_again(api, configure, instance, redis_server, fault):
    configure(API_TIMEOUT_S="0.3")
    api.faults.append(fault)
    began = time.monotonic()

    with pytest.raises(Transient):
        monte_carlo.fetch_details(instance, [A])

    assert 0.25 < time.monotonic() - began < 1.5
    assert len(api.calls) == 1


def test_all_pages_share_one_deadline(api, configure, instance, redis_server):
    configure(API_TIMEOUT_S="0.4")
    api.page_max = 1
    api.alerts = {each: a_node(each) for each in (A, B)}
    api.faults += [answering_json(an_answer({"node": a_node(A)}) | _more_to_come()), hanging]
    began = time.monotonic()

    with pytest.raises(Transient):
        monte_carlo.fetch_details(instance, [A, B])

    assert time.monotonic() - began < 1.5


def _more_to_come() -> dict[str, Any]:
    page = {"edges": [{"node": a_node(A)}], "pageInfo": {"hasNextPage": True, "endCursor": "1"}}
    return {"data": {"getAlerts": page}}


def test_nobody_at_the_address_is_transient(configure, instance, redis_server):
    configure(API_URL="http://127.0.0.1:1/graphql")

    with pytest.raises(Transient):
        monte_carlo.fetch_details(instance, [A])


def test_a_source_that_fails_again_and_again_is_left_alone_for_a_while(api, fetch):
    api.faults += [answering(503)] * 20

    for _ in range(4):
        with pytest.raises(Transient):
            fetch(A)

    assert len(api.calls) == 5
    with pytest.raises(Transient, match="breaker open") as caught:
        fetch(A)
    assert caught.value.retry_after_s


def test_the_daily_budget_is_kept(api, configure, instance, redis_server):
    configure(API_CALLS_PER_DAY="30")
    api.alerts[A] = a_node()

    for _ in range(3):
        assert monte_carlo.fetch_details(instance, [A])
    with pytest.raises(Transient, match="daily budget of 30 calls") as caught:
        monte_carlo.fetch_details(instance, [A])

    assert len(api.calls) == 3
    assert 3_000 < (caught.value.retry_after_s or 0) <= 86_400 / 27
