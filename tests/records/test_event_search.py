"""Events found newest first: every filter, every page, nothing twice and nothing left out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lily.domain.events import Event, State, move
from lily.domain.incidents import Effect, remember
from lily.records import days, events, incidents
from lily.records.event_search import EventFilter, find
from lily.runtime import clock
from tests.builders import a_change, an_event, an_incident

pytestmark = pytest.mark.usefixtures("table")


def kept(name: str, minutes_ago: float, **more: object) -> Event:
    event = an_event(name, received_at=clock.now() - timedelta(minutes=minutes_ago), **more)
    (saved,) = events.save_many([event])
    return saved


def walk(wanted: EventFilter, limit: int) -> list[str]:
    found, after = [], None
    while True:
        page = find(wanted, limit, after)
        assert len(page.items) <= limit
        found += [event.id for event in page.items]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_over_several_days_and_partitions_are_complete_and_in_order(limit: int) -> None:
    written = [kept(str(number), number * 60 * 7) for number in range(15)]
    days.forget()

    assert walk(EventFilter(), limit) == [event.id for event in written]


def test_each_filter_finds_its_own() -> None:
    parked = kept("parked", 1, state=State.PARKED, due_at=None)
    anomaly = kept("anomaly", 2, change=a_change("i1"), incident={"severity": "SEV-1"}, assets=("a", "b"))
    unknown = kept("unknown", 3, change=a_change(None, type="unknown"))
    other = kept("other", 60 * 30, source="monte-carlo-eu")
    events.save_many([move(anomaly, State.STORED, clock.now())])
    remembered = remember(remember(an_incident("i1"), anomaly.id, Effect.OPENED), f"{anomaly.id}.2", Effect.UPDATED)
    incidents.save_if_unchanged([remembered])
    days.forget()

    cases = {
        EventFilter(status="parked"): [parked],
        EventFilter(status="stored"): [anomaly],
        EventFilter(type="anomaly"): [anomaly],
        EventFilter(type="unknown", status="received"): [unknown],
        EventFilter(severity="SEV-1"): [anomaly],
        EventFilter(source="monte-carlo-eu"): [other],
        EventFilter(asset="a"): [anomaly],
        EventFilter(asset="b"): [anomaly],
        EventFilter(asset="b", severity="SEV-2"): [],
        EventFilter(incident="i1"): [anomaly],
        EventFilter(incident="i1", source="monte-carlo-eu"): [],
        EventFilter(since=unknown.received_at): [parked, anomaly, unknown],
        EventFilter(until=unknown.received_at): [other],
        EventFilter(since=unknown.received_at, until=anomaly.received_at): [unknown],
    }
    for wanted, expected in cases.items():
        assert walk(wanted, 2) == [event.id for event in expected], wanted


def test_a_page_begins_where_the_last_one_ended_even_if_newer_events_arrive() -> None:
    written = [kept(str(number), 10 + number) for number in range(4)]
    days.forget()
    first = find(EventFilter(), 2)
    kept("newer", 0)

    second = find(EventFilter(), 2, first.next)

    assert [event.id for event in (*first.items, *second.items)] == [event.id for event in written]


def test_expired_events_are_left_out() -> None:
    kept("old", 60 * 24 * 91)
    fresh = kept("fresh", 1)
    days.forget()

    assert walk(EventFilter(), 10) == [fresh.id]
    assert replace(fresh) == events.get(fresh.id)


def test_a_rare_filter_goes_on_over_many_days_and_comes_to_its_end() -> None:
    rare = [kept("new", 1, change=a_change("a", type="dbt_errors"))]
    for day in range(1, 20):
        kept(f"day {day}", 60 * 24 * day, change=a_change("b"))
    rare.append(kept("old", 60 * 24 * 20, change=a_change("c", type="dbt_errors")))
    days.forget()

    assert walk(EventFilter(type="dbt_errors"), 5) == [event.id for event in rare]
    assert walk(EventFilter(type="nowhere"), 5) == []


def test_assets_that_changed_places_list_an_event_once() -> None:
    event = kept("one", 1, change=a_change("a"), assets=("a", "b"))
    (stored,) = events.save_many([move(event, State.STORED, clock.now())])
    events.save_many([replace(stored, assets=("b", "a"))])

    assert walk(EventFilter(asset="b"), 5) == [event.id]
