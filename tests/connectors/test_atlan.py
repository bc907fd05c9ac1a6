import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import atlan
from connectors.atlan import answers, client
from connectors.registry import connection_map
from lily.domain.assets import Asset, Reason, TableRef, Unresolved
from lily.domain.catalog import Announcement, AssetWrite, IncidentAsset, Priority
from lily.runtime import cache
from lily.runtime.errors import Permanent, Transient
from tests.connectors.atlan_api import Answer, Asked, error, replay
from tests.connectors.atlan_fixtures import SNOW

ORDERS = TableRef("analytics:public.orders")


def an_entity(name: str, kind: str = "Table", guid: str = "", **attributes: Any) -> dict[str, Any]:
    full = f"{SNOW}/ANALYTICS/PUBLIC/{name}"
    parts = {"connectionQualifiedName": SNOW, "databaseName": "ANALYTICS", "schemaName": "PUBLIC"}
    own = {"name": name, "qualifiedName": full, **parts, **attributes}
    return {"typeName": kind, "guid": guid or f"guid-{name}", "status": "ACTIVE", "attributes": own}


def an_asset(name: str, kind: str = "Table") -> Asset:
    return Asset(f"{SNOW}/ANALYTICS/PUBLIC/{name}", kind, f"guid-{name}", name)


def hits(*entities: dict[str, Any]) -> Answer:
    return Answer(body={"entities": list(entities), "approximateCount": len(entities)})


HIDDEN = {"typeName": "Table", "guid": "-1", "status": "ACTIVE", "attributes": {}}


def badges(*names: str) -> list[AssetWrite]:
    return [AssetWrite(an_asset(name), Announcement("issue", "1 open incident")) for name in names]


def refusing(*bad: str, status: int = 400) -> Any:
    """Fails a whole upsert for any of the bad ones in it, as a transaction does."""

    def rule(asked: Asked) -> Answer:
        names = {entity["attributes"]["name"] for entity in asked.body["entities"]}
        return Answer(status, {"errorCode": f"ATLAS-{status}-00-001"}) if names & set(bad) else Answer(body={})

    return rule


class TestResolving:
    def test_a_hundred_tables_take_two_searches_at_most(self, catalog, atlan_api):
        tables = [TableRef(f"analytics:public.t{n}") for n in range(100)]

        found = atlan.resolve(catalog, tables, connection_map(catalog))

        assert len(atlan_api.asked) == 2
        assert {answer.reason for answer in found.values() if isinstance(answer, Unresolved)} == {Reason.NOT_FOUND}

    def test_no_table_takes_no_search(self, catalog, atlan_api):
        assert atlan.resolve(catalog, [], connection_map(catalog)) == {}
        assert atlan.resolve(catalog, [TableRef("orders")], connection_map(catalog))
        assert atlan_api.asked == []

    def test_assets_that_the_token_may_not_see_are_not_found(self, catalog, atlan_api):
        atlan_api.rules.append(lambda _: hits(HIDDEN))

        answer = atlan.resolve(catalog, [ORDERS], connection_map(catalog))[ORDERS]

        assert isinstance(answer, Unresolved)
        assert "token" in answer.detail

    def test_one_that_was_made_in_quotes_is_found_by_the_second_search(self, catalog, atlan_api):
        atlan_api.answers += [hits(), hits(an_entity("Orders"), an_entity("Orders", guid="other", schemaName="ELSEWHERE"))]

        assert atlan.resolve(catalog, [ORDERS], connection_map(catalog)) == {ORDERS: an_asset("Orders")}

    def test_pages_are_followed_behind_the_last_asset(self, catalog, atlan_api):
        first = [an_entity(f"T{n}") for n in range(299)]
        atlan_api.answers += [hits(*first, HIDDEN), hits(an_entity("ORDERS"))]

        assert atlan.resolve(catalog, [ORDERS], connection_map(catalog)) == {ORDERS: an_asset("ORDERS")}
        assert [asked.body["dsl"].get("search_after") for asked in atlan_api.asked] == [None, ["guid-T298"]]


