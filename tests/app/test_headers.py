"""Headers: every answer carries its trace, its request id and what keeps browsers safe."""

import pytest
from flask.testing import FlaskClient

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/", "/livez", "/events", "/nothing", "/docs", "/docs/swagger-ui.css", "/problems/bug"])
def test_every_answer_is_guarded(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers=BROWSER).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers


def test_answers_are_not_stored_but_the_documentations_files_are(client: FlaskClient) -> None:
    assert client.get("/events").headers["Cache-Control"] == "no-store"
    assert "max-age=3600" in client.get("/docs/swagger-ui.css").headers["Cache-Control"]


def test_a_given_trace_and_request_id_come_back_and_are_in_the_problem(client: FlaskClient) -> None:
    answer = client.get("/events", headers={"traceparent": TRACEPARENT, "X-Request-Id": "req-7"})

    assert answer.headers["traceparent"] == TRACEPARENT
    assert answer.headers["X-Request-Id"] == "req-7"
    assert answer.get_json()["trace_id"] == TRACE


@pytest.mark.parametrize("given", ["", "nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff" + TRACEPARENT[2:]])
def test_a_trace_that_is_none_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/events", headers={"traceparent": given, "X-Request-Id": "<script>"})

    trace_id = answer.headers["traceparent"].split("-")[1]
    assert trace_id == answer.get_json()["trace_id"] == answer.headers["X-Request-Id"]
    assert trace_id not in {TRACE, "0" * 32}


def test_two_requests_never_share_a_made_up_trace(client: FlaskClient) -> None:
    assert client.get("/livez").headers["traceparent"] != client.get("/livez").headers["traceparent"]
