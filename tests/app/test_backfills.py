"""Backfills over HTTP: asked for, refused, looked at. That they do what they say is shown in tests/tasks/test_backfill.py."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from lily.domain.backfills import Phase, State
from lily.records import backfills, due
from lily.runtime import clock, lanes
from tests.app.conftest import assert_problem
from tests.app.security import Api

SNOW, BRICKS = "default/imagined/snow", "default/imagined/bricks"


@pytest.fixture
def api(secured: FlaskClient, configured: Callable[..., None]) -> Api:
    configured(LILY_CATALOGS="atlan", LILY_CATALOG_ATLAN_URL="http://127.0.0.1:1", LILY_CATALOG_ATLAN_TOKEN="t")
    return Api(secured)


def test_a_backfill_is_due_as_soon_as_it_is_accepted_and_shows_its_progress(api: Api) -> None:
    begun = api("POST", "/annotations/sync", {"connection": SNOW, "pattern": "crm.*.*", "tags": ["PII"], "dry_run": True}, 202)
    assert (begun["catalog"], begun["state"], begun["phase"], begun["dry_run"]) == ("atlan", "running", "search", True)
    stored = backfills.get(begun["id"])
    assert stored is not None
    member = backfills.member(stored)
    waiting = due.page("backfill", due.shard(member), due.time_of(f"{due.millis(clock.now()) + 90_000:013d}"))
    assert [(one.member, one.lane_key) for one in waiting] == [(member, lanes.of_backfills("atlan"))]
    assert lanes.push(lanes.of_backfills("atlan"), []) is None

    backfills.save(replace(stored, phase=Phase.CHECK, seen=12, about=12, checked=3))

    shown = api("GET", f"/annotations/sync/{begun['id']}")
    assert (shown["phase"], shown["seen"], shown["checked"], shown["tags"]) == ("check", 12, 3, ["PII"])


def test_the_latest_backfills_come_first(api: Api) -> None:
    ids = [api("POST", "/annotations/sync", {"connection": name}, 202)["id"] for name in (SNOW, BRICKS, SNOW)]

    assert {one["id"] for one in api.all("/annotations/sync")} == set(ids)
    assert_problem(api("GET", "/annotations/sync/none", None, 404), 404, "not-found")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "connection"),
        ({"connection": "default/imagined/none"}, "connection"),
        ({"connection": SNOW, "catalog": "other"}, "catalog"),
        ({"connection": SNOW, "pattern": "a.b.c.d"}, "pattern"),
        ({"connection": SNOW, "tags": []}, "tags"),
        ({"connection": SNOW, "unknown": 1}, "unknown"),
    ],
)
def test_what_is_wrong_is_named(api: Api, wish: dict[str, object], field: str) -> None:
    refused = assert_problem(api("POST", "/annotations/sync", wish, 422), 422, "invalid-input")

    assert [fault["field"].split("[")[0] for fault in refused["errors"]] == [field]


def test_who_may_only_read_cannot_begin_one(api: Api) -> None:
    assert_problem(api.as_one_who_may("rules:read")("POST", "/annotations/sync", {}, 403), 403, "insufficient-scope")


def test_one_that_still_runs_is_not_begun_again(api: Api) -> None:
    stored = backfills.get(api("POST", "/annotations/sync", {"connection": SNOW}, 202)["id"])
    assert stored is not None

    assert backfills.start(stored, clock.now()) is None
    backfills.save(replace(stored, state=State.DONE, due_at=None, ended_at=clock.now()))
    again = backfills.start(replace(stored, version=0), clock.now())
    assert again is not None and again.state is State.RUNNING