class TestTagged:
    def test_pages_lead_to_one_another(self, catalog, atlan_api):
        atlan_api.answers += [hits(an_entity("A"), an_entity("B")), hits(an_entity("C"))]

        first = atlan.tagged(catalog, SNOW, ["tag"], None, size=2)
        last = atlan.tagged(catalog, SNOW, ["tag"], first.next, size=2)

        assert [state.asset.name for state in (*first.states, *last.states)] == ["A", "B", "C"]
        assert (first.next, last.next) == ("guid-B", None)

    def test_without_a_tag_there_is_none(self, catalog, atlan_api):
        assert atlan.tagged(catalog, SNOW, [], None).states == ()
        assert atlan_api.asked == []

    def test_where_nothing_may_be_seen_that_is_said(self, catalog, atlan_api):
        atlan_api.answers.append(hits(HIDDEN, HIDDEN))

        with pytest.raises(Permanent, match="persona"):
            atlan.tagged(catalog, SNOW, ["tag"], None, size=2)


class TestReading:
    def test_many_are_read_in_calls_that_are_short_enough(self, catalog, atlan_api):
        assets = [an_asset(f"T{n}{'_' * 50}") for n in range(120)]
        atlan.read_many(catalog, [*assets, an_asset("V", "View")], priority=Priority.BADGE)

        asked = [name for one in atlan_api.asked for key, [name] in one.query.items() if key.startswith("attr_")]
        assert sorted(asked) == sorted([asset.qualified_name for asset in assets] + [an_asset("V").qualified_name])
        assert len(atlan_api.asked) < 8

    def test_archived_ones_are_there_and_not_active(self, catalog, atlan_api):
        archived = an_entity("ORDERS") | {"status": "DELETED"}
        atlan_api.answers.append(Answer(body={"entities": [archived]}))

        [state] = atlan.read_many(catalog, [an_asset("ORDERS")], priority=Priority.READ_BACK).values()

        assert not state.is_active

    def test_a_tag_from_two_sources_is_one_tag_with_two_attachments(self, catalog, atlan_api):
        tags = [
            {"typeName": "pii", "entityGuid": "guid-ORDERS"},
            {"typeName": "pii", "entityGuid": "other"},
            {"typeName": "gdpr"},
        ]
        atlan_api.answers.append(Answer(body={"entities": [an_entity("ORDERS") | {"classifications": tags}]}))

        [state] = atlan.read_many(catalog, [an_asset("ORDERS")], priority=Priority.READ_BACK).values()

        assert state.tags == {"pii", "gdpr"}
        assert sorted(one.is_propagated(state.asset) for one in state.attached) == [False, False, True]


