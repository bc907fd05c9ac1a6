"""Cursors: only Lily makes them, and they fit only the request they were made for."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import paging
from app.problems import INVALID_CURSOR, Problem
from lily.records.streams import Found

Web = Callable[..., None]
filters = st.dictionaries(st.sampled_from(["status", "asset", "since"]), st.text(max_size=8) | st.none())
unreset = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(cursor: str, of: str, under: dict[str, object]) -> None:
    with pytest.raises(Problem) as caught:
        paging.unseal(cursor, of, under)
    assert caught.value.kind is INVALID_CURSOR
    assert caught.value.faults[0].field == "cursor"


@given(position=st.text(min_size=1, max_size=80), under=filters)
@unreset
def test_a_cursor_leads_back_to_its_position(web: Web, position: str, under: dict[str, object]) -> None:
    cursor = paging.seal(position, "events", under)

    assert cursor is not None and cursor.isascii()
    assert paging.unseal(cursor, "events", under) == position
    assert paging.unseal(cursor, "events", under | {"severity": None}) == position


def test_the_end_has_no_cursor_and_the_beginning_needs_none(web: Web) -> None:
    assert paging.seal(None, "events", {}) is None
    assert paging.unseal(None, "events", {}) is None


@given(at=st.integers(0, 200), byte=st.integers(1, 255))
@unreset
def test_a_cursor_with_any_byte_changed_is_refused(web: Web, at: int, byte: int) -> None:
    cursor = paging.seal("1763999999999#abc", "events", {"status": "parked"})
    assert cursor is not None
    sealed = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    sealed[at % len(sealed)] ^= byte

    refused(base64.urlsafe_b64encode(sealed).decode().rstrip("="), "events", {"status": "parked"})


@pytest.mark.parametrize("text", ["", "x", "%%%", "ü", "A" * 5000, "AAAA.AAAA", "\x00"])
def test_what_is_no_cursor_is_refused(web: Web, text: str) -> None:
    refused(text, "events", {})


def test_a_cursor_of_other_filters_or_of_another_list_is_refused(web: Web) -> None:
    cursor = paging.seal("p", "events", {"status": "parked"})
    assert cursor is not None

    refused(cursor, "events", {"status": "published"})
    refused(cursor, "events", {})
    refused(cursor, "incidents", {"status": "parked"})


def test_a_cursor_outlives_a_change_of_keys_but_not_the_loss_of_its_key(web: Web) -> None:
    old, new, other = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
    web(LILY_SEAL_KEY=old)
    cursor = paging.seal("p", "events", {})
    assert cursor is not None

    web(LILY_SEAL_KEY=f"{new},{old}")
    assert paging.unseal(cursor, "events", {}) == "p"
    web(LILY_SEAL_KEY=f"{new},{other}")
    refused(cursor, "events", {})


@given(
    lists=st.dictionaries(st.text("ab-", min_size=1, max_size=3), st.integers(0, 5)),
    limit=st.integers(1, 4),
    short=st.integers(1, 4),
)
def test_pages_across_lists_show_every_item_once_in_order(lists: dict[str, int], limit: int, short: int) -> None:
    """Whatever the size of a page, and though lists may answer less than they are asked for."""

    def page(name: str, count: int, after: str | None) -> Found[tuple[str, int]]:
        start = int(after or 0)
        end = min(start + min(count, short), lists[name])
        return Found(tuple((name, n) for n in range(start, end)), str(end) if end < lists[name] else None)

    seen: list[tuple[str, int]] = []
    position: str | None = None
    while True:
        items, position = paging.across(list(lists), page, limit, position)
        assert len(items) <= limit
        seen += items
        if position is None:
            break
    assert seen == [(name, n) for name in sorted(lists) for n in range(lists[name])]
