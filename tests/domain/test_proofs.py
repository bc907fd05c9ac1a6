"""Proof: enforced is said only if everything expected was seen; what was not seen never counts for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.drift import DriftKind, find
from lily.domain.inventory import Table
from lily.domain.matching import Wanted, wanted
from lily.domain.plan import diff
from lily.domain.proofs import SHOWN, Behaviour, Observed, Outcome, Seen, compare, of_rule, untagged
from lily.domain.rules import Principal
from lily.domain.steps import TagEntry
from tests.domain.security import NOW, SNOW, a_rule, a_table
from tests.domain.warehouse import Held, Warehouse

TABLE = a_table("t", email="text", region="text", bad="vector")
RULES = [
    a_rule(exempt=[{"role": "A"}], match={"columns": ["email"]}),
    a_rule(
        "f1",
        "row_filter",
        parameters={"column": "region", "operator": "=", "values": ["EU"]},
        match={"columns": ["region"]},
        exempt=[{"role": "A"}],
    ),
]


def carried_out(rules=RULES):
    """A table after its plan, and what the plan expects."""
    house = Warehouse(SNOW, {TABLE.id: Held(TABLE)})
    made = wanted(rules, {}, [TABLE], SNOW, NOW)
    plan = diff(made, house.read({TABLE.id}), SNOW)
    for step in plan.steps:
        house.do(step)
    return house, plan.tables[0].expected, made.tables[TABLE.id].tags


def observed(house, expected) -> Observed:
    """Everything as the warehouse has it, every reader shown what the bodies say."""
    held = house.tables[TABLE.id]
    shown = {b: Seen(b.shown, f"q{n}") for n, b in enumerate(b for thing in expected.objects for b in thing.behaviours)}
    bodies = {name: thing.body for name, thing in house.things.items()}
    return Observed(NOW, dict(held.masks), *(held.rows or (None, ())), bodies, shown, query_ids=("r1",))


def test_what_was_planned_and_seen_is_enforced():
    house, expected, _ = carried_out()
    verdict = compare(expected, observed(house, expected))

    assert (verdict.outcome, verdict.reasons) == (Outcome.ENFORCED, ())
    assert set(verdict.bodies) == set(house.things)
    assert "r1" in verdict.query_ids


def test_exempt_and_other_readers_are_tried_on_each_object():
    house, expected, _ = carried_out()
    auditor = frozenset({Principal("role", "A")})
    mask, rows = sorted(house.things, key=lambda name: "rows" in name)

    assert {b for thing in expected.objects for b in thing.behaviours} == {
        Behaviour(mask, auditor, "clear"),
        Behaviour(mask, frozenset(), "redact"),
        Behaviour(rows, auditor, "all_rows"),
        Behaviour(rows, frozenset(), "filtered_rows"),
    }


SPOILT = {
    "mask gone": lambda o: replace(o, masks={}),
    "another mask": lambda o: replace(o, masks={"email": "theirs"}),
    "rows gone": lambda o: replace(o, rows=None, row_columns=()),
    "rows on another column": lambda o: replace(o, row_columns=("email",)),
    "a second policy": lambda o: replace(o, irregular={"email": "a second policy is attached by a tag"}),
    "rows irregular": lambda o: replace(o, irregular={None: "not active"}),
    "body": lambda o: replace(o, bodies=dict.fromkeys(o.bodies, "0")),
    "body unknown": lambda o: replace(o, bodies={}),
    "table gone": lambda o: replace(o, exists=False),
    "shown clear": lambda o: replace(o, behaviours=dict.fromkeys(o.behaviours, Seen("clear"))),
    "shown something else": lambda o: replace(o, behaviours=dict.fromkeys(o.behaviours, Seen("otherwise"))),
}


@pytest.mark.parametrize("what", sorted(SPOILT))
def test_anything_else_seen_is_a_failure_with_a_reason(what):
    house, expected, _ = carried_out()
    verdict = compare(expected, SPOILT[what](observed(house, expected)))

    assert verdict.outcome is Outcome.FAILED
    assert verdict.reasons


@given(st.data())
def test_a_reader_that_was_not_tried_leaves_it_at_attached(data):
    house, expected, _ = carried_out()
    seen = observed(house, expected)
    missing = data.draw(st.sets(st.sampled_from(sorted(seen.behaviours, key=str)), min_size=1))
    untried = data.draw(st.booleans())
    left = {
        b: Seen(None, why="no warehouse") if b in missing else s
        for b, s in seen.behaviours.items()
        if untried or b not in missing
    }
    verdict = compare(expected, replace(seen, behaviours=left))

    assert verdict.outcome is Outcome.ATTACHED
    assert len(verdict.reasons) == len(missing)


def test_a_column_that_stays_clear_keeps_its_table_from_being_enforced():
    house, expected, _ = carried_out([*RULES, a_rule("r9", match={"columns": ["bad"]})])
    verdict = compare(expected, observed(house, expected))

    assert verdict.outcome is Outcome.FAILED
    assert "VECTOR" in verdict.reasons[0]


def test_what_was_to_go_must_be_seen_gone():
    house, before, _ = carried_out()
    plan = diff(Wanted({}), house.read({TABLE.id}), SNOW)
    seen = observed(house, before)
    for step in plan.steps:
        house.do(step)

    expected = plan.tables[0].expected
    assert compare(expected, seen).outcome is Outcome.FAILED
    assert compare(expected, observed(house, expected)).outcome is Outcome.ENFORCED


@given(st.text())
def test_evidence_can_hold_no_value(text):
    if text not in SHOWN:
        with pytest.raises(ValueError, match="never a value"):
            Seen(text)


# drift, which compares the same expectation with a later reading


def drifted(spoil) -> list[DriftKind]:
    house, expected, tags = carried_out()
    spoil(house, house.tables[TABLE.id])
    principals = {Principal("role", "A")} if not isinstance(house.target, str) else None
    return [one.kind for one in find(expected, replace(TABLE, object_id="1"), tags, house.read({TABLE.id}), principals)]


def swap_mask(house, held):
    house.things["theirs"] = replace(next(iter(house.things.values())), comment="")
    held.masks["email"] = "theirs"


def new_table(house, _):
    house.tables[TABLE.id] = Held(replace(TABLE, object_id="2"))


def without_email(_, held):
    held.table = Table(TABLE.id, TABLE.columns[1:])


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (lambda *_: None, []),
        (lambda _, held: held.masks.clear(), [DriftKind.DETACHED]),
        (lambda _, held: setattr(held, "rows", None), [DriftKind.DETACHED]),
        (swap_mask, [DriftKind.REPLACED]),
        (without_email, [DriftKind.COLUMN_GONE]),
        (lambda house, _: setattr(house.things[max(house.things)], "body", None), [DriftKind.BODY_CHANGED]),
        (lambda _, held: held.tags.popitem(), [DriftKind.TAG_MOVED]),
        (lambda house, _: house.tables.clear(), [DriftKind.TABLE_GONE]),
        (
            new_table,
            [DriftKind.TABLE_RECREATED, DriftKind.DETACHED, DriftKind.DETACHED, DriftKind.TAG_MOVED, DriftKind.TAG_MOVED],
        ),
    ],
)
def test_each_kind_of_drift_is_told_apart(spoil, kinds):
    assert drifted(spoil) == kinds


def test_an_exempt_role_that_is_gone_is_drift_unless_nobody_knows_the_roles():
    house, expected, tags = carried_out()

    assert {one.kind for one in find(expected, TABLE, tags, house.read({TABLE.id}), set())} == {DriftKind.PRINCIPAL_GONE}
    assert find(expected, TABLE, tags, house.read({TABLE.id}), None) == ()


def test_an_object_that_is_gone_is_drift():
    house, expected, tags = carried_out()
    actual = house.read({TABLE.id})

    assert {one.kind for one in find(expected, TABLE, tags, replace(actual, objects={}))} == {DriftKind.OBJECT_GONE}


def test_a_rule_answers_for_what_it_has_a_part_in_and_for_nothing_else():
    two = [a_rule("r1", match={"columns": ["email"]}), a_rule("r2", match={"columns": ["region", "bad"]})]
    house, expected, _ = carried_out(two)
    seen = observed(house, expected)
    spoilt = replace(seen, masks={**seen.masks, "email": "another"})

    assert compare(of_rule(expected, "r1", {"email"}), seen).outcome is Outcome.ENFORCED
    assert compare(of_rule(expected, "r1", {"email"}), spoilt).outcome is Outcome.FAILED
    assert compare(of_rule(expected, "r2", {"region"}), spoilt).outcome is Outcome.ENFORCED
    assert compare(of_rule(expected, "r2", {"region", "bad"}), seen).reasons[-1].endswith("cannot be masked")


def test_a_rule_that_is_gone_answers_for_what_it_left():
    house, expected, _ = carried_out([a_rule("r1", match={"columns": ["email"]})])
    seen = observed(house, expected)
    bare = replace(expected, masks={}, objects=(), absent={"email": expected.masks["email"]})

    assert compare(of_rule(bare, "r1", {"email"}), seen).outcome is Outcome.FAILED
    assert compare(of_rule(bare, "r1", {"email"}), replace(seen, masks={})).outcome is Outcome.ENFORCED
    assert compare(of_rule(bare, "r2", {"region"}), seen).outcome is Outcome.ENFORCED


def test_tags_that_are_not_as_they_were_made_are_told():
    put, taken = TagEntry("email", "lily__pii", "redact"), TagEntry(None, "lily__gdpr")
    moved = replace(put, value="hash")

    assert untagged(frozenset({put}), frozenset({taken}), frozenset({put})) == frozenset()
    assert untagged(frozenset({put}), frozenset(), frozenset({moved})) == {put}
    assert untagged(frozenset(), frozenset({taken}), frozenset({replace(taken, value="x")})) == {taken}
