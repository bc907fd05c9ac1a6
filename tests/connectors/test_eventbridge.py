"""EventBridge: every entry ends in its own way, and what failed alone is sent alone again."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from connectors import eventbridge
from lily.domain.envelope import Entry
from lily.runtime import aws
from lily.runtime.errors import Permanent, Transient

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_entry(name: str = "a", size: int = 100) -> Entry:
    return Entry("lily.incident.opened", json.dumps({"id": name}), ("zeus:ares.artemis",), NOON, size)


def result(code: str | None = None) -> dict[str, Any]:
    return {"EventId": "1"} if code is None else {"ErrorCode": code, "ErrorMessage": "m"}


@pytest.fixture
def answers(configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    aws.forget()
    with Stubber(aws.client("events", attempts=1)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.forget()


def names(parameters: dict[str, Any]) -> list[str]:
    return [json.loads(entry["Detail"])["id"] for entry in parameters["Entries"]]


def test_failed_entries_alone_are_sent_again(answers: Stubber) -> None:
    sent: list[list[str]] = []
    aws.client("events", attempts=1).meta.events.register(
        "before-parameter-build.events.PutEvents", lambda params, **_: sent.append(names(params))
    )
    answers.add_response("put_events", {"FailedEntryCount": 2, "Entries": [result(), result("InternalFailure"), result("Odd")]})
    answers.add_response("put_events", {"FailedEntryCount": 1, "Entries": [result(), result("ThrottlingException")]})
    answers.add_response("put_events", {"FailedEntryCount": 0, "Entries": [result()]})

    assert eventbridge.put([an_entry(name) for name in "abc"]) == [None, None, None]
    assert sent == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_permanent_failure_is_not_tried_again(answers: Stubber) -> None:
    answers.add_response("put_events", {"FailedEntryCount": 1, "Entries": [result("MalformedDetail"), result()]})

    refused, put = eventbridge.put([an_entry("a"), an_entry("b")])

    assert isinstance(refused, Permanent)
    assert "MalformedDetail" in refused.reason
    assert put is None


def test_a_call_refused_as_a_whole_is_halved_down_to_the_culprit(answers: Stubber) -> None:
    answers.add_client_error("put_events", "ValidationException")
    answers.add_response("put_events", {"FailedEntryCount": 0, "Entries": [result()]})
    answers.add_client_error("put_events", "ValidationException")

    good, bad = eventbridge.put([an_entry("a"), an_entry("b")])

    assert good is None
    assert isinstance(bad, Permanent)


def test_a_service_that_stays_away_is_transient_for_every_entry(answers: Stubber) -> None:
    answers.add_client_error("put_events", "ServiceUnavailable", http_status_code=503)

    outcomes = eventbridge.put([an_entry("a"), an_entry("b")], timeout_s=0.03)

    assert [type(outcome) for outcome in outcomes] == [Transient, Transient]


def test_calls_are_full_but_never_over_a_limit(answers: Stubber) -> None:
    sent: list[int] = []
    aws.client("events", attempts=1).meta.events.register(
        "before-parameter-build.events.PutEvents", lambda params, **_: sent.append(len(params["Entries"]))
    )
    for count in (10, 5, 1):
        answers.add_response("put_events", {"FailedEntryCount": 0, "Entries": [result()] * count})

    eventbridge.put([an_entry(str(number)) for number in range(14)] + [an_entry("big", 890_000)] + [an_entry("large", 900_000)])

    assert sent == [10, 5, 1]


def test_against_a_stricter_service_the_entry_is_well_formed_and_an_unknown_bus_is_noticed(
    configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        aws.forget()
        with pytest.raises(Permanent):
            eventbridge.check("lily")
        assert eventbridge.create("lily")
        assert not eventbridge.create("lily")
        eventbridge.check("lily")

        assert eventbridge.put([an_entry()]) == [None]
        malformed = Entry("lily.incident.opened", "no json", (), NOON, 10)
        (outcome,) = eventbridge.put([malformed])
        assert isinstance(outcome, Permanent)
    aws.forget()
