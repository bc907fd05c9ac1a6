"""Previews over HTTP: what a rule would do, worked out from what is remembered, with nothing stored and nobody asked."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.inventory import Table
from lily.domain.matching import wanted
from lily.domain.naming import body_hash, object_name
from lily.domain.proofs import Expected, ExpectedObject, Unmet
from lily.domain.propagations import State
from lily.domain.rules import Principal
from lily.domain.targets import Holders, Target
from lily.records import inventory, rules
from lily.runtime import clock
from tests.app.conftest import assert_problem
from tests.app.security import Api, a_document, annotation, listed, seen, states
from tests.domain.security import SNOW, a_table

TABLE = a_table("customers", EMAIL="text", AMOUNT="number", PLACE="vector")
SNOW_HERE = Target("snow", "lily", "deployment", SNOW.can)


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    api = Api(secured)
    listed(TABLE)
    api(
        "PUT",
        "/annotations",
        states(annotation("Email"), annotation("Money", column="AMOUNT"), annotation("Geo", column="PLACE")),
    )
    return api


def preview(api: Api, **more: Any) -> dict[str, Any]:
    """What a rule would do in the target `snow`."""
    (found,) = [one for one in api("POST", "/rules/preview", a_document(**more))["targets"] if one["target"] == "snow"]
    return dict(found)


def enforced(api: Api, rule: dict[str, Any], table: Table = TABLE) -> None:
    """Have a table remembered as carrying what a rule asks of its column EMAIL."""
    stored = rules.get(rule["id"])
    assert stored is not None
    made = wanted([stored], {table.id: {"EMAIL": frozenset({"Email"})}}, [table], SNOW_HERE, clock.now()).tables[table.id]
    spec = made.masks["EMAIL"]
    name = object_name("lily", spec)
    thing = ExpectedObject(name, spec, body_hash(spec, SNOW.can.revision))
    seen(table, Expected(table.id, masks={"EMAIL": name}, objects=(thing,)), rules=[rule["id"]], tags=made.tags)


def test_a_preview_shows_columns_statements_and_what_else_happens(api: Api) -> None:
    shown = preview(api)

    (column,) = shown["columns"]
    assert (column["table"], column["column"], column["action"], column["falls_back"]) == (
        "CRM.PUBLIC.customers",
        "EMAIL",
        "redact",
        False,
    )
    assert column["readers"] == [{"reader": [], "sees": "redact"}]
    assert shown["statements"] == ["snow: CreateMask", "snow: CreateTag", "snow: AttachMasks", "snow: SetTags"]
    assert shown["counts"] == {"tables": 1, "planned": 1, "columns": 1, "statements": 4}
    assert [(effect["code"], effect["tables"]) for effect in shown["side_effects"]] == [("ctas", 1)]
    assert shown["aims"] and not shown["brake"]["is_held"]
    assert shown["observed_at"] is None and shown["inventory_read_at"] is not None


def test_nothing_is_stored_by_a_preview(api: Api) -> None:
    answer = api("POST", "/rules/preview", a_document())

    assert answer["rule_id"] is None
    assert api.all("/rules") == []
    assert api("GET", "/audit")["items"] == []


def test_what_does_not_fit_and_what_cannot_be_protected_is_told(api: Api) -> None:
    shown = preview(api, match={"classifications": ["Money", "Geo"]}, action={"kind": "hash"})

    (column,) = shown["columns"]
    assert (column["column"], column["action"], column["falls_back"]) == ("AMOUNT", "nullify", True)
    assert [(one["column"], one["code"]) for one in shown["unsupported"]] == [("PLACE", "unsupported_type")]
    assert "falls_back" in {one["code"] for one in shown["remarks"]}


def test_who_stays_exempt_is_told_through_the_hierarchy(api: Api) -> None:
    auditor, admin = Principal("role", "AUDITOR"), Principal("role", "ACCOUNTADMIN")
    inventory.save_holders("snow", {auditor: Holders(True, frozenset({admin}), 3)})

    shown = preview(api, exempt=[{"role": "AUDITOR", "reason": "audit"}, {"role": "NEW"}, {"group": "g"}])

    assert shown["exempt"] == [
        {
            "principal": "role AUDITOR",
            "until": None,
            "reason": "audit",
            "exists": True,
            "users": 3,
            "through": ["role ACCOUNTADMIN"],
        },
        {"principal": "role NEW", "until": None, "reason": "", "exists": None, "users": None, "through": []},
    ]
    assert "secondary role" in shown["notes"][0]
    assert {tuple(sight["reader"]): sight["sees"] for sight in shown["columns"][0]["readers"]}[()] == "redact"
    assert "clear" in {sight["sees"] for sight in shown["columns"][0]["readers"]}


def test_several_rules_on_a_column_are_shown_together(api: Api) -> None:
    other = api.create(action={"kind": "nullify"}, exempt=[{"role": "A"}])

    (column,) = preview(api)["columns"]

    assert other["id"] in column["rules"] and len(column["rules"]) == 2
    assert column["readers"] == [{"reader": ["role A"], "sees": "redact"}, {"reader": [], "sees": "nullify"}]


def test_the_plan_of_a_rule_in_force_has_no_statements(api: Api) -> None:
    rule = api.create()
    assert len(api("GET", f"/rules/{rule['id']}/plan")["targets"][0]["statements"]) == 4

    enforced(api, rule)

    shown = api("GET", f"/rules/{rule['id']}/plan")
    assert (shown["rule_id"], shown["version"]) == (rule["id"], 1)
    assert shown["targets"][0]["statements"] == []
    assert shown["targets"][0]["observed_at"] is not None


def test_the_next_version_of_a_rule_is_previewed_by_its_id(api: Api) -> None:
    rule = api.create()
    enforced(api, rule)

    stricter = api("POST", "/rules/preview", rule | {"action": {"kind": "nullify"}})

    assert (stricter["rule_id"], stricter["version"]) == (rule["id"], 2)
    assert stricter["targets"][0]["statements"][0] == "snow: ChangeMask"  # in place: nothing else uses it
    assert stricter["targets"][0]["brake"]["weakened"] == 0
    assert api("GET", f"/rules/{rule['id']}")["version"] == 1
    assert_problem(api("POST", "/rules/preview", rule | {"id": "r_none"}, 404), 404, "not-found")


def test_what_a_change_would_take_away_is_told_and_whether_it_would_be_held(api: Api, web: Any) -> None:
    rule = api.create()
    enforced(api, rule)

    brake = api("POST", "/rules/preview", rule | {"match": {"classifications": ["Other"]}})["targets"][0]["brake"]
    assert (brake["weakened"], brake["enforced"], brake["is_held"]) == (1, 1, False)
    assert brake["places"] == [{"table": "CRM.PUBLIC.customers", "column": "EMAIL", "why": "removed", "reader": []}]

    web(LILY_TARGET_SNOW_BRAKE_PLACES="0")
    assert api("POST", "/rules/preview", rule | {"enabled": False})["targets"][0]["brake"]["is_held"]


def test_an_object_that_other_tables_use_takes_them_along(api: Api) -> None:
    other = a_table("others", EMAIL="text")
    listed(TABLE, other)
    api("PUT", "/annotations", states(annotation("Email", table=other.id)))
    rule = api.create()
    enforced(api, rule)
    enforced(api, rule, other)

    shown = api("POST", "/rules/preview", rule | {"action": {"kind": "nullify"}})["targets"][0]

    assert shown["statements"][0] == "snow: ChangeMask"
    assert shown["counts"]["tables"] == 2


def test_somebody_elses_policy_stays_a_conflict_and_a_failure_an_assumption(api: Api) -> None:
    rule = api.create()
    foreign = Unmet("EMAIL", "foreign", "EMAIL carries theirs")
    seen(TABLE, Expected(TABLE.id, unmet=(foreign,)), State.CONFLICT, [rule["id"]], reasons=("EMAIL carries theirs",))

    shown = api("GET", f"/rules/{rule['id']}/plan")["targets"][0]

    assert [(one["column"], one["code"]) for one in shown["conflicts"]] == [("EMAIL", "foreign")]
    assert "snow: AttachMasks" not in shown["statements"]
    assert "last_state" in {one["code"] for one in shown["remarks"]}


def test_annotated_tables_that_are_not_there_yet_are_told(api: Api) -> None:
    new = a_table("new").id
    api("PUT", "/annotations", states(annotation("Email", table=new)))

    shown = preview(api)

    assert [one["table"] for one in shown["remarks"] if one["code"] == "not_listed"] == ["CRM.PUBLIC.new"]
    assert (shown["counts"]["tables"], shown["counts"]["planned"]) == (2, 1)


def test_many_columns_are_counted_and_not_all_shown(api: Api) -> None:
    listed(*(a_table(f"t{n}", **{f"C{m}": "text" for m in range(60)}) for n in range(10)))

    shown = preview(api, match={"columns": [f"C{m}" for m in range(60)]})

    assert shown["counts"]["columns"] == 600
    assert len(shown["columns"]) == 500
    assert len(shown["statements"]) == min(200, shown["counts"]["statements"])


def test_a_preview_refuses_what_a_rule_refuses(api: Api) -> None:
    answer = api("POST", "/rules/preview", a_document(name="", targets=["x"]), 422)
    assert {fault["field"] for fault in assert_problem(answer, 422, "invalid-input")["errors"]} == {"name"}
    answer = api("POST", "/rules/preview", a_document(targets=["x"]), 422)
    assert {fault["field"] for fault in assert_problem(answer, 422, "invalid-input")["errors"]} == {"targets[0]"}


def test_the_masks_of_a_table_are_told_beforehand_and_afterwards(api: Api) -> None:
    rule = api.create()
    path = "/targets/snow/masks?table=CRM.PUBLIC.customers"

    before = api("GET", path)

    assert before["state"] is None and before["statements"]
    email, amount, _ = before["columns"]
    assert (email["column"], email["carries"], email["classifications"]) == ("EMAIL", None, ["Email"])
    assert email["wanted"]["rules"] == [rule["id"]]
    assert amount["wanted"] is None
    enforced(api, rule)
    after = api("GET", path)
    assert (after["state"], after["statements"]) == ("enforced", [])
    assert after["columns"][0]["carries"] == email["wanted"]["name"] == after["columns"][0]["wanted"]["name"]


def test_the_masks_of_a_table_nobody_knows_are_not_found(api: Api) -> None:
    assert_problem(api("GET", "/targets/snow/masks?table=CRM.PUBLIC.CUSTOMERS", None, 404), 404, "not-found")
    assert_problem(api("GET", "/targets/snow/masks?table=customers", None, 422), 422, "invalid-input")
    assert_problem(api("GET", "/targets/snow/masks", None, 422), 422, "invalid-input")
