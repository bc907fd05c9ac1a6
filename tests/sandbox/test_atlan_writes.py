"""What Atlan's stand-in writes, ignores and refuses, and how late others see it."""

from typing import Any

import httpx
import pytest

from tests.sandbox.atlan import CONNECTION, DAILY, GDPR, LINK, OPEN, ORDERS, PII, QUALITY, Atlan, guid
from tests.waiting import eventually

ACTIVE = {"term": {"__state": "ACTIVE"}}


def column(name: str = "EMAIL", **more: Any) -> dict[str, Any]:
    return {"typeName": "Column", "attributes": {"qualifiedName": f"{ORDERS}/{name}", "name": name}, **more}


def test_a_wrong_type_with_the_right_name_is_a_second_asset(atlan: Atlan) -> None:
    answer = atlan.upsert({"typeName": "View", "guid": "-7", "attributes": {"qualifiedName": ORDERS, "name": "ORDERS"}}).json()

    found = atlan.find({"term": {"qualifiedName": ORDERS}})["entities"]
    assert {each["typeName"] for each in found} == {"Table", "View"}
    assert answer["mutatedEntities"]["CREATE"][0]["guid"] == answer["guidAssignments"]["-7"] != guid("a01")


def test_absent_attributes_stay_and_null_clears(atlan: Atlan) -> None:
    atlan.upsert(column() | {"attributes": column()["attributes"] | {"description": "address", "userDescription": "x"}})
    atlan.upsert(column() | {"attributes": column()["attributes"] | {"userDescription": None}})

    attributes = atlan.read(guid("a02"))["attributes"]
    assert (attributes["description"], "userDescription" in attributes) == ("address", False)


def test_a_request_in_which_one_entity_is_wrong_does_nothing(atlan: Atlan) -> None:
    good = column() | {"attributes": column()["attributes"] | {"description": "new"}}
    for wrong in (
        {"typeName": "Nothing", "attributes": {"qualifiedName": "x", "name": "x"}},
        {"typeName": "Table", "attributes": {"qualifiedName": f"{ORDERS}_NEW"}},
        {"typeName": "Table", "attributes": {"qualifiedName": ORDERS, "name": "ORDERS", "announcementType": "issue"}},
        {"typeName": "Table", "attributes": {"qualifiedName": ORDERS, "name": "ORDERS", "description": "x" * 100_001}},
        column(businessAttributes={"nope": {}}),
        column(addOrUpdateClassifications=[{"typeName": "nope"}]),
        column(removeClassifications=[{"typeName": PII}]),
        column(relationshipAttributes={"table": {"typeName": "Table", "uniqueAttributes": {"qualifiedName": "nope"}}}),
    ):
        answer = atlan.upsert(good, wrong, appendTags=True)
        assert answer.status_code in (400, 404), wrong

    assert "description" not in atlan.read(guid("a02"))["attributes"]


def test_nothing_to_change_is_success_without_mutations(atlan: Atlan) -> None:
    assert atlan.upsert(column()).json()["mutatedEntities"] == {}


def test_each_flag_for_tags_means_what_the_metastore_makes_of_it(atlan: Atlan) -> None:
    one = {"typeName": PII, "propagate": False}
    other = {"typeName": GDPR, "propagate": False}

    atlan.upsert(column(classifications=[one], addOrUpdateClassifications=[one]))
    without = atlan.tags(guid("a02"))
    atlan.upsert(column(classifications=[one]), appendTags=True)
    appended_wrongly = atlan.tags(guid("a02"))
    atlan.upsert(column(addOrUpdateClassifications=[one]), appendTags=True)
    appended = atlan.tags(guid("a02"))
    atlan.upsert(column(classifications=[other]), replaceTags=True)
    replaced = atlan.tags(guid("a02"))
    atlan.upsert(column(removeClassifications=[other]), appendTags=True)

    assert (without, appended_wrongly) == (set(), set())
    assert (appended, replaced) == ({(PII, guid("a02"))}, {(GDPR, guid("a02"))})
    assert atlan.tags(guid("a02")) == set()


def test_a_tag_of_which_nothing_is_said_propagates(atlan: Atlan) -> None:
    atlan.upsert(column(addOrUpdateClassifications=[{"typeName": PII}]), appendTags=True)
    atlan.settle()

    assert atlan.tags(guid("a05")) == {(PII, guid("a02"))}