@pytest.mark.usefixtures("redis_server")
class TestWriting:
    def test_nothing_is_no_call(self, catalog, atlan_api):
        assert atlan.write_many(catalog, []) == {}
        assert atlan_api.asked == []

    def test_more_than_fit_go_in_several_requests(self, catalog, atlan_api):
        atlan.write_many(catalog, badges(*(f"T{n}" for n in range(120))))

        assert [len(asked.body["entities"]) for asked in atlan_api.asked] == [50, 50, 20]

    def test_of_two_writes_to_one_asset_the_last_counts(self, catalog, atlan_api):
        atlan.write_many(catalog, [*badges("T"), AssetWrite(an_asset("T"), clear=True)])

        [entity] = atlan_api.last.body["entities"]
        assert entity["attributes"]["announcementTitle"] is None

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_bad_asset_is_found_by_halving_and_the_others_are_written(self, catalog, atlan_api, status):
        atlan_api.rules.append(refusing("T3", "T7", status=status))

        failures = atlan.write_many(catalog, badges(*(f"T{n}" for n in range(10))))

        assert set(failures) == {an_asset("T3").qualified_name, an_asset("T7").qualified_name}
        assert all(isinstance(failure, Permanent) for failure in failures.values())
        written = {
            entity["attributes"]["name"]
            for asked in atlan_api.asked
            for entity in asked.body["entities"]
            if not {"T3", "T7"} & {one["attributes"]["name"] for one in asked.body["entities"]}
        }
        assert written == {f"T{n}" for n in range(10)} - {"T3", "T7"}

    def test_where_nearly_all_are_refused_the_budget_is_not_spent_on_finding_out_which(self, catalog, atlan_api):
        names = [f"T{n}" for n in range(50)]
        atlan_api.rules.append(refusing(*names[1:]))

        failures = atlan.write_many(catalog, badges(*names))

        assert len(failures) >= 49
        assert {type(failure) for failure in failures.values()} == {Permanent, Transient}
        assert len(atlan_api.asked) <= 31

    @pytest.mark.parametrize("bad", [(0, 49), (24, 25), (17,)])
    def test_two_bad_ones_of_fifty_are_always_found(self, catalog, atlan_api, bad):
        atlan_api.rules.append(refusing(*(f"T{n}" for n in bad)))

        failures = atlan.write_many(catalog, badges(*(f"T{n}" for n in range(50))))

        assert set(failures) == {an_asset(f"T{n}").qualified_name for n in bad}
        assert {type(failure) for failure in failures.values()} == {Permanent}

    def test_what_is_forbidden_may_be_allowed_soon_and_is_given_up_later(self, catalog, atlan_api, monkeypatch):
        atlan_api.rules.append(refusing("T1", status=403))

        [failure] = atlan.write_many(catalog, badges("T1", "T2")).values()
        assert isinstance(failure, Transient)

        monkeypatch.setattr(client, "NEW_RIGHTS_S", 0.0)
        [failure] = atlan.write_many(catalog, badges("T1", "T2")).values()
        assert isinstance(failure, Permanent)
        assert "persona" in failure.reason

    def test_a_server_that_is_away_fails_all_of_a_request_without_halving(self, catalog, atlan_api):
        atlan_api.rules.append(lambda _: error("gateway"))

        failures = atlan.write_many(catalog, badges("T1", "T2", "T3"))

        assert {type(failure) for failure in failures.values()} == {Transient}
        assert len(failures) == 3
        assert len(atlan_api.asked) <= client.TRIES_MAX

    def test_a_bad_incident_keeps_no_badge_from_being_written(self, set_up_catalog, catalog_name, atlan_api):
        set_up_catalog(INCIDENT_CONNECTION="default/monte-carlo/1")
        atlan_api.answers.append(hits())
        atlan_api.rules.append(refusing("bad"))

        assert atlan.write_many(catalog_name, badges("T1", "T2"), [IncidentAsset("i", "open", "bad")]) == {}
        written = [entity["attributes"]["name"] for asked in atlan_api.asked[1:] for entity in asked.body["entities"]]
        assert {"T1", "T2"} <= set(written)

    def test_badges_do_not_wait_for_incidents_that_cannot_be_looked_for(self, catalog, atlan_api):
        atlan_api.rules.append(lambda asked: error("gateway") if "search" in asked.path else None)

        assert atlan.write_many(catalog, badges("T1"), [IncidentAsset("i", "open")]) == {}


class TestFailing:
    def test_a_fast_failure_is_tried_again_within_the_deadline(self, catalog, atlan_api):
        atlan_api.answers += [error("gateway"), replay("get_by_guid_min")]

        assert atlan.read_guid(catalog, "g", priority=Priority.BADGE) is not None

    def test_a_token_that_is_not_valid_names_its_setting(self, catalog, catalog_name, atlan_api):
        atlan_api.answers.append(error("token expired"))

        with pytest.raises(Permanent, match=f"LILY_CATALOG_{catalog_name.upper().replace('-', '_')}_TOKEN"):
            atlan.connections(catalog)

    @pytest.mark.usefixtures("catalog")
    def test_an_instance_that_is_not_configured_is_said_so(self):
        with pytest.raises(Permanent, match="LILY_CATALOGS"):
            atlan.connections("other")

    @pytest.mark.parametrize("body", [[], "text", None, {"entities": [None, 1, {"attributes": None}]}])
    def test_an_answer_of_an_odd_shape_is_no_bug(self, catalog, atlan_api, body):
        atlan_api.rules.append(lambda _: Answer(body=body))

        with pytest.raises(Transient) if not isinstance(body, dict) else _nothing():
            assert atlan.connections(catalog) == []
        assert atlan.read_guid(catalog, "g", priority=Priority.BADGE) is None
        assert atlan.read_many(catalog, [an_asset("T")], priority=Priority.BADGE) == {}
        assert atlan.downstream(catalog, an_asset("T"), 1) == []


