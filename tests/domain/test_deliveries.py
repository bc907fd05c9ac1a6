"""The content address of a delivery."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lily.domain.deliveries import event_id, lane_key

texts = st.text(st.sampled_from("aé\u200b\U0001face\U0001fae9😀'\"\\{[0U \n"), max_size=5)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
unknown_fields = st.dictionaries(texts, values, max_size=3)
objects = st.dictionaries(texts, values, max_size=3)


def signed(body: dict[str, Any]) -> str:
    """The text that Monte Carlo signs, on this Python; keys in order, as the order of keys makes no other event."""
    return urlencode({key: body[key] for key in sorted(body)})


def address(body: dict[str, Any]) -> str:
    return event_id("monte-carlo", "acme", body)


def as_texts(body: dict[str, Any]) -> dict[str, Any]:
    """The same signed text from other types: every top-level value as its text."""
    return {key: str(value) for key, value in body.items()}


def looks_nested(body: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and value[:1] in ("{", "[") for value in body.values())


@given(unknown_fields)
def test_values_and_their_texts_which_are_signed_alike_are_the_same_event(body):
    assert signed(body) == signed(as_texts(body))
    assert address(body) == address(as_texts(body))


@given(unknown_fields, unknown_fields)
def test_unknown_fields_make_the_same_event_just_when_they_are_signed_alike(one, other):
    # A text that looks like a nested value is taken for one, in whatever way its characters are escaped.
    assume(not looks_nested(one) and not looks_nested(other))

    assert (address(one) == address(other)) == (signed(one) == signed(other))


@given(unknown_fields, st.data())
def test_a_change_of_one_field_makes_another_event_unless_it_is_signed_alike(body, data):
    assume(body and not looks_nested(body))
    changed = {**body, data.draw(st.sampled_from(sorted(body))): data.draw(values)}
    assume(not looks_nested(changed))

    assert (address(body) == address(changed)) == (signed(body) == signed(changed))


@given(objects, objects)
def test_known_objects_make_the_same_event_just_when_they_are_equal_with_their_types(one, other):
    for field in ("payload", "account"):
        same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        assert (address({field: one}) == address({field: other})) == same


@given(objects, unknown_fields)
def test_the_form_of_the_bytes_does_not_matter(payload, more):
    body = {**more, "payload": payload}
    backwards = {key: body[key] for key in reversed(body)} | {"payload": {key: payload[key] for key in reversed(payload)}}

    for other in (
        json.dumps(body, indent=3),
        json.dumps(body, ensure_ascii=False),
        json.dumps(backwards),
        '{"payload": "overruled", ' + json.dumps(body)[1:],
    ):
        assert address(json.loads(other)) == address(body)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': '\U0001face'}",  # as Python 3.12 signs {"a": "\U0001face"}
        "{'a': '\\U0001face'}",  # as Python 3.11 does
    ],
)
def test_a_nested_value_and_its_text_are_the_same_event_whichever_python_wrote_the_text(text):
    assert address({"new": text}) == address({"new": {"a": "\U0001face"}})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "75955ec8ae0e80cf"),
        ({"payload": {"a": "\U0001face", "b": [1.0, None, True]}, "account": {"id": "x"}, "type": "t"}, "5de173b68a5b4756"),
        ({"new": {"a": ["\U0001face", "\u0378", "é", "\n"]}, "n": 1.50, "none": None}, "eb5d6614a9bcd7e6"),
        ({"payload": "text", "account": None, "\U0001face": "\U0001face"}, "9331320dd5c8280e"),
        ({"new": ["\ud800"], "payload": {"x": "\ud800"}}, "4d383976269db463"),
    ],
)
def test_the_address_is_the_same_on_every_python_and_in_every_release(body, expected):
    """Ids are kept for months, and a delivery that is repeated after an upgrade must be known again."""
    assert address(body)[:16] == expected


@given(objects)
def test_the_address_is_64_hex_digits_of_its_own_for_each_source_and_account(payload):
    body = {"payload": payload}
    ids = {event_id(source, account, body) for source in ("a", "b") for account in ("a", "b", "")}

    assert len(ids) == 6
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in ids)


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_lane_key_is_two_hex_digits_that_only_the_incident_decides(source, incident):
    key = lane_key(source, incident)

    assert key == lane_key(source, incident)
    assert len(key) == 2
    assert set(key) <= set("0123456789abcdef")


def test_incidents_are_spread_over_all_lane_keys():
    assert len({lane_key("monte-carlo", str(number)) for number in range(5_000)}) == 256


def test_a_lane_key_is_found_for_an_incident_with_a_lone_surrogate_too():
    assert lane_key("monte-carlo", "\ud800")
