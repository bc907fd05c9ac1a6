"""Tags set in Atlan decide what people can read in the warehouse: through the webhooks, the store, and Snowflake's masks."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from lily.domain.events import FINAL, State
from lily.records import annotations, due, rules, taggings
from lily.runtime import breaker, clock, lanes, redis_pool
from tasks import annotations as reading
from tasks import doors, inbound, reconcile
from tests.connectors.snowflake_account import NAME, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import snowflake, snowflake_process
from tests.tasks.catalog import EMAIL, SNOW, Governed, Tenant, atlan_process, tenant
from tests.tasks.conftest import Lily
from tests.tasks.test_snowflake import CLEAR, FACTS, sweep_later, wake
from tests.waiting import eventually

__all__ = ["account", "atlan_process", "reading", "snowflake", "snowflake_process", "tenant"]

MASKED = ["***", "***"]
FIXTURES = sorted((Path(__file__).parents[1] / "payloads/atlan/webhooks").glob("*.json"))


@pytest.fixture
def world(lily: Lily, account: Account, tenant: Tenant, configured: Callable[..., None]) -> Iterator[Governed]:
    """A rule on everything that is tagged PII, and nothing that is."""
    reconcile.refresh_inventory(NAME)
    wake(rules.create(a_rule("pii", "redact", clock.now(), match={"classifications": ["pii"]}), [NAME], FACTS))
    yield Governed(lily, tenant, account)


def test_a_tag_masks_its_column_and_its_removal_shows_it_again(world: Governed) -> None:
    assert world.emails() == CLEAR

    world.atlan.tag(add=("PII",))
    world.hand_over()
    annotation = world.annotation()
    assert annotation is not None
    assert annotation.classifications == {"PII"}
    assert world.emails() == MASKED

    world.atlan.tag(remove=("PII",))
    world.hand_over()
    assert world.emails() == CLEAR


def test_a_tag_of_two_sources_counts_until_both_are_gone(world: Governed) -> None:
    table = EMAIL.rpartition("/")[0]
    world.atlan.tag(add=("PII",), asset=table, propagate=True)
    world.hand_over()
    world.atlan.tag(add=("PII",))
    world.hand_over()
    assert world.emails() == MASKED

    world.atlan.tag(remove=("PII",))
    world.hand_over()
    assert world.emails() == MASKED

    world.atlan.tag(remove=("PII",), asset=table)
    world.hand_over()
    assert world.emails() == CLEAR


@pytest.mark.parametrize(("last", "order"), [("on", (2, 0, 2, 1, 0)), ("off", (1, 2, 0, 1))])
def test_tagged_untagged_tagged_in_any_order_ends_as_the_catalog_has_it(world: Governed, last: str, order: Sequence[int]) -> None:
    steps = [("PII",), (), ("PII",)] if last == "on" else [(), ("PII",), ()]
    if last == "off":
        world.atlan.tag(add=("PII",))
        world.hand_over()
    for tags in steps:
        world.atlan.tag(add=tags) if tags else world.atlan.tag(remove=("PII",))
    events = [event for event in world.atlan.events() if event["message"]["operationType"].startswith("CLASSIFICATION")]

    for place in order:
        world.deliver(events[place % len(events)])
        assert world.emails() == MASKED or last == "off"
    sweep_later()

    assert world.emails() == (MASKED if last == "on" else CLEAR)


def test_an_event_that_overtakes_the_store_masks_at_once(world: Governed) -> None:
    world.atlan.settings(stale_reads_s=0.5)
    world.atlan.tag(add=("PII",))
    assert "PII" not in world.shown()
    world.hand_over()
    assert world.emails() == MASKED

    eventually(lambda: "PII" in world.shown())
    sweep_later()
    assert world.emails() == MASKED
    assert not waiting(world)


def test_a_store_that_is_behind_a_removal_keeps_the_mask_until_it_shows_it(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    world.hand_over()
    world.atlan.settings(stale_reads_s=0.5)
    world.atlan.tag(remove=("PII",))
    assert "PII" in world.shown()
    world.hand_over()
    assert world.emails() == MASKED

    eventually(lambda: "PII" not in world.shown())
    sweep_later()
    assert world.emails() == CLEAR


def test_a_tag_masks_its_column_while_the_catalog_cannot_be_read(world: Governed) -> None:
    world.atlan.tag(add=("PII",), asset=EMAIL.replace("EMAIL", "NAME"))
    world.hand_over()
    world.atlan.post("faults", {"kind": "status", "status": 503, "count": None})
    world.atlan.tag(add=("PII",))
    world.hand_over()
    assert world.emails() == MASKED
    assert waiting(world)

    world.atlan.http.delete("/sandbox/faults")
    breaker._start_anew()
    sweep_later()
    assert world.emails() == MASKED
    assert not waiting(world)


def test_a_tag_on_an_asset_that_may_not_be_seen_masks_its_column_by_its_event_alone(world: Governed) -> None:
    world.atlan.settings(hidden=[EMAIL])
    world.atlan.tag(add=("PII",))
    world.hand_over()
    sweep_later()

    annotation = world.annotation()
    assert annotation is not None
    assert annotation.is_lost
    assert world.emails() == MASKED


@pytest.mark.parametrize("before", ["ask_many", "put_many", "save_many"])
def test_a_worker_that_dies_at_any_step_loses_no_tag(world: Governed, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what Redis knew is lost as well."""
    world.atlan.tag(add=("PII",))
    events = world.atlan.events()

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    started: list[lanes.Batch] = []
    monkeypatch.setattr(doors, "start", started.append)
    world.deliver(*events)
    monkeypatch.setattr(annotations if before == "put_many" else taggings, before, dies)
    with pytest.raises(SystemExit):
        while started:
            batch = started.pop(0)
            inbound.ingest(lanes.form(batch), inline=True) if isinstance(batch.lane, int) else reading.work_on(batch)
    monkeypatch.undo()
    redis_pool.client().flushdb()
    assert world.emails() == CLEAR or before == "save_many"

    sweep_later()

    assert world.emails() == MASKED
    assert not waiting(world)


