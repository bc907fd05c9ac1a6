"""Events over HTTP: found page by page, shown whole, replayed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.events import Event, Moment, State, move, noted
from lily.domain.incidents import Effect, remember
from lily.records import events, incidents
from lily.runtime import clock
from tests.app.conftest import assert_problem, bearer
from tests.builders import a_change, an_event, an_incident

UNKNOWN = "0" * 64


def stored(*made: Event) -> list[Event]:
    """The events as accept, then the worker, would have left them."""
    events.accept_many([replace(event, state=State.RECEIVED, due_at=event.due_at) for event in made], 5)
    return events.save_many(made)


def ended(name: str, state: State = State.PUBLISHED, **more: Any) -> Event:
    made = an_event(name, change=a_change(name, "open"), incident={"status": "open", "severity": "SEV-1"}, **more)
    made = replace(made, effect=Effect.OPENED, assets=("analytics:orders.customers",))
    if state is State.PUBLISHED:
        made = move(made, State.STORED, made.received_at + timedelta(milliseconds=10))
    return replace(move(made, state, made.received_at + timedelta(milliseconds=25)), due_at=None)


def get(client: FlaskClient, path: str, status: int = 200, **headers: str) -> Any:
    answer = client.get(path, headers=bearer() | headers)
    assert answer.status_code == status, answer.text
    return answer.get_json() if status == 200 else answer


def post(client: FlaskClient, path: str, body: Any = None) -> Any:
    return client.post(path, headers=bearer(), **({} if body is None else {"json": body}))


def all_pages(client: FlaskClient, query: str) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        page = get(client, f"/events?{query}{cursor}")
        pages.append([event["id"] for event in page["items"]])
        if page["next_cursor"] is None:
            return pages
        cursor = f"&cursor={page['next_cursor']}"


def ids(made: Sequence[Event]) -> set[str]:
    return {event.id for event in made}


def test_pages_give_every_event_once_the_latest_first(whole: FlaskClient) -> None:
    now = clock.now()
    made = stored(*[ended(str(n), received_at=now - timedelta(seconds=n)) for n in range(7)])

    pages = all_pages(whole, "limit=3")

    assert [event_id for page in pages for event_id in page] == [event.id for event in made]
    assert all(len(page) <= 3 for page in pages)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=parked", {"parked"}),
        ("status=published", {"published", "old"}),
        ("severity=SEV-1&status=parked", {"parked"}),
        ("severity=SEV-3", set()),
        ("type=anomaly", {"parked", "published", "old"}),
        ("asset=Analytics:Orders.CUSTOMERS&status=parked", {"parked"}),
        ("incident=old", {"old"}),
        ("source=monte-carlo&incident=nothing", set()),
    ],
)
def test_filters_hold_together(whole: FlaskClient, query: str, found: set[str]) -> None:
    earlier = clock.now() - timedelta(days=2)
    made = {"parked": ended("parked", State.PARKED), "published": ended("published"), "old": ended("old", received_at=earlier)}
    stored(*made.values())
    incidents.save_if_unchanged([remember(an_incident("old"), made["old"].id, Effect.OPENED)])

    pages = all_pages(whole, query)

    assert {event_id for page in pages for event_id in page} == ids([made[name] for name in found])


def test_times_bound_the_arrival(whole: FlaskClient) -> None:
    now = clock.now()
    stored(old := ended("old", received_at=now - timedelta(days=2)), new := ended("new", received_at=now))
    middle = clock.iso(now - timedelta(days=1))

    assert all_pages(whole, f"since={middle}") == [[new.id]]
    assert [event_id for page in all_pages(whole, f"until={middle}") for event_id in page] == [old.id]


def test_a_cursor_of_other_filters_is_refused(whole: FlaskClient) -> None:
    stored(*[ended(str(n)) for n in range(3)])
    cursor = get(whole, "/events?limit=1&status=published")["next_cursor"]

    assert_problem(get(whole, f"/events?limit=1&cursor={cursor}", 400), 400, "invalid-cursor")
    get(whole, f"/events?limit=2&status=published&cursor={cursor}")


def test_an_event_is_shown_with_its_way_and_its_body(whole: FlaskClient) -> None:
    (event,) = stored(ended("e"))
    events.note_repeat(event.id, event.lane_key, 2, clock.now())

    shown = get(whole, f"/events/{event.id}")

    assert shown["payload"] == {"name": "e"}
    assert shown["incident"] == {"id": "e", "effect": "opened", "status": "open"}
    assert [line["what"] for line in shown["timeline"]] == ["stored", "published"]
    assert shown["milliseconds"] == {"stored": 10.0, "published": 15.0, "total": 25.0}
    assert shown["repeats"]["count"] == 2
    assert whole.get(shown["links"]["incident"].removeprefix("http://127.0.0.1:8000"), headers=bearer()).status_code == 404
    assert get(whole, f"/events/{event.id}.2")["id"] == event.id


def test_numbers_and_order_of_a_body_are_shown_as_sent(whole: FlaskClient) -> None:
    body = {"z": 10**40, "a": 1.5e300, "e": "é\0", "n": None}
    (event,) = stored(replace(ended("n"), raw=events.deflated(json.dumps(body).encode())))

    answer = whole.get(f"/events/{event.id}", headers=bearer())

    shown = json.loads(answer.text)["payload"]
    assert (shown, list(shown)) == (body, list(body))


def test_the_time_of_a_replay_counts_from_the_replay_and_late_enrichment_counts_for_nothing() -> None:
    from app.api.documents import milliseconds

    at = clock.now()
    event = an_event(received_at=at)
    run = [(3600_004, "enriched"), (3600_006, "stored"), (3600_010, "published")]
    moments = [
        Moment(at + timedelta(milliseconds=ms), what)
        for ms, what in [(9, "published"), (3600_000, "replayed"), *run, (9999_999, "enriched")]
    ]

    taken = milliseconds(replace(event, timeline=tuple(moments)))

    assert taken == {"enriched": 4.0, "stored": 2.0, "published": 4.0, "total": 10.0}
    assert milliseconds(event) == {}


def test_an_unchanged_event_is_not_sent_again(whole: FlaskClient) -> None:
    (event,) = stored(ended("e"))
    first = whole.get(f"/events/{event.id}", headers=bearer())
    etag = first.headers["ETag"]

    again = get(whole, f"/events/{event.id}", 304, **{"If-None-Match": etag})

    assert (again.data, again.headers["ETag"]) == (b"", etag)
    stored(noted(event, clock.now(), "enriched"))
    assert get(whole, f"/events/{event.id}", 200, **{"If-None-Match": etag})["timeline"][-1]["what"] == "enriched"


@pytest.mark.parametrize("event_id", [UNKNOWN, "x", UNKNOWN.replace("0", "A"), UNKNOWN + ".0", UNKNOWN + ".2", "%00", "replay"])
def test_an_unknown_event_is_not_found(whole: FlaskClient, event_id: str) -> None:
    assert_problem(get(whole, f"/events/{event_id}", 404), 404, "not-found")
    assert_problem(post(whole, f"/events/{event_id}/replay"), 404, "not-found")


def test_a_finished_event_can_be_replayed_and_then_is_in_work(whole: FlaskClient) -> None:
    (event,) = stored(ended("e", State.PARKED))

    answer = post(whole, f"/events/{event.id}/replay")

    assert answer.status_code == 202
    assert answer.get_json()["replays"] == 1
    again = events.get(event.id)
    assert again is not None and again.state is State.RECEIVED and again.due_at is not None
    assert (again.timeline[-1].what, again.timeline[-1].note) == ("replayed", "by reader")
    document = assert_problem(post(whole, f"/events/{event.id}/replay"), 409, "still-in-work")
    assert "received" in document["detail"]


def test_a_dry_run_counts_and_changes_nothing(whole: FlaskClient) -> None:
    made = stored(*[ended(str(n), State.PARKED) for n in range(3)])

    counted = post(whole, "/events/replay", {"filter": {"status": "parked"}}).get_json()

    assert counted == {"matched": 3, "replayed": 0, "skipped": 0, "dry_run": True, "complete": True, "next_cursor": None}
    assert {event.state for event in events.load_many(list(ids(made))).values()} == {State.PARKED}


def test_many_are_replayed_those_in_work_are_skipped(whole: FlaskClient) -> None:
    made = stored(*[ended(str(n)) for n in range(3)])
    events.accept_many([an_event("fresh")], 5)
    since = clock.iso(clock.now() - timedelta(hours=1))

    done = post(whole, "/events/replay", {"filter": {"since": since}, "dry_run": False}).get_json()

    assert (done["matched"], done["replayed"], done["skipped"], done["complete"]) == (4, 3, 1, True)
    assert {event.replays for event in events.load_many(list(ids(made))).values()} == {1}


def test_a_long_replay_goes_on_where_it_stopped(whole: FlaskClient) -> None:
    made = stored(*[ended(str(n), State.PARKED) for n in range(5)])
    wish: dict[str, Any] = {"filter": {"status": "parked"}, "dry_run": False, "limit": 2}
    replayed, cursor = [], None
    while True:
        done = post(whole, "/events/replay", wish | {"cursor": cursor}).get_json()
        replayed.append(done["replayed"])
        cursor = done["next_cursor"]
        assert done["complete"] == (cursor is None)
        if cursor is None:
            break

    assert sum(replayed) == 5 and max(replayed) <= 2
    assert {event.replays for event in events.load_many(list(ids(made))).values()} == {1}


def test_a_replay_of_everything_has_to_be_said(whole: FlaskClient) -> None:
    assert_problem(post(whole, "/events/replay", {"filter": {}}), 400, "invalid-request")
    assert_problem(post(whole, "/events/replay", {}), 422, "invalid-input")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"filter": {"since": "2026-01-01T00:00:00Z"}, "limit": ' + b"1" * 5_000 + b"}",
        b'{"filter": {"asset": "\\ud800"}, "cursor": "AAAAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"filter": {"\\ud800": 1}}',
        b'{"filter": {"incident": "\\ud800"}}',
        b"null",
        b'{"filter": NaN}',
    ],
)
def test_the_body_of_a_replay_is_read_as_strictly_as_a_delivery(whole: FlaskClient, raw: bytes) -> None:
    headers = bearer() | {"Content-Type": "application/json"}

    assert_problem(whole.post("/events/replay", data=raw, headers=headers), 400, "invalid-json")


@pytest.mark.parametrize("said", ["no", "off", "f", 0, 0.0, "false", None])
def test_only_a_real_false_replays(whole: FlaskClient, said: object) -> None:
    (event,) = stored(ended("one", State.PARKED))

    answer = post(whole, "/events/replay", {"filter": {"status": "parked"}, "dry_run": said})

    assert_problem(answer, 422, "invalid-input")
    found = events.get(event.id)
    assert found is not None
    assert found.replays == 0


def test_asking_for_options_without_a_token_is_no_trouble(whole: FlaskClient) -> None:
    assert whole.options("/events").status_code == 200
