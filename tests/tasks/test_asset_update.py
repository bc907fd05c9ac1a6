"""Alerts change what people see on Atlan's assets: through the inbound lanes, the records, and the asset lanes."""

import itertools
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest

from connectors import atlan as connector
from lily.domain import showing
from lily.domain.assets import Asset, Connection, Reason
from lily.domain.badges import OpenIncident
from lily.domain.catalog import Announcement
from lily.domain.events import State
from lily.domain.showing import Entry, Shown
from lily.records import assets, connections, events, incidents, unresolved
from lily.runtime import clock, lanes, redis_pool
from tasks import asset_update, bringing, doors
from tests.tasks.badges import APOLLO, MC, ONE, REPORT, TABLE, TWO, VIEW, World, world
from tests.tasks.catalog import SNOW, atlan_process
from tests.tasks.conftest import Lily, an_alert
from tests.waiting import eventually

__all__ = ["atlan_process", "world"]


def test_an_alert_is_seen_on_its_asset_until_it_is_resolved(world: World) -> None:
    world.alert()

    badge = world.badge()
    assert badge is not None
    assert (badge.type, badge.title) == ("issue", "Has 42 rows vs. 101 expected")
    assert badge.message == f"https://getmontecarlo.com/incidents/{ONE}"
    assert 1 in world.quality().values()
    assert not world.owing()

    world.fixed()
    world.shows(None)
    assert 0 in world.quality().values()


def test_one_of_two_incidents_resolved_leaves_the_badge(world: World) -> None:
    world.alert(ONE)
    world.alert(TWO)
    world.shows("2 open incidents")

    world.fixed(ONE)

    world.shows("Has 42 rows vs. 101 expected")
    world.fixed(TWO)
    world.shows(None)


def test_many_alerts_on_one_asset_are_few_writes(world: World) -> None:
    for number in range(40):
        world.alert(f"{number:08d}-1111-4111-8111-111111111111")

    world.shows("40 open incidents")

    writes = world.writes()
    assert len(writes) <= 5
    times = [datetime.fromisoformat(write["at"]) for write in writes]
    assert all((after - before).total_seconds() >= 0.65 for before, after in itertools.pairwise(times))


def test_a_persons_announcement_stays_where_it_was_first(world: World) -> None:
    world.announce("Moved to the lake on Monday")

    world.alert()
    shown = assets.get("atlan", TABLE)
    assert shown is not None
    assert shown.kept == Announcement("information", "Moved to the lake on Monday")
    world.fixed()
    world.settle()

    badge = world.badge()
    assert badge is not None
    assert badge.title == "Moved to the lake on Monday"


def test_a_persons_announcement_that_replaces_a_badge_is_not_taken_away(world: World) -> None:
    world.alert()
    world.announce("We know, it is the migration")

    world.fixed()
    world.settle()

    badge = world.badge()
    assert badge is not None
    assert badge.title == "We know, it is the migration"


def test_a_persons_announcement_is_put_back_where_that_is_wanted(world: World, configured: Callable[..., None]) -> None:
    configured(LILY_CATALOG_ATLAN_FOREIGN_ANNOUNCEMENTS="put_back")
    world.announce("Moved to the lake on Monday")

    world.alert()
    badge = world.badge()
    assert badge is not None
    assert badge.type == "issue"

    world.fixed()
    world.shows("Moved to the lake on Monday")


def test_what_is_made_from_an_asset_in_trouble_warns_until_that_is_over(world: World) -> None:
    world.atlan.post("lineage", [{"inputs": [TABLE], "outputs": [VIEW]}, {"inputs": [VIEW], "outputs": [REPORT]}])

    world.alert()

    for name in (VIEW, REPORT):
        badge = world.badge(name)
        assert badge is not None
        assert (badge.type, badge.title) == ("warning", "Open incidents upstream in ARTEMIS")
    world.alert(TWO, "athena")
    world.shows("Has 42 rows vs. 101 expected", VIEW)
    world.fixed(TWO, "athena")
    world.shows("Open incidents upstream in ARTEMIS", VIEW)
    world.fixed()
    world.shows(None, VIEW)
    world.shows(None, REPORT)


class Killed(BaseException):
    """The worker dies here."""


KILLS = {
    "before the incident is looked at": (incidents, "load_many"),
    "before the asset knows of it": (assets, "change_many"),
    "before the event is done with": (events, "end_badges"),
    "before the badge is written": (connector, "write_many"),
    "after the badge was written": (asset_update, "_measure"),
}


