"""Plans before a person and the account of the day, however many places they are about."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lily.domain.brake import Weakening, Why, fingerprint
from lily.domain.inventory import Site, TableId
from lily.domain.rules import Principal
from lily.records import audit, held
from lily.records.audit import Facts
from lily.records.held import Decided, HeldPlan

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MANY = 10_000
FACTS = Facts("boss", "plan.confirmed", "x")


def drawn(number: int) -> str:
    """A name that nothing makes shorter."""
    return hashlib.sha512(str(number).encode()).hexdigest()[:100]


def places(count: int) -> list[Site]:
    return [Site(TableId("CRM", "PUBLIC", f"T{number // 10}"), drawn(number)) for number in range(count)]


def a_plan(count: int = 3, target: str = "snow", seed: str = "") -> HeldPlan:
    readers = frozenset(Principal("role", name) for name in ("C", "A", "B"))
    lost = tuple(Weakening(site, Why.WEAKER, f"before{seed}", "after", readers) for site in places(count))
    print_ = fingerprint(lost)
    tables = tuple(sorted({one.site.table for one in lost}))
    return HeldPlan(print_[:16], target, print_, lost, tables, ("r1", "r2"), ("ALTER 1", "ALTER 2"), count, 2 * count, NOON)


def test_a_plan_is_held_once_decided_once_and_read_as_it_was() -> None:
    plan = a_plan()

    assert held.hold(plan)
    assert not held.hold(plan)
    assert held.get("snow", plan.id) == plan
    decided = held.decide(plan, "confirmed", FACTS, NOON)
    assert held.confirmed("snow") == [decided]
    assert (decided.state, decided.decided_by, decided.weakenings) == ("confirmed", "boss", plan.weakenings)
    with pytest.raises(Decided) as refused:
        held.decide(plan, "rejected", FACTS, NOON)
    assert refused.value.state == "confirmed"
    assert [entry.action for entry in audit.page(9, None).items] == ["plan.confirmed"]
    held.settle(decided, "done")
    assert [one.state for one in held.find("snow", None, 9, None).items] == ["done"]


def test_a_plan_of_thousands_of_places_is_kept_to_the_last_of_them() -> None:
    plan = a_plan(MANY)

    assert held.hold(plan)
    decided = held.decide(plan, "confirmed", FACTS, NOON)

    assert held.confirmed("snow") == [decided]
    assert decided.weakenings == plan.weakenings


def test_what_was_decided_meanwhile_is_not_settled() -> None:
    plan = a_plan()
    held.hold(plan)
    held.decide(plan, "rejected", FACTS, NOON)

    held.settle(plan, "superseded")

    assert [one.state for one in held.undone("snow")] == ["rejected"]


def test_done_or_superseded_it_asks_again() -> None:
    plan = a_plan(MANY // 2)
    held.hold(plan)
    held.settle(plan, "superseded")
    assert held.undone("snow") == []

    assert held.hold(replace(plan, counted=7))
    (again,) = held.undone("snow")
    assert (again.counted, again.weakenings) == (7, plan.weakenings)


def test_all_that_wait_are_told_those_that_were_rejected_last_and_only_of_the_target() -> None:
    plans = [a_plan(seed=str(number)) for number in range(250)]
    for plan in plans:
        held.hold(plan)
    held.hold(a_plan(target="snowy"))
    held.decide(plans[0], "rejected", FACTS, NOON)

    found = held.undone("snow")
    assert [plan.state for plan in found] == ["pending"] * 249 + ["rejected"]
    assert {plan.id for plan in found} == {plan.id for plan in plans}
    page = held.find(None, "pending", 100, None)
    assert len(page.items) == 100
    rest = held.find(None, "pending", 1000, page.next)
    assert len({(plan.target, plan.id) for plan in (*page.items, *rest.items)}) == 250
    assert rest.next is None


def test_the_account_of_the_day_holds_thousands_of_places() -> None:
    some = frozenset(places(MANY))
    held.spend("snow", some, NOON)
    held.spend("snow", frozenset(places(3)), NOON - timedelta(hours=30))
    held.spend("snowy", frozenset(places(3)), NOON)

    found = held.spent("snow", NOON - timedelta(hours=24))

    assert frozenset(site for one in found for site in one.sites) == some
    assert {one.at for one in found} == {NOON}
    assert len(found) < 10
