"""Health: alive without looking at anything, ready while deliveries can be stored."""

import threading
import time
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.api.health import Checks
from lily.runtime import aws
from lily.runtime.errors import Permanent, Transient
from tests.app.conftest import assert_problem
from tests.waiting import eventually


def test_a_process_that_reaches_nothing_is_alive_and_not_ready(web: Callable[..., None], client: FlaskClient) -> None:
    web(LILY_AWS_ENDPOINT_URL="http://127.0.0.1:9")
    aws.forget()

    assert client.get("/livez").get_json() == {"status": "ok"}
    answer = client.get("/readyz")

    document = assert_problem(answer, 503, "unavailable")
    assert {fault["field"] for fault in document["errors"]} == {"table", "bus", "redis"}
    assert answer.headers["Retry-After"] == "1"
    aws.forget()


def test_with_everything_there_it_is_ready(whole: FlaskClient) -> None:
    assert whole.get("/readyz").get_json() == {"status": "ok", "checks": {"table": "ok", "bus": "ok", "redis": "ok"}}


def test_without_redis_or_bus_it_is_degraded_and_still_ready(whole: FlaskClient, web: Callable[..., None]) -> None:
    web(LILY_REDIS_URL="redis://127.0.0.1:9/0", LILY_BUS="another")

    answer = whole.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "degraded"
    assert answer.get_json()["checks"]["table"] == "ok"
    assert answer.get_json()["checks"]["bus"] == "is not set up, or refuses access"
    assert answer.get_json()["checks"]["redis"].startswith("does not answer")


def test_a_table_that_is_missing_is_not_ready(whole: FlaskClient, web: Callable[..., None]) -> None:
    web(LILY_TABLE="another")

    assert_problem(whole.get("/readyz"), 503, "unavailable")


def test_checks_that_hang_cost_their_deadline_once_and_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.health.CHECK_TIMEOUT_S", 0.05)
    monkeypatch.setattr("app.api.health.KEPT_S", 0.0)
    released, begun = threading.Event(), []

    def hang() -> None:
        begun.append(1)
        released.wait(30)

    checks = Checks({"fine": lambda: None, "hangs": hang})
    found = [checks.run() for _ in range(5)]

    assert {result["fine"].state for result in found} == {"ok"}
    assert all("no answer" in result["hangs"].state for result in found)
    assert len(begun) == 1
    released.set()


def test_what_was_found_is_kept_for_a_moment() -> None:
    asked: list[float] = []
    checks = Checks({"a": lambda: asked.append(time.monotonic())})

    for _ in range(50):
        checks.run()

    assert len(asked) <= 2


@pytest.mark.parametrize(
    ("error", "says"),
    [(Transient("at x.internal"), "does not answer"), (Permanent("x.internal"), "not set up"), (OSError("internal"), "OSError")],
)
def test_what_is_wrong_is_said_without_naming_hosts(error: Exception, says: str) -> None:
    def fail() -> None:
        raise error

    state = Checks({"a": fail}).run()["a"].state

    assert says in state and "internal" not in state


def test_figures_are_prometheus_text_with_and_without_redis(whole: FlaskClient, web: Callable[..., None]) -> None:
    counted = 'lily_http_seconds_count{endpoint="health.livez",method="GET",status="200"}'
    whole.get("/livez")

    page = eventually(lambda: next((got for got in [whole.get("/metrics")] if counted in got.text), None))  # once flushed

    assert page.content_type.startswith("text/plain; version=0.0.4")
    assert "lily_redis_up 1.0" in page.text and "lily_accept_depth 0" in page.text
    web(LILY_REDIS_URL="redis://127.0.0.1:9/0")
    assert "lily_redis_up 0.0" in whole.get("/metrics").text
