"""The whole outbound path against Databricks' stand-in: what is there afterwards is what was there before, whatever happens."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.databricks import catalog
from connectors.databricks.quoting import literal
from lily.domain.classifications import Place, stated
from lily.domain.inventory import TableId
from lily.domain.propagations import State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Rule, deleted
from lily.records import annotations, asked, drifts, propagations, rules
from lily.records.audit import Facts
from lily.runtime import clock
from tasks import doors, propagation, reconcile
from tasks.sweep import sweep
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process
from tests.tasks.conftest import Lily

__all__ = ["databricks", "databricks_process", "propagation", "workspace"]

T = TableId("analytics", "crm", "customers")
FACTS = Facts("ann", "test", "test")
STEWARDS = [{"group": "data_stewards"}]


@pytest.fixture
def world(lily: Lily, workspace: Workspace, configured: Callable[..., None]) -> Iterator[Workspace]:
    """The stand-in's workspace, with the table's e-mail addresses and names annotated, and Lily having looked around."""
    reconcile.refresh_inventory(NAME)
    for column in ("email", "name"):
        annotations.put_many([stated(Place(NAME, T, column), "test", ["c"], clock.now())], None, clock.now())
    sweep_later()
    yield workspace
    workspace.stand_in.http.delete("/sandbox/faults")


def create(rule_id: str = "r1", action: str = "redact", **more: Any) -> Rule:
    rule = rules.create(a_rule(rule_id, action, clock.now(), **more), [NAME], FACTS)
    wake(rule)
    return rule


def change(rule: Rule, **more: Any) -> Rule:
    after = rules.replace(replaced(rule, {**rule.document, **more}, clock.now()), rule, [NAME], FACTS)
    wake(after)
    return after


def delete(rule: Rule) -> None:
    wake(rules.delete(deleted(rule, clock.now()), rule, [NAME], FACTS))


def wake(rule: Rule) -> None:
    doors.wake_target(NAME, [asked.member(NAME, rule.id)])


def sweep_later(hours: float = 2) -> None:
    with clock.freeze(clock.now() + timedelta(hours=hours)):
        sweep()


def states(rule_id: str = "r1") -> dict[str, State]:
    return {one.propagation.key.table.name: one.propagation.state for one in propagations.of_rule(rule_id, 100, None).items}


def dump(world: Workspace) -> dict[str, Any]:
    """Everything but the function of the known case."""
    found = world.stand_in.dump()
    return {key: value for key, value in found.items() if key != "functions"} | {
        "functions": [one for one in found["functions"] if "known_answer" not in str(one)]
    }


def emails(world: Workspace, who: str = "ana") -> set[Any]:
    return {row[0] for row in world.reads("SELECT email FROM analytics.crm.customers", f"{who}@example.com")}


def test_two_rules_on_a_column_come_and_go_and_leave_nothing(world: Workspace) -> None:
    before, clear = dump(world), emails(world)
    first, second = create("r1", exempt=STEWARDS), create("r2", "hash", regulation="GDPR")
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})
    assert emails(world) == {"***"}
    assert {len(email) for email in emails(world, "dora")} == {64}
    changed = change(first, action={"kind": "nullify"})
    assert emails(world) == {None}
    delete(second)
    assert emails(world, "dora") == clear

    delete(changed)

    assert dump(world) == before
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})


def test_a_change_by_hand_is_reported_undone_and_leaves_nothing(world: Workspace) -> None:
    before, clear = dump(world), emails(world)
    rule = create()
    name = next(one for one in world.plan([], T).tables[0].expected.absent.values() if "mask" in one)
    comment = literal(next(one.comment for one in catalog.functions(NAME, "gov", "lily") if one.name == name))
    world.sql(f"CREATE OR REPLACE FUNCTION gov.lily.{name}(V STRING) RETURNS STRING COMMENT {comment} RETURN V")
    assert emails(world) == clear

    reconcile.reconcile(NAME)

    (found,) = drifts.find(NAME, False, 10, None).items
    assert found.drift.kind.value == "body_changed"
    assert emails(world) == {"***"}
    delete(rule)
    assert dump(world) == before


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize(
    "match",
    ["^CREATE FUNCTION", "SET MASK", "SET TAGS", "^SELECT CAST", "^CREATE OR REPLACE", "DROP MASK", "UNSET TAGS", "^DROP F"],
)
def test_a_connection_lost_around_a_statement_ends_where_it_would_have_ended(world: Workspace, kind: str, match: str) -> None:
    before, clear = dump(world), emails(world)
    world.stand_in.fault(kind=kind, match=match, count=1)
    rule = create()
    sweep_later(2)
    assert states() == {"customers": State.ENFORCED}
    assert emails(world) == {"***"}
    rule = change(rule, action={"kind": "nullify"})
    sweep_later(4)
    assert emails(world) == {None}
    delete(rule)
    sweep_later(6)

    assert dump(world) == before
    assert emails(world) == clear
    assert world.stand_in.http.get("/sandbox/faults").json() == []
