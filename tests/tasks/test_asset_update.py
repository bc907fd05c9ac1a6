"""Alerts change what people see on Atlan's assets: through the inbound lanes, the records, and the asset lanes."""

from lily.domain.events import State
from lily.records import assets
from tests.tasks.badges import ONE, REPORT, TABLE, TWO, VIEW, World, world
from tests.tasks.catalog import atlan_process
from tests.tasks.conftest import an_alert

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