@pytest.mark.parametrize("purge", [False, True])
def test_an_asset_that_is_archived_or_purged_stays_masked(world: Governed, purge: bool) -> None:
    world.atlan.tag(add=("PII",))
    world.hand_over()
    world.atlan.delete(purge=purge)
    world.hand_over()
    sweep_later()

    annotation = world.annotation()
    assert annotation is not None
    assert annotation.is_lost
    assert world.emails() == MASKED


def test_an_archived_asset_that_comes_back_says_again_what_it_has(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    world.hand_over()
    world.atlan.delete()
    world.hand_over()
    world.atlan.post("edit", {"asset": EMAIL, "status": "ACTIVE"})
    world.atlan.tag(add=("GDPR",))
    world.hand_over()
    sweep_later()

    annotation = world.annotation()
    assert annotation is not None
    assert not annotation.is_lost
    assert annotation.classifications >= {"GDPR"}


def test_a_renamed_tag_goes_on_to_be_matched_by_the_name_that_rules_know(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    world.hand_over()
    definitions = world.atlan.http.get("/api/meta/types/typedefs?type=CLASSIFICATION", headers=TOKEN).json()["classificationDefs"]
    (pii,) = [one for one in definitions if one["displayName"] == "PII"]
    body = {"classificationDefs": [{**pii, "displayName": "Personal data"}]}
    assert world.atlan.http.put("/api/meta/types/typedefs", json=body, headers=TOKEN).is_success
    forget_names()
    world.atlan.tag(add=("GDPR",))
    world.hand_over()

    annotation = world.annotation()
    assert annotation is not None
    assert annotation.classifications == {"PII", "Personal data", "GDPR"}
    assert world.emails() == MASKED


def test_a_tag_on_a_table_masks_its_columns_if_the_rule_says_so(world: Governed) -> None:
    match = {"classifications": ["GDPR"], "whole_tables": True}
    wake(rules.create(a_rule("gdpr", "redact", clock.now(), match=match), [NAME], FACTS))
    world.atlan.tag(add=("GDPR",), asset=EMAIL.rpartition("/")[0])
    world.hand_over()

    annotation = world.annotation(None)
    assert annotation is not None
    assert annotation.classifications == {"GDPR"}
    assert world.emails() == MASKED


def test_lilys_own_write_that_comes_back_ends_at_once_and_nobody_is_told(world: Governed) -> None:
    (path,) = [path for path in FIXTURES if path.stem == "entity_update_announcement"]
    (receipt,) = world.deliver(json.loads(path.read_text()))

    event = world.lily.event(receipt)
    assert (event.state, event.type) == (State.PUBLISHED, "catalog_echo")
    assert event.timeline[-1].note == "Lily's own write came back: nobody is told"
    assert world.lily.messages() == []


def test_an_event_about_a_tag_counts_whoever_seems_to_have_caused_it(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    events = world.atlan.events()
    for event in events:
        event["message"]["headers"] = {"x-atlan-agent-id": "lily"}
    world.deliver(*events)

    assert world.emails() == MASKED


def test_every_event_of_atlans_ends_and_leaves_nothing_behind(world: Governed) -> None:
    events = [json.loads(path.read_text()) for path in FIXTURES if path.stem != "validation"]  # that is answered at the door

    receipts = world.deliver(*events)
    sweep_later()

    assert {world.lily.event(receipt).state for receipt in receipts} <= FINAL
    assert not due.page("tagging", due.shard(taggings.member("atlan", EMAIL)), clock.now() + timedelta(days=9))
    assert world.emails() == CLEAR


def waiting(world: Governed) -> bool:
    """Whether the column has still to be read."""
    kept = taggings.get_many([("atlan", EMAIL)]).get(("atlan", EMAIL))
    return kept is not None and kept.due_at is not None


def forget_names() -> None:
    """As time does."""
    redis_pool.client().flushdb()


TOKEN = {"authorization": "Bearer sandbox"}


def test_another_asset_that_claims_to_be_the_same_column_takes_no_tag_away(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    world.hand_over()
    assert world.emails() == MASKED

    where = {"databaseName": "DB", "schemaName": "S", "tableName": "T", "connectionQualifiedName": SNOW}
    twin = {"typeName": "Column", "attributes": {"qualifiedName": f"{EMAIL}/twin", "name": "EMAIL", **where}}
    made = world.atlan.http.post("/api/meta/entity/bulk", json={"entities": [twin]}, headers={"Authorization": "Bearer sandbox"})
    assert made.is_success, made.text
    world.hand_over()

    assert world.emails() == MASKED