@pytest.mark.parametrize("when", KILLS)
def test_a_worker_killed_between_publishing_and_the_badge_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(bringing, "wake", lambda _: None)  # nothing takes it up yet
        receipt = world.lily.deliver(an_alert())
    assert [message["type"] for message in world.lily.messages()] == ["lily.incident.opened"]
    batch = lanes.push(lanes.of_badges("atlan"), [f"b:{receipt.event_id}"])
    assert batch is not None
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(*KILLS[when], kill)
        asset_update.work_on(batch)
    redis_pool.client().flushall()

    world.sweep_after(5)
    world.sweep_after(10)

    world.shows("Has 42 rows vs. 101 expected")
    assert world.owes_nothing()


def test_a_table_that_the_catalog_lacks_is_listed_and_shown_once_it_is_there(world: World) -> None:
    world.alert(table="apollo")

    (missing,) = unresolved.page(10, None).items
    assert (missing.why.table, missing.why.reason) == ("zeus:ares.apollo", Reason.NOT_FOUND)
    assert missing.incidents == (("monte-carlo", ONE),)

    world.add("APOLLO")
    world.sweep_after(120)

    assert unresolved.page(10, None).items == ()
    world.shows("Has 42 rows vs. 101 expected", APOLLO)


def test_a_new_connection_brings_what_waited_for_it_to_its_assets(world: World, configured: Callable[..., None]) -> None:
    configured(LILY_CONNECTION_SNOW_QUALIFIED_NAME="default/snowflake/1600000000")
    world.alert()
    assert [missing.why.reason for missing in unresolved.page(10, None).items] == [Reason.NOT_FOUND]

    connections.put("atlan", [Connection(SNOW, "snowflake")], "test", clock.now())
    bringing.wake(unresolved.make_due("atlan", clock.now()))

    world.shows("Has 42 rows vs. 101 expected")
    assert unresolved.page(10, None).items == ()


@pytest.mark.parametrize("after_s", [1, None])
def test_a_catalog_that_answers_429_gets_its_badges_later(
    world: World, configured: Callable[..., None], after_s: float | None
) -> None:
    configured(LILY_CATALOG_ATLAN_BLOCK_S="0.5", LILY_CATALOG_ATLAN_TIMEOUT_S="0.3")
    world.atlan.post("faults", {"kind": "status", "status": 429, "count": 2, "retry_after_s": after_s})

    world.alert()

    assert [message["type"] for message in world.lily.messages()] == ["lily.incident.opened"]

    def is_seen() -> bool:
        world.sweep_after(60)
        return world.badge() is not None

    eventually(is_seen, within_s=10)


def test_an_asset_that_is_refused_does_not_delay_its_neighbours(world: World) -> None:
    lengths = {TABLE: 100_001, VIEW: 10}  # of a link: the vendor takes 100,000 characters
    for name, length in lengths.items():
        told = Entry(1, OpenIncident(ONE, "Broken", "SEV-1", "x" * length), "open")
        blank = Shown("atlan", Asset(name, "Table", "", name.rpartition("/")[2]))
        assets.change_many([(blank, partial(showing.tell, key="mc#1", told=told, at=clock.now()))])

    doors.wake(lanes.of_badges("atlan"), [assets.member("atlan", name) for name in lengths])

    assert world.badge(VIEW) is not None
    assert world.badge(TABLE) is None
    refused = assets.get("atlan", TABLE)
    assert refused is not None
    assert refused.owes_write
    assert "400" in refused.reason


def test_a_purged_asset_is_given_up_and_its_successor_gets_the_badge(world: World) -> None:
    world.alert()
    world.atlan.delete(TABLE, purge=True)
    world.alert(TWO)
    world.settle()
    shown = assets.get("atlan", TABLE)
    assert shown is not None
    assert shown.reason == "not in the catalog"

    world.add("ARTEMIS")
    world.sweep_after(300)
    world.sweep_after(400)

    badge = world.badge()
    assert badge is not None
    assert badge.title == "2 open incidents"


def test_an_incident_becomes_an_asset_where_there_is_a_connection_for_it(world: World, configured: Callable[..., None]) -> None:
    named = {"name": "mc", "qualifiedName": MC, "connectorName": "monte-carlo"}
    world.atlan.post("assets", {"assets": [{"typeName": "Connection", "attributes": named}]})
    configured(LILY_CATALOG_ATLAN_INCIDENT_CONNECTION=MC)

    world.alert()
    assert world.asset(f"{MC}/incident/{ONE}")["attributes"]["mcIncidentState"] == "NO_STATUS"

    world.fixed()
    world.shows(None)
    assert world.asset(f"{MC}/incident/{ONE}")["attributes"]["mcIncidentState"] == "FIXED"


def test_events_without_a_catalog_owe_nothing(lily: Lily) -> None:
    event = lily.event(lily.deliver(an_alert()))

    assert (event.state, event.due_at, event.badge_due_at) == (State.PUBLISHED, None, None)
