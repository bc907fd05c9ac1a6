"""Messages: CloudEvents by the specification's own library, schemas as published, packed within the service's limits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.assets import TableRef
from lily.domain.brake import Weakening, Why
from lily.domain.branches import Reader
from lily.domain.envelope import (
    ENTRIES_MAX,
    TYPES,
    UNKNOWN,
    WEAKENED,
    Message,
    entry,
    incident_data,
    of_event,
    of_incident,
    of_repeat,
    of_weakening,
    pack,
)
from lily.domain.events import Event, Repeat
from lily.domain.incidents import Change, Effect, Incident, merge_claim, remember
from lily.domain.inventory import Site, TableId
from lily.domain.rules import Principal

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
PUBLIC = "https://lily.example.com"


def an_incident(**more: Any) -> Incident:
    change = Change("i/1", "anomaly", "opened", {"status": "open", "severity": "SEV-2"}, (TableRef("zeus:ares.artemis"),))
    return replace(remember(merge_claim(Incident("mc", "i/1"), change, NOON, "e"), "e", Effect.OPENED), **more)


def an_event(**more: Any) -> Event:
    plain = Event(
        id="ab" * 32,
        source="monte-carlo",
        account="acme",
        received_at=NOON,
        raw=b"{}",
        lane_key="00",
        traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
        change=Change("i/1", "anomaly", "opened", {}),
        effect=Effect.OPENED,
        incident=incident_data(an_incident(), "e"),
        assets=("zeus:ares.artemis",),
        enrichment={"state": "pending", "reason": "slow"},
    )
    return replace(plain, **more)


def a_repeat() -> Repeat:
    return Repeat("ab" * 32, 3, NOON, "00")


def detail(message: Message, detail_bytes_max: int = 200_000) -> dict[str, Any]:
    return json.loads(entry(message, detail_bytes_max, PUBLIC).detail)


def check(made: Mapping[str, Any]) -> None:
    schema = json.loads((SCHEMAS / f"{made['type']}.v1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(made)


@pytest.mark.parametrize("effect", list(Effect))
def test_every_message_fits_the_schema_of_its_type(effect: Effect) -> None:
    check(detail(of_event(an_event(effect=effect))))
    check(detail(of_event(an_event(effect=effect, replays=2, assets=(), traceparent=""))))
    check(detail(of_repeat(an_event(), a_repeat(), effect, incident_data(an_incident(), "e"))))
    check(detail(of_incident(an_incident(), "mc/i/v2", effect, NOON)))
    check(detail(of_event(an_event(effect=effect)), detail_bytes_max=100))


def test_a_delivery_without_an_incident_fits_its_schema_too() -> None:
    made = detail(of_event(an_event(effect=None, incident={}, change=Change(None, "unknown", "unknown"), enrichment={})))

    assert made["type"] == UNKNOWN
    check(made)


def test_each_type_has_a_schema_and_each_schema_a_type() -> None:
    types = [*TYPES.values(), UNKNOWN, WEAKENED]
    files = {path.name for path in SCHEMAS.glob("*.json")} - {"lily.rule.v1.json"}  # of rules in files, no message
    assert files == {f"{name}.v1.json" for name in types}


@pytest.mark.parametrize("column", ["EMAIL", None])
@pytest.mark.parametrize("reader", [None, frozenset(), frozenset({Principal("role", "A")})])
@pytest.mark.parametrize("why", list(Why))
def test_a_loss_of_protection_fits_its_schema(column: str | None, reader: Reader | None, why: Why) -> None:
    lost = Weakening(Site(TableId("D", "S", 'T".x'), column), why, "before", "", reader)

    made = detail(of_weakening("snow", lost, NOON))

    assert (made["type"], made["data"]["column"], made["data"]["why"]) == (WEAKENED, column, why.value)
    check(made)
    assert made["id"] == detail(of_weakening("snow", lost, NOON))["id"]
    assert made["id"] != detail(of_weakening("snow", lost, NOON + timedelta(seconds=1)))["id"]


def test_the_schema_refuses_what_does_not_fit() -> None:
    made = detail(of_event(an_event()))

    with pytest.raises(jsonschema.ValidationError):
        check({**made, "data": {**made["data"], "effect": "resolved"}})


def test_the_specifications_own_library_reads_a_message() -> None:
    body = json.dumps(detail(of_event(an_event()))).encode()

    event = from_http_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body))

    assert (event.get_id(), event.get_type()) == ("ab" * 32, "lily.incident.opened")
    assert event.get_extension("traceparent") == f"00-{'1' * 32}-{'2' * 16}-01"


def test_a_repeat_is_a_new_occurrence_and_a_replay_keeps_the_id() -> None:
    again = detail(of_repeat(an_event(), replace(a_repeat(), occurrence=2), Effect.RESOLVED, {}))
    replayed = detail(of_event(an_event(replays=1)))

    assert (again["id"], again["data"]["occurrence"]) == (f"{'ab' * 32}.3", 3)
    assert (replayed["id"], replayed["replay"]) == ("ab" * 32, 1)


def test_what_is_too_large_goes_by_reference_and_keeps_what_a_consumer_routes_on() -> None:
    large = an_event(enrichment={"state": "done", "title": "é" * 200_000})

    made = entry(of_event(large), 200_000, PUBLIC)

    told = json.loads(made.detail)
    assert made.size < 3_000
    assert told["dataref"] == f"{PUBLIC}/events/{large.id}"
    assert told["data"]["incident"]["severity"] == "SEV-2"
    assert (SCHEMAS / f"{told['type']}.v1.json").name == told["dataschema"].rpartition("/")[2]


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=3))
def test_the_size_counts_the_bytes_of_the_encoded_text(text: str, assets: list[str]) -> None:
    made = entry(of_event(an_event(enrichment={"state": "done", "title": text}, assets=tuple(assets))), 200_000, PUBLIC)

    texts = ["lily", made.detail_type, made.detail, *made.resources]
    assert made.size == 14 + sum(len(part.encode()) for part in texts)


@given(st.lists(st.integers(1, 1200), max_size=60))
def test_packing_keeps_order_and_limits_and_wastes_no_call(sizes: list[int]) -> None:
    ranges = list(pack(sizes, bytes_max=1000))

    assert [index for group in ranges for index in group] == list(range(len(sizes)))
    for group in ranges:
        assert len(group) <= ENTRIES_MAX
        assert len(group) == 1 or sum(sizes[index] for index in group) <= 1000
    for group, following in pairwise(ranges):
        full = len(group) == ENTRIES_MAX
        assert full or sum(sizes[index] for index in group) + sizes[following[0]] > 1000
