"""Tags that travel in Atlan's stand-in, and the webhooks that tell of it."""

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.atlan.assets import Asset
from sandbox.atlan.catalog import Call, Catalog
from sandbox.atlan.settings import Settings
from sandbox.atlan.tasks import carry, reach
from tests.sandbox.atlan import CONNECTION, GDPR, ORDERS, PII, SECRET, Atlan, guid, receiving
from tests.waiting import eventually


def subscribe(atlan: Atlan, url: str, **more: Any) -> None:
    atlan.post("webhooks", {"url": url, "secret": SECRET, **more})


def test_a_tag_travels_to_columns_and_along_lineage_and_back(atlan: Atlan) -> None:
    atlan.post("tags", {"asset": ORDERS, "add": [PII], "propagate": True})
    atlan.settle()
    there = [end for end in ("a01", "a02", "a03", "a04", "a05") if (PII, guid("a01")) in atlan.tags(guid(end))]
    atlan.post("tags", {"asset": ORDERS, "remove": [PII]})
    atlan.settle()

    assert there == ["a01", "a02", "a03", "a04", "a05"]
    assert all(atlan.tags(guid(end)) == set() for end in there)


def test_changed_flags_reach_the_copies_and_can_take_them_away(atlan: Atlan) -> None:
    def put(**flags: bool) -> list[dict[str, Any]]:
        atlan.api("PUT", f"entity/guid/{guid('a02')}/classifications", [{"typeName": PII, **flags}])
        atlan.settle()
        return atlan.read(guid("a05")).get("classifications", [])

    with receiving() as receiver:
        subscribe(atlan, receiver.url, operations=["CLASSIFICATION_UPDATE", "CLASSIFICATION_DELETE"])
        first = put(propagate=True)
        second = put(propagate=True, removePropagationsOnEntityDelete=False)
        third = put(propagate=False)

    assert [each["removePropagationsOnEntityDelete"] for each in [*first, *second]] == [True, False]
    assert third == []
    updated, deleted = ("CLASSIFICATION_UPDATE", guid("a02")), ("CLASSIFICATION_DELETE", guid("a05"))
    assert [each.what for each in receiver.events] == [updated, updated, deleted]


def test_a_tag_is_gone_when_its_last_source_is_gone(atlan: Atlan) -> None:
    atlan.post("tags", [{"asset": guid(end), "add": [PII], "propagate": True} for end in ("a02", "a03")])
    atlan.settle()
    both = atlan.tags(guid("a05"))
    atlan.post("tags", {"asset": guid("a02"), "remove": [PII]})
    atlan.settle()

    assert both == {(PII, guid("a02")), (PII, guid("a03"))}
    assert atlan.tags(guid("a05")) == {(PII, guid("a03"))}


def test_restrictions_keep_a_tag_from_travelling(atlan: Atlan) -> None:
    spec = {"typeName": PII, "propagate": True, "restrictPropagationThroughLineage": True}
    atlan.api("POST", f"entity/guid/{guid('a01')}/classifications", [spec])
    atlan.api("POST", f"entity/guid/{guid('a03')}/classifications", [spec | {"restrictPropagationThroughHierarchy": True}])
    atlan.settle()

    assert [len(atlan.tags(guid(end))) for end in ("a01", "a02", "a03", "a04", "a05")] == [1, 1, 1, 1, 0]


def test_archiving_the_source_takes_the_tag_along_and_restoring_brings_it_back(atlan: Atlan) -> None:
    atlan.post("tags", {"asset": guid("a02"), "add": [PII], "propagate": True})
    atlan.settle()
    atlan.post("delete", {"asset": guid("a02")})
    atlan.settle()
    archived = atlan.tags(guid("a05")), atlan.tags(guid("a02"))
    atlan.post("edit", {"asset": guid("a02"), "status": "ACTIVE"})
    atlan.settle()

    assert archived == (set(), {(PII, guid("a02"))})
    assert atlan.tags(guid("a05")) == {(PII, guid("a02"))}


