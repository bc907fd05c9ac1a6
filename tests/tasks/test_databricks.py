"""The whole outbound path against Databricks' stand-in: what is there afterwards is what was there before, whatever happens."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors import databricks as connector
from lily.domain.classifications import Place, stated
from lily.domain.inventory import TableId
from lily.domain.propagations import State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Rule, deleted
from lily.records import annotations, asked, drifts, looks, propagations, rules
from lily.records.audit import Facts
from lily.runtime import clock
from tasks import doors, propagation, reconcile
from tasks.sweep import sweep
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process
from tests.tasks.conftest import Lily
from tests.tasks.mishaps import Mishaps

__all__ = ["databricks", "databricks_process", "propagation", "workspace"]

T = TableId("analytics", "crm", "customers")
FACTS = Facts("ann", "test", "test")
CHANGES = r"(?i)^(CREATE|DROP|ALTER|BEGIN)"
ROWS = {
    "action": "row_filter",
    "parameters": {"column": "country", "operator": "in", "values": ["DE", "IT"]},
    "match": {"columns": ["country"]},
}


@pytest.fixture
def world(lily: Lily, workspace: Workspace, configured: Callable[..., None]) -> Iterator[Workspace]:
    """The stand-in's workspace, with e-mail addresses and birthdays annotated, and Lily having looked around."""
    reconcile.refresh_inventory(NAME)
    for column in ("email", "born"):
        annotations.put_many([stated(Place(NAME, T, column), "test", ["c"], clock.now())], None, clock.now())
    sweep_later()
    yield workspace


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


def dump(world: Workspace) -> Any:
    """Everything in the workspace but rows."""
    return world.stand_in.dump()


def emails(world: Workspace, user: str = "ana@example.com") -> list[str]:
    return [row[0] for row in world.reads("SELECT email FROM analytics.crm.customers ORDER BY id", user)]


def test_two_rules_on_a_column_come_and_go_and_leave_nothing(world: Workspace) -> None:
    clear, before = emails(world), dump(world)
    first, second = create("r1", exempt=[{"group": "data_stewards"}]), create("r2", "hash", regulation="GDPR")
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})
    assert set(emails(world)) == {"***"}
    assert {len(email) for email in emails(world, "dora@example.com")} == {64}
    changed = change(first, action={"kind": "nullify"})
    assert set(emails(world)) == {None}
    delete(second)
    assert emails(world, "dora@example.com") == clear

    delete(changed)

    assert dump(world) == before
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})


def test_a_change_takes_two_requests_a_table_and_one_function_for_each_type(world: Workspace) -> None:
    rule = create()
    world.forget()

    change(rule, action={"kind": "nullify"})

    told = [one["text"] for one in world.stand_in.statements() if "analytics" in one["text"] and one["text"][:6] != "SELECT"]
    assert len(told) <= 2, told
    made = [one["text"] for one in world.stand_in.statements() if "FUNCTION" in one["text"][:40]]
    assert len(made) == 1, made  # a date can only become NULL, so its function stays as it is


def test_somebody_elses_mask_on_the_column_is_a_conflict_and_stays(world: Workspace) -> None:
    world.sql(
        "CREATE FUNCTION gov.lily.theirs(v STRING) RETURNS STRING RETURN 'theirs'",
        "ALTER TABLE analytics.crm.customers ALTER COLUMN email SET MASK gov.lily.theirs",
    )
    before = dump(world)
    rule = create()

    assert states() == {"customers": State.CONFLICT}
    assert set(emails(world)) == {"theirs"}
    delete(rule)
    assert dump(world) == before


def test_a_body_changed_by_hand_is_reported_undone_and_leaves_nothing(world: Workspace) -> None:
    clear, before = emails(world), dump(world)
    rule = create()
    (name,) = [one for one in dump(world)["functions"] if "text" in one and one not in before["functions"]]
    comment = dump(world)["functions"][name]["comment"].replace("'", "\\'")
    world.sql(f"CREATE OR REPLACE FUNCTION {name}(V STRING) RETURNS STRING COMMENT '{comment}' RETURN V")
    assert emails(world) == clear

    reconcile.reconcile(NAME)

    (found,) = drifts.find(NAME, False, 10, None).items
    assert found.drift.kind.value == "body_changed"
    assert emails(world) == ["***"] * len(clear)
    delete(rule)
    assert dump(world) == before


def test_a_function_replaced_by_somebody_else_is_theirs_and_a_conflict(world: Workspace) -> None:
    create()
    (name,) = [one for one in dump(world)["functions"] if "text" in one]
    world.sql(f"CREATE OR REPLACE FUNCTION {name}(V STRING) RETURNS STRING RETURN V")
    before = dump(world)["functions"][name]

    reconcile.reconcile(NAME)

    assert states() == {"customers": State.CONFLICT}
    assert dump(world)["functions"][name] == before


def test_a_table_made_again_is_protected_again(world: Workspace) -> None:
    create()
    world.sql(
        "DROP TABLE analytics.crm.customers",
        "CREATE TABLE analytics.crm.customers (id BIGINT, email STRING, born DATE)",
        "INSERT INTO analytics.crm.customers VALUES (1, 'ann@x.org', '1990-05-06')",
        "GRANT SELECT ON TABLE analytics.crm.customers TO `account users`",
    )
    assert emails(world) == ["ann@x.org"]

    looks.ask_many(NAME, [T], clock.now())
    doors.wake_target(NAME, [looks.member(NAME, T)])

    assert emails(world) == ["***"]


@pytest.mark.parametrize("kind", ["killed", "lost"])
def test_whatever_happens_around_each_statement_it_ends_as_it_would_have_ended(
    world: Workspace, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies, or a connection that breaks, before and after every statement; nobody sees a value meanwhile."""
    clear, before = emails(world), dump(world)
    mishaps = Mishaps(
        connector, monkeypatch, kind, lambda when: world.stand_in.fault(kind=f"drop_{when}", match=CHANGES, count=1)
    )
    hidden: list[bool] = []

    def look() -> None:
        is_hidden = not set(emails(world)) & set(clear)
        assert is_hidden or not any(hidden)
        hidden.append(is_hidden)

    made: list[Rule] = []
    mishaps.survive(lambda: made.append(rules_create("r1", "redact")) or wake(made[0]), look)
    mishaps.survive(lambda: made.append(rules_create("r2", **ROWS)) or wake(made[1]), look)
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})
    assert emails(world) == ["***"] * 3
    changed: list[Rule] = []
    nullify = {**made[0].document, "action": {"kind": "nullify"}}
    mishaps.survive(
        lambda: (
            changed.append(rules.replace(replaced(made[0], nullify, clock.now()), made[0], [NAME], FACTS)) or wake(changed[0])
        ),
        look,
    )
    assert emails(world) == [None] * 3
    for rule in (changed[0], made[1]):
        mishaps.survive(lambda rule=rule: wake(rules.delete(deleted(rule, clock.now()), rule, [NAME], FACTS)), lambda: None)

    assert emails(world) == clear
    assert dump(world) == before
    assert mishaps.happened >= 20


def rules_create(rule_id: str, action: str, **more: Any) -> Rule:
    return rules.create(a_rule(rule_id, action, clock.now(), **more), [NAME], FACTS)
