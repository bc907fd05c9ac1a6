"""Lily's connector and a tenant that was written from the vendor's documentation alone, over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import atlan
from connectors.registry import connection_map
from lily.domain.assets import Asset, Reason, TableRef, Unresolved
from lily.domain.catalog import Announcement, AssetWrite, Downstream, IncidentAsset, Priority, Quality
from lily.runtime.errors import Permanent
from tests.connectors.atlan_fixtures import SNOW
from tests.servers import free_port, running, sandbox
from tests.waiting import eventually

MONTE_CARLO = "default/monte-carlo/1732400000"
PUBLIC = f"{SNOW}/ANALYTICS/PUBLIC"
PARTS = {"connectionQualifiedName": SNOW, "connectorName": "snowflake", "databaseName": "ANALYTICS", "schemaName": "PUBLIC"}


@dataclass(frozen=True)
class Tenant:
    """Atlan as its users have it: another client, not Lily's."""

    url: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": "Bearer sandbox", "content-type": "application/json", "x-atlan-agent-id": "someone"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/meta/{path}", data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            raw = answer.read()
        return json.loads(raw) if raw else None

    def upsert(self, *entities: Any, flags: str = "") -> dict[str, str]:
        """Guids by name."""
        numbered = [{"guid": f"-{at}", **entity} for at, entity in enumerate(entities, 1)]
        mutated = self.call("POST", f"entity/bulk?{flags}", {"entities": numbered}).get("mutatedEntities") or {}
        return {one["attributes"]["name"]: one["guid"] for some in mutated.values() for one in some}

    def asset(self, guid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"entity/guid/{guid}")["entity"]
        return found


def an_entity(name: str, kind: str = "Table", path: str = "", **attributes: Any) -> dict[str, Any]:
    own = {"name": name, "qualifiedName": path or f"{PUBLIC}/{name}", **PARTS, **attributes}
    return {"typeName": kind, "attributes": own}


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    port = free_port()
    with running(sandbox("atlan", "--port", str(port)), port):
        tenant = Tenant(f"http://127.0.0.1:{port}")
        for path, word in ((SNOW, "snowflake"), (MONTE_CARLO, "monte-carlo")):
            tenant.upsert({"typeName": "Connection", "attributes": {"name": word, "qualifiedName": path, "connectorName": word}})
        yield tenant


@pytest.fixture
def real(set_up_catalog: Callable[..., None], catalog_name: str, tenant: Tenant, redis_server: Any) -> str:
    set_up_catalog(URL=tenant.url, TOKEN="sandbox", CUSTOM_METADATA=f"Lily {catalog_name}")
    return catalog_name


def a_table(tenant: Tenant, name: str, kind: str = "Table") -> Asset:
    return Asset(f"{PUBLIC}/{name}", kind, tenant.upsert(an_entity(name, kind))[name], name)


def a_tag(tenant: Tenant, name: str) -> str:
    definition = {"category": "CLASSIFICATION", "name": name, "displayName": name, "attributeDefs": [], "entityTypes": ["Asset"]}
    made = tenant.call("POST", "types/typedefs", {"classificationDefs": [definition]})
    return str(made["classificationDefs"][0]["name"])


def put_on(tenant: Tenant, tag: str, asset: Asset) -> None:
    tagged = {"typeName": asset.type, "attributes": {"name": asset.name, "qualifiedName": asset.qualified_name}}
    flags = {"propagate": False, "removePropagationsOnEntityDelete": True}
    flags |= {"restrictPropagationThroughLineage": False, "restrictPropagationThroughHierarchy": False}
    tenant.upsert(tagged | {"addOrUpdateClassifications": [{"typeName": tag, **flags}]}, flags="appendTags=true")


def read(real: str, asset: Asset) -> Any:
    return atlan.read_many(real, [asset], priority=Priority.BADGE).get(asset.qualified_name)


def test_tables_are_found_whatever_their_case(real, tenant):
    plain, quoted, view = a_table(tenant, "ORDERS"), a_table(tenant, "Quoted"), a_table(tenant, "V_ORDERS", "View")
    a_table(tenant, "TWICE")
    a_table(tenant, "twice")
    names = [TableRef(f"analytics:public.{name}") for name in ("orders", "quoted", "v_orders", "twice", "nowhere")]

    found = atlan.resolve(real, names, connection_map(real))

    assert [found[name] for name in names[:3]] == [plain, quoted, view]
    assert [one.reason for one in found.values() if isinstance(one, Unresolved)] == [Reason.AMBIGUOUS, Reason.NOT_FOUND]
    assert {one.connection for one in atlan.connections(real)} >= {SNOW, MONTE_CARLO}


def test_a_badge_comes_and_goes_and_nothing_else_changes(real, tenant):
    table = a_table(tenant, "BADGED")
    tenant.upsert(an_entity("BADGED", userDescription="kept"))
    badge = Announcement("issue", "SEV-1: 2 open incidents", "SEV-1: Volume https://mc/1\nSEV-2: Freshness")

    assert atlan.write_many(real, [AssetWrite(table, badge)]) == {}
    state = read(real, table)
    assert (state.asset, state.announcement, state.is_active) == (table, badge, True)

    assert atlan.write_many(real, [AssetWrite(table, clear=True)]) == {}
    assert read(real, table).announcement is None
    assert tenant.asset(table.guid)["attributes"]["userDescription"] == "kept"