def test_new_lineage_carries_the_tags_that_are_there(atlan: Atlan) -> None:
    atlan.post("tags", {"asset": guid("a04"), "add": [PII], "propagate": True})
    atlan.settle()
    process = {"typeName": "Process", "attributes": {"qualifiedName": "default/snowflake/1732406400/p", "name": "p"}}
    atlan.upsert(process | {"relationshipAttributes": {"inputs": [{"guid": guid("a04")}], "outputs": [{"guid": guid("a05")}]}})
    atlan.settle()

    assert atlan.tags(guid("a05")) == {(PII, guid("a04"))}


def test_events_of_propagated_tags_come_before_reads_show_them(atlan: Atlan) -> None:
    with receiving() as receiver:
        subscribe(atlan, receiver.url, operations=["CLASSIFICATION_ADD"])
        atlan.settings(propagation_commit_s=0.5)
        atlan.post("tags", {"asset": guid("a02"), "add": [PII], "propagate": True})
        eventually(lambda: ("CLASSIFICATION_ADD", guid("a05")) in [each.what for each in receiver.events])
        early = atlan.tags(guid("a05"))
        eventually(lambda: atlan.tags(guid("a05")))

    told = next(each.message for each in receiver.events if each.what[1] == guid("a05"))
    assert early == set()
    assert [each["entityGuid"] for each in told["entity"]["classifications"]] == [guid("a02")]
    assert told["headers"]["x-atlan-via-ui"] == "true"


def test_echoes_carry_the_headers_of_the_request(atlan: Atlan) -> None:
    with receiving() as receiver:
        subscribe(atlan, receiver.url)
        table = {"typeName": "Table", "attributes": {"qualifiedName": ORDERS, "name": "ORDERS", "description": "x"}}
        atlan.api("POST", "entity/bulk", {"entities": [table]}, headers={"x-atlan-agent-id": "lily", "x-atlan-request-id": "r-1"})
        atlan.settle()

    assert [each.message["headers"] for each in receiver.events] == [{"x-atlan-agent-id": "lily", "x-atlan-request-id": "r-1"}]
    assert receiver.events[0].headers["x-atlan-signing-secret"] == SECRET


def test_a_receiver_that_refuses_the_greeting_is_not_registered(atlan: Atlan) -> None:
    with receiving() as receiver:
        receiver.status = 401
        answer = atlan.http.post("/sandbox/webhooks", json={"url": receiver.url, "secret": SECRET})

    assert answer.status_code == 400
    assert "401" in answer.json()["error"]


def test_deliveries_are_doubled_held_and_reversed_on_demand(atlan: Atlan) -> None:
    with receiving() as receiver:
        subscribe(atlan, receiver.url, types=["Column"])
        atlan.settings(webhook_duplicates=1.0, webhook_hold=True)
        atlan.post("tags", {"asset": guid("a02"), "add": [PII]})
        atlan.post("tags", {"asset": guid("a02"), "remove": [PII]})
        atlan.post("tags", {"asset": ORDERS, "add": [GDPR]})  # a table, of which it does not want to hear
        atlan.settle()
        held = len(receiver.events)
        assert atlan.post("webhooks/release", {"order": "reversed"}) == {"released": 4}
        atlan.settle()
        sent = sorted(atlan.get("deliveries"), key=lambda each: each["sent_at"])

    assert held == 0
    assert sorted(each.what[0] for each in receiver.events) == ["CLASSIFICATION_ADD"] * 2 + ["CLASSIFICATION_DELETE"] * 2
    assert [each["operation"] for each in sent] == ["CLASSIFICATION_DELETE"] * 2 + ["CLASSIFICATION_ADD"] * 2


def test_deliveries_overtake_each_other_late_or_are_lost_on_demand(atlan: Atlan) -> None:
    with receiving() as receiver:
        subscribe(atlan, receiver.url)
        atlan.settings(webhook_reorder_s=0.3)
        for number in range(20):
            atlan.post("edit", {"asset": ORDERS, "attributes": {"description": str(number)}})
        atlan.settle()
        order = [each.message["mutatedDetails"]["attributes"]["description"] for each in receiver.events]
        atlan.settings(webhook_loss=1.0)
        atlan.post("edit", {"asset": ORDERS, "attributes": {"description": "lost"}})
        atlan.settle()

    assert sorted(order, key=int) == [str(number) for number in range(20)] != order
    assert len(receiver.events) == 20


