"""Lily's requests beside those that the vendor's own client was seen to send for the same purpose."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors import atlan
from connectors.registry import connection_map
from lily.domain.assets import Asset, TableRef
from lily.domain.catalog import Announcement, AssetWrite, Attached, Downstream, IncidentAsset, Priority, Quality
from tests.connectors.atlan_api import Answer, Asked, captured, error, replay
from tests.connectors.atlan_fixtures import SNOW

PII = "yiB7RLvdC2yeryLPjaDeHM"
ORDERS = Asset(f"{SNOW}/ANALYTICS/PUBLIC/ORDERS", "Table", "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a01", "ORDERS")
DAILY = Asset(f"{SNOW}/ANALYTICS/PUBLIC/ORDERS_DAILY", "View", "", "ORDERS_DAILY")
EMAIL = Asset(f"{SNOW}/ANALYTICS/PUBLIC/ORDERS/EMAIL", "Column", "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a02", "EMAIL")
OWN_WAY = ("size", "attributes", "relationAttributes", "excludeClassifications", "excludeMeanings", "requestMetadata")


def theirs(call: str, at: int = 0) -> dict[str, Any]:
    request: dict[str, Any] = captured(call)[at]["request"]
    return request


def assert_same_place(asked: Asked, request: dict[str, Any]) -> None:
    assert asked.method == request["method"]
    assert asked.path == request["path"].rstrip("/")
    assert dict(asked.query) == parse_qs(request["query"])
    for header in ("authorization", "accept", "content-type"):
        assert asked.headers[header] == (request.get("headers") or {}).get(header, asked.headers[header])


def plainly(query: Any) -> Any:
    """A search without the ways in which clients are free: defaults written out, or one of two spellings of a term."""
    if isinstance(query, dict):
        if set(query) == {"value", "case_insensitive"} or set(query) == {"value"}:
            return query["value"]
        made = {key: plainly(value) for key, value in query.items() if key not in OWN_WAY and key != "aggregations"}
        if set(made) == {"terms"} and all(isinstance(value, list) and len(value) == 1 for value in made["terms"].values()):
            return {"term": {key: value[0] for key, value in made["terms"].items()}}
        return made
    return [plainly(one) for one in query] if isinstance(query, list) else query


def filters(body: Any) -> list[Any]:
    found: list[Any] = plainly(body)["dsl"]["query"]["bool"]["filter"]
    return found


def test_each_call_says_whose_it_is_so_that_events_can_be_told_to_be_echoes(catalog, atlan_api):
    atlan_api.answers += [replay("get_by_guid_min"), replay("get_by_guid_min")]
    for _ in range(2):
        atlan.read_guid(catalog, ORDERS.guid, priority=Priority.BADGE)

    assert {asked.headers["x-atlan-agent-id"] for asked in atlan_api.asked} == {"lily"}
    assert len({asked.headers["x-atlan-request-id"] for asked in atlan_api.asked}) == 2
    assert "x-atlan-client-origin" not in atlan_api.last.headers  # which would pass Lily off as the vendor's own UI


def test_tables_are_looked_for_by_qualified_name(catalog, atlan_api):
    atlan_api.answers.append(replay("search_by_qualified_names"))

    found = atlan.resolve(catalog, [TableRef("analytics:public.orders")], connection_map(catalog))

    assert found == {TableRef("analytics:public.orders"): ORDERS}
    [asked] = atlan_api.asked
    assert_same_place(asked, theirs("search_by_qualified_names"))
    own, captured_ = plainly(asked.body), plainly(theirs("search_by_qualified_names")["body"])
    [state, names] = filters(asked.body)
    [their_state, their_names] = filters(theirs("search_by_qualified_names")["body"])
    assert state == their_state
    assert names["terms"].keys() == their_names["terms"].keys()
    assert ORDERS.qualified_name in names["terms"]["qualifiedName"]
    assert {**own["dsl"], "query": 0} == {**captured_["dsl"], "query": 0}


def test_what_has_another_case_is_looked_for_by_name(catalog, atlan_api):
    atlan_api.answers += [Answer(body={"entities": []}), replay("search_by_name_type_connection")]

    atlan.resolve(catalog, [TableRef("analytics:public.orders")], connection_map(catalog))

    asked = atlan_api.last
    request = theirs("search_by_name_type_connection")
    assert_same_place(asked, request)
    [state, types, connection, its_name] = filters(asked.body)
    [their_state, their_types, their_connection, their_name] = filters(request["body"])
    assert (state, connection, its_name) == (their_state, their_connection, their_name)
    assert set(types["terms"]["__typeName.keyword"]) > set(their_types["terms"]["__typeName.keyword"])


def test_tagged_assets_are_looked_for_by_tag_id_in_pages(catalog, atlan_api):
    atlan_api.answers.append(replay("search_tagged"))

    page = atlan.tagged(catalog, SNOW, [PII], None)

    assert [state.tags for state in page.states] == [{PII}]
    assert (page.next, page.about) == (None, 1)
    [state, tags, prefix, types] = filters(atlan_api.last.body)
    [their_state, their_tags, their_prefix, _] = filters(theirs("search_tagged")["body"])
    assert (state, tags, prefix) == (their_state, their_tags, their_prefix)
    assert "Column" in types["terms"]["__typeName.keyword"]
    assert atlan_api.last.body["excludeClassifications"] is False


def test_connections_are_found(catalog, atlan_api):
    atlan_api.answers.append(replay("find_connections"))

    [found] = atlan.connections(catalog)

    assert (found.asset.name, found.connection) == ("snowflake-prod", SNOW)
    types = filters(atlan_api.last.body)[1]
    assert types["term"]["__typeName.keyword"].upper() == "CONNECTION"


def test_assets_are_read_back_by_qualified_name(catalog, atlan_api):
    atlan_api.answers.append(replay("bulk_get_by_qualified_names"))
    missing = Asset(f"{SNOW}/ANALYTICS/PUBLIC/ORDERS/NOPE", "Column", "", "NOPE")

    read = atlan.read_many(catalog, [EMAIL, missing], priority=Priority.READ_BACK)

    [asked] = atlan_api.asked
    assert_same_place(asked, theirs("bulk_get_by_qualified_names"))
    assert set(read) == {EMAIL.qualified_name}
    state = read[EMAIL.qualified_name]
    assert (state.asset, state.is_active, state.attached) == (EMAIL, True, {Attached(PII, EMAIL.guid)})
    assert (state.found.database, state.found.schema, state.found.table) == ("ANALYTICS", "PUBLIC", "ORDERS")
    assert state.announcement is None


def test_one_asset_is_read_by_guid(catalog, atlan_api):
    atlan_api.answers += [replay("get_by_guid_min"), error("guid not found")]

    state = atlan.read_guid(catalog, ORDERS.guid, priority=Priority.READ_BACK)

    assert_same_place(atlan_api.last, theirs("get_by_guid_min"))
    assert state is not None
    assert state.asset == ORDERS
    assert atlan.read_guid(catalog, "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a77", priority=Priority.READ_BACK) is None


def entities(body: Any) -> list[dict[str, Any]]:
    """The entities of an upsert but for their guids, which clients make up."""
    kept = [{key: value for key, value in entity.items() if key != "guid" and value is not None} for entity in body["entities"]]
    for entity in kept:
        for related in entity["attributes"].get("mcIncidentAssets", ()):
            related.pop("attributes", None)
    return kept


def test_announcements_of_many_assets_go_in_one_request(catalog, atlan_api):
    atlan_api.answers.append(replay("bulk_set_announcement"))
    writes = [
        AssetWrite(ORDERS, Announcement("issue", "2 open incidents", "See Monte Carlo")),
        AssetWrite(DAILY, Announcement("warning", "Upstream incident", "ORDERS")),
    ]

    assert atlan.write_many(catalog, writes) == {}

    [asked] = atlan_api.asked
    assert_same_place(asked, theirs("bulk_set_announcement"))
    assert entities(asked.body) == entities(theirs("bulk_set_announcement")["body"])
    assert [entity["guid"] for entity in asked.body["entities"]] == [ORDERS.guid, "-2"]


def test_announcements_are_taken_away_with_nulls(catalog, atlan_api):
    assert atlan.write_many(catalog, [AssetWrite(ORDERS, clear=True)]) == {}

    assert_same_place(atlan_api.last, theirs("bulk_remove_announcement"))
    assert entities(atlan_api.last.body) == entities(theirs("bulk_remove_announcement")["body"])


def test_an_asset_that_has_nothing_to_be_changed_is_left_as_it_is(catalog, atlan_api):
    atlan.write_many(catalog, [AssetWrite(ORDERS)])

    assert entities(atlan_api.last.body)[0]["attributes"] == {"qualifiedName": ORDERS.qualified_name, "name": "ORDERS"}


def test_custom_metadata_is_merged_by_the_ids_of_its_fields(set_up_catalog, catalog_name, atlan_api, redis_server):
    set_up_catalog(CUSTOM_METADATA="Data quality")
    atlan_api.answers += [replay("save_merging_cm", 0), replay("save_merging_cm", 1)]

    assert atlan.write_many(catalog_name, [AssetWrite(ORDERS, quality=Quality(2))]) == {}

    [typedefs, upsert] = atlan_api.asked
    assert_same_place(typedefs, theirs("save_merging_cm", 0))
    assert_same_place(upsert, theirs("save_merging_cm", 1))
    [[own_set, values]] = upsert.body["entities"][0]["businessAttributes"].items()
    [[their_set, their_values]] = theirs("save_merging_cm", 1)["body"]["entities"][0]["businessAttributes"].items()
    assert own_set == their_set
    assert values.items() <= their_values.items()  # of Lily's fields there is one in that set


def test_custom_metadata_is_made_where_it_is_missing_and_read_once(catalog, atlan_api):
    atlan_api.answers.append(replay("save_merging_cm", 0))
    made = {"name": "L1", "displayName": "Lily", "attributeDefs": [{"name": "f1", "displayName": "Open incidents"}]}
    atlan_api.rules.append(lambda asked: Answer(body={"businessMetadataDefs": [made]}) if "types" in asked.path else None)

    for count in (1, 2):
        assert atlan.write_many(catalog, [AssetWrite(ORDERS, quality=Quality(count, "SEV-1"))]) == {}

    [_, making, first, second] = atlan_api.asked
    assert (making.method, making.path) == ("POST", "/api/meta/types/typedefs")
    [definition] = making.body["businessMetadataDefs"]
    assert [field["displayName"] for field in definition["attributeDefs"]][:2] == ["Open incidents", "Worst severity"]
    written = [asked.body["entities"][0]["businessAttributes"] for asked in (first, second)]
    assert written == [{"L1": {"f1": 1}}, {"L1": {"f1": 2}}]


def test_badges_are_written_where_custom_metadata_may_not_be_made(catalog, atlan_api):
    atlan_api.answers += [Answer(body={}), Answer(400, {"errorCode": "ATLAS-400-00-001"})]

    assert atlan.write_many(catalog, [AssetWrite(ORDERS, Announcement("issue", "1"), quality=Quality(1))]) == {}

    assert "businessAttributes" not in atlan_api.last.body["entities"][0]
    assert atlan_api.last.query["replaceBusinessAttributes"] == ["false"]


INCIDENT = IncidentAsset(
    "4f5c",
    "acknowledged",
    "Volume anomaly on ORDERS",
    "https://getmontecarlo.com/alerts/4f5c",
    "anomaly",
    ("volume",),
    "SEV-2",
    "P2",
    "snowflake",
    (ORDERS,),
)


def test_an_incident_that_has_no_asset_gets_one_under_lilys_connection(set_up_catalog, catalog_name, atlan_api, redis_server):
    set_up_catalog(INCIDENT_CONNECTION="default/monte-carlo/1732400000")

    for _ in range(2):
        assert atlan.write_many(catalog_name, [AssetWrite(ORDERS, Announcement("issue", "1"))], [INCIDENT]) == {}

    [looked, first, second] = atlan_api.asked
    assert filters(looked.body)[1:] == [{"term": {"__typeName.keyword": "MCIncident"}}, {"term": {"mcIncidentId": "4f5c"}}]
    assert first.body == second.body
    assert_same_place(first, theirs("save_mc_incident"))
    assert entities(first.body)[1:] == entities(theirs("save_mc_incident")["body"])


def test_an_incident_that_the_vendors_connector_made_only_gets_its_state(catalog, atlan_api):
    attributes = {"qualifiedName": "default/monte-carlo/1/x", "name": "theirs", "mcIncidentId": "4f5c"}
    known = {"typeName": "MCIncident", "guid": "g-9", "status": "ACTIVE", "attributes": attributes}
    atlan_api.answers.append(Answer(body={"entities": [known]}))

    atlan.write_many(catalog, [AssetWrite(ORDERS, Announcement("issue", "1"))], [INCIDENT])

    [_, entity] = atlan_api.last.body["entities"]
    assert entity == {
        "typeName": "MCIncident",
        "guid": "g-9",
        "attributes": {
            "qualifiedName": "default/monte-carlo/1/x",
            "name": "theirs",
            "mcIncidentState": "INVESTIGATING",
            "mcIncidentSeverity": "SEV-2",
            "mcIncidentPriority": "P2",
        },
        "appendRelationshipAttributes": {
            "mcIncidentAssets": [{"typeName": "Table", "uniqueAttributes": {"qualifiedName": ORDERS.qualified_name}}]
        },
    }


def test_without_a_connection_of_its_own_lily_makes_no_incidents(catalog, atlan_api):
    atlan.write_many(catalog, [AssetWrite(ORDERS, Announcement("issue", "1"))], [INCIDENT])

    assert [entity["typeName"] for entity in atlan_api.last.body["entities"]] == ["Table"]


def test_lineage_is_asked_for_once_in_hours(catalog, atlan_api):
    atlan_api.answers.append(replay("lineage_downstream_where"))
    view = Asset(f"{SNOW}/ANALYTICS/PUBLIC/ORDERS_DAILY", "View", "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a03", "ORDERS_DAILY")

    assert atlan.downstream(catalog, ORDERS, 2) == [Downstream(view, 1)]
    assert atlan.downstream(catalog, ORDERS, 2) == [Downstream(view, 1)]

    [asked] = atlan_api.asked
    request = theirs("lineage_downstream_where")
    assert_same_place(asked, request)
    free = {"attributes": 0, "depth": 0}
    assert asked.body | free == request["body"] | free
    assert asked.body["depth"] == 2


def test_tags_have_names_and_ids(catalog, atlan_api):
    atlan_api.answers.append(replay("typedefs_classification"))

    assert atlan.tag_names(catalog, [PII]) == {PII: "PII"}
    assert atlan.tag_ids(catalog, ["pii", "GDPR"]) == {"pii": PII, "GDPR": "q2Wm0hUuJqHk3Xv8bDn4sT"}
    [asked] = atlan_api.asked
    assert_same_place(asked, theirs("typedefs_classification"))


@pytest.mark.parametrize("guid", ["a/b?c=d", "ü", ""])
def test_names_from_outside_cannot_change_the_path(catalog, atlan_api, guid):
    atlan.read_guid(catalog, guid, priority=Priority.READ_BACK)
    atlan.read_many(catalog, [Asset("a&b=c d/ü", guid or "T", "", "")], priority=Priority.READ_BACK)

    assert atlan_api.last.path.startswith("/api/meta/entity/bulk/uniqueAttribute/type/")
    assert atlan_api.last.path.count("/") == 7
    assert atlan_api.last.query["attr_0:qualifiedName"] == ["a&b=c d/ü"]