def test_custom_metadata_is_made_and_merged(real, tenant):
    table = a_table(tenant, "COUNTED")

    assert atlan.write_many(real, [AssetWrite(table, quality=Quality(2, "SEV-1", ("https://mc/1",)))]) == {}
    assert atlan.write_many(real, [AssetWrite(table, quality=Quality(0))]) == {}

    definitions = tenant.call("GET", "types/typedefs?type=BUSINESS_METADATA&type=STRUCT")["businessMetadataDefs"]
    [own] = [one for one in definitions if one["displayName"] == f"Lily {real}"]
    ids = {attribute["displayName"]: attribute["name"] for attribute in own["attributeDefs"]}
    shown = tenant.asset(table.guid)["businessAttributes"][own["name"]]
    assert shown[ids["Open incidents"]] == 0
    assert shown.get(ids["Worst severity"]) is None


def test_a_table_that_was_purged_is_not_made_again(real, tenant):
    gone, kept = a_table(tenant, "PURGED"), a_table(tenant, "KEPT")
    tenant.call("DELETE", f"entity/bulk?guid={gone.guid}&deleteType=PURGE")

    failures = atlan.write_many(real, [AssetWrite(one, Announcement("issue", "1")) for one in (gone, kept)])

    assert {name: type(error) for name, error in failures.items()} == {gone.qualified_name: Permanent}
    assert read(real, gone) is None
    assert read(real, kept).announcement == Announcement("issue", "1")


def test_an_archived_table_is_still_read_and_not_active(real, tenant):
    table = a_table(tenant, "ARCHIVED")
    tenant.call("DELETE", f"entity/bulk?guid={table.guid}&deleteType=SOFT")

    state = read(real, table)

    assert (state.asset, state.is_active) == (table, False)
    answer = atlan.resolve(real, [TableRef("analytics:public.archived")], connection_map(real))
    assert all(isinstance(one, Unresolved) for one in answer.values())


def test_tags_are_found_read_back_and_named(real, tenant):
    table, tag = a_table(tenant, "TAGGED"), a_tag(tenant, f"PII {real}")
    more = [a_table(tenant, f"TAGGED_{at}") for at in range(4)]
    for one in (table, *more):
        put_on(tenant, tag, one)

    assert read(real, table).tags == {tag}
    by_guid = atlan.read_guid(real, table.guid, priority=Priority.READ_BACK)
    assert by_guid is not None
    assert by_guid.tags == {tag}
    seen, after = [], None
    for _ in range(4):
        page = atlan.tagged(real, SNOW, [tag], after, size=2)
        seen += [state.asset for state in page.states]
        after = page.next
        if after is None:
            break
    assert sorted(seen) == sorted([table, *more])
    assert atlan.tag_names(real, [tag]) == {tag: f"PII {real}"}
    assert atlan.tag_ids(real, [f"pii {real}"]) == {f"pii {real}": tag}


def test_what_is_made_from_a_table_is_found(real, tenant):
    table, first, second = (a_table(tenant, f"{name}_{real[-6:]}") for name in ("RAW", "FIRST", "SECOND"))
    for made_of, made in ((table, first), (first, second)):
        ends = (("inputs", made_of), ("outputs", made))
        related = {end: [{"typeName": one.type, "uniqueAttributes": {"qualifiedName": one.qualified_name}}] for end, one in ends}
        path = f"{SNOW}/{made_of.name}-{made.name}"
        tenant.upsert({"typeName": "Process", "attributes": {"name": path, "qualifiedName": path, **related}})

    found: list[Downstream] = []

    def is_there() -> bool:
        found[:] = atlan.downstream(real, table, 2)
        return bool(found)

    eventually(is_there, within_s=5)
    assert found == [Downstream(first, 1), Downstream(second, 2)]


def test_an_incident_is_made_once_and_then_kept_up_to_date(set_up_catalog, catalog_name, tenant, redis_server):
    set_up_catalog(URL=tenant.url, TOKEN="sandbox", INCIDENT_CONNECTION=MONTE_CARLO)
    table = a_table(tenant, "BROKEN")
    for status in ("open", "fixed"):
        incident = IncidentAsset(f"i-{catalog_name}", status, "Volume", "https://mc/1", severity="SEV-2", tables=(table,))
        assert atlan.write_many(catalog_name, [AssetWrite(table)], [incident]) == {}

    made = Asset(f"{MONTE_CARLO}/incident/i-{catalog_name}", "MCIncident", "", "")
    guid = read(catalog_name, made).asset.guid
    assert tenant.asset(guid)["attributes"]["mcIncidentState"] == "FIXED"


def test_a_wrong_token_is_refused(set_up_catalog, catalog_name, tenant, redis_server):
    set_up_catalog(URL=tenant.url, TOKEN="another")

    with pytest.raises(Permanent, match="TOKEN"):
        atlan.connections(catalog_name)
