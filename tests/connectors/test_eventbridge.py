"""EventBridge: every entry ends in its own way, and what failed alone is sent alone again."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from connectors import eventbridge
from lily.domain.envelope import Entry
from lily.runtime import aws
from lily.runtime.errors import Permanent, Transient
from tests.aws_answers import Answers, answering

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_entry(name: str = "a", size: int = 100) -> Entry:
    return Entry("lily.incident.opened", json.dumps({"id": name}), ("zeus:ares.artemis",), NOON, size)


def result(code: str | None = None) -> dict[str, Any]:
    return {"EventId": "1"} if code is None else {"ErrorCode": code, "ErrorMessage": "m"}


@pytest.fixture
def answers(configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    aws.forget()
    with answering("events") as made:
        yield made
    aws.forget()


def names(request: dict[str, Any]) -> list[str]:
    return [json.loads(entry["Detail"])["id"] for entry in request["Entries"]]


def test_failed_entries_alone_are_sent_again(answers: Answers) -> None:
    answers.add("PutEvents", {"FailedEntryCount": 2, "Entries": [result(), result("InternalFailure"), result("Odd")]})
    answers.add("PutEvents", {"FailedEntryCount": 1, "Entries": [result(), result("ThrottlingException")]})
    answers.add("PutEvents", {"FailedEntryCount": 0, "Entries": [result()]})

    assert eventbridge.put([an_entry(name) for name in "abc"]) == [None, None, None]
    assert [names(request) for request in answers.requests] == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_permanent_failure_is_not_tried_again(answers: Answers) -> None:
    answers.add("PutEvents", {"FailedEntryCount": 1, "Entries": [result("MalformedDetail"), result()]})

    refused, put = eventbridge.put([an_entry("a"), an_entry("b")])

    assert isinstance(refused, Permanent)
    assert "MalformedDetail" in refused.reason
    assert put is None


def test_a_call_refused_as_a_whole_is_halved_down_to_the_culprit(answers: Answers) -> None:
    answers.refuse("PutEvents", "ValidationException")
    answers.add("PutEvents", {"FailedEntryCount": 0, "Entries": [result()]})
    answers.refuse("PutEvents", "ValidationException")

    good, bad = eventbridge.put([an_entry("a"), an_entry("b")])

    assert good is None
    assert isinstance(bad, Permanent)


def test_a_service_that_stays_away_is_transient_for_every_entry(answers: Answers) -> None:
    answers.refuse("PutEvents", "ServiceUnavailable", 503)

    outcomes = eventbridge.put([an_entry("a"), an_entry("b")], timeout_s=0.03)

    assert [type(outcome) for outcome in outcomes] == [Transient, Transient]


def test_calls_are_full_but_never_over_a_limit(answers: Answers) -> None:
    for count in (10, 5, 1):
        answers.add("PutEvents", {"FailedEntryCount": 0, "Entries": [result()] * count})

    eventbridge.put([an_entry(str(number)) for number in range(14)] + [an_entry("big", 890_000)] + [an_entry("large", 900_000)])

    assert [len(request["Entries"]) for request in answers.requests] == [10, 5, 1]


@pytest.fixture
def moto(configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    configured(LILY_AWS_ENDPOINT_URL=f"http://{host}:{port}")
    aws.forget()
    yield
    aws.forget()
    server.stop()


@pytest.mark.usefixtures("moto")
def test_against_a_stricter_service_the_entry_is_well_formed_and_an_unknown_bus_is_noticed() -> None:
    with pytest.raises(Permanent):
        eventbridge.check("lily")
    assert eventbridge.create("lily")
    assert not eventbridge.create("lily")
    eventbridge.check("lily")

    assert eventbridge.put([an_entry()]) == [None]
    malformed = Entry("lily.incident.opened", "no json", (), NOON, 10)
    (outcome,) = eventbridge.put([malformed])
    assert isinstance(outcome, Permanent)