class _nothing:  # noqa: N801 - stands beside pytest.raises
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.usefixtures("redis_server")
class TestBudget:
    def test_a_429_with_a_time_pauses_everybody_for_that_time(self, catalog, atlan_api):
        atlan_api.answers.append(error("rate limit"))
        with pytest.raises(Transient):
            atlan.resolve(catalog, [ORDERS], connection_map(catalog), timeout_s=0.5)
        began = time.monotonic()

        atlan.connections(catalog)

        assert 0.8 < time.monotonic() - began < 4.0
        assert len(atlan_api.asked) == 2

    def test_a_429_without_a_time_pauses_for_as_long_as_is_set(self, set_up_catalog, catalog_name, atlan_api):
        set_up_catalog(BLOCK_S="30")
        atlan_api.answers.append(error("rate limit, JSON form"))

        with pytest.raises(Transient):
            atlan.connections(catalog_name)
        with pytest.raises(Transient, match="budget") as raised:
            atlan.connections(catalog_name)

        assert raised.value.retry_after_s == pytest.approx(30, abs=1)
        assert len(atlan_api.asked) == 1

    def test_who_matters_less_is_refused_while_there_is_still_something_for_badges(
        self, set_up_catalog, catalog_name, atlan_api, monkeypatch
    ):
        monkeypatch.setattr(client, "BURST", 0.99)  # nearly all at once, and then nothing for ten minutes
        set_up_catalog(CALLS_PER_MINUTE="10")
        for priority, calls in ((Priority.BACKFILL, 4), (Priority.DOWNSTREAM, 2), (Priority.READ_BACK, 2), (Priority.BADGE, 1)):
            for _ in range(calls):
                atlan.read_guid(catalog_name, "g", priority=priority)
            with pytest.raises(Transient, match="budget"):
                atlan.read_guid(catalog_name, "g", priority=priority)

        assert len(atlan_api.asked) == 9

    def test_a_call_waits_for_its_turn_as_long_as_its_deadline_allows(self, set_up_catalog, catalog_name, atlan_api):
        set_up_catalog(CALLS_PER_MINUTE="200")  # 8 at once, then one in 0.31 s
        for _ in range(12):
            atlan.read_guid(catalog_name, "g", priority=Priority.BADGE)

        assert len(atlan_api.asked) == 12


def test_without_redis_calls_go_on_and_fewer(set_up_catalog, catalog_name, atlan_api, monkeypatch):
    monkeypatch.setattr(client, "BURST", 0.99)
    set_up_catalog(CALLS_PER_MINUTE="10")  # of the 9 at once, each process has a quarter for itself

    with pytest.raises(Transient, match="budget"):
        for _ in range(10):
            atlan.write_many(catalog_name, badges("T"))
            atlan.read_guid(catalog_name, "g", priority=Priority.BADGE)
    assert len(atlan_api.asked) == 2


class TestTags:
    def test_a_tag_that_was_made_a_moment_ago_is_found_after_a_few_seconds(self, catalog, atlan_api, monkeypatch):
        atlan_api.answers += [Answer(body={"classificationDefs": []}), replay("typedefs_classification")]
        pii = "yiB7RLvdC2yeryLPjaDeHM"

        assert atlan.tag_names(catalog, [pii]) == {}
        assert atlan.tag_names(catalog, [pii]) == {}
        assert len(atlan_api.asked) == 1
        monkeypatch.setattr("connectors.atlan.typedefs.MISS_S", 0.0)
        assert atlan.tag_names(catalog, [pii]) == {pii: "PII"}
        assert cache.get_many(f"tags:{catalog}", ["all"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
entity_like = st.fixed_dictionaries(
    {"attributes": st.fixed_dictionaries({"qualifiedName": st.text(min_size=1)}, optional={"name": json_values})},
    optional=dict.fromkeys(("typeName", "guid", "status", "classifications", "updateTime", "depth"), json_values),
)


@given(st.lists(entity_like | json_values, max_size=4))
def test_whatever_an_answer_holds_is_read_without_an_error(listed):
    for entity in answers.entities({"entities": listed}):
        state = answers.state(entity)
        assert state.asset.qualified_name
        assert isinstance(state.asset.name, str)
