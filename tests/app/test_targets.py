"""Targets over HTTP: how they are, what may be done to them, and which tables they hold."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from app import create_app
from lily.domain.propagations import State
from lily.domain.targets import Mode
from lily.records import target_states
from lily.runtime import clock
from lily.runtime.settings import SettingsError
from tests.app.conftest import assert_problem
from tests.app.security import Api, listed, seen
from tests.domain.security import a_table


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def modes(api: Api) -> dict[str, str]:
    return {one["name"]: one["mode"] for one in api("GET", "/targets")["items"]}


def test_a_target_nobody_has_looked_at_says_so(api: Api) -> None:
    shown = api("GET", "/targets/snow")

    assert (shown["mode"], shown["configured_mode"], shown["proves"], shown["trouble"]) == ("enforce", "enforce", None, "")
    assert shown["inventory"] == {"read_at": None, "age_s": None}
    assert shown["tables"] == {}


def test_a_target_tells_how_it_is(api: Api) -> None:
    target_states.note_check("snow", False, ("A parameter is off",), "it shows all readers the same", clock.now())
    listed(a_table("a", x="text"), read_at=clock.now() - timedelta(seconds=90))
    seen(a_table("a", x="text"))
    seen(a_table("b", x="text"), outcome=State.FAILED)
    seen(a_table("c", x="text"))

    shown = {one["name"]: one for one in api("GET", "/targets")["items"]}["snow"]

    assert (shown["proves"], shown["trouble"]) == (False, "it shows all readers the same")
    assert shown["remarks"] == ["A parameter is off"]
    assert shown["checked_at"] is not None
    assert 89 < shown["inventory"]["age_s"] < 150
    assert shown["tables"] == {"enforced": 2, "failed": 1}
    assert api("GET", "/targets/snow")["tables"] == shown["tables"]


def test_a_mode_that_was_changed_holds_and_says_by_whom(api: Api) -> None:
    assert api("PUT", "/targets/snow/mode", {"mode": "report"})["mode"] == "report"

    shown = api("GET", "/targets/snow")
    assert (shown["mode"], shown["configured_mode"], shown["changed_by"]) == ("report", "enforce", "reader")
    assert shown["changed_at"] is not None
    assert target_states.mode("snow") is Mode.REPORT
    assert modes(api) == {"bricks": "enforce", "snow": "report"}
    (entry,) = api("GET", "/audit")["items"]
    assert (entry["action"], entry["subject"], entry["details"]["mode"]) == ("target.mode_changed", "snow", "report")


def test_one_call_pauses_all_and_one_lets_them_go_on(api: Api) -> None:
    assert api("POST", "/targets/pause")["changed"] == ["bricks", "snow"]
    assert modes(api) == {"bricks": "paused", "snow": "paused"}

    api("PUT", "/targets/bricks/mode", {"mode": "report"})
    assert api("POST", "/targets/resume")["changed"] == ["snow"]
    assert modes(api) == {"bricks": "report", "snow": "enforce"}
    actions = [entry["action"] for entry in api("GET", "/audit")["items"]]
    assert actions == ["targets.resumed", "target.mode_changed", "targets.paused"]


def test_a_target_paused_by_its_settings_stays_so(api: Api, web: Callable[..., None]) -> None:
    web(LILY_TARGET_SNOW_MODE="paused")

    assert modes(api) == {"bricks": "enforce", "snow": "paused"}
    assert api("POST", "/targets/resume")["changed"] == []
    assert modes(api) == {"bricks": "enforce", "snow": "paused"}


def test_only_an_operator_changes_modes(api: Api) -> None:
    author = api.as_one_who_may("rules:read rules:write rules:weaken")

    for method, path, body in (("PUT", "/targets/snow/mode", {"mode": "paused"}), ("POST", "/targets/pause", None)):
        assert assert_problem(author(method, path, body, 403), 403, "insufficient-scope")["scope"] == "admin"
    assert_problem(api("PUT", "/targets/snow/mode", {"mode": "off"}, 422), 422, "invalid-input")
    assert modes(author) == {"bricks": "enforce", "snow": "enforce"}


def test_a_target_that_there_is_not_is_not_found(api: Api) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "/mode", {"mode": "paused"}),
        ("GET", "/tables", None),
        ("GET", "/masks?table=A.B.C", None),
        ("POST", "/protect", {"tables": ["A.B.C"]}),
    ):
        assert_problem(api(method, f"/targets/nowhere{path}", body, 404), 404, "not-found")


def test_tables_are_found_by_part_of_their_path_page_by_page(api: Api) -> None:
    listed(*(a_table(f"Customers_{n}", EMAIL="text") for n in range(3)), a_table("a.b", x="vector"))

    names = [one["name"] for one in api.all("/targets/snow/tables")]
    assert sorted(names) == ["Customers_0", "Customers_1", "Customers_2", "a.b"]
    assert len(api.all("/targets/snow/tables?text=customer")) == 3
    (odd,) = api("GET", "/targets/snow/tables?text=a.b")["items"]
    assert odd["table"] == 'CRM.PUBLIC."a.b"'
    assert odd["columns"] == [{"name": "x", "type": "VECTOR(FLOAT, 3)", "family": "other"}]
    assert api("GET", "/targets/bricks/tables")["items"] == []
    assert api("GET", "/targets/snow/tables")["inventory"]["read_at"] is not None


def test_a_target_that_no_connector_serves_is_told_at_the_start(secured: FlaskClient, web: Callable[..., None]) -> None:
    web(LILY_TARGET_SNOW_KIND="snwoflake")

    with pytest.raises(SettingsError) as caught:
        create_app()

    assert "snwoflake" in caught.value.faults["LILY_TARGET_SNOW_KIND"]
