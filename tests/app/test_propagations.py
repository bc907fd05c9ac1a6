"""Propagations over HTTP: how far a rule has come, table by table, and once more by hand."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.inventory import TableId
from lily.domain.propagations import Key, State, pending, reach
from lily.records import asked, propagations
from lily.records.propagations import Record
from lily.runtime import clock
from tests.app.conftest import assert_problem, bearer
from tests.app.security import CUSTOMERS, Api

ORDERS = TableId("CRM", "PUBLIC", 'or"ders')


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def came_to(rule: dict[str, Any], state: State, table: TableId = CUSTOMERS, **more: Any) -> None:
    """Have it written down that a rule came to a state at a table."""
    now = clock.now()
    begun = pending(Key(rule["id"], more.pop("version", rule["version"]), more.pop("target", "snow"), table), now, now)
    due_at = now if state in {State.PENDING, State.APPLYING} else None
    record = Record(reach(begun, state, now, more.pop("reason", ""), due_at), started_at=now, **more)
    propagations.save_many([record])


def followed(rule: dict[str, Any]) -> None:
    """Have it written down that all targets have followed a rule."""
    for one in asked.of_rule(rule["id"]):
        assert asked.finish(one, clock.now())


def state(api: Api, rule: dict[str, Any]) -> str:
    return str(api("GET", f"/rules/{rule['id']}/propagations")["state"])


def test_a_rule_is_pending_until_its_targets_have_looked_at_it(api: Api) -> None:
    rule = api.create()

    assert state(api, rule) == "pending"
    came_to(rule, State.APPLYING)
    assert state(api, rule) == "applying"
    followed(rule)
    came_to(rule, State.ENFORCED)
    assert state(api, rule) == "enforced"


def test_a_rule_that_concerns_no_table_has_nothing_to_do(api: Api) -> None:
    rule = api.create()
    followed(rule)

    assert state(api, rule) == "nothing_to_do"


def test_a_rule_is_enforced_only_if_every_table_is(api: Api) -> None:
    rule = api.create()
    followed(rule)
    came_to(rule, State.ENFORCED)
    came_to(rule, State.FAILED, ORDERS, reason="VECTOR(FLOAT, 3) cannot be masked")

    shown = api("GET", f"/rules/{rule['id']}/propagations")

    assert shown["state"] == "partly_enforced"
    assert shown["targets"][0]["tables"] == {"enforced": 1, "failed": 1}
    by_table = {one["table"]: one for one in shown["items"]}
    assert by_table['CRM.PUBLIC."or""ders"']["reason"] == "VECTOR(FLOAT, 3) cannot be masked"
    assert by_table["CRM.PUBLIC.customers"]["state"] == "enforced"


def test_what_an_earlier_version_came_to_says_nothing_of_the_present_one(api: Api) -> None:
    rule = api.create()
    followed(rule)
    came_to(rule, State.ENFORCED)
    changed = api.change(rule, action={"kind": "nullify"})

    assert state(api, rule) == "pending"
    assert api("GET", f"/rules/{rule['id']}/propagations")["version"] == 2
    followed(changed)
    came_to(changed, State.ATTACHED)
    assert state(api, rule) == "attached"


def test_what_ran_and_what_was_seen_is_shown(api: Api) -> None:
    rule = api.create()
    proof = {"outcome": "enforced", "query_ids": ["q1"], "behaviours": []}
    came_to(rule, State.ENFORCED, statements=("ALTER ...",), proof=proof, ended_at=clock.now())

    (one,) = api("GET", f"/rules/{rule['id']}/propagations")["items"]

    assert (one["statements"], one["proof"]) == (["ALTER ..."], proof)
    assert one["started_at"] and one["ended_at"] and one["due_at"] is None


def test_tables_are_found_by_target_and_state_page_by_page(api: Api) -> None:
    rule = api.create(targets=["*"])
    for number in range(3):
        came_to(rule, State.ENFORCED, TableId("CRM", "PUBLIC", f"t{number}"))
    came_to(rule, State.FAILED, ORDERS)
    came_to(rule, State.ENFORCED, target="bricks")
    path = f"/rules/{rule['id']}/propagations"

    assert len(api.all(path)) == 5
    assert {one["table"] for one in api.all(f"{path}?target=snow&state=enforced")} == {f"CRM.PUBLIC.t{n}" for n in range(3)}
    assert [one["target"] for one in api.all(f"{path}?target=bricks")] == ["bricks"]
    assert_problem(api("GET", f"{path}?state=done", None, 422), 422, "invalid-input")


def test_the_propagations_of_a_deleted_rule_stay_visible(api: Api) -> None:
    rule = api.create()
    followed(rule)
    came_to(rule, State.ENFORCED)

    deleted = api.delete(rule)

    assert state(api, rule) == "pending"  # its protection is being taken away
    followed(deleted)
    came_to(deleted, State.ENFORCED)
    shown = api("GET", f"/rules/{rule['id']}/propagations")
    assert (shown["version"], shown["state"], len(shown["items"])) == (2, "enforced", 1)


def test_by_hand_a_rule_is_looked_at_again_with_a_clean_slate(api: Api) -> None:
    rule = api.create(targets=["*"])
    path = f"/rules/{rule['id']}/propagations"
    for one in asked.of_rule(rule["id"]):
        assert asked.postpone(one, clock.now(), "it hangs", 7)
    followed(rule)

    assert api("POST", path, {"targets": ["snow"]}, 202) == {"rule_id": rule["id"], "targets": ["snow"]}
    by_target = {one["target"]: one for one in api("GET", path)["targets"]}
    assert (by_target["snow"]["done_at"], by_target["snow"]["attempts"]) == (None, 0)
    assert by_target["bricks"]["done_at"] is not None
    assert api("POST", path, None, 202)["targets"] == ["bricks", "snow"]
    assert state(api, rule) == "pending"


def test_a_retry_says_what_it_does_not_understand(api: Api) -> None:
    path = f"/rules/{api.create()['id']}/propagations"

    assert_problem(api("POST", path, {"target": "snow"}, 422), 422, "invalid-input")
    answer = api.http.post(f"/security{path}", data=b"[1]", headers=bearer(scope=api.scope))
    assert_problem(answer, 400, "invalid-json")
    assert_problem(api.as_one_who_may("rules:read")("POST", path, None, 403), 403, "insufficient-scope")