@pytest.mark.parametrize(
    ("flags", "sent", "left"),
    [
        ({}, {QUALITY: {OPEN: 5}}, {QUALITY: {OPEN: 1, LINK: "l"}}),
        ({"replaceBusinessAttributes": True}, {QUALITY: {OPEN: 5}}, {QUALITY: {OPEN: 5, LINK: "l"}}),
        ({"replaceBusinessAttributes": True}, {QUALITY: {OPEN: None}}, {QUALITY: {LINK: "l"}}),
        ({"replaceBusinessAttributes": True}, {QUALITY: {}}, None),
        ({"replaceBusinessAttributes": True}, None, {QUALITY: {OPEN: 1, LINK: "l"}}),
        ({"replaceBusinessAttributes": True, "overwriteBusinessAttributes": True}, {QUALITY: {OPEN: 5}}, {QUALITY: {OPEN: 5}}),
        ({"replaceBusinessAttributes": True, "overwriteBusinessAttributes": True}, None, None),
        ({"overwriteBusinessAttributes": True}, {QUALITY: {OPEN: 5}}, {QUALITY: {OPEN: 1, LINK: "l"}}),
    ],
)
def test_each_flag_for_custom_metadata_too(
    atlan: Atlan, flags: dict[str, bool], sent: dict[str, Any] | None, left: dict[str, Any] | None
) -> None:
    atlan.api("POST", f"entity/guid/{guid('a02')}/businessmetadata/{QUALITY}", {OPEN: 1, LINK: "l"})

    assert atlan.upsert(column(businessAttributes=sent), **flags).status_code == 200

    assert atlan.read(guid("a02")).get("businessAttributes") == left


def test_relations_are_replaced_appended_and_taken_away(atlan: Atlan) -> None:
    tables = [
        {"typeName": kind, "uniqueAttributes": {"qualifiedName": name}} for kind, name in (("Table", ORDERS), ("View", DAILY))
    ]
    incident = {"typeName": "MCIncident", "attributes": {"qualifiedName": "default/monte-carlo/1/i", "name": "i"}}
    made = atlan.upsert(incident | {"relationshipAttributes": {"mcIncidentAssets": tables[:1]}}).json()
    number = made["mutatedEntities"]["CREATE"][0]["guid"]

    def ends() -> set[str]:
        return {each["guid"] for each in atlan.read(number)["relationshipAttributes"]["mcIncidentAssets"]}

    atlan.upsert(incident | {"appendRelationshipAttributes": {"mcIncidentAssets": tables[1:]}})
    both = ends()
    atlan.upsert(incident | {"removeRelationshipAttributes": {"mcIncidentAssets": tables[:1]}})

    assert (both, ends()) == ({guid("a01"), guid("a03")}, {guid("a03")})
    assert atlan.read(guid("a01"))["relationshipAttributes"]["mcIncidents"] == []


def test_names_ignore_case_and_qualified_names_do_not(atlan: Atlan) -> None:
    def count(clause: dict[str, Any]) -> int:
        return int(atlan.find(clause)["approximateCount"])

    assert count({"term": {"name.keyword": "oRdErS"}}) == 1
    assert count({"term": {"__typeName.keyword": "CONNECTION"}}) == 1
    assert count({"term": {"qualifiedName": ORDERS.lower()}}) == 0
    assert count({"term": {"qualifiedName": {"value": ORDERS.lower(), "case_insensitive": True}}}) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"fuzzy": {"name": "x"}},
        {"bool": {"filters": []}},
        {"bool": {"filter": [{"term": {"a": 1}, "terms": {"b": []}}]}},
        {},
        {"terms": {"__guid": [str(number) for number in range(101)]}},
    ],
)
def test_a_query_that_is_not_understood_is_refused(atlan: Atlan, query: dict[str, Any]) -> None:
    assert atlan.api("POST", "search/indexsearch", {"dsl": {"query": query}}).status_code == 400


