"""Held plans over HTTP: seen with all that they would take away, decided once, and done when confirmed."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from lily.domain.brake import Weakening, Why, fingerprint
from lily.domain.inventory import Site
from lily.domain.rules import Principal
from lily.records import held, looks
from lily.records.held import HeldPlan
from lily.runtime import clock
from tests.app.conftest import assert_problem
from tests.app.security import CUSTOMERS, Api


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def kept(target: str = "snow", column: str = "EMAIL") -> str:
    """Hold a plan that takes a mask away; its id in the API."""
    lost = (Weakening(Site(CUSTOMERS, column), Why.WEAKER, "a", "b", frozenset({Principal("role", "A")})),)
    print_ = fingerprint(lost)
    plan = HeldPlan(
        id=print_[:16],
        target=target,
        fingerprint=print_,
        weakenings=lost,
        tables=(CUSTOMERS,),
        rules=("r1",),
        statements=("ALTER ...",),
        counted=21,
        enforced=40,
        created_at=clock.now(),
        state="pending",
    )
    assert held.hold(plan)
    return f"{target}.{plan.id}"


def test_a_held_plan_is_shown_with_all_that_it_would_take_away(api: Api) -> None:
    plan_id = kept()

    (listed,) = api("GET", "/plans")["items"]
    shown = api("GET", f"/plans/{plan_id}")

    assert {name: shown[name] for name in listed} == listed
    assert (shown["id"], shown["state"], shown["weakened"], shown["counted"]) == (plan_id, "pending", 1, 21)
    assert shown["places"] == [{"table": "CRM.PUBLIC.customers", "column": "EMAIL", "why": "weaker", "reader": ["role A"]}]
    assert shown["statements"] == ["ALTER ..."]


def test_a_confirmed_plan_is_looked_at_again_and_says_who_confirmed_it(api: Api) -> None:
    plan_id = kept()

    confirmed = api("POST", f"/plans/{plan_id}/confirm")

    assert (confirmed["state"], confirmed["decided_by"]) == ("confirmed", "reader")
    assert confirmed["decided_at"] is not None
    assert looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].due_at is not None
    assert [plan.state for plan in held.confirmed("snow")] == ["confirmed"]
    (entry,) = api("GET", "/audit")["items"]
    assert (entry["action"], entry["subject"]) == ("plan.confirmed", plan_id)


def test_a_plan_is_decided_once(api: Api) -> None:
    plan_id = kept()
    api("POST", f"/plans/{plan_id}/reject")

    assert api("POST", f"/plans/{plan_id}/reject")["state"] == "rejected"  # an answer that was lost may be asked for again
    refused = assert_problem(api("POST", f"/plans/{plan_id}/confirm", None, 409), 409, "decided")
    assert refused["state"] == "rejected"
    assert looks.get_many("snow", [CUSTOMERS])[CUSTOMERS].due_at is not None  # its rules are told
    assert len(api("GET", "/audit")["items"]) == 1


def test_a_superseded_plan_cannot_be_confirmed(api: Api) -> None:
    plan_id = kept()
    plan = held.get("snow", plan_id.partition(".")[2])
    assert plan is not None
    held.settle(plan, "superseded")

    assert assert_problem(api("POST", f"/plans/{plan_id}/confirm", None, 409), 409, "decided")["state"] == "superseded"


def test_only_who_may_weaken_decides(api: Api) -> None:
    plan_id = kept()
    author = api.as_one_who_may("rules:read rules:write admin")

    for decision in ("confirm", "reject"):
        answer = author("POST", f"/plans/{plan_id}/{decision}", None, 403)
        assert assert_problem(answer, 403, "insufficient-scope")["scope"] == "rules:weaken"
    assert author("GET", f"/plans/{plan_id}")["state"] == "pending"


def test_plans_are_found_by_target_and_state_page_by_page(api: Api) -> None:
    ids = [kept(column=f"C{n}") for n in range(3)]
    other = kept("bricks")
    api("POST", f"/plans/{ids[0]}/reject")

    def found(query: str) -> set[str]:
        return {plan["id"] for plan in api.all(f"/plans?{query}")}

    assert found("") == {*ids, other}
    assert found("target=snow") == set(ids)
    assert found("state=pending") == {*ids[1:], other}
    assert found("state=rejected&target=snow") == {ids[0]}
    assert_problem(api("GET", "/plans?state=open", None, 422), 422, "invalid-input")
    assert_problem(api("GET", "/plans?target=none", None, 422), 422, "invalid-input")


def test_a_short_id_will_do_where_only_one_target_has_it(api: Api) -> None:
    plan_id = kept()
    short = plan_id.partition(".")[2]
    assert api("GET", f"/plans/{short}")["id"] == plan_id

    same = held.get("snow", short)
    assert same is not None
    held.hold(replace(same, target="bricks"))
    missing = assert_problem(api("GET", f"/plans/{short}", None, 404), 404, "not-found")
    assert "Several targets" in missing["detail"]
    for name in ("snow.nothing", "nowhere." + short, "nothing", "x" * 500, "snow."):
        assert_problem(api("GET", f"/plans/{name}", None, 404), 404, "not-found")
