"""Rules in the records: a change is one transaction, nobody overwrites a version that they did not know, nothing is forgotten."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lily.domain import propagations as life
from lily.domain.audit import Break
from lily.domain.inventory import TableId
from lily.domain.propagations import Key, State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Rule, deleted
from lily.domain.targets import Mode
from lily.records import asked, audit, batch, due, items, propagations, rules, target_states
from lily.records.audit import Facts
from lily.records.propagations import Record
from lily.records.rules import Outdated, RuleFilter
from lily.runtime import lanes
from tests.domain.security import a_rule

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def facts(action: str = "rule.created", subject: str = "r1") -> Facts:
    return Facts("ann", action, subject, {"name": "x"})


def made(rule_id: str = "r1", *targets: str, **more: Any) -> Rule:
    return rules.create(a_rule(rule_id, **more), targets or ("snow",), facts(subject=rule_id))


def changed(before: Rule, **more: Any) -> Rule:
    document: Mapping[str, Any] = {**before.document, **more}
    return replaced(before, document, NOON + timedelta(hours=1))


def test_a_new_rule_is_there_with_its_version_its_requests_and_its_audit_entry() -> None:
    rule = made("r1", "snow", "bricks")

    assert rules.get("r1") == rules.version("r1", 1) == rule
    assert rules.every() == [rule]
    assert [(one.target, one.version, one.done_at) for one in asked.of_rule("r1")] == [("bricks", 1, None), ("snow", 1, None)]
    assert [(entry.action, entry.subject, entry.actor) for entry in audit.page(10, None).items] == [("rule.created", "r1", "ann")]


def test_an_id_is_given_once() -> None:
    made()
    with pytest.raises(Outdated) as refused:
        made()
    assert refused.value.current == 1
    assert len(audit.page(10, None).items) == 1


def test_the_id_of_a_deleted_rule_is_never_given_again() -> None:
    first = made()
    rules.delete(deleted(first, NOON), first, ["snow"], facts("rule.deleted"))
    with pytest.raises(Outdated) as refused:
        made(name="another")

    assert refused.value.current == 0
    assert rules.get("r1") is None
    assert rules.version("r1", 1) == first
    assert rules.heads(["r1"]) == {"r1": 2}
    assert [one.version for one in asked.of_rule("r1")] == [2]


def test_who_knows_another_version_changes_nothing() -> None:
    first = made()
    second = rules.replace(changed(first, name="two"), first, ["snow"], facts("rule.changed"))

    for late in (
        lambda: rules.replace(changed(first, name="three"), first, ["snow"], facts("rule.changed")),
        lambda: rules.delete(deleted(first, NOON), first, ["snow"], facts("rule.deleted")),
    ):
        with pytest.raises(Outdated) as refused:
            late()
        assert refused.value.current == 2
    assert rules.get("r1") == second
    assert [rule.version for rule in rules.versions("r1", 10, None).items] == [2, 1]
    assert len(audit.page(10, None).items) == 2


def test_a_deleted_rule_is_remembered_and_asked_for_once_more() -> None:
    first = made()
    rules.delete(deleted(first, NOON), first, ["snow"], facts("rule.deleted"))

    assert rules.get("r1") is None
    assert rules.every() == []
    last = rules.gone("r1")
    assert last is not None
    assert (last.version, last.deleted_at) == (2, NOON)
    assert rules.heads(["r1", "nobody"]) == {"r1": 2}
    assert [one.version for one in asked.of_rule("r1")] == [2]


def test_rules_are_found_by_what_they_say_page_by_page() -> None:
    for number in range(5):
        made(f"r{number}", regulation="GDPR" if number % 2 else "PII")

    assert [rule.id for rule in rules.find(RuleFilter(regulation="PII"), 10, None).items] == ["r0", "r2", "r4"]
    page = rules.find(RuleFilter(), 2, None)
    assert [rule.id for rule in page.items] == ["r0", "r1"]
    assert [rule.id for rule in rules.find(RuleFilter(), 10, page.next).items] == ["r2", "r3", "r4"]
    assert rules.find(RuleFilter(target="snow", action="redact", classification="C", text="R3"), 9, None).items[0].id == "r3"
    assert rules.find(RuleFilter(enabled=False), 9, None).items == ()


def test_a_request_is_due_until_it_is_done() -> None:
    made()
    (one,) = asked.of_rule("r1")
    member = asked.member("snow", "r1")

    found = due.page("rule", due.shard(member), datetime.now(UTC) + timedelta(days=400))
    assert [(item.member, item.lane_key) for item in found] == [(member, lanes.of_target("snow"))]
    assert asked.load([member]) == [one]

    assert asked.finish(one, NOON)
    assert asked.load([member]) == []
    assert due.page("rule", due.shard(member), datetime.now(UTC) + timedelta(days=400)) == []


def test_who_finishes_an_older_request_leaves_the_newer_one_due() -> None:
    first = made()
    (old,) = asked.of_rule("r1")
    rules.replace(changed(first, name="two"), first, ["snow"], facts("rule.changed"))

    assert not asked.finish(old, NOON)
    assert not asked.postpone(old, NOON, "late", 1)
    (new,) = asked.load([old.member])
    assert (new.version, new.attempts) == (2, 0)


def test_asking_again_by_hand_makes_it_due_with_a_clean_slate() -> None:
    made()
    (one,) = asked.of_rule("r1")
    assert asked.postpone(one, NOON, "away", 7)
    (tried,) = asked.load([one.member])
    assert (tried.attempts, tried.reason) == (7, "away")
    assert asked.finish(tried, NOON)

    again = asked.again("r1", "snow", NOON + timedelta(hours=1))

    assert again is not None
    assert (again.attempts, again.done_at, again.asked_at) == (0, None, NOON + timedelta(hours=1))
    assert asked.load([one.member]) == [again]
    assert asked.again("r1", "elsewhere", NOON) is None


def test_asking_again_by_hand_loses_no_version_that_is_asked_for_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made()
    found = items.get

    def overtaken(pk: str, sk: str) -> Any:
        """What is there, and just after it was read a newer version of the rule."""
        before = found(pk, sk)
        if sk.startswith("Q#") and rules.version("r1", 2) is None:
            monkeypatch.setattr(items, "get", found)
            rules.replace(changed(first, name="two"), first, ["snow"], facts("rule.changed"))
        return before

    monkeypatch.setattr(items, "get", overtaken)
    again = asked.again("r1", "snow", NOON)

    assert again is not None
    assert (again.version, again.due_at) == (2, NOON)
    assert asked.of_rule("r1") == [again]


def test_the_audit_trail_is_seen_to_be_broken_where_somebody_changed_it() -> None:
    for number in range(5):
        made(f"r{number}")
    third = items.get(audit.PK, f"{3:012d}")
    assert third is not None

    items.put({**third, "d": third["d"].replace('"ann"', '"eve"')})
    assert audit.verify() == Break(3, "was changed after it was sealed")
    items.put({**third, "sk": f"{4:012d}"})
    assert audit.verify() == Break(3, "was changed after it was sealed")
    items.put(third)
    assert audit.verify() == Break(3, "follows entry 3")
    batch.delete_many([(audit.PK, f"{number:012d}") for number in (4, 2)])
    assert audit.verify() == Break(3, "follows entry 1")
    assert audit.verify(limit=1) is None


def test_the_chain_of_the_audit_trail_holds_and_is_read_from_its_newest_end() -> None:
    for number in range(5):
        made(f"r{number}")
    page = audit.page(2, None)

    assert [entry.sequence for entry in page.items] == [5, 4]
    assert [entry.sequence for entry in audit.page(9, page.next).items] == [3, 2, 1]
    assert audit.verify() is None


def record(table: str, state: State = State.APPLYING, statements: tuple[str, ...] = ()) -> Record:
    one = life.pending(Key("r1", 1, "snow", TableId("D", "S", table)), NOON, NOON)
    moved = life.reach(one, state, NOON, "why", NOON if state in life.DUE else None)
    return Record(moved, statements, {"outcome": state.value}, NOON, None)


def test_records_of_a_rule_are_found_by_target_and_state() -> None:
    kept = [record("a", State.ENFORCED, ("ALTER 1",)), record("b", State.FAILED), record('c"😀', State.ENFORCED)]
    propagations.save_many(kept)

    found = propagations.of_rule("r1", 10, None).items
    assert {one.propagation.key.table.name: one for one in found} == {one.propagation.key.table.name: one for one in kept}
    assert len(propagations.of_rule("r1", 10, None, state=State.ENFORCED).items) == 2
    assert propagations.of_rule("r1", 10, None, target="bricks").items == ()
    first = propagations.of_rule("r1", 2, None)
    assert len(first.items) + len(propagations.of_rule("r1", 2, first.next).items) == 3
    assert sorted(propagations.states("r1")) == [
        ("snow", State.ENFORCED, 1),
        ("snow", State.ENFORCED, 1),
        ("snow", State.FAILED, 1),
    ]
    assert set(propagations.tables_of("r1", "snow")) == {one.propagation.key.table for one in kept}
    keys = [("r1", "snow", one.propagation.key.table) for one in kept]
    assert set(propagations.load_many([*keys, ("r1", "snow", TableId("D", "S", "nobody"))])) == set(keys)

    propagations.remove_many(keys[:2])
    assert propagations.tables_of("r1", "snow") == [kept[2].propagation.key.table]


def test_statements_too_long_to_keep_are_counted() -> None:
    propagations.save_many([record("a", State.ENFORCED, ("x" * 29_000, "y" * 2_000, "z"))])
    (kept,) = propagations.of_rule("r1", 10, None).items
    assert kept.statements[1:] == ("-- the other statements, too long to be kept: 2",)


def test_a_mode_that_was_set_holds_over_the_configured_one_and_checks_do_not_touch_it() -> None:
    target_states.note_check("snow", True, ["warm"], "", NOON)
    target_states.set_mode(["snow", "bricks"], Mode.PAUSED, facts("targets.paused", "all"), NOON)
    target_states.note_check("snow", None, (), "away", NOON)

    state = target_states.get("snow")
    assert (state.mode, state.changed_by, state.proves, state.remarks, state.trouble) == (
        Mode.PAUSED,
        "ann",
        True,
        ("warm",),
        "away",
    )
    assert target_states.mode("bricks") is Mode.PAUSED
    assert set(target_states.every()) == {"snow", "bricks"}
    assert target_states.get("nobody").mode is None