@pytest.mark.parametrize("path", ["search/indexsearch", "lineage/list", "task/search", "entity/bulk", "types/typedefs"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null"])
def test_what_is_no_object_is_refused(atlan: Atlan, path: str, body: bytes) -> None:
    assert atlan.http.post(f"/api/meta/{path}", content=body).status_code == 400


def test_a_window_ends_at_ten_thousand_and_search_after_goes_on(atlan: Atlan) -> None:
    dsl = {"query": {"match_all": {}}, "sort": [{"__guid": {"order": "asc"}}], "size": 3}
    assert atlan.api("POST", "search/indexsearch", {"dsl": dsl | {"from": 9_998}}).status_code == 400

    seen: list[str] = []
    while hits := atlan.api("POST", "search/indexsearch", {"dsl": dsl}).json()["entities"]:
        seen += [each["guid"] for each in hits]
        dsl["search_after"] = hits[-1]["sort"]

    assert seen == sorted({each["guid"] for each in atlan.get("state")["assets"]})


def test_searches_lag_behind_the_store(atlan: Atlan) -> None:
    atlan.settings(index_lag_s=0.3)
    atlan.post("edit", {"asset": ORDERS, "attributes": {"description": "new"}})

    clause = {"term": {"description": "new"}}
    assert atlan.read(guid("a01"))["attributes"]["description"] == "new"
    assert atlan.find(clause)["entities"] == []
    assert eventually(lambda: atlan.find(clause)["entities"], within_s=2)


def test_reads_of_tags_can_be_stale(atlan: Atlan) -> None:
    atlan.settings(stale_reads_s=0.3)
    atlan.post("tags", {"asset": guid("a02"), "add": [PII]})

    assert atlan.tags(guid("a02")) == set()
    eventually(lambda: atlan.tags(guid("a02")) == {(PII, guid("a02"))}, within_s=2)


def test_what_the_token_may_not_see_is_scrubbed(atlan: Atlan) -> None:
    atlan.settings(hidden=[f"{CONNECTION}/ANALYTICS/PUBLIC/ORDERS/"])

    hits = atlan.find({"prefix": {"qualifiedName": f"{ORDERS}/"}}, attributes=["dataType"])["entities"]
    assert [(each["guid"], each["attributes"]) for each in hits] == [("-1", {}), ("-1", {})]
    assert atlan.api("GET", f"entity/guid/{guid('a02')}").status_code == 403
    atlan.settings(hidden=[f"{DAILY}/"])
    walked = atlan.api("POST", "lineage/list", {"guid": guid("a02"), "direction": "OUTPUT", "depth": 1, "size": 9}).json()
    assert [(each["guid"], each["attributes"]) for each in walked["entities"]] == [("-1", {})]
    atlan.settings(hidden=[f"{ORDERS}/"])
    assert atlan.upsert(column()).json()["errorCode"] == "ATLAS-403-00-001"


def test_many_assets_by_name_leave_out_the_unknown(atlan: Atlan) -> None:
    names = {"attr_0:qualifiedName": f"{ORDERS}/NOPE", "attr_1:qualifiedName": f"{ORDERS}/PHONE"}

    found = atlan.api("GET", "entity/bulk/uniqueAttribute/type/Column", params=names).json()["entities"]

    assert [each["guid"] for each in found] == [guid("a04")]


def test_lineage_wants_a_depth_and_stops_there(atlan: Atlan) -> None:
    third = f"{CONNECTION}/ANALYTICS/PUBLIC/REPORT"
    report = {"database": "ANALYTICS", "schema": "PUBLIC", "name": "REPORT", "guid": guid("a06")}
    atlan.post("tables", {"connection": {"name": "snowflake-prod", "qualifiedName": CONNECTION}, "tables": [report]})
    atlan.post("lineage", {"inputs": [DAILY], "outputs": [third]})

    def walk(**how: Any) -> httpx.Response:
        return atlan.api("POST", "lineage/list", {"guid": guid("a01"), "direction": "OUTPUT", "size": 10, **how})

    assert walk().status_code == walk(depth=0).status_code == 400
    assert [(each["guid"], each["depth"]) for each in walk(depth=1).json()["entities"]] == [(guid("a03"), 1)]
    page = walk(depth=9, size=1).json()
    assert (page["hasMore"], page["entityCount"]) == (True, 1)
    rest = walk(depth=9, size=1, **{"from": 1}).json()
    assert ([each["guid"] for each in rest["entities"]], rest["hasMore"]) == ([guid("a06")], False)
    upstream = walk(depth=9, direction="INPUT", guid=guid("a06")).json()["entities"]
    assert {each["guid"] for each in upstream} == {guid("a01"), guid("a03")}
