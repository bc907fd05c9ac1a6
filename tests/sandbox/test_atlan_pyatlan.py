"""The vendor's own client drives the stand-in: what it cannot read or write there would be no Atlan."""

from typing import Any

import pytest

from tests.sandbox.atlan import CONNECTION, DAILY, GDPR, LINK, OPEN, ORDERS, PII, QUALITY, Atlan, guid, receiving


@pytest.fixture
def client(atlan: Atlan) -> Any:
    from httpx_retries import Retry
    from pyatlan.client.atlan import AtlanClient

    return AtlanClient(base_url=atlan.url, api_key="sandbox", retry=Retry(total=0), proxy=None)


def test_connections_are_found_by_name(client: Any) -> None:
    from pyatlan.model.enums import AtlanConnectorType

    found = client.asset.find_connections_by_name("snowflake-prod", AtlanConnectorType.SNOWFLAKE)

    assert [each.qualified_name for each in found] == [CONNECTION]


def test_assets_are_searched_by_name_whatever_its_case(client: Any) -> None:
    from pyatlan.model.assets import Asset
    from pyatlan.model.fluent_search import CompoundQuery, FluentSearch

    request = (
        FluentSearch()
        .where(CompoundQuery.active_assets())
        .where(Asset.NAME.eq("orders", case_insensitive=True))
        .where(Asset.CONNECTION_QUALIFIED_NAME.eq(CONNECTION))
        .include_on_results("databaseName")
        .to_request()
    )
    found = list(client.asset.search(request))

    assert [(each.type_name, each.guid, each.database_name) for each in found] == [("Table", guid("a01"), "ANALYTICS")]


def test_all_pages_of_a_search_are_the_whole(client: Any) -> None:
    from pyatlan.model.fluent_search import CompoundQuery, FluentSearch

    request = FluentSearch().where(CompoundQuery.active_assets()).page_size(2).to_request()
    found = [each.guid for each in client.asset.search(request)]

    assert len(found) == len(set(found))
    assert {guid("a01"), guid("a02"), guid("a03"), guid("a04"), guid("a05")} <= set(found)


def test_an_asset_is_read_by_guid_and_by_qualified_name(client: Any) -> None:
    from pyatlan.errors import NotFoundError
    from pyatlan.model.assets import Table, View

    assert client.asset.get_by_guid(guid("a01"), asset_type=Table).qualified_name == ORDERS
    assert client.asset.get_by_qualified_name(DAILY, asset_type=View).guid == guid("a03")
    with pytest.raises(NotFoundError, match="ATLAS-404-00-005"):
        client.asset.get_by_guid(guid("fff"), asset_type=Table)


