"""The whole outbound path against Snowflake's stand-in: what is there afterwards is what was there before, whatever happens."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors import snowflake as connector
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
from tests.connectors.snowflake_account import NAME, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import snowflake, snowflake_process
from tests.tasks.conftest import Lily
from tests.tasks.mishaps import Mishaps
from tests.waiting import eventually

__all__ = ["account", "propagation", "snowflake", "snowflake_process"]

T = TableId("DB", "S", "T")
FACTS = Facts("ann", "test", "test")
TABLE_FUNCTION = "SELECT * FROM TABLE(DB.INFORMATION_SCHEMA"


@pytest.fixture
def world(lily: Lily, account: Account, configured: Callable[..., None]) -> Iterator[Account]:
    """The stand-in's account, with the table's e-mail addresses and birthdays annotated, and Lily having looked around."""
    reconcile.refresh_inventory(NAME)
    for column in ("EMAIL", "BORN"):
        annotations.put_many([stated(Place(NAME, T, column), "test", ["c"], clock.now())], None, clock.now())
    sweep_later()
    yield account
    account.stand_in.http.delete("/sandbox/faults")


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


def dump(world: Account) -> dict[str, Any]:
    """Every policy with its body and comment, every reference, every tag; the canary of the known case apart."""
    policies = [[*row[1:4], row[6]] for row in world.sql("SHOW MASKING POLICIES IN ACCOUNT") if "known_answer" not in row[1]]
    policies += [[*row[1:4], row[6]] for row in world.sql("SHOW ROW ACCESS POLICIES IN ACCOUNT")]
    bodies = {row[0]: world.sql(f'DESCRIBE MASKING POLICY "{row[1]}"."{row[2]}"."{row[0]}"') for row in policies}
    return {
        "policies": bodies,
        "references": world.sql(
            f"{TABLE_FUNCTION}.POLICY_REFERENCES(REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE'))"
        ),
        "tags": world.sql(f"{TABLE_FUNCTION}.TAG_REFERENCES_ALL_COLUMNS('DB.S.T', 'TABLE'))"),
        "tag objects": [row[1:6] for row in world.sql("SHOW TAGS IN SCHEMA GOV.LILY")],
        "tables": [row[1] for row in world.sql("SHOW TABLES IN SCHEMA GOV.LILY") if "known_answer" not in row[1]],
    }


def emails(world: Account, role: str = "ANALYST") -> list[str]:
    return [row[0] for row in world.reads("SELECT EMAIL FROM DB.S.T ORDER BY ID", role)]


CLEAR = ["ann@x.org", "bob@y.org"]


def test_two_rules_on_a_column_come_and_go_and_leave_nothing(world: Account) -> None:
    before = dump(world)
    first, second = create("r1", exempt=[{"role": "PII"}]), create("r2", "hash", regulation="GDPR")
    assert (states("r1"), states("r2")) == ({"T": State.ENFORCED}, {"T": State.ENFORCED})
    assert emails(world) == ["***", "***"]
    assert {len(email) for email in emails(world, "PII")} == {32}
    changed = change(first, action={"kind": "nullify"})
    assert emails(world) == [None, None]
    delete(second)
    assert emails(world, "PII") == CLEAR

    delete(changed)

    assert dump(world) == before
    assert (states("r1"), states("r2")) == ({"T": State.ENFORCED}, {"T": State.ENFORCED})


def test_somebody_elses_policy_that_has_our_name_is_left_alone(world: Account) -> None:
    rule = create()
    (name,) = [row[0] for row in dump(world)["references"] for row in [[row[2]]] if "text" in row[0]]
    delete(rule)
    world.sql(f"CREATE MASKING POLICY GOV.LILY.\"{name}\" AS (V VARCHAR) RETURNS VARCHAR -> 'theirs'")
    before = dump(world)

    again = create("r1x", match={"classifications": ["c"]})
    world.sql("SELECT 1")
    assert states("r1x") == {"T": State.ENFORCED}
    assert emails(world) == ["***", "***"]
    delete(again)

    assert dump(world) == before


def test_somebody_elses_mask_on_the_column_is_a_conflict_and_stays(world: Account) -> None:
    world.sql(
        "CREATE MASKING POLICY GOV.LILY.THEIRS AS (V VARCHAR) RETURNS VARCHAR -> 'theirs'; "
        "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.THEIRS"
    )
    before = dump(world)
    rule = create()

    assert states() == {"T": State.CONFLICT}
    assert emails(world) == ["theirs", "theirs"]
    delete(rule)
    assert dump(world) == before


def test_a_change_by_hand_is_reported_undone_and_leaves_nothing(world: Account) -> None:
    before = dump(world)
    rule = create()
    (name,) = [one[2] for one in dump(world)["references"] if "text" in one[2]]
    world.sql(f'ALTER MASKING POLICY GOV.LILY."{name}" SET BODY -> V')
    assert emails(world) == CLEAR

    reconcile.reconcile(NAME)

    (found,) = drifts.find(NAME, False, 10, None).items
    assert found.drift.kind.value == "body_changed"
    assert emails(world) == ["***", "***"]
    delete(rule)
    assert dump(world) == before


def test_a_mask_taken_off_by_hand_before_its_rule_is_deleted_is_no_trouble(world: Account) -> None:
    before = dump(world)
    rule = create()
    world.sql("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY")
    delete(rule)
    assert dump(world) == before


def test_a_rule_deleted_while_it_is_being_applied_leaves_nothing(world: Account) -> None:
    before = dump(world)
    world.stand_in.fault(kind="latency", delay_s=0.1, count=None)
    rule = rules.create(a_rule(now=clock.now()), [NAME], FACTS)
    applying = threading.Thread(target=wake, args=(rule,))
    applying.start()
    eventually(lambda: world.stand_in.queries("^CREATE MASKING"), within_s=10)
    delete(rule)
    applying.join(30)
    world.stand_in.http.delete("/sandbox/faults")
    sweep_later()

    assert dump(world) == before
    assert emails(world) == CLEAR
    assert asked.of_rule("r1")[0].due_at is None


def test_a_table_made_again_is_protected_again(world: Account) -> None:
    create()
    world.sql(
        "CREATE OR REPLACE TABLE DB.S.T (ID INT, EMAIL VARCHAR(40), NAME VARCHAR, AMOUNT NUMBER(10,2), BORN DATE); "
        "INSERT INTO DB.S.T VALUES (1, 'ann@x.org', 'Ann', 1.5, '1990-05-06'); GRANT SELECT ON TABLE DB.S.T TO ROLE PUBLIC"
    )
    assert emails(world) == ["ann@x.org"]

    looks.ask_many(NAME, [T], clock.now())
    doors.wake_target(NAME, [looks.member(NAME, T)])

    assert emails(world) == ["***"]


@pytest.mark.parametrize("kind", ["killed", "lost"])
def test_whatever_happens_around_each_statement_it_ends_as_it_would_have_ended(
    world: Account, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies, or a connection that breaks, before and after every statement; nobody sees a value meanwhile."""
    before = dump(world)
    changes = r"(?i)^(CREATE|DROP) (MASKING|ROW|TAG)|^ALTER (MASKING|ROW|TABLE .DB)"
    mishaps = Mishaps(
        connector, monkeypatch, kind, lambda when: world.stand_in.fault(kind=f"drop_{when}", match=changes, count=1)
    )
    hidden: list[bool] = []

    def look() -> None:
        is_hidden = not set(emails(world)) & set(CLEAR)
        assert is_hidden or not any(hidden)
        hidden.append(is_hidden)

    def made(rule_id: str, action: str, **more: Any) -> Rule:
        return rules.create(a_rule(rule_id, action, clock.now(), **more), [NAME], FACTS)

    some: list[Rule] = []
    rows = {"parameters": {"column": "amount", "operator": ">", "values": [0]}, "match": {"columns": ["amount"]}}
    mishaps.survive(lambda: some.append(made("r1", "redact")) or wake(some[0]), look)
    mishaps.survive(lambda: some.append(made("r2", "row_filter", **rows)) or wake(some[1]), look)
    assert (states("r1"), states("r2")) == ({"T": State.ENFORCED}, {"T": State.ENFORCED})
    nullify = replaced(some[0], {**some[0].document, "action": {"kind": "nullify"}}, clock.now())
    mishaps.survive(lambda: wake(rules.replace(nullify, some[0], [NAME], FACTS)), look)
    assert set(emails(world)) == {None}
    for rule in (nullify, some[1]):
        mishaps.survive(lambda rule=rule: wake(rules.delete(deleted(rule, clock.now()), rule, [NAME], FACTS)), lambda: None)

    assert emails(world) == CLEAR
    assert dump(world) == before
    assert mishaps.happened >= 20
