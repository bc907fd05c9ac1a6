"""Plans that wait for a person and are not what would happen any more, however many there are."""

from collections.abc import Callable

import pytest

from connectors import registry
from lily.domain.brake import Weakening, Why, fingerprint
from lily.domain.inventory import Site
from lily.records import held, looks
from lily.records.held import HeldPlan
from lily.runtime import clock
from tasks import doors, propagation
from tests.domain.security import a_table
from tests.tasks import toy
from tests.tasks.conftest import Lily

TABLE, OTHER = a_table("customers", email="text"), a_table("orders", email="text")
KEY = "-----BEGIN PRIVATE KEY-----" + "x" * 100


@pytest.fixture
def house(lily: Lily, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> toy.House:
    monkeypatch.setitem(registry.TARGETS, "toy", "tests.tasks.toy")
    configured(
        LILY_HASH_SALT="0123456789abcdef0123456789abcdef",
        LILY_TARGETS="toy",
        LILY_TARGET_TOY_URL="http://127.0.0.1:1",
        LILY_TARGET_TOY_USER="LILY",
        LILY_TARGET_TOY_PRIVATE_KEY=KEY,
        LILY_TARGET_TOY_HOME="GOV.LILY",
        LILY_TARGET_TOY_DATABASES="CRM",
    )
    if "toy" not in propagation.propagate_to:
        propagation.propagate_to["toy"] = propagation._register("toy")
    return toy.settle("lily", TABLE, OTHER)


def kept(number: int, *places: Site) -> HeldPlan:
    lost = tuple(Weakening(site, Why.REMOVED, f"before {number}", "") for site in places)
    print_ = fingerprint(lost)
    names = tuple(site.table for site in places)
    plan = HeldPlan(print_[:16], "toy", print_, lost, names, ("r1",), (), 20, 40, clock.now())
    assert held.hold(plan)
    return plan


def test_none_of_many_that_nothing_asks_for_any_more_is_left_to_be_confirmed(house: toy.House) -> None:
    for number in range(130):
        kept(number, Site(TABLE.id, "email"))
    wider = kept(0, Site(TABLE.id, "email"), Site(OTHER.id, "email"))

    (asked,) = looks.ask_many("toy", [TABLE.id], clock.now())
    doors.wake_target("toy", [looks.member("toy", asked.table)])

    assert [plan.id for plan in held.undone("toy")] == [wider.id]  # of a table that was not looked at nothing is known
    assert sum(plan.state == "superseded" for plan in held.find("toy", None, 1000, None).items) == 130
