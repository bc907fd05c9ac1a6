"""Deliveries of a source that proves itself with a secret in a header, and greets without one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from lily.records import events
from tests.app.conftest import assert_problem

PAYLOADS = Path(__file__).parents[1] / "payloads" / "atlan"
DELIVERIES = json.loads((PAYLOADS / "deliveries.json").read_text())
EVENTS = sorted(path for path in (PAYLOADS / "webhooks").glob("*.json") if path.stem != "validation")
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
URL = "/webhooks/atlan"


@pytest.fixture
def atlan(whole: FlaskClient, web: Callable[..., None]) -> FlaskClient:
    web(LILY_SOURCES="monte-carlo,of-one-account,unsigned,atlan", LILY_SOURCE_ATLAN_SECRETS=f"older,{DELIVERIES['secret']}")
    return create_app().test_client()


def test_every_event_is_stored_as_it_was_sent(atlan: FlaskClient) -> None:
    for path in EVENTS:
        raw = path.read_bytes()

        answer = atlan.post(URL, data=raw, headers=DELIVERIES["event"]["headers"])

        assert answer.status_code == 202, answer.text
        stored = events.get(answer.get_json()["event_id"])
        assert stored is not None
        assert json.loads(events.body(stored)) == json.loads(raw)


def test_events_of_one_asset_share_a_lane(atlan: FlaskClient) -> None:
    lanes = set()
    for name in ("classification_add_direct", "classification_delete"):
        raw = (PAYLOADS / "webhooks" / f"{name}.json").read_bytes()
        stored = events.get(atlan.post(URL, data=raw, headers=DELIVERIES["event"]["headers"]).get_json()["event_id"])
        assert stored is not None
        lanes.add(stored.lane_key)

    assert len(lanes) == 1


def test_an_event_that_comes_twice_is_one(atlan: FlaskClient) -> None:
    raw = EVENTS[0].read_bytes()
    answers = [atlan.post(URL, data=raw, headers=TEXT | {"x-atlan-signing-secret": "older"}).get_json() for _ in range(2)]

    assert [answer["duplicate"] for answer in answers][1:] == [True]
    assert answers[0]["event_id"] == answers[1]["event_id"]


def test_the_validation_needs_no_secret_and_leaves_nothing_behind(atlan: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.webhooks.accept", lambda _: pytest.fail("it was stored"))
    given = DELIVERIES["validation"]

    answer = atlan.post(URL, data=given["raw_body"], headers=given["headers"])

    assert (answer.status_code, answer.data) == (204, b"")


@pytest.mark.parametrize("given", DELIVERIES["refused"], ids=lambda given: given["why"])
def test_what_proves_nothing_is_refused(atlan: FlaskClient, given: dict[str, Any]) -> None:
    raw = given.get("raw_body") or EVENTS[0].read_bytes()

    assert_problem(atlan.post(URL, data=raw, headers=given.get("headers", TEXT)), 401, "signature-rejected")


def test_the_greeting_of_one_vendor_is_none_to_another(whole: FlaskClient) -> None:
    answer = whole.post("/webhooks/monte-carlo", data=DELIVERIES["validation"]["raw_body"], headers=TEXT)

    assert_problem(answer, 401, "signature-rejected")
