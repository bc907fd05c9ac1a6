"""Faults on demand, as a client of the Monte Carlo stand-in meets them, and the log of its requests."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import AUTH, MonteCarlo
from tests.waiting import eventually

QUERY = {
    "query": "query Some($ids: [UUID!]) { getAlerts(ids: $ids) { totalCount } }",
    "operationName": "Some",
    "variables": {"ids": []},
}


def call(monte_carlo: MonteCarlo, timeout_s: float = 10, **body: Any) -> httpx.Response:
    return monte_carlo.http.post("/graphql", json={**QUERY, **body}, headers=AUTH, timeout=timeout_s)


def faulty(monte_carlo: MonteCarlo, **fault: Any) -> None:
    monte_carlo.post("/sandbox/faults", fault)


def test_a_fault_hits_as_many_requests_as_it_says(monte_carlo: MonteCarlo) -> None:
    monte_carlo.post("/sandbox/faults", [{"kind": "status", "status": 503, "count": 2}, {"kind": "status", "status": 500}])

    assert [call(monte_carlo).status_code for _ in range(4)] == [503, 503, 500, 200]


def test_a_fault_without_a_count_stays_until_cleared(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="status", count=None)
    assert {call(monte_carlo).status_code for _ in range(3)} == {503}

    monte_carlo.http.delete("/sandbox/faults")

    assert call(monte_carlo).status_code == 200


def test_a_limited_client_is_told_when_to_come_back(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="status", status=429, retry_after_s=2)

    answer = call(monte_carlo)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.json() == {"message": "Too Many Requests"}


def test_latency_delays_the_real_answer(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="latency", delay_s=0.3)
    started = time.perf_counter()

    assert call(monte_carlo).json() == {"data": {"getAlerts": {"totalCount": 0}}}
    assert time.perf_counter() - started >= 0.3


def test_a_trickled_answer_outlasts_the_time_between_two_bytes(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="trickle", trickle_s=0.5)
    started = time.perf_counter()

    answer = call(monte_carlo, timeout_s=0.4)  # httpx's limit is per read, so this must not be hit

    assert answer.json() == {"data": {"getAlerts": {"totalCount": 0}}}
    assert time.perf_counter() - started >= 0.4


def test_a_connection_dropped_before_has_done_nothing_and_after_has_done_it(monte_carlo: MonteCarlo) -> None:
    alert = monte_carlo.alert()
    fix: dict[str, Any] = {
        "query": f'mutation {{ updateAlert(uuid: "{alert["id"]}", status: FIXED) {{ alert {{ id }} }} }}',
        "operationName": None,
    }
    seen = []
    for kind in ("drop_before", "drop_after"):
        faulty(monte_carlo, kind=kind)
        with pytest.raises(httpx.TransportError):
            call(monte_carlo, **fix)
        seen.append(monte_carlo.get(f"/sandbox/alerts/{alert['id']}")["status"])

    assert seen == [None, "FIXED"]


def test_a_malformed_answer_is_a_200_that_is_no_json(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="malformed")

    answer = call(monte_carlo)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match="Unterminated string"):
        answer.json()


def test_errors_come_with_a_200(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="errors", message="Internal error", code="INTERNAL")

    answer = call(monte_carlo)

    assert answer.status_code == 200
    assert answer.json() == {"errors": [{"message": "Internal error", "extensions": {"code": "INTERNAL"}}], "data": None}


def test_a_request_that_hangs_ends_when_the_client_leaves_or_faults_are_cleared(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="hang", count=2)
    with pytest.raises(httpx.ReadTimeout):
        call(monte_carlo, timeout_s=0.2)
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(call, monte_carlo, timeout_s=30)
        eventually(lambda: len(monte_carlo.get("/sandbox/requests")) == 2)

        monte_carlo.http.delete("/sandbox/faults")

        assert isinstance(hanging.exception(timeout=10), httpx.TransportError)
    eventually(lambda: all(entry["ms"] is not None for entry in monte_carlo.get("/sandbox/requests")))
    assert [entry["status"] for entry in monte_carlo.get("/sandbox/requests")] == [None, None]


def test_the_log_counts_calls_and_ids_of_refused_requests_too(monte_carlo: MonteCarlo) -> None:
    ids = [monte_carlo.alert()["id"] for _ in range(3)]
    faulty(monte_carlo, kind="status")
    call(monte_carlo, variables={"ids": ids})
    call(monte_carlo, variables={"ids": ids})
    monte_carlo.http.post("/graphql", content=b"nonsense")

    log = [
        {key: entry[key] for key in ("operation", "fields", "ids", "fault", "status")}
        for entry in monte_carlo.get("/sandbox/requests")
    ]

    assert log == [
        {"operation": "Some", "fields": ["getAlerts"], "ids": 3, "fault": "status", "status": 503},
        {"operation": "Some", "fields": ["getAlerts"], "ids": 3, "fault": None, "status": 200},
        {"operation": None, "fields": [], "ids": 0, "fault": None, "status": 401},
    ]


def test_control_requests_are_neither_logged_nor_disturbed(monte_carlo: MonteCarlo) -> None:
    faulty(monte_carlo, kind="hang", count=None)

    assert monte_carlo.http.get("/healthz", timeout=2).json() == {"status": "ok"}
    assert monte_carlo.get("/sandbox/requests") == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "explode"}, "fault.kind: 'explode' is not one of latency, "),
        ({"kind": "hang", "counts": 2}, "fault: unknown counts"),
        ({"kind": "hang", "count": 0}, "fault.count: 0; expected"),
        ({"kind": "hang", "count": 1.5}, "fault.count: 1.5; expected"),
        ({"kind": "status", "status": 200}, "fault.status: 200; expected 300 to 599"),
        ({"kind": "latency", "delay_s": "1"}, "fault.delay_s: '1'; expected seconds"),
        ("hang", "fault: expected an object"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_its_reason(monte_carlo: MonteCarlo, fault: Any, message: str) -> None:
    answer = monte_carlo.http.post("/sandbox/faults", json=fault)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert monte_carlo.get("/sandbox/faults") == []
