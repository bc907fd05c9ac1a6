"""Annotations over HTTP: the full set per source and place, in any order, and everything wrong named by its entry."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.inventory import TableId
from lily.records import annotations, looks
from lily.runtime import clock
from tests.app.conftest import assert_problem
from tests.app.security import CUSTOMERS, Api, annotation, states

CATALOG = {"LILY_CATALOGS": "atlan", "LILY_CATALOG_ATLAN_URL": "http://127.0.0.1:1", "LILY_CATALOG_ATLAN_TOKEN": "t"}


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def fields(api: Api, body: dict[str, Any]) -> list[str]:
    """What is wrong with a statement, of which nothing may be stored."""
    problem = assert_problem(api("PUT", "/annotations", body, 422), 422, "invalid-input")
    assert api.all("/annotations") == []
    return [fault["field"] for fault in problem["errors"]]


def test_a_statement_is_in_force_and_its_table_is_looked_at(api: Api) -> None:
    answer = api("PUT", "/annotations", states(annotation("Email", "PII"), annotation("Customer", column=None)))

    assert [(one["entry"], one["column"], one["classifications"], one["changed"]) for one in answer["items"]] == [
        (0, "EMAIL", ["Email", "PII"], True),
        (1, None, ["Customer"], True),
    ]
    assert looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].due_at is not None
    assert annotations.tables_with("snow", ["email"]) == {CUSTOMERS}


def test_what_is_stated_again_changes_nothing(api: Api) -> None:
    body = states(annotation("Email"), stated_at="2026-01-01T00:00:00Z")
    api("PUT", "/annotations", body)
    asked = looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].number

    (again,) = api("PUT", "/annotations", body)["items"]

    assert (again["changed"], again["outdated"]) == (False, False)
    assert looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].number == asked


def test_what_arrives_late_loses_and_says_what_holds(api: Api) -> None:
    api("PUT", "/annotations", states(annotation("Email"), stated_at="2026-01-02T00:00:00Z"))

    (late,) = api("PUT", "/annotations", states(annotation("Phone"), stated_at="2026-01-01T00:00:00Z"))["items"]

    assert (late["classifications"], late["changed"], late["outdated"]) == (["Email"], False, True)
    assert late["stated_at"] == "2026-01-02T00:00:00.000Z"


def test_an_empty_set_takes_away_what_the_source_said_and_no_more(api: Api) -> None:
    api("PUT", "/annotations", states(annotation("Email"), source="a"))
    api("PUT", "/annotations", states(annotation("Email"), source="b"))

    (gone,) = api("PUT", "/annotations", states(annotation(), source="a"))["items"]

    assert (gone["classifications"], gone["source"]) == ([], "a")
    assert annotations.tables_with("snow", ["Email"]) == {CUSTOMERS}
    (gone,) = api("PUT", "/annotations", states(annotation(), source="b"))["items"]
    assert annotations.tables_with("snow", ["Email"]) == set()


def test_an_asset_is_found_by_its_connection(api: Api) -> None:
    entry = {"asset": "default/imagined/bricks/crm/public/customers/e.mail", "classifications": ["Email"]}

    (one,) = api("PUT", "/annotations", states(entry))["items"]

    assert (one["target"], one["table"], one["column"]) == ("bricks", "crm.public.customers", "e.mail")
    assert annotations.tables_with("bricks", ["Email"]) == {TableId("crm", "public", "customers")}


def test_every_entry_that_is_wrong_is_named_and_nothing_is_stored(api: Api) -> None:
    table = {"classifications": ["Email"]}
    wrong: list[tuple[dict[str, Any], str]] = [
        (annotation("Email", target="sonw"), "target"),
        (annotation("Email", schema=""), "schema"),
        (annotation("Email", column="x" * 256), "column"),
        (annotation("Email") | {"column": 7}, "column"),
        (annotation("Email") | {"database": None}, "database"),
        (annotation("", column="A"), "classifications[0]"),
        (annotation("Email", column="B") | {"classifications": None}, "classifications"),
        (annotation("Email", column="C") | {"classifications": "Email"}, "classifications"),
        ({"asset": "default/imagined/other/A/B/C"} | table, "asset"),
        ({"asset": "default/imagined/snow/A/B"} | table, "asset"),
        ({"asset": "default/imagined/snow/A/B/C/D/E"} | table, "asset"),
        ({"asset": "default/imagined/snow/A//C"} | table, "asset"),
        ({"asset": 7} | table, "asset"),
        (table, "target"),
    ]
    good = annotation("Email", column="GOOD")

    found = fields(api, states(good, *(entry for entry, _ in wrong)))

    assert found == [f"annotations[{number}].{field}" for number, (_, field) in enumerate(wrong, 1)]


def test_one_place_cannot_have_two_full_sets_in_one_statement(api: Api) -> None:
    same = {"asset": f"default/imagined/snow/CRM/PUBLIC/{CUSTOMERS.name}/EMAIL", "classifications": []}

    assert fields(api, states(annotation("Email"), same)) == ["annotations[1]"]
    assert fields(api, states(annotation("Email", asset="default/imagined/snow/A/B/C"))) == ["annotations[0]"]


def test_a_source_whose_clock_is_far_ahead_is_refused(api: Api) -> None:
    ahead = clock.iso(clock.now() + timedelta(minutes=6))

    assert fields(api, states(annotation("Email"), stated_at=ahead)) == ["stated_at"]
    near = clock.iso(clock.now() + timedelta(minutes=4))
    assert api("PUT", "/annotations", states(annotation("Email"), stated_at=near))["items"][0]["changed"]


@pytest.mark.parametrize(
    "change",
    [
        {"source": ""},
        {"source": None},
        {"annotations": []},
        {"annotations": [annotation("X", column=str(n)) for n in range(101)]},
    ],
)
def test_a_statement_must_be_whole(api: Api, change: dict[str, Any]) -> None:
    assert fields(api, states(annotation("Email")) | change)
    assert fields(api, states(annotation("Email") | {"classification": ["Email"]}))


def test_a_hundred_columns_are_stated_at_once_and_found_page_by_page(api: Api) -> None:
    entries = [annotation("Email", column=f"C{n}", table=TableId("CRM", "PUBLIC", f"T{n % 5}")) for n in range(100)]

    answer = api("PUT", "/annotations", states(*entries))

    assert [one["column"] for one in answer["items"]] == [f"C{n}" for n in range(100)]
    assert all(one["changed"] for one in answer["items"])
    assert len(api("GET", "/annotations?limit=200")["items"]) == 100


@pytest.mark.parametrize("source", ["atlan", "atlan address.street 0a1b2c3d"])
def test_nobody_takes_a_catalogs_tags_away_in_its_name_who_may_not_weaken(
    api: Api, web: Callable[..., None], source: str
) -> None:
    web(**CATALOG)
    api("PUT", "/annotations", states(annotation("Email"), source=source))
    stranger = api.as_one_who_may("rules:read annotations:write")

    answer = stranger("PUT", "/annotations", states(annotation(), source=source), 403)
    assert assert_problem(answer, 403, "insufficient-scope")["scope"] == "rules:weaken"
    assert [one["classifications"] for one in api.all("/annotations")] == [["Email"]]
    stranger("PUT", "/annotations", states(annotation("Phone"), source="atlanta"))


def test_a_table_of_a_target_that_ignores_case_is_found_in_any_spelling(api: Api) -> None:
    api("PUT", "/annotations", states(annotation("Email") | {"target": "bricks"}))

    assert annotations.tables_with("bricks", ["email"]) == {TableId("crm", "public", "customers")}


def test_annotations_are_found_in_all_targets_or_one(api: Api) -> None:
    bricks = {"asset": "default/imagined/bricks/crm/public/customers/email", "classifications": ["Email"]}
    api(
        "PUT",
        "/annotations",
        states(annotation("Email"), annotation("Phone", column="TEL"), annotation("x", column=None), bricks),
    )

    def found(query: str = "") -> set[tuple[str, str | None]]:
        return {(one["target"], one["column"]) for one in api.all(f"/annotations?{query}")}

    assert found() == {("snow", "EMAIL"), ("snow", "TEL"), ("snow", None), ("bricks", "email")}
    assert found("target=bricks") == {("bricks", "email")}
    assert found("classification=email") == {("snow", "EMAIL"), ("bricks", "email")}
    assert found("target=snow&table=CRM.PUBLIC.customers&classification=Phone") == {("snow", "TEL")}
    for query in ("target=none", "table=CRM.PUBLIC", "table=a*.b.c"):
        assert_problem(api("GET", f"/annotations?{query}", None, 422), 422, "invalid-input")
