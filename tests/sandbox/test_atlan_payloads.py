"""Each captured exchange with the vendor's client: the stand-in accepts the request and answers in the captured shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.atlan import CONNECTION, GDPR, LINK, OPEN, ORDERS, PII, QUALITY, Atlan, guid, receiving, seed

PAYLOADS = Path(__file__).parents[1] / "payloads" / "atlan"
NAMES = sorted(path.stem for path in (PAYLOADS / "api").glob("*.json") if path.stem != "errors")
NOTHING_DONE = {"bulk_append_tags", "bulk_add_remove_classifications"}  # the server ignores them
SWAPPED = {"bulk_get_by_guids", "classifications_of_asset"}  # where the guid of the view is that of its column
# what only some assets or servers have
OPTIONAL = {"lastSyncRunAt", "lastSyncRun", "lastSyncWorkflowName", "ownerUsers", "connectorName", "connectionQualifiedName"}


def exchanges(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((PAYLOADS / "api" / f"{name}.json").read_text())["exchanges"]
    return found


def alike(captured: Any, answered: Any, where: str = "") -> None:
    """All captured keys are there, with values of the same type; of lists, the element with the same guid or the first."""
    if where.endswith((".searchParameters", ".guidAssignments", ".options")):
        assert isinstance(answered, dict), where
    elif isinstance(captured, dict):
        assert isinstance(answered, dict), where
        missing = set(captured) - set(answered) - OPTIONAL
        assert not missing, f"{where} lacks {sorted(missing)}"
        for name in set(captured) & set(answered) - OPTIONAL:
            alike(captured[name], answered[name], f"{where}.{name}")
    elif isinstance(captured, list):
        assert isinstance(answered, list), where
        if captured and not where.endswith("Defs"):
            assert answered, f"{where} is empty"
        if captured and answered:
            same = [each for each in answered if isinstance(each, dict) and each.get("guid") == captured[0].get("guid")]
            alike(captured[0], (same or answered)[0], f"{where}[0]")
    elif captured is not None:
        assert type(captured) is type(answered), f"{where}: {captured!r}, {answered!r}"


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_request_is_accepted_and_answered_in_the_captured_shape(atlan_process: Atlan, name: str) -> None:
    stand_in = atlan_process
    stand_in.post("reset")
    seed(stand_in, *(("a05", "a03") if name in SWAPPED else ()))
    tags = [{"asset": guid(end), "add": [PII], "propagate": False} for end in ("a01", "a02", "a03")]
    if name not in ("bulk_replace_tags", "add_atlan_tags"):
        stand_in.post("tags", tags)
    if name == "search_with_cm":
        stand_in.api("POST", f"entity/guid/{guid('a01')}/businessmetadata/{QUALITY}", {OPEN: 1})
    if name in ("remove_custom_metadata", "bulk_remove_announcement"):
        there = {"announcementType": "issue", "announcementTitle": "old", "announcementMessage": "old"}
        stand_in.post("edit", {"asset": ORDERS, "attributes": there})

    for exchange in exchanges(name):
        request, response = exchange["request"], exchange["response"]
        url = request["path"] + (f"?{request['query']}" if request.get("query") else "")
        answer = stand_in.http.request(request["method"], url, json=request["body"])

        assert answer.status_code == response["status"], answer.text
        if name in NOTHING_DONE:
            assert answer.json()["mutatedEntities"] == {}
        elif response["status"] != 204:
            alike(response["body"], answer.json())


@pytest.mark.parametrize(
    ("when", "method", "path", "body"),
    [
        ("guid not found", "GET", f"entity/guid/{guid('a77')}", None),
        ("guid not found", "GET", f"entity/bulk?guid={guid('a01')}&guid={guid('a77')}", None),
        ("qualified name not found", "GET", f"entity/uniqueAttribute/type/Table?attr:qualifiedName={CONNECTION}/A/B/C", None),
        ("unknown type", "GET", "entity/uniqueAttribute/type/MCIncidentX?attr:qualifiedName=x", None),
        ("unknown tag", "POST", "entity/bulk?appendTags=true", "zzzz"),
        ("two tag flags at once", "POST", "entity/bulk?appendTags=true&replaceTags=true", PII),
    ],
)
def test_refusals_are_those_of_the_metastore(atlan: Atlan, when: str, method: str, path: str, body: str | None) -> None:
    listed = json.loads((PAYLOADS / "api" / "errors.json").read_text())["responses"]
    expected = next(each for each in listed if each["when"] == when)
    named = {"qualifiedName": ORDERS, "name": "ORDERS"}
    entity = {"typeName": "Table", "attributes": named, "addOrUpdateClassifications": [{"typeName": body}]}

    answer = atlan.api(method, path, None if body is None else {"entities": [entity]})

    assert (answer.status_code, answer.json()) == (expected["status"], expected["body"])


def webhook(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / "webhooks" / f"{name}.json").read_text())
    return found


def test_webhooks_have_the_documented_shape_and_headers(atlan: Atlan) -> None:
    deliveries = json.loads((PAYLOADS / "deliveries.json").read_text())
    with receiving() as receiver:
        atlan.post("webhooks", {"url": receiver.url, "secret": deliveries["secret"]})
        greeting = receiver.got[0]
        table = {"typeName": "Table", "attributes": {"qualifiedName": ORDERS, "name": "ORDERS"}}
        announced = {"announcementType": "issue", "announcementTitle": "2 open", "announcementMessage": "Volume"}
        atlan.upsert(table | {"attributes": table["attributes"] | announced})  # type: ignore[operator]
        atlan.api("POST", f"entity/guid/{guid('a01')}/businessmetadata/{QUALITY}", {OPEN: 2, LINK: "https://x.example/1"})
        atlan.post("tags", {"asset": guid("a02"), "add": [PII], "propagate": True})
        atlan.post("tags", {"asset": guid("a04"), "add": [GDPR]})
        atlan.post("tags", {"asset": guid("a04"), "remove": [GDPR]})
        atlan.settle()
        atlan.post("delete", {"asset": guid("a04")})
        atlan.post("delete", {"asset": guid("a04"), "purge": True})
        atlan.settle()

    assert json.loads(greeting.body) == webhook("validation")
    assert "x-atlan-signing-secret" not in greeting.headers
    by_what = {each.what: each for each in receiver.events}
    for name, what in {
        "entity_update_announcement": ("ENTITY_UPDATE", guid("a01")),
        "business_attribute_update": ("BUSINESS_ATTRIBUTE_UPDATE", guid("a01")),
        "classification_add_direct": ("CLASSIFICATION_ADD", guid("a02")),
        "classification_add_propagated": ("CLASSIFICATION_ADD", guid("a05")),
        "classification_delete": ("CLASSIFICATION_DELETE", guid("a04")),
    }.items():
        alike(webhook(name) | {"message": webhook(name)["message"] | {"headers": {}}}, json.loads(by_what[what].body))
        assert by_what[what].headers.items() >= deliveries["event"]["headers"].items()
    propagated = by_what["CLASSIFICATION_ADD", guid("a05")].message
    assert [tag["entityGuid"] for tag in propagated["mutatedDetails"]] == [guid("a02")]
    deleted = [each.message["entity"]["deleteHandler"] for each in receiver.events if each.what == ("ENTITY_DELETE", guid("a04"))]
    assert sorted(deleted) == ["HARD", "SOFT"]
