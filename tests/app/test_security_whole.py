"""Security from the request to the warehouse and back: what the API says is what a warehouse in memory then holds."""

from collections.abc import Callable
from typing import Any

import pytest

from app import create_app
from lily.records import inventory
from lily.runtime import clock
from tests.app.conftest import SECRETS, assert_problem
from tests.app.security import Api, a_document
from tests.domain.security import a_table
from tests.tasks import toy
from tests.tasks.conftest import lily
from tests.tasks.test_propagation import CUSTOMERS, house

__all__ = ["house", "lily"]


@pytest.fixture
def api(house: toy.House, configured: Callable[..., None]) -> Api:
    configured(LILY_JWT_SECRETS=",".join(SECRETS), LILY_TARGET_TOY_CATALOG_CONNECTION="default/toy/1")
    inventory.save("toy", [CUSTOMERS], clock.now())
    return Api(create_app().test_client())


def stating(column: str, *classifications: str, table: str = "customers") -> dict[str, Any]:
    entry = {"asset": f"default/toy/1/CRM/PUBLIC/{table}/{column}", "classifications": list(classifications)}
    return {"source": "contracts", "annotations": [entry]}


def create(api: Api, **more: Any) -> dict[str, Any]:
    return api.create(**({"targets": ["toy"]} | more))


def carried() -> set[str | None]:
    return set(toy.carried(CUSTOMERS.id))


def test_a_rule_takes_effect_and_goes_without_a_trace(api: Api, house: toy.House) -> None:
    api("PUT", "/annotations", stating("email", "Email"))
    rule = create(api)

    shown = api("GET", f"/rules/{rule['id']}/propagations")
    assert (shown["state"], shown["targets"][0]["tables"]) == ("enforced", {"enforced": 1})
    assert shown["items"][0]["statements"] and shown["items"][0]["proof"]["outcome"] == "enforced"
    assert api("GET", f"/rules/{rule['id']}/plan")["targets"][0]["statements"] == []
    assert carried() == {"email"}

    deleted = api.delete(rule)
    assert api("GET", f"/rules/{rule['id']}/propagations")["state"] == "enforced"
    assert deleted["deleted_at"] and carried() == set()
    assert house.held.things == {}


def test_an_annotation_that_arrives_and_one_that_goes_take_effect(api: Api) -> None:
    create(api)

    (first,) = api("PUT", "/annotations", stating("phone", "Email"))["items"]
    assert first["changed"] and carried() == {"phone"}
    api("PUT", "/annotations", stating("phone"))
    assert carried() == set()


def test_a_rule_that_cannot_take_effect_says_so_and_is_tried_again_by_hand(api: Api, house: toy.House) -> None:
    api("PUT", "/annotations", stating("email", "Email"))
    toy.refuse("AttachMasks")
    rule = create(api)
    path = f"/rules/{rule['id']}/propagations"

    failed = api("GET", path)
    assert failed["state"] == "failed" and failed["items"][0]["reason"]
    house.fails.clear()
    api("POST", path, None, 202)
    assert api("GET", path)["state"] == "enforced"


def test_a_pipeline_holds_its_new_table_back_until_it_is_masked(api: Api, house: toy.House) -> None:
    create(api, match={"columns": ["email"]})
    new = a_table("fresh", email="text", n="number")
    toy.settle("lily", CUSTOMERS, new)
    body = {"tables": ["CRM.PUBLIC.fresh"], "wait_s": 5}

    (told,) = api("POST", "/targets/toy/protect", body)["tables"]
    assert (told["state"], told["columns"]) == ("enforced", ["email"])
    assert set(toy.carried(new.id)) == {"email"}

    (plain,) = api("POST", "/targets/toy/protect", {"tables": ["CRM.PUBLIC.customers"], "wait_s": 5})["tables"]
    assert plain["state"] in {"enforced", "nothing_to_protect"}
    missing = assert_problem(
        api("POST", "/targets/toy/protect", {"tables": ["CRM.PUBLIC.none"], "wait_s": 5}, 409), 409, "not-protected"
    )
    assert missing["tables"][0]["state"] == "missing"
    house.proves = False
    create(api, match={"columns": ["n"]})
    unproven = assert_problem(api("POST", "/targets/toy/protect", body, 409), 409, "not-protected")
    assert unproven["tables"][0]["state"] == "attached"


def test_much_at_once_waits_until_somebody_confirms_exactly_that(api: Api, configured: Callable[..., None]) -> None:
    configured(LILY_TARGET_TOY_BRAKE_PLACES="0")
    for column in ("email", "phone", "region"):
        api("PUT", "/annotations", stating(column, "Email"))
    rule = create(api)
    assert api("POST", "/rules/preview", rule | {"enabled": False})["targets"][0]["brake"]["is_held"]

    disabled = api.change(rule, enabled=False)

    assert carried() == {"email", "phone", "region"}
    assert api("GET", f"/rules/{rule['id']}/propagations")["state"] == "held"
    (plan,) = api("GET", "/plans?state=pending")["items"]
    assert (plan["weakened"], plan["tables"]) == (3, ["CRM.PUBLIC.customers"])
    held = assert_problem(api("POST", "/targets/toy/protect", {"tables": plan["tables"], "wait_s": 5}, 409), 409, "not-protected")
    assert held["tables"][0]["state"] == "held"

    assert api("POST", f"/plans/{plan['id']}/confirm")["state"] == "confirmed"
    assert carried() == set()
    assert api("GET", f"/plans/{plan['id']}")["state"] == "done"
    assert disabled["version"] == 2


def test_in_a_paused_target_nothing_happens_until_it_goes_on(api: Api, house: toy.House) -> None:
    api("POST", "/targets/pause")
    api("PUT", "/annotations", stating("email", "Email"))
    rule = create(api)

    assert house.ran == []
    (asked,) = api("GET", f"/rules/{rule['id']}/propagations")["targets"]
    assert (asked["done_at"], asked["reason"]) == (None, "target toy is paused")
    api("POST", "/targets/resume")
    api("POST", f"/rules/{rule['id']}/propagations", None, 202)
    assert carried() == {"email"}


def test_what_is_in_force_is_compared_at_once(api: Api, house: toy.House) -> None:
    api("PUT", "/annotations", stating("email", "Email"))
    create(api)
    house.held.tables[CUSTOMERS.id].masks.clear()  # somebody took it off by hand

    api("POST", "/reconcile", None, 202)

    (drift,) = api("GET", "/drift")["items"]
    assert (drift["kind"], drift["column"]) == ("detached", "email")
    assert drift["repaired_at"] is not None
    assert carried() == {"email"}
    assert api("POST", "/rules", a_document(targets=["snow"]), 422)  # the only target here is toy