def test_purging_a_connection_tells_of_each_of_its_assets(atlan: Atlan) -> None:
    inside = [each for each in atlan.get("state")["assets"] if each["typeName"] != "Process"]
    with receiving() as receiver:
        subscribe(atlan, receiver.url, operations=["ENTITY_DELETE"])
        gone = atlan.post("delete", {"asset": CONNECTION, "purge": True, "parts": True})["gone"]
        atlan.settle()

    assert gone == len(inside)
    assert {each.what[1] for each in receiver.events} == {each["guid"] for each in inside}
    assert {each["typeName"] for each in atlan.get("state")["assets"]} == {"Process"}


def test_ten_thousand_columns_are_there_in_a_moment(atlan: Atlan) -> None:
    columns = [{"name": f"C{number}", "tags": ["PII"]} for number in range(100)]
    tables = [{"database": "BIG", "schema": "S", "name": f"T{number}", "columns": columns} for number in range(100)]
    connection = {"name": "big", "qualifiedName": "default/snowflake/1"}

    assert atlan.post("tables", {"connection": connection, "tables": tables})["made"] == 10_103
    tagged = {"terms": {"__traitNames": [PII]}}
    assert atlan.find(tagged, {"prefix": {"qualifiedName": "default/snowflake/1/"}})["approximateCount"] == 10_000


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "take", "archive", "restore", "carry"]),
        st.integers(0, 7),
        st.sampled_from([PII, GDPR]),
        st.booleans(),
    ),
    max_size=30,
)


def tenant(edges: list[tuple[int, int]]) -> tuple[Catalog, list[Asset]]:
    """Eight tables, with a process for each edge between two of them."""
    catalog = Catalog(Settings())
    made = [Asset("Table", attributes={"qualifiedName": f"default/x/1/{n}", "name": str(n)}) for n in range(8)]
    for asset in made:
        catalog.store.add(asset)
    for number, (one, other) in enumerate(edges):
        process = Asset("Process", attributes={"qualifiedName": f"default/x/1/p{number}", "name": "p"})
        catalog.store.add(process)
        catalog.store.relate(process, "inputs", [made[one].guid])
        catalog.store.relate(process, "outputs", [made[other].guid])
    return catalog, made


async def do(catalog: Catalog, asset: Asset, what: str, tag: str, travels: bool) -> None:
    call = Call("someone", {})
    if what == "put":
        catalog.put_tags(call, asset, [{"typeName": tag, "propagate": travels}])
    elif what == "take" and tag in asset.direct:
        catalog.take_tags(call, asset, [tag])
    elif what == "archive":
        catalog.archive(call, asset)
    elif what == "restore" and asset.status == "DELETED":
        catalog.restore(call, asset)
    elif what == "carry" and (task := catalog.tasks.next()):
        await carry(catalog, task)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12), DEEDS, st.randoms())
def test_whatever_happens_in_whatever_order_tags_end_where_they_should_be(
    edges: list[tuple[int, int]], deeds: list[tuple[str, int, str, bool]], dice: random.Random
) -> None:
    """Tasks run between the deeds or after them, in any order; the end is what the definition of `reach` says."""

    async def run() -> None:
        catalog, made = tenant(edges)
        for what, number, tag, travels in deeds:
            await do(catalog, made[number], what, tag, travels)
        rest = list(iter(catalog.tasks.next, None))
        dice.shuffle(rest)
        for task in rest:
            await carry(catalog, task)

        wanted = {
            (tag, asset.guid, end) for asset in made for tag in asset.direct for end in reach(catalog.store, asset.guid, tag)
        }
        assert {(*key, asset.guid) for asset in made for key in asset.propagated} == wanted
        source = {asset.guid: asset.direct for asset in made}
        assert all(tag == source[start][name] for asset in made for (name, start), tag in asset.propagated.items())

    asyncio.run(run())
