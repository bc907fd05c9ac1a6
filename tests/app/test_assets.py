"""Assets over HTTP: what is shown on one, which tables are none, and the map of connections."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain import showing
from lily.domain.assets import Asset, Connection, Reason, TableRef, Unresolved
from lily.domain.badges import OpenIncident
from lily.domain.showing import Entry, Shown
from lily.records import assets, connections, due, unresolved
from lily.records.unresolved import Missing
from lily.runtime import clock
from tests.app.conftest import assert_problem, bearer

NAME = "default/snowflake/1700000000/DB/S/ORDERS"


@dataclass
class Api:
    """The API below /assets."""

    http: FlaskClient

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        sent = {"json": body} if body is not None else {}
        answer = self.http.open(f"/assets{path}", method=method, headers=bearer(scope="events:read admin"), **sent)
        assert answer.status_code == status, answer.text
        return answer.get_json() if status < 300 else answer


@pytest.fixture
def api(secured: FlaskClient, configured: Callable[..., None]) -> Api:
    configured(LILY_CATALOGS="atlan", LILY_CATALOG_ATLAN_URL="http://127.0.0.1:1", LILY_CATALOG_ATLAN_TOKEN="t")
    return Api(secured)


def missing(table: str, reason: Reason) -> Missing:
    at = clock.now()
    why = Unresolved(table, reason, "nobody knows it")
    return Missing("atlan", TableRef(table), why, at, (("monte-carlo", "1"),), 3, at + timedelta(hours=1))


def test_an_asset_shows_its_open_incidents_its_badge_and_whether_people_see_it(api: Api) -> None:
    told = Entry(4, OpenIncident("1", "Too few rows", "SEV-2", "https://example.com/1"), "open")
    blank = Shown("atlan", Asset(NAME, "Table", "g-1", "ORDERS"))
    (shown,) = assets.change_many([(blank, partial(showing.tell, key="monte-carlo#1", told=told, at=clock.now()))]).values()

    found = api("GET", f"/shown?qualified_name={NAME}")

    assert found["state"] == "due"
    assert found["badge"] == {"type": "issue", "title": "SEV-2: Too few rows", "message": "https://example.com/1"}
    assert [(one["source"], one["id"], one["version"]) for one in found["incidents"]] == [("monte-carlo", "1", 4)]
    assert (found["version"], found["version_written"]) == (1, 0)

    until = clock.now() + timedelta(minutes=1)
    assets.change_many([(shown, partial(showing.put_off, until=until, reason="answered 503"))])
    again = api("GET", f"/shown?qualified_name={NAME}&catalog=atlan")
    assert (again["state"], again["reason"]) == ("failing", "answered 503")


def test_an_asset_on_which_nothing_was_shown_and_an_unknown_catalog_are_refused(api: Api) -> None:
    assert_problem(api("GET", f"/shown?qualified_name={NAME}", None, 404), 404, "not-found")
    assert_problem(api("GET", f"/shown?qualified_name={NAME}&catalog=other", None, 422), 422, "invalid-input")


def test_tables_without_an_asset_are_listed_with_the_reason_page_by_page(api: Api) -> None:
    unresolved.save_many([missing(f"db:s.t{n}", Reason.NOT_FOUND) for n in range(3)])

    first = api("GET", "/unresolved?limit=2")
    second = api("GET", f"/unresolved?limit=2&cursor={first['next_cursor']}")

    found = [*first["items"], *second["items"]]
    assert {one["table"] for one in found} == {"db:s.t0", "db:s.t1", "db:s.t2"}
    assert {(one["reason"], one["detail"], one["incidents"]) for one in found} == {("not_found", "nobody knows it", 1)}


def test_a_map_that_is_put_is_there_and_has_missing_tables_looked_for_at_once(api: Api) -> None:
    unresolved.save_many([missing("db:s.t", Reason.UNKNOWN_CONNECTION)])
    wanted = {"qualified_name": "default/snowflake/1700000000", "kind": "snowflake", "warehouses": ["w-1"]}

    answer = api("PUT", "/connections", {"connections": [wanted]})

    assert answer == {"catalog": "atlan", "connections": [wanted], "configured": []}
    assert api("GET", "/connections") == answer
    assert connections.of("atlan") == (Connection("default/snowflake/1700000000", "snowflake", frozenset({"w-1"})),)
    assert [one for shard in range(due.SHARDS) for one in due.page("unresolved", shard, clock.now() + timedelta(seconds=1))]


@pytest.mark.parametrize("name", ["default/snowflake/1/", ""])
def test_a_connection_without_a_proper_name_is_refused(api: Api, name: str) -> None:
    wish = {"connections": [{"qualified_name": name, "kind": "snowflake"}]}

    assert_problem(api("PUT", "/connections", wish, 422), 422, "invalid-input")
