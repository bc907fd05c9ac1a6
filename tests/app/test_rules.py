"""Rules over HTTP: written, read, changed by whoever has seen the present version, and deleted without being forgotten."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.rules import Principal
from lily.domain.targets import Holders
from lily.records import asked, inventory
from lily.runtime import clock
from tests.app.conftest import assert_problem, bearer
from tests.app.security import Api, a_document


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def waiting(rule: dict[str, Any]) -> dict[str, int]:
    """The targets that have still to follow a rule, with the version that they were asked for."""
    return {one.target: one.version for one in asked.of_rule(rule["id"]) if one.done_at is None}


def fields(answer: Any) -> list[str]:
    return [fault["field"] for fault in assert_problem(answer, 422, "invalid-input")["errors"]]


def test_a_created_rule_is_shown_as_it_was_written_and_is_on_its_way(api: Api) -> None:
    created = api.create(name="Hide addresses", exempt=[{"role": "A", "until": "2099-01-01T00:00:00Z"}], targets=["*"])

    shown = api("GET", f"/rules/{created['id']}")
    assert shown == {name: value for name, value in created.items() if name != "warnings"}
    assert {name: shown[name] for name in a_document()} == a_document(name="Hide addresses", targets=["*"])
    assert (shown["version"], shown["enabled"], shown["deleted_at"]) == (1, True, None)
    assert shown["created_at"] == shown["changed_at"]
    assert waiting(created) == {"snow": 1, "bricks": 1}
    (entry,) = api("GET", "/audit")["items"]
    assert (entry["actor"], entry["action"], entry["subject"]) == ("reader", "rule.created", created["id"])


def test_the_answer_says_where_the_rule_is_and_what_version(api: Api) -> None:
    answer = api.http.post("/security/rules", json=a_document(), headers=bearer(scope=api.scope))

    rule = answer.get_json()
    assert answer.headers["Location"] == rule["links"]["self"] == f"http://127.0.0.1:8000/security/rules/{rule['id']}"
    assert answer.headers["ETag"] == '"1"'
    got = api.http.get(f"/security/rules/{rule['id']}", headers=bearer(scope=api.scope))
    assert got.headers["ETag"] == '"1"'
    again = api("GET", f"/rules/{rule['id']}", None, 304, If_None_Match='"1"')
    assert again.data == b""


def test_ids_sort_as_their_rules_were_made(api: Api) -> None:
    made = []
    for _ in range(3):
        made.append(api.create()["id"])
        time.sleep(0.002)  # ids tell milliseconds apart

    assert made == sorted(made)
    assert [rule["id"] for rule in api.all("/rules")] == made


def test_every_field_that_is_wrong_is_named(api: Api) -> None:
    wrong = {
        "name": "",
        "regulation": "GDRP",
        "match": {"columns": ["a..b"], "colums": []},
        "action": {"kind": "partial", "parameters": {"keep_last": -1}},
        "exempt": [{"role": "PUBLIC"}, {"role": "A", "until": "yesterday"}],
        "targets": [],
        "owner": "me",
    }

    found = fields(api("POST", "/rules", wrong, 422))

    assert {
        "name",
        "regulation",
        "match.columns[0]",
        "match.colums",
        "action.parameters.keep_last",
        "exempt[0].role",
        "exempt[1].until",
        "targets",
        "owner",
    } <= set(found)
    assert api.all("/rules") == []


def test_a_target_that_there_is_not_is_refused_with_those_that_there_are(api: Api) -> None:
    answer = api("POST", "/rules", a_document(targets=["snow", "sonw"]), 422)

    (fault,) = assert_problem(answer, 422, "invalid-input")["errors"]
    assert fault["field"] == "targets[1]"
    assert "bricks, snow" in fault["reason"]


def test_a_rule_too_large_to_be_read_with_all_others_is_refused(api: Api) -> None:
    columns = [f'"{"x" * 200}{n}"' for n in range(900)]

    assert fields(api("POST", "/rules", a_document(match={"columns": columns}), 422)) == ["match"]


def test_a_change_must_name_the_present_version(api: Api) -> None:
    rule = api.create()
    path = f"/rules/{rule['id']}"
    changed = rule | {"action": {"kind": "nullify"}}

    assert_problem(api("PUT", path, changed, 428), 428, "precondition-required")
    stale = assert_problem(api("PUT", path, changed, 412, If_Match='"2"'), 412, "outdated")
    assert stale["current_version"] == 1
    assert_problem(api("PUT", path, changed, 412, If_Match='W/"1"'), 412, "outdated")
    assert_problem(api("DELETE", path, None, 428), 428, "precondition-required")
    assert_problem(api("DELETE", path, None, 412, If_Match='"7"'), 412, "outdated")
    assert api("GET", path)["version"] == 1


def test_what_was_read_can_be_changed_and_sent_back(api: Api) -> None:
    rule = api("GET", f"/rules/{api.create()['id']}")

    changed = api.change(rule, action={"kind": "nullify"})

    assert (changed["version"], changed["action"], changed["created_at"]) == (2, {"kind": "nullify"}, rule["created_at"])
    assert api("GET", f"/rules/{rule['id']}")["version"] == 2
    assert waiting(rule) == {"snow": 2}
    assert [entry["action"] for entry in api("GET", "/audit")["items"]] == ["rule.replaced", "rule.created"]


def test_only_one_of_two_who_saw_the_same_version_changes_it(api: Api) -> None:
    rule = api.create()
    api.change(rule, name="One")

    assert_problem(api.change(rule, 412, name="Other"), 412, "outdated")
    assert api("GET", f"/rules/{rule['id']}")["name"] == "One"


def test_an_equal_document_changes_nothing(api: Api) -> None:
    rule = api.create()

    assert api.change(rule)["version"] == 1
    assert len(api.all(f"/rules/{rule['id']}/versions")) == 1


def test_a_target_left_out_and_one_added_hear_of_it(api: Api) -> None:
    rule = api.create(targets=["snow"])

    changed = api.change(rule, targets=["bricks"])
    assert waiting(rule) == {"snow": 2, "bricks": 2}
    api.change(changed, targets=["bricks"], name="Renamed")
    assert waiting(rule) == {"snow": 3, "bricks": 3}  # snow had not followed the version before yet


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exempt": [{"role": "A"}]}, "exempt[0]"),
        ({"action": {"kind": "hash"}}, "action"),
        ({"match": {"classifications": ["Phone"]}}, "match.classifications"),
        ({"enabled": False}, "enabled"),
        ({"targets": ["bricks"]}, "targets"),
    ],
)
def test_who_may_only_write_cannot_weaken(api: Api, change: dict[str, Any], field: str) -> None:
    rule = api.create()
    author = api.as_one_who_may("rules:read rules:write")

    refused = assert_problem(author.change(rule, 403, **change), 403, "insufficient-scope")
    assert refused["scope"] == "rules:weaken"
    assert [fault["field"] for fault in refused["errors"]] == [field]
    assert author("GET", f"/rules/{rule['id']}")["version"] == 1

    assert author.change(rule, action={"kind": "nullify"})["version"] == 2
    assert api.change(rule | {"version": 2}, **change)["version"] == 3


def test_who_may_only_write_cannot_delete(api: Api) -> None:
    rule = api.create()

    answer = api.as_one_who_may("rules:read rules:write")("DELETE", f"/rules/{rule['id']}", None, 403, If_Match='"1"')

    assert assert_problem(answer, 403, "insufficient-scope")["scope"] == "rules:weaken"


def test_a_deleted_rule_is_gone_and_its_versions_stay(api: Api) -> None:
    rule = api.create()

    deleted = api.delete(rule)

    assert (deleted["version"], deleted["enabled"]) == (2, False)
    assert deleted["deleted_at"] is not None
    gone = assert_problem(api("GET", f"/rules/{rule['id']}", None, 404), 404, "not-found")
    assert "was deleted at" in gone["detail"]
    assert_problem(api("DELETE", f"/rules/{rule['id']}", None, 404, If_Match='"2"'), 404, "not-found")
    assert api.all("/rules") == []
    assert [one["version"] for one in api.all(f"/rules/{rule['id']}/versions")] == [2, 1]
    assert waiting(rule) == {"snow": 2}
    assert api("GET", f"/rules/{rule['id']}/propagations")["state"] == "pending"


def test_every_version_can_be_read(api: Api) -> None:
    rule = api.create()
    for number in range(2, 5):
        rule = api.change(rule, name=f"Name {number}")

    assert [one["version"] for one in api.all(f"/rules/{rule['id']}/versions")] == [4, 3, 2, 1]
    assert api("GET", f"/rules/{rule['id']}/versions/2")["name"] == "Name 2"
    for text in ("0", "5", "x", "²", "1" * 30):
        assert_problem(api("GET", f"/rules/{rule['id']}/versions/{text}", None, 404), 404, "not-found")
    assert_problem(api("GET", "/rules/r_none/versions", None, 404), 404, "not-found")


def test_rules_are_found_by_what_they_are_about(api: Api) -> None:
    api.create(name="A", regulation="GDPR", targets=["*"])
    api.create(name="B", action={"kind": "hash"}, match={"classifications": ["Phone"]}, targets=["bricks"])
    api.create(name="C", enabled=False, description="for the auditors")

    def found(query: str) -> str:
        return "".join(sorted(rule["name"] for rule in api.all(f"/rules?{query}")))

    assert found("") == "ABC"
    assert found("regulation=GDPR") == "A"
    assert found("action=hash") == "B"
    assert found("classification=phone") == "B"
    assert found("enabled=false") == "C"
    assert found("text=AUDIT") == "C"
    assert "A" in found("target=snow") and "B" not in found("target=snow")
    assert found("regulation=PII&action=redact") == "C"


def test_a_cursor_is_good_for_its_filters_only(api: Api) -> None:
    for _ in range(2):
        api.create()
    cursor = api("GET", "/rules?limit=1")["next_cursor"]

    assert_problem(api("GET", f"/rules?limit=1&regulation=PII&cursor={cursor}", None, 400), 400, "invalid-cursor")
    assert fields(api("GET", "/rules?regulation=X", None, 422)) == ["regulation"]


def test_exempt_readers_whom_no_target_has_are_a_warning(api: Api) -> None:
    inventory.save_holders("snow", {Principal("role", "A"): Holders(True, users=2), Principal("role", "a"): Holders(False)})
    exempt = [{"role": "A"}, {"role": "a"}, {"role": "NEW"}, {"group": "auditors"}]

    warnings = {one["field"]: one["reason"] for one in api.create(exempt=exempt)["warnings"]}

    assert set(warnings) == {"exempt[1].role", "exempt[2].role", "exempt[3].group"}
    assert "does not exist in snow" in warnings["exempt[1].role"]
    assert "was not looked for in snow yet" in warnings["exempt[2].role"]
    assert "no target of the rule knows groups" in warnings["exempt[3].group"]
    assert api.create()["warnings"] == []


def test_an_exempt_role_that_everyone_holds_is_a_warning(api: Api) -> None:
    inventory.save_holders("snow", {Principal("role", "ALL_OF_US"): Holders(True, frozenset({Principal("role", "PUBLIC")}))})

    (warning,) = api.create(exempt=[{"role": "ALL_OF_US"}])["warnings"]
    assert "it exempts everyone there" in warning["reason"]


def test_without_redis_a_rule_is_stored_and_is_due(api: Api, web: Any) -> None:
    web(LILY_REDIS_URL="redis://127.0.0.1:1/0")

    rule = api.create()

    (one,) = asked.of_rule(rule["id"])
    assert one.done_at is None and one.due_at is not None and one.due_at > clock.now()


@pytest.mark.parametrize("name", ["nothing", "-", "x" * 200, "ü"])
def test_what_is_no_rule_is_not_found(api: Api, name: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/plan"),
        ("GET", "/propagations"),
        ("POST", "/propagations"),
        ("GET", "/versions/1"),
    ):
        assert_problem(api(method, f"/rules/{name}{path}", None, 404), 404, "not-found")
