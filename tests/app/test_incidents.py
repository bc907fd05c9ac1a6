"""Incidents over HTTP: found, and shown with their events."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from lily.domain.incidents import Effect, Incident, remember
from lily.records import incidents
from lily.runtime import clock
from tests.app.conftest import assert_problem, bearer
from tests.app.test_events import ended, stored
from tests.builders import an_incident


def kept(*made: Incident) -> None:
    assert incidents.save_if_unchanged(made) == [True] * len(made)


def get(client: FlaskClient, path: str, status: int = 200, **headers: str) -> Any:
    answer = client.get(path, headers=bearer() | headers)
    assert answer.status_code == status, answer.text
    return answer.get_json() if status == 200 else answer


def test_incidents_are_found_by_group_and_status_page_by_page(whole: FlaskClient) -> None:
    now = clock.now()
    statuses = ["open", "fixed", "acknowledged"]
    kept(*[an_incident(f"i{n}", status, now - timedelta(minutes=n)) for n, status in enumerate(statuses)])

    def found(query: str) -> list[str]:
        names, cursor = [], ""
        while True:
            page = get(whole, f"/incidents?{query}{cursor}")
            names += [incident["id"] for incident in page["items"]]
            if page["next_cursor"] is None:
                return names
            cursor = f"&cursor={page['next_cursor']}"

    assert found("limit=1") == ["i0", "i1", "i2"]
    assert found("status=open") == ["i0", "i2"]
    assert found("status=closed") == ["i1"]
    assert found("status=acknowledged") == ["i2"]
    assert_problem(get(whole, "/incidents?status=gone", 422), 422, "invalid-input")


@pytest.mark.parametrize("name", ["1a2b", "a/b", "/a//b/", "a?b#c&d=e", "ü 100% ☃", "..;%2F", ".hidden"])
def test_an_incident_of_any_name_is_shown_with_its_events(whole: FlaskClient, name: str) -> None:
    (event,) = stored(ended(name))
    kept(remember(an_incident(name, "open"), event.id, Effect.OPENED))

    shown = get(whole, f"/incidents/{quote(name, safe='')}")

    assert (shown["id"], shown["status"], shown["open"], shown["order"]) == (name, "open", True, "arrival")
    assert [one["id"] for one in shown["events"]] == [event.id]
    path = shown["events"][0]["links"]["incident"].removeprefix("http://127.0.0.1:8000")
    assert get(whole, path)["id"] == name


def test_an_incident_unknown_to_the_source_is_not_found(whole: FlaskClient) -> None:
    kept(an_incident("i", "open"))

    assert_problem(get(whole, "/incidents/i?source=unsigned", 404), 404, "not-found")
    assert_problem(get(whole, "/incidents/nothing", 404), 404, "not-found")
    assert_problem(get(whole, f"/incidents/{'x' * 5000}", 404), 404, "not-found")
    assert get(whole, "/incidents/i?source=monte-carlo")["source"] == "monte-carlo"


def test_an_unchanged_incident_is_not_sent_again(whole: FlaskClient) -> None:
    kept(incident := an_incident("i", "open"))
    etag = whole.get("/incidents/i", headers=bearer()).headers["ETag"]

    assert get(whole, "/incidents/i", 304, **{"If-None-Match": etag}).data == b""
    (event,) = stored(ended("i"))
    kept(remember(incidents.saved(incident), event.id, Effect.OPENED))
    assert len(get(whole, "/incidents/i", 200, **{"If-None-Match": etag})["events"]) == 1
