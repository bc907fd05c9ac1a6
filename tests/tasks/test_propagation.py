"""Propagation against a warehouse in memory: what was asked is enforced, proven and told, whatever happens on the way."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from connectors import registry
from lily.domain import propagations as life
from lily.domain.classifications import Place, stated
from lily.domain.inventory import Table
from lily.domain.propagations import State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Rule, deleted
from lily.domain.targets import Mode
from lily.records import annotations, asked, audit, held, inventory, looks, propagations, rules, table_states, target_states
from lily.records.audit import Facts
from lily.records.propagations import Record
from lily.records.security_forms import table_key
from lily.runtime import aws, clock, lanes
from lily.runtime.errors import Transient
from tasks import doors, propagation, reconcile, scope
from tasks.sweep import sweep
from tests.domain.security import a_rule, a_table
from tests.servers import free_port, running, sandbox
from tests.tasks import toy
from tests.tasks.conftest import Lily

CUSTOMERS = a_table("customers", email="text", phone="short", born="date", score="number", region="text")
KEY = "-----BEGIN PRIVATE KEY-----" + "x" * 100


@pytest.fixture
def house(lily: Lily, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[toy.House]:
    monkeypatch.setitem(registry.TARGETS, "toy", "tests.tasks.toy")
    configured(
        LILY_HASH_SALT="0123456789abcdef0123456789abcdef",
        LILY_TARGETS="toy",
        LILY_TARGET_TOY_URL="http://127.0.0.1:1",
        LILY_TARGET_TOY_USER="LILY",
        LILY_TARGET_TOY_PRIVATE_KEY=KEY,
        LILY_TARGET_TOY_HOME="GOV.LILY",
        LILY_TARGET_TOY_DATABASES="CRM",
    )
    if "toy" not in propagation.propagate_to:
        propagation.propagate_to["toy"] = propagation._register("toy")
    return toy.settle("lily", CUSTOMERS)


FACTS = Facts("ann", "test", "test")


def annotate(table: Table, column: str | None, *classes: str) -> None:
    place = Place("toy", table.id, column)
    annotations.put_many([stated(place, "test", classes, clock.now())], None, clock.now())


def look(*tables: Table) -> None:
    asked_for = looks.ask_many("toy", [table.id for table in tables], clock.now())
    doors.wake_target("toy", [looks.member("toy", one.table) for one in asked_for])


def create(rule_id: str = "r1", action: str = "redact", **more: Any) -> Rule:
    rule = rules.create(a_rule(rule_id, action, clock.now(), **more), ["toy"], FACTS)
    wake(rule)
    return rule


def change(rule: Rule, **more: Any) -> Rule:
    after = rules.replace(replaced(rule, {**rule.document, **more}, clock.now()), rule, ["toy"], FACTS)
    wake(after)
    return after


def delete(rule: Rule) -> Rule:
    gone = rules.delete(deleted(rule, clock.now()), rule, ["toy"], FACTS)
    wake(gone)
    return gone


def wake(rule: Rule) -> None:
    doors.wake_target("toy", [asked.member("toy", rule.id)])


def sweep_later(hours: float = 2) -> None:
    with clock.freeze(clock.now() + timedelta(hours=hours)):
        sweep()


def records(rule_id: str = "r1") -> dict[str, Record]:
    return {one.propagation.key.table.name: one for one in propagations.of_rule(rule_id, 1000, None).items}


def states(rule_id: str = "r1") -> dict[str, State]:
    return {name: record.propagation.state for name, record in records(rule_id).items()}


def test_a_rule_is_enforced_on_what_is_annotated_and_the_proof_is_kept(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    annotate(CUSTOMERS, "phone", "C")
    create()

    assert set(toy.carried(CUSTOMERS.id)) == {"email", "phone"}
    record = records()["customers"]
    assert record.propagation.state is State.ENFORCED
    assert record.proof
    assert (record.proof["outcome"], record.ended_at is not None) == ("enforced", True)
    assert {one["seen"] for one in record.proof["behaviours"]} == {"redact"}
    assert [words.split(" ")[0] for words in record.statements] == ["CreateMask", "CreateMask", "AttachMasks", "SetTags"]
    assert [one.done_at is not None for one in asked.of_rule("r1")] == [True]
    assert table_states.load("toy", [CUSTOMERS.id])[CUSTOMERS.id].rules == {"r1": 1}


def test_looking_again_changes_nothing(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    create()
    ran = len(house.ran)

    look(CUSTOMERS)

    assert len(house.ran) == ran
    assert looks.get_many("toy", [CUSTOMERS.id])[CUSTOMERS.id].outcome == "enforced"


def test_an_annotation_that_arrives_is_enforced_and_one_that_goes_is_undone(house: toy.House) -> None:
    create()
    assert states() == {}

    annotate(CUSTOMERS, "email", "c")
    look(CUSTOMERS)
    assert (states(), set(toy.carried(CUSTOMERS.id))) == ({"customers": State.ENFORCED}, {"email"})

    annotate(CUSTOMERS, "email")
    look(CUSTOMERS)
    assert (states(), toy.carried(CUSTOMERS.id), house.held.things, house.held.tags) == ({}, {}, {}, {})


def test_deleting_a_rule_leaves_what_was_there_before(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    first, second = create("r1"), create("r2", "hash", match={"columns": ["email", "phone"]})
    delete(first)
    assert set(toy.carried(CUSTOMERS.id)) == {"email", "phone"}
    assert (states("r1"), states("r2")) == ({"customers": State.ENFORCED}, {"customers": State.ENFORCED})

    delete(second)

    assert (toy.carried(CUSTOMERS.id), house.held.things, house.held.tags) == ({}, {}, {})
    assert table_states.load("toy", [CUSTOMERS.id]) == {}
    assert states("r2") == {"customers": State.ENFORCED}


def test_a_rule_that_no_longer_concerns_a_table_forgets_it(house: toy.House) -> None:
    inventory.save("toy", [CUSTOMERS], clock.now())
    rule = create(match={"columns": ["email"]})
    change(rule, match={"columns": ["nowhere"]})

    assert (states(), toy.carried(CUSTOMERS.id), house.held.things) == ({}, {}, {})


def test_somebody_elses_mask_is_a_conflict_and_stays(house: toy.House) -> None:
    house.held.things["theirs"] = house.held.things.get("theirs") or _foreign()
    house.held.tables[CUSTOMERS.id].masks["email"] = "theirs"
    annotate(CUSTOMERS, "email", "c")
    annotate(CUSTOMERS, "phone", "c")
    rule = create()

    assert states() == {"customers": State.CONFLICT}
    assert "theirs" in records()["customers"].propagation.reason
    assert toy.carried(CUSTOMERS.id)["email"] == "theirs"
    assert set(toy.carried(CUSTOMERS.id)) == {"email", "phone"}
    delete(rule)
    assert toy.carried(CUSTOMERS.id) == {"email": "theirs"}


def _foreign() -> Any:
    from lily.domain.actual import ObjectKind
    from tests.domain.warehouse import Thing

    return Thing(ObjectKind.MASK, None, None, "somebody's")


@pytest.mark.parametrize("died_after", range(1, 8))
def test_killed_after_any_statement_it_ends_where_it_would_have_ended(house: toy.House, died_after: int) -> None:
    annotate(CUSTOMERS, "email", "c")
    annotate(CUSTOMERS, "born", "c")
    house.dies_after = died_after
    with_kills(lambda: create(exempt=[{"role": "A"}]))
    sweep_later()
    assert states() == {"customers": State.ENFORCED}
    after_first = (toy.specs(), dict(house.held.tags))

    house.dies_after = len(house.ran) + died_after
    rule = rules.get("r1")
    assert rule
    with_kills(lambda: change(rule, action={"kind": "nullify"}))
    sweep_later(4)
    rule = rules.get("r1")
    assert rule
    assert toy.specs() != after_first[0]
    house.dies_after = len(house.ran) + died_after
    with_kills(lambda: delete(rule))
    sweep_later(6)

    assert (toy.carried(CUSTOMERS.id), house.held.things, house.held.tags) == ({}, {}, {})
    assert states() == {"customers": State.ENFORCED}
    assert held.find("toy", None, 10, None).items == ()


def with_kills(work: Callable[[], object]) -> None:
    try:
        work()
    except toy.Killed:
        toy.house.dies_after = None


def test_while_the_target_is_away_all_stays_due_with_the_reason(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    house.away = Transient("toy: connection refused")
    create()

    (request,) = asked.of_rule("r1")
    assert (request.attempts, request.reason, request.done_at) == (1, "toy: connection refused", None)
    assert states() == {"customers": State.PENDING}
    assert records()["customers"].propagation.reason == "toy: connection refused"

    house.away = None
    sweep_later()
    assert states() == {"customers": State.ENFORCED}
    assert asked.of_rule("r1")[0].due_at is None


def test_what_fails_for_good_is_said_and_the_rest_goes_on(house: toy.House) -> None:
    for column in ("email", "phone", "born"):
        annotate(CUSTOMERS, column, "c")
    toy.refuse("Attachment(column='phone'")
    create()

    record = records()["customers"]
    assert record.propagation.state is State.FAILED
    assert "is refused" in record.propagation.reason
    assert set(toy.carried(CUSTOMERS.id)) == {"email", "born"}

    house.fails.clear()
    assert asked.again("r1", "toy", clock.now())
    doors.wake_target("toy", [asked.member("toy", "r1")])
    assert states() == {"customers": State.ENFORCED}


def test_a_column_that_cannot_be_masked_keeps_only_its_table_from_being_enforced(house: toy.House) -> None:
    other = a_table("other", email="text", place="vector")
    toy.settle("lily", CUSTOMERS, other)
    for table, column in ((CUSTOMERS, "email"), (other, "email"), (other, "place")):
        annotate(table, column, "c")
    create()

    assert states() == {"customers": State.ENFORCED, "other": State.FAILED}
    assert "cannot be masked" in records()["other"].propagation.reason
    assert set(toy.carried(other.id)) == {"email"}
    assert life.overall(states().values()) is life.RuleState.PARTLY_ENFORCED


def test_what_cannot_be_proven_is_attached_and_never_enforced(house: toy.House) -> None:
    house.proves = False
    annotate(CUSTOMERS, "email", "c")
    create()
    assert states() == {"customers": State.ATTACHED}


def test_a_bug_ends_with_the_one_at_fault(house: toy.House, monkeypatch: pytest.MonkeyPatch) -> None:
    other = a_table("other", email="text")
    toy.settle("lily", CUSTOMERS, other)
    read = toy.read

    def broken(instance: str, names: Any) -> Any:
        if other.id in names:
            raise KeyError("who knows")
        return read(instance, names)

    monkeypatch.setattr(toy, "read", broken)
    create()
    for table in (CUSTOMERS, other):
        annotate(table, "email", "c")
    asked_for = looks.ask_many("toy", [CUSTOMERS.id, other.id], clock.now())
    rules.create(a_rule("r2", now=clock.now()), ["toy"], FACTS)
    members = [*(looks.member("toy", one.table) for one in asked_for), asked.member("toy", "r2")]
    doors.wake_target("toy", members)

    assert states() == {"customers": State.ENFORCED}
    found = looks.get_many("toy", [other.id])[other.id]
    assert (found.outcome, found.reasons, found.due_at) == ("failed", ("bug: KeyError",), None)


def test_a_stale_version_does_not_win(house: toy.House, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate(CUSTOMERS, "email", "c")
    execute, later, first = toy.execute, [], iter([True])

    def changing(instance: str, step: Any) -> Any:
        if next(first, False):
            before = rules.get("r1")
            assert before
            later.append(
                rules.replace(replaced(before, {**before.document, "enabled": False}, clock.now()), before, ["toy"], FACTS)
            )
        return execute(instance, step)

    monkeypatch.setattr(toy, "execute", changing)
    create()

    assert states() == {"customers": State.APPLYING}  # version 1's; nobody says that it is enforced
    wake(later[0])
    assert (states(), toy.carried(CUSTOMERS.id), house.held.things) == ({}, {}, {})


def test_a_paused_or_reporting_target_keeps_what_waits_for_it(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    target_states.set_mode(["toy"], Mode.PAUSED, FACTS, clock.now())
    create()
    assert (house.ran, asked.of_rule("r1")[0].attempts) == ([], 0)
    target_states.set_mode(["toy"], Mode.REPORT, FACTS, clock.now())
    sweep_later()
    assert house.ran == []

    target_states.set_mode(["toy"], Mode.ENFORCE, FACTS, clock.now())
    sweep_later(4)
    assert states() == {"customers": State.ENFORCED}


def many(count: int = 20) -> list[Table]:
    return [a_table(f"t{number:02d}", email="text") for number in range(count)]


def test_taking_much_protection_away_waits_for_a_person(house: toy.House) -> None:
    tables = many()
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")
    rule = create()
    delete(rule)

    assert all(toy.carried(table.id) for table in tables)
    (plan,) = held.find("toy", "pending", 10, None).items
    assert (len(plan.weakenings), len(plan.tables), plan.rules) == (20, 20, ("r1",))
    assert set(states().values()) == {State.HELD}

    held.decide(plan, "confirmed", Facts("boss", "plan.confirmed", plan.id), clock.now())
    look(*tables)

    assert not any(toy.carried(table.id) for table in tables)
    assert [one.state for one in held.find("toy", None, 10, None).items] == ["done"]
    assert (house.held.things, set(states().values())) == ({}, {State.ENFORCED})
    assert held.spent("toy", clock.now() - timedelta(hours=1)) == []
    assert audit.page(1, None).items[0].action == "plan.confirmed"


def test_what_a_person_rejected_stays_and_its_rule_is_told(house: toy.House) -> None:
    tables = many()
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")
    delete(create())
    (plan,) = held.find("toy", "pending", 10, None).items

    held.decide(plan, "rejected", Facts("boss", "plan.rejected", plan.id), clock.now())
    for part in (tables[:10], tables[10:]):
        look(*part)
    wake_again = asked.again("r1", "toy", clock.now())
    assert wake_again
    doors.wake_target("toy", [wake_again.member])

    assert all(toy.carried(table.id) for table in tables)
    assert set(states().values()) == {State.FAILED}
    assert "boss rejected" in records()["t00"].propagation.reason


def test_small_weakenings_add_up_and_the_world_is_told_of_each(house: toy.House, lily: Lily) -> None:
    tables = many()
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")
    create()
    lily.messages()
    for table in tables:
        annotate(table, "email")
        look(table)

    bare = [table for table in tables if not toy.carried(table.id)]
    assert len(bare) == 10
    assert held.find("toy", "pending", 10, None).items
    told = [message for message in lily.messages() if message["type"] == "lily.protection.weakened"]
    assert {message["data"]["table"] for message in told} == {table.id.name for table in bare}


def weakened(lily: Lily) -> list[dict[str, Any]]:
    return [message for message in lily.messages() if message["type"] == "lily.protection.weakened"]


def settled(*tables: Table) -> None:
    """All of them masked for the sake of r1."""
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")


def test_many_small_losses_are_held_once_they_are_many(house: toy.House, lily: Lily) -> None:
    tables = [a_table(f"t{number:03d}", email="text") for number in range(60)]
    settled(*tables)
    create()
    assert set(states().values()) == {State.ENFORCED}
    lily.messages()
    for table in tables:
        annotate(table, "email")
        look(table)

    bare = [table for table in tables if not toy.carried(table.id)]
    assert len(bare) == 12  # a fifth
    assert sorted(message["data"]["table"] for message in weakened(lily)) == sorted(table.id.name for table in bare)


def test_a_wider_exemption_waits_and_a_grown_set_asks_again(house: toy.House, lily: Lily) -> None:
    tables = many()
    settled(*tables)
    rule = create(exempt=[{"role": "A"}])
    lily.messages()
    rule = change(rule, exempt=[{"role": "A"}, {"role": "B"}])
    (plan,) = held.find("toy", "pending", 10, None).items
    assert (len(plan.weakenings), set(states().values()), weakened(lily)) == (20, {State.HELD}, [])

    change(rule, exempt=[{"role": "A"}, {"role": "B"}, {"role": "C"}])

    (grown,) = held.find("toy", "pending", 10, None).items
    assert grown.fingerprint != plan.fingerprint
    with pytest.raises(held.Decided):
        held.decide(plan, "confirmed", Facts("boss", "plan.confirmed", plan.id), clock.now())
    assert all(toy.carried(table.id) for table in tables)
    held.decide(grown, "confirmed", Facts("boss", "plan.confirmed", grown.id), clock.now())
    look(*tables)
    assert set(states().values()) == {State.ENFORCED}
    assert sorted(message["data"]["table"] for message in weakened(lily)) == sorted(table.id.name for table in tables)


def test_a_loss_is_told_although_the_worker_died_after_it(house: toy.House, lily: Lily) -> None:
    annotate(CUSTOMERS, "email", "c")
    rule = create()
    lily.messages()
    house.dies_after = len(house.ran) + 1
    with pytest.raises(toy.Killed):
        delete(rule)
    assert (toy.carried(CUSTOMERS.id), weakened(lily)) == ({}, [])

    house.dies_after = None
    sweep_later()
    sweep_later()

    (told,) = weakened(lily)
    assert (told["data"]["column"], told["data"]["why"]) == ("email", "removed")
    sweep_later(4)
    assert weakened(lily) == []


def test_a_loss_that_did_not_come_about_is_not_told(house: toy.House, lily: Lily) -> None:
    annotate(CUSTOMERS, "email", "c")
    rule = create()
    lily.messages()
    toy.refuse("DetachMasks")
    delete(rule)
    sweep_later()

    assert toy.carried(CUSTOMERS.id)
    assert weakened(lily) == []


def test_a_loss_is_told_once_the_bus_is_back(house: toy.House, lily: Lily, configured: Callable[..., None], aws_url: str) -> None:
    annotate(CUSTOMERS, "email", "c")
    rule = create()
    lily.messages()
    port = free_port()
    behind = aws_url.rpartition(":")[2]
    with running(sandbox("aws_faults", "--port", str(port), "--behind", behind), port, path="/sandbox/faults"):
        away = {"kind": "error", "status": 500, "code": "InternalFailure", "operation": "PutEvents", "count": None}
        assert httpx.post(f"http://127.0.0.1:{port}/sandbox/faults", json=away).is_success
        configured(LILY_AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
        aws.forget()
        delete(rule)
        configured(LILY_AWS_ENDPOINT_URL=aws_url)
        aws.forget()
    assert toy.carried(CUSTOMERS.id) == {}
    assert weakened(lily) == []

    sweep_later()

    assert [told["data"]["column"] for told in weakened(lily)] == ["email"]


def test_strengthening_is_never_held(house: toy.House) -> None:
    tables = many()
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")
    rule = create(exempt=[{"role": "A"}])
    change(rule, exempt=[], action={"kind": "nullify"})

    assert set(states().values()) == {State.ENFORCED}
    assert held.find("toy", None, 10, None).items == ()


def test_an_exemption_that_ends_by_itself_is_looked_at_when_it_ends(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    until = clock.now() + timedelta(hours=3)
    create(exempt=[{"role": "A", "until": until.isoformat()}])
    before = toy.specs()
    sweep_later(1)
    assert toy.specs() == before
    assert looks.get_many("toy", [CUSTOMERS.id])[CUSTOMERS.id].due_at == until

    sweep_later(4)
    assert toy.specs() != before


def test_more_tables_than_one_propagation_takes_are_done_one_page_after_the_other(
    house: toy.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "TABLES_MAX", 3)
    tables = many(8)
    toy.settle("lily", *tables)
    for table in tables:
        annotate(table, "email", "c")
    create()
    sweep_later()

    assert set(states()) == {table.id.name for table in tables}
    assert set(states().values()) == {State.ENFORCED}
    assert asked.of_rule("r1")[0].due_at is None
    assert len(house.held.things) == 1


def test_who_has_lost_the_lane_runs_not_one_more_statement(house: toy.House, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate(CUSTOMERS, "email", "c")
    monkeypatch.setattr(propagation, "RENEWED_EVERY_S", 0.0)
    rules.create(a_rule(now=clock.now()), ["toy"], FACTS)
    batch = lanes.push(lanes.of_target("toy"), [asked.member("toy", "r1")])
    assert batch
    read = toy.read

    def overtaken(instance: str, names: Any) -> Any:
        lanes.release(batch)
        return read(instance, names)

    monkeypatch.setattr(toy, "read", overtaken)
    propagation.work_on(batch)

    assert house.ran == []
    assert asked.of_rule("r1")[0].due_at


def test_new_tables_are_found_by_the_inventory_and_protected(house: toy.House) -> None:
    create(match={"columns": ["email"]})
    assert states() == {}

    reconcile.refresh_inventory("toy")

    assert states() == {"customers": State.ENFORCED}
    assert inventory.read_at("toy") is not None
    assert target_states.get("toy").proves is True


@pytest.mark.parametrize("repair", [True, False])
def test_drift_is_found_and_repaired_or_reported(house: toy.House, configured: Callable[..., None], repair: bool) -> None:
    from lily.records import drifts

    configured(LILY_TARGET_TOY_REPAIR=str(repair).lower())
    annotate(CUSTOMERS, "email", "c")
    create()
    mask = house.held.tables[CUSTOMERS.id].masks.pop("email")

    reconcile.reconcile("toy")

    (found,) = drifts.find("toy", False, 10, None).items
    assert (found.drift.kind.value, found.repaired_at is not None) == ("detached", repair)
    assert toy.carried(CUSTOMERS.id) == ({"email": mask} if repair else {})
    assert states() == {"customers": State.ENFORCED if repair else State.DRIFTED}


def test_reconciling_what_is_as_it_was_changes_nothing(house: toy.House) -> None:
    annotate(CUSTOMERS, "email", "c")
    create()
    ran = list(house.ran)

    reconcile.reconcile("toy")

    assert (house.ran, states()) == (ran, {"customers": State.ENFORCED})


def test_a_table_that_is_not_there_is_said_to_be_missing(house: toy.House) -> None:
    nowhere = a_table("nowhere", email="text")
    annotate(nowhere, "email", "c")
    look(nowhere)
    create()

    assert looks.get_many("toy", [nowhere.id])[nowhere.id].outcome == "missing"
    assert states() == {}
    assert table_key(nowhere.id)
