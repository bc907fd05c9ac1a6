"""Limits: per client, shown on every answer, and no reason to wait for Redis."""

import re
import signal
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app import api, create_app
from tests.app.conftest import assert_problem, bearer
from tests.app.test_authorization import closed

Web = Callable[..., None]


def a_client(web: Web, **environ: str) -> FlaskClient:
    web(LILY_RATE_LIMIT="3/minute", **environ)
    return create_app().test_client()


def asked(client: FlaskClient, **more: Any) -> Any:
    return client.get("/events?limit=0", **{"headers": bearer()} | more)  # refused as 422, after it was counted


def test_what_is_left_is_on_every_answer_until_nothing_is(web: Web, redis_url: str) -> None:
    client = a_client(web)

    answers = [asked(client) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == ['"client";q=3;w=60'] * 4
    states = [re.fullmatch(r'"client";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in answers]
    assert [int(state.group(1)) for state in states if state] == [2, 1, 0, 0]
    assert all(state and 1 <= int(state.group(2)) <= 61 for state in states)
    assert_problem(answers[3], 429, "too-many-requests")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 61


def test_clients_are_counted_apart_wherever_they_are_and_addresses_too(web: Web, redis_url: str) -> None:
    client = a_client(web)
    for _ in range(4):
        asked(client)

    assert asked(client, headers=bearer(sub="operator")).status_code == 422
    assert asked(client, environ_overrides={"REMOTE_ADDR": "198.51.100.7"}).status_code == 429
    assert asked(client, headers=bearer(exp=1)).status_code == 401  # a bad token counts for its address
    assert asked(create_app().test_client()).status_code == 429  # another process


def test_every_endpoint_that_asks_for_a_scope_is_counted(app: Flask) -> None:
    counted = {endpoint.partition(".")[0] for endpoint, _, _ in closed(app)} | {"tokens"}

    assert counted == set(api.COUNTED)


def test_deliveries_health_and_figures_are_not_counted(web: Web) -> None:
    client = a_client(web)
    for path in ("/livez", "/metrics", "/", "/docs"):
        answers = [client.get(path) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("RateLimit" in answer.headers for answer in answers)
    answers = [client.post("/webhooks/monte-carlo", data=b"x", headers={"x-mcd-signature": "0" * 128}) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {400}
    assert not any("RateLimit" in answer.headers for answer in answers)


def test_without_redis_the_limit_holds_in_the_process(web: Web) -> None:
    client = a_client(web)

    answers = [asked(client) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert answers[0].headers["RateLimit"].startswith('"client";r=2;')


def test_a_hanging_redis_costs_the_first_request_a_moment_and_the_next_nothing(web: Web, redis_server: Any) -> None:
    web(LILY_RATE_LIMIT="100/minute")
    client = create_app().test_client()
    asked(client)
    redis_server.signal(signal.SIGSTOP)
    try:
        times = []
        for _ in range(10):
            begun = time.monotonic()
            assert asked(client).status_code == 422
            times.append(time.monotonic() - begun)
    finally:
        redis_server.signal(signal.SIGCONT)

    assert max(times) < 1.5
    assert sorted(times)[5] < 0.1
