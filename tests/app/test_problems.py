"""Problems: whatever goes wrong is answered as one, and each kind is explained."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.problems import KINDS
from lily.runtime.errors import Permanent, Transient
from tests.app.conftest import assert_problem, bearer

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("slug", KINDS)
def test_every_kind_is_explained_to_people_and_programs(client: FlaskClient, slug: str) -> None:
    page, document = client.get(f"/problems/{slug}", headers=BROWSER), client.get(f"/problems/{slug}")

    assert page.content_type.startswith("text/html")
    assert KINDS[slug].title in page.text
    assert document.get_json()["meaning"] == KINDS[slug].meaning


def test_wrong_paths_and_methods_are_problems(client: FlaskClient) -> None:
    assert_problem(client.get("/nothing"), 404, "not-found")
    assert_problem(client.get("/problems/nothing"), 404, "not-found")
    assert_problem(client.get("/docs/../../etc/passwd"), 404, "not-found")
    assert_problem(client.get("/docs/nothing.js"), 404, "not-found")
    answer = client.delete("/events")
    assert_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("status=gone", "status"),
        ("since=yesterday", "since"),
        ("since=2026-11-24T17:00:00", "since"),  # no time zone
        ("asset=", "asset"),
        ("statsu=parked", "statsu"),
    ],
)
def test_a_wrong_parameter_is_named(client: FlaskClient, query: str, field: str) -> None:
    document = assert_problem(client.get(f"/events?{query}", headers=bearer()), 422, "invalid-input")

    (fault,) = document["errors"]
    assert fault["field"] == field and fault["reason"]


def test_a_wrong_field_deep_in_a_body_is_named(client: FlaskClient) -> None:
    answer = client.post("/events/replay", headers=bearer(), json={"filter": {"since": "x", "nonsense": 1}, "limit": "many"})

    assert {fault["field"] for fault in assert_problem(answer, 422, "invalid-input")["errors"]} == {
        "filter.since",
        "filter.nonsense",
        "limit",
    }


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"filter": \xff}'])
def test_a_body_that_is_not_json_is_a_problem(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/events/replay", headers=bearer() | {"Content-Type": "application/json"}, data=body)

    assert_problem(answer, 400, "invalid-json")


def test_a_body_that_says_it_is_text_is_read_as_json_all_the_same(client: FlaskClient) -> None:
    answer = client.post("/events/replay", headers=bearer() | {"Content-Type": "text/plain"}, data=b"filter")

    assert_problem(answer, 400, "invalid-json")


def test_a_cursor_that_was_changed_is_named(client: FlaskClient) -> None:
    document = assert_problem(client.get("/events?cursor=AAAA", headers=bearer()), 400, "invalid-cursor")

    assert document["errors"][0]["field"] == "cursor"


def test_a_failure_of_the_outside_says_when_to_try_again_and_nothing_of_the_inside(app: Flask) -> None:
    def away() -> None:
        raise Transient("DynamoDB at dynamodb.internal: timeout", retry_after_s=2.1)

    def refused() -> None:
        raise Permanent("table lily-prod: AccessDenied")

    app.add_url_rule("/away", "away", away)
    app.add_url_rule("/refused", "refused", refused)

    answers = app.test_client().get("/away"), app.test_client().get("/refused")

    for answer, wait_s in zip(answers, ("3", "30"), strict=True):
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == wait_s
        assert "internal" not in answer.text and "lily-prod" not in answer.text


def test_a_bug_is_logged_under_the_trace_of_its_answer_and_not_shown(app: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    from lily.runtime import logs

    def broken() -> None:
        raise ZeroDivisionError("the divisor of the inside")

    app.add_url_rule("/broken", "broken", broken)
    logs.configure("web", "info")

    answer = app.test_client().get("/broken")

    document = assert_problem(answer, 500, "bug")
    assert "divisor" not in answer.text
    line = next(line for line in capfd.readouterr().out.splitlines() if "request.failed" in line)
    assert "divisor" in line and document["trace_id"] in line and "bug: ZeroDivisionError" in line
