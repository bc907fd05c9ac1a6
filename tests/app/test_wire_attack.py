"""The process `web` against all that `benchmarks.raw_cases` knows, one connection each: a problem detail or a clean end."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from benchmarks.answers import judge, parse
from benchmarks.exchange import exchange
from benchmarks.raw_cases import Case, cases
from tests.servers import free_port, running

SECRET = "of-the-attacked"
# What is in order is accepted, and there is no DynamoDB behind this server: those are left to `python -m benchmarks.attack`.
REFUSED = [case for case in cases(SECRET) if 202 not in case.statuses]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    environ = os.environ | {
        "LILY_WEB_PORT": str(number),
        "LILY_SOURCE_MONTE_CARLO_SECRETS": SECRET,
        "LILY_AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "LILY_LOG_LEVEL": "error",  # nobody reads its pipe meanwhile
    }
    with running([sys.executable, "-m", "app.serve"], number, path="/livez", environ=environ):
        yield number


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in REFUSED])
def test_it_is_answered_as_it_may_be_and_nothing_else_is(port: int, case: Case) -> None:
    seen = asyncio.run(exchange(port, case))

    assert judge(seen, case.statuses, case.answers_max, case.closes) == "", seen


def test_whoever_attacked_the_server_still_answers(port: int) -> None:
    seen = asyncio.run(exchange(port, Case("alive", (b"GET /livez HTTP/1.1\r\nHost: lily\r\n\r\n",))))

    assert [answer.status for answer in parse(seen.received)[0]] == [200]