def test_an_announcement_is_put_on_and_taken_off(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.assets import Table
    from pyatlan.model.core import Announcement
    from pyatlan.model.enums import AnnouncementType

    issue = Announcement(announcement_type=AnnouncementType.ISSUE, announcement_title="2 open", announcement_message="Volume")
    client.asset.update_announcement(Table, ORDERS, "ORDERS", issue)
    shown = client.asset.get_by_guid(guid("a01"), asset_type=Table, ignore_relationships=True)
    table = Table.updater(qualified_name=ORDERS, name="ORDERS")
    table.remove_announcement()
    changed = client.asset.save(table).assets_updated(Table)

    assert (shown.announcement_type, shown.announcement_title) == (AnnouncementType.ISSUE, "2 open")
    assert shown.announcement_updated_by == "service-account-apikey-python"
    assert [each.guid for each in changed] == [guid("a01")]
    assert "announcementType" not in atlan.read(guid("a01"))["attributes"]


def test_tags_are_put_on_and_taken_off_by_their_names(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.assets import Column

    name = f"{ORDERS}/EMAIL"
    client.asset.add_atlan_tags(asset_type=Column, qualified_name=name, atlan_tag_names=["PII", "GDPR"])
    seen = client.asset.get_by_guid(guid("a02"), asset_type=Column)
    client.asset.remove_atlan_tag(asset_type=Column, qualified_name=name, atlan_tag_name="PII")

    assert {str(each.type_name) for each in seen.atlan_tags} == {"PII", "GDPR"}
    assert atlan.tags(guid("a02")) == {(GDPR, guid("a02"))}


def test_tagged_assets_are_found(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.fluent_search import CompoundQuery, FluentSearch

    atlan.post("tags", {"asset": guid("a02"), "add": ["PII"], "propagate": True})
    atlan.settle()
    tagged = CompoundQuery.tagged(client=client, with_one_of=["PII"])
    found = list(client.asset.search(FluentSearch().where(CompoundQuery.active_assets()).where(tagged).to_request()))

    assert {each.guid for each in found} == {guid("a02"), guid("a05")}


def test_custom_metadata_is_merged_changed_and_removed(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.assets import Table
    from pyatlan.model.custom_metadata import CustomMetadataDict

    values = CustomMetadataDict(client=client, name="Data quality")
    values["Open incidents"], values["Incident link"] = 2, "https://x.example/1"
    table = Table.updater(qualified_name=ORDERS, name="ORDERS")
    table.set_custom_metadata(client=client, custom_metadata=values)
    client.asset.save_merging_cm(table)
    merged = atlan.read(guid("a01"))["businessAttributes"]
    fewer = CustomMetadataDict(client=client, name="Data quality")
    fewer["Open incidents"] = 0
    client.asset.update_custom_metadata_attributes(guid=guid("a01"), custom_metadata=fewer)
    changed = atlan.read(guid("a01"))["businessAttributes"]
    client.asset.remove_custom_metadata(guid=guid("a01"), cm_name="Data quality")

    assert merged == {QUALITY: {OPEN: 2, LINK: "https://x.example/1"}}
    assert changed == {QUALITY: {OPEN: 0, LINK: "https://x.example/1"}}
    assert "businessAttributes" not in atlan.read(guid("a01"))


def test_downstream_lineage_is_walked(client: Any) -> None:
    from pyatlan.model.enums import LineageDirection
    from pyatlan.model.lineage import FluentLineage

    request = FluentLineage(starting_guid=guid("a01"), direction=LineageDirection.DOWNSTREAM, depth=3).request
    found = list(client.asset.get_lineage_list(request))

    assert [(each.guid, each.depth) for each in found] == [(guid("a03"), 1)]


def test_an_incident_is_created_once_and_hangs_on_its_table(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.assets import MCIncident, Table

    incident = MCIncident()
    incident.qualified_name, incident.name = "default/monte-carlo/1/incident/4f5c", "Volume anomaly"
    incident.mc_incident_id, incident.mc_incident_state = "4f5c", "INVESTIGATING"
    incident.mc_incident_assets = [Table.ref_by_qualified_name(ORDERS)]
    made = client.asset.save(incident).assets_created(MCIncident)
    incident.mc_incident_state = "FIXED"
    again = client.asset.save(incident)

    assert len(made) == 1
    assert again.assets_created(MCIncident) == []
    table = atlan.read(guid("a01"))
    assert [each["guid"] for each in table["relationshipAttributes"]["mcIncidents"]] == [made[0].guid]
    assert atlan.read(made[0].guid)["attributes"]["mcIncidentState"] == "FIXED"


def test_an_archived_asset_comes_back(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.assets import Table

    client.asset.delete_by_guid(guid("a01"))
    archived = atlan.read(guid("a01"))["status"]
    assert client.asset.restore(Table, ORDERS)

    assert (archived, atlan.read(guid("a01"))["status"]) == ("DELETED", "ACTIVE")
    client.asset.purge_by_guid(guid("a01"))
    assert atlan.api("GET", f"entity/guid/{guid('a01')}").status_code == 404


def test_tags_are_defined_and_renamed_under_the_same_id(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.enums import AtlanTypeCategory
    from pyatlan.model.typedef import AtlanTagDef

    client.typedef.create(AtlanTagDef.create(name="Secret"))
    listed = {each.display_name: each for each in client.typedef.get(AtlanTypeCategory.CLASSIFICATION).atlan_tag_defs}
    made = listed["Secret"]
    atlan.api("PUT", "types/typedefs", {"classificationDefs": [{"name": made.name, "displayName": "Top secret"}]})
    after = {each.name: each.display_name for each in client.typedef.get(AtlanTypeCategory.CLASSIFICATION).atlan_tag_defs}

    assert len(made.name) == 22
    assert after == {PII: "PII", GDPR: "GDPR", made.name: "Top secret"}


def test_tasks_are_searched_by_their_asset(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.fluent_tasks import FluentTasks
    from pyatlan.model.task import AtlanTask

    atlan.post("tags", {"asset": guid("a02"), "add": ["PII"], "propagate": True})
    atlan.settle()
    request = FluentTasks().where(AtlanTask.ENTITY_GUID.eq(guid("a02"))).to_request()
    found = list(client.tasks.search(request))

    assert [(str(each.type.value), str(each.status.value)) for each in found] == [("CLASSIFICATION_PROPAGATION_ADD", "COMPLETE")]


def test_its_models_read_the_stand_ins_webhooks(client: Any, atlan: Atlan) -> None:
    from pyatlan.model.events import AtlanEvent

    with receiving() as receiver:
        atlan.post("webhooks", {"url": receiver.url, "secret": "s"})
        atlan.post("edit", {"asset": ORDERS, "attributes": {"announcementType": "warning", "announcementTitle": "x"}})
        atlan.post("tags", {"asset": ORDERS, "add": ["PII"]})
        atlan.post("delete", {"asset": guid("a04")})
        atlan.settle()
    read = [AtlanEvent.parse_raw(each.body).payload for each in receiver.events]

    assert sorted(each.operation_type for each in read) == ["CLASSIFICATION_ADD", "ENTITY_DELETE", "ENTITY_UPDATE"]
    assert {each.asset.guid for each in read} == {guid("a01"), guid("a04")}
