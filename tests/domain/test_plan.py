"""Plans: carried out on a model of a warehouse, stopped anywhere, made anew; nothing is ever bare, nothing foreign touched."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lily.domain.carriers import bystanders
from lily.domain.inventory import Site, TableId, TableKind
from lily.domain.matching import Wanted, wanted
from lily.domain.naming import Comment, Owner
from lily.domain.plan import Plan, diff
from lily.domain.steps import (
    AttachMasks,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    DetachMasks,
    DropMask,
    NoteMask,
    SetTags,
    SwapRowPolicy,
    TagEntry,
    UnsetTags,
    apart,
)
from lily.domain.targets import Target
from tests.domain.security import BRICKS, NOW, SNOW, a_rule, a_table, exemption, mask_rules
from tests.domain.warehouse import Held, ObjectKind, Thing, Warehouse

NARROW = replace(SNOW, can=replace(SNOW.can, columns_per_statement=2, tags_per_statement=3))
TABLES = [
    a_table("a", one="text", two="text", three="short", bad="vector"),
    a_table("b", one="text", two="number"),
    a_table("c", one="text", two="date"),
]
OTHERS = Comment("dev", (("r1", 1),), "0" * 32).text


@st.composite
def row_rules(draw, rule_id):
    column = draw(st.sampled_from(["one", "two"]))
    values = draw(st.lists(st.sampled_from(["EU", "US"] if column == "one" else [1, 2]), min_size=1, unique=True))
    exempt = draw(st.lists(exemption, max_size=1))
    parameters = {"column": column, "operator": "in", "values": values}
    return a_rule(
        rule_id, "row_filter", parameters=parameters, exempt=exempt, match={"classifications": [draw(st.sampled_from("xy"))]}
    )


rule_sets = st.tuples(mask_rules("r1"), mask_rules("r2"), mask_rules("r3"), row_rules("f1"), row_rules("f2")).flatmap(
    lambda rules: st.lists(st.sampled_from(rules), unique_by=lambda rule: rule.id, max_size=5)
)
annotations = st.fixed_dictionaries(
    {
        table.id: st.dictionaries(
            st.sampled_from([None, *(column.name for column in table.columns)]), st.frozensets(st.sampled_from("xy"), min_size=1)
        )
        for table in TABLES
    }
)


@st.composite
def epochs(draw):
    """What is wanted at one time, and of which tables a plan is made."""
    return draw(rule_sets), draw(annotations), draw(st.sampled_from([NOW, NOW + timedelta(hours=2)]))


targets = st.sampled_from([SNOW, NARROW, BRICKS])
some_tables = st.sets(st.sampled_from([table.id for table in TABLES]), min_size=1)


def want(epoch, target: Target, names=None) -> Wanted:
    rules, classified, now = epoch
    return wanted(rules, classified, [t for t in TABLES if names is None or t.id in names], target, now)


def a_warehouse(target: Target) -> Warehouse:
    return Warehouse(target, {table.id: Held(table) for table in TABLES})


def run(house: Warehouse, plan: Plan, watch=lambda: None) -> None:
    for step in plan.steps:
        house.do(step)
        watch()


def settle(house: Warehouse, epoch) -> None:
    run(house, diff(want(epoch, house.target), house.read(set(house.tables)), house.target))


def asked(made: Wanted) -> dict:
    """What is to be in force at each place in the end."""
    return {
        site: (spec, table.row_columns) if site.column is None else spec
        for table in made.tables.values()
        for site, spec in table.specs.items()
    }


@settings(max_examples=70)
@given(targets, epochs(), epochs(), some_tables, st.data())
def test_at_every_point_each_place_has_what_it_had_or_what_it_is_to_have(target, first, second, names, data):
    house = a_warehouse(target)
    settle(house, first)
    before, wish = house.in_force(), want(second, target, names)
    after = asked(wish)
    plan = diff(wish, house.read(names), target)
    plan = replace(plan, tables=tuple(data.draw(st.permutations(plan.tables))))
    unprotected = {entry.site for table in plan.tables for entry in table.unprotected}

    def watch():
        now = house.in_force()
        for site in before.keys() & after.keys():
            assert now[site] in (before[site], after[site]), site
        for site in before:
            if site.table not in names or site in unprotected - after.keys():
                assert now[site] == before[site], site

    run(house, plan, watch)

    now = house.in_force()
    assert {site: now[site] for site in now if site.table in names and site not in unprotected - after.keys()} == after
    assert diff(wish, house.read(names), target).steps == ()
    assert all(house.uses(name) for name in house.things)


@settings(max_examples=70)
@given(targets, epochs(), epochs(), epochs(), st.data())
def test_a_plan_stopped_anywhere_is_taken_up_by_the_next_one(target, first, second, third, data):
    house = a_warehouse(target)
    settle(house, first)
    plan = diff(want(second, target), house.read(set(house.tables)), target)
    stopped = data.draw(st.integers(0, len(plan.steps)))
    for step in plan.steps[:stopped]:
        house.do(step)
    last = data.draw(st.sampled_from([second, third]))
    before, after = house.in_force(), asked(want(last, target))

    def watch():
        now = house.in_force()
        for site in before.keys() & after.keys():
            assert now[site] in (before[site], after[site]), site

    run(house, diff(want(last, target), house.read(set(house.tables)), target), watch)

    untouchable = {e.site for t in want(last, target).tables.values() for e in t.unprotected} - after.keys()
    assert {site: spec for site, spec in house.in_force().items() if site not in untouchable} == after
    assert diff(want(last, target), house.read(set(house.tables)), target).steps == ()
    assert all(house.uses(name) for name in house.things)
    used = {key for table in house.tables.values() for _, key in table.tags}
    assert set(house.tags) == (used if target.can.tags_are_objects else set())


@settings(max_examples=50)
@given(targets, epochs(), epochs(), st.sets(st.sampled_from([t.id for t in TABLES])), st.data())
def test_a_table_that_fails_holds_up_no_other_and_loses_nothing(target, first, second, failing, data):
    house = a_warehouse(target)
    settle(house, first)
    before = house.in_force()
    plan = diff(want(second, target), house.read(set(house.tables)), target)
    for step in plan.before:
        house.do(step)
    for table in plan.tables:
        done = data.draw(st.integers(0, len(table.steps) - 1)) if table.table.id in failing and table.steps else len(table.steps)
        for step in table.steps[:done]:
            house.do(step)
    really = {table.table.id for table in plan.tables if table.table.id in failing and table.steps}
    for last in plan.after:
        if not last.tables & really:
            house.do(last.step)  # raises if something still uses it

    after, now = asked(want(second, target)), house.in_force()
    for site in before.keys() & after.keys():
        assert now[site] in (before[site], after[site])
    settle(house, second)
    assert all(house.uses(name) for name in house.things)


@settings(max_examples=50)
@given(targets, epochs(), epochs(), st.data())
def test_what_is_not_ours_stays_as_it_is_and_is_a_conflict_where_ours_is_wanted(target, first, second, data):
    house = a_warehouse(target)
    places = data.draw(st.sets(st.sampled_from([(t.id, c.name) for t in TABLES for c in t.columns]), max_size=3))
    for number, (name, column) in enumerate(places):
        comment = data.draw(st.sampled_from(["", "by hand", OTHERS]))
        house.things[f"theirs_{number}"] = Thing(ObjectKind.MASK, "theirs", "x", comment)
        house.tables[name].masks[column] = f"theirs_{number}"
    if data.draw(st.booleans()):
        house.things["their_rows"] = Thing(ObjectKind.ROW_POLICY, "theirs", None, "")
        house.tables[TABLES[0].id].rows = ("their_rows", ("one",))
    theirs = deepcopy(house.things)
    where = {name: house.uses(name) for name in theirs}

    for epoch in (first, second):
        plan = diff(want(epoch, target), house.read(set(house.tables)), target)
        wishes = asked(want(epoch, target))
        run(house, plan)
        taken = {site for sites in where.values() for site in sites}
        assert {c.site for table in plan.tables for c in table.conflicts} == taken & wishes.keys()

    assert {name: house.things[name] for name in theirs} == theirs
    assert {name: house.uses(name) for name in theirs} == where
    run(house, diff(Wanted({}), house.read(set(house.tables)), target))
    assert house.things == theirs
    assert all(not table.tags for table in house.tables.values())


@settings(max_examples=40)
@given(targets, epochs(), st.data())
def test_a_change_by_hand_is_undone(target, epoch, data):
    house = a_warehouse(target)
    settle(house, epoch)
    as_it_was = house.in_force()
    assume(as_it_was)
    site = data.draw(st.sampled_from(sorted(as_it_was, key=str)))
    name = house.tables[site.table].masks[site.column] if site.column is not None else house.tables[site.table].rows[0]
    match data.draw(st.sampled_from(["detached", "rewritten", "tag moved", "recreated"])):
        case "detached" if site.column is not None:
            del house.tables[site.table].masks[site.column]
        case "detached":
            house.tables[site.table].rows = None
        case "rewritten":
            house.things[name].body = None
        case "tag moved":
            house.tables[site.table].tags.clear()
        case "recreated":
            house.tables[site.table] = Held(house.tables[site.table].table)
    settle(house, epoch)

    assert house.in_force() == as_it_was
    assert all(thing.body is not None for thing in house.things.values())


@settings(max_examples=50)
@given(targets, epochs(), epochs(), st.data())
def test_places_that_are_held_stay_exactly_as_they_are(target, first, second, data):
    house = a_warehouse(target)
    settle(house, first)
    before = house.in_force()
    assume(before)
    keep = frozenset(data.draw(st.sets(st.sampled_from(sorted(before, key=str)), min_size=1)))
    plan = diff(want(second, target), house.read(set(house.tables)), target, keep)

    def watch():
        now = house.in_force()
        assert {site: now.get(site) for site in keep} == {site: before[site] for site in keep}

    run(house, plan, watch)

    after, now = asked(want(second, target)), house.in_force()
    assert all(now[site] == after[site] for site in after.keys() - keep)
    assert {site for table in plan.tables for site in table.held} == keep
    assert diff(want(second, target), house.read(set(house.tables)), target, keep).steps == ()


# the same, by example


def plan_for(house: Warehouse, rules, classes, names=None) -> Plan:
    made = wanted(
        rules, classes, [table.table for key, table in house.tables.items() if names is None or key in names], house.target, NOW
    )
    return diff(made, house.read(names or set(house.tables)), house.target)


def of_one_rule(target: Target = SNOW, columns: int = 20, tables: int = 3):
    wide = [a_table(f"t{n}", **{f"c{m}": "text" for m in range(columns)}) for n in range(tables)]
    house = Warehouse(target, {table.id: Held(table) for table in wide})
    classes = {table.id: {column.name: frozenset("c") for column in table.columns} for table in wide}
    return house, classes


def kinds(plan: Plan) -> list[str]:
    return [type(step).__name__ for step in plan.steps]


def test_a_rule_on_many_columns_is_one_mask_and_one_statement_per_table_and_kind():
    house, classes = of_one_rule()
    plan = plan_for(house, [a_rule()], classes)

    assert kinds(plan) == ["CreateMask", "CreateTag", *["AttachMasks", "SetTags"] * 3]


def test_a_target_that_alters_one_column_at_a_time_gets_one_step_each():
    house, classes = of_one_rule(BRICKS, columns=4, tables=1)

    assert kinds(plan_for(house, [a_rule()], classes)) == ["CreateMask", *["AttachMasks"] * 4, *["SetTags"] * 4]


def test_more_columns_than_a_statement_takes_are_several():
    house, classes = of_one_rule(columns=205, tables=1)
    made = [step for step in plan_for(house, [a_rule()], classes).steps if isinstance(step, AttachMasks | SetTags)]

    assert [len(getattr(step, "attachments", ()) or step.entries) for step in made] == [100, 100, 5, 100, 100, 5]


def test_a_new_action_changes_the_body_once_for_all_columns():
    house, classes = of_one_rule()
    run(house, plan_for(house, [a_rule()], classes))
    plan = plan_for(house, [a_rule(action="hash")], classes)

    assert [step for step in kinds(plan) if step != "SetTags"] == ["ChangeMask", "NoteMask"]
    assert plan.before[0].name in house.things


def test_a_column_that_is_on_its_way_out_does_not_hinder_a_change_in_place_and_goes_last():
    house, _ = of_one_rule(columns=2, tables=1)
    name = next(iter(house.tables))
    run(house, plan_for(house, [a_rule()], {name: {"c0": frozenset("c")}}))
    plan = plan_for(house, [a_rule(action="hash")], {name: {"c1": frozenset("c")}})

    assert kinds(plan) == ["ChangeMask", "AttachMasks", "SetTags", "DetachMasks", "UnsetTags", "NoteMask"]


def test_where_the_comment_goes_with_the_body_there_is_no_note():
    house, classes = of_one_rule(BRICKS, columns=2, tables=1)
    run(house, plan_for(house, [a_rule()], classes))

    assert [step for step in kinds(plan_for(house, [a_rule(action="hash")], classes)) if step != "SetTags"] == ["ChangeMask"]


def test_versions_alone_cost_no_statement():
    house, classes = of_one_rule()
    rule = a_rule()
    run(house, plan_for(house, [rule], classes))

    assert plan_for(house, [replace(rule, version=7)], classes).steps == ()


def test_a_second_rule_swaps_each_column_in_one_step_and_its_end_swaps_back():
    house, classes = of_one_rule(columns=2, tables=1)
    run(house, plan_for(house, [a_rule()], classes))
    alone = deepcopy((house.in_force(), house.things))
    plan = plan_for(house, [a_rule(), a_rule("r2", "hash")], classes)
    attach = next(step for step in plan.steps if isinstance(step, AttachMasks))

    assert [one.replaces for one in attach.attachments] == [next(iter(house.things))] * 2
    assert not any(isinstance(step, DetachMasks) for step in plan.steps)
    assert isinstance(plan.steps[-1], DropMask)

    run(house, plan)
    run(house, plan_for(house, [a_rule()], classes))
    assert (house.in_force(), house.things) == alone


def test_deleting_a_rule_leaves_nothing_of_it():
    house, classes = of_one_rule()
    run(house, plan_for(house, [a_rule()], classes))
    plan = plan_for(house, [], classes)
    run(house, plan)

    assert (house.things, house.tags, house.in_force()) == ({}, {}, {})
    assert {len(last.tables) for last in plan.after} == {3}


def test_without_its_other_tables_a_plan_lets_a_new_mask_take_over():
    house, classes = of_one_rule(columns=1)
    run(house, plan_for(house, [a_rule()], classes))
    names, before = {TableId("CRM", "PUBLIC", "t0")}, house.in_force()
    weaker = [a_rule(action="hash")]
    plan = plan_for(house, weaker, classes, names)

    assert kinds(plan) == ["CreateMask", "AttachMasks", "SetTags"]
    run(house, plan)
    assert {site for site, spec in house.in_force().items() if spec == before[site]} == before.keys() - {Site(*names, "c0")}
    made = wanted(weaker, classes, [house.tables[name].table for name in names], SNOW, NOW)
    assert bystanders(made.tables[next(iter(names))].specs.values(), house.read(names), SNOW) == frozenset()

    for name in house.tables:
        run(house, plan_for(house, weaker, classes, {name}))
    assert len(house.things) == 1
    assert plan_for(house, weaker, classes).steps == ()


def test_the_tables_that_would_let_a_body_change_in_place_are_named():
    house, classes = of_one_rule(columns=1)
    run(house, plan_for(house, [a_rule()], classes))
    names = {TableId("CRM", "PUBLIC", "t0")}
    made = wanted([a_rule(action="hash")], classes, [house.tables[name].table for name in names], SNOW, NOW)
    others = bystanders([spec for table in made.tables.values() for spec in table.specs.values()], house.read(names), SNOW)

    assert others == house.tables.keys() - names
    assert "ChangeMask" in kinds(plan_for(house, [a_rule(action="hash")], classes, names | others))


def test_a_foreign_object_of_our_name_is_passed_over():
    house, classes = of_one_rule(columns=1, tables=1)
    plan = plan_for(house, [a_rule()], classes)
    name = plan.before[0].name
    house.things[name] = Thing(ObjectKind.MASK, "theirs", None, "mine")
    run(house, plan_for(house, [a_rule()], classes))

    assert set(house.things) == {name, name + "_2"}
    run(house, plan_for(house, [], classes))
    assert house.things == {name: Thing(ObjectKind.MASK, "theirs", None, "mine")}


def test_a_tag_object_of_somebody_else_is_not_set():
    house, classes = of_one_rule(columns=1, tables=1)
    house.tags["lily_prod__pii"] = "theirs"
    run(house, plan_for(house, [a_rule()], classes))

    assert house.tags == {"lily_prod__pii": "theirs"}
    assert not house.tables[TableId("CRM", "PUBLIC", "t0")].tags


@pytest.mark.parametrize("inherited", [True, False])
def test_what_reaches_a_column_from_above_or_stands_in_the_way_is_a_conflict(inherited):
    house, classes = of_one_rule(columns=1, tables=1)
    held = next(iter(house.tables.values()))
    if inherited:
        held.inherited["c0"] = "gov.abac.mask_all"
    else:
        held.obstacle = "a materialized view reads it"
    plan = plan_for(house, [a_rule()], classes)

    assert [c.code for c in plan.tables[0].conflicts] == ["inherited" if inherited else "obstacle"]
    assert "AttachMasks" not in kinds(plan)
    assert plan.tables[0].expected.unmet


def test_a_type_that_cannot_be_masked_any_more_keeps_its_mask():
    table = a_table("t", c0="text")
    house = Warehouse(SNOW, {table.id: Held(table)})
    classes = {table.id: {"c0": frozenset("c")}}
    run(house, plan_for(house, [a_rule()], classes))
    house.tables[table.id].table = a_table("t", c0="vector")
    plan = plan_for(house, [a_rule()], classes)

    assert not any(isinstance(step, DetachMasks | DropMask) for step in plan.steps)
    assert [entry.code for entry in plan.tables[0].unprotected] == ["unsupported_type"]


def a_filter(column="one", values=("EU",), **more):
    return a_rule("f1", "row_filter", parameters={"column": column, "operator": "in", "values": list(values)}, **more)


def test_a_row_filter_on_another_column_is_swapped_in_one_statement():
    table = a_table("t", one="text", two="text")
    house = Warehouse(SNOW, {table.id: Held(table)})
    classes = {table.id: {None: frozenset("c")}}
    run(house, plan_for(house, [a_filter()], classes))
    more_values = plan_for(house, [a_filter(values=("EU", "US"))], classes)
    moved = plan_for(house, [a_filter(column="two", values=("US",))], classes)

    assert [type(step) for step in more_values.before] == [ChangeRowPolicy]
    assert [type(step) for step in moved.tables[0].steps] == [SwapRowPolicy]
    assert not any(isinstance(step, ChangeRowPolicy) for step in moved.steps), "its old column would be read with new values"


def test_a_view_is_tagged_even_where_it_cannot_be_masked():
    view = a_table("v", kind=TableKind.VIEW, one="text")
    house = Warehouse(BRICKS, {view.id: Held(view)})
    plan = plan_for(house, [a_rule()], {view.id: {"one": frozenset("c")}})

    assert kinds(plan) == ["SetTags"]
    assert plan.tables[0].table.kind is TableKind.VIEW


def test_a_table_that_is_not_there_is_named():
    made = wanted([a_rule()], {}, [TABLES[0]], SNOW, NOW)

    assert diff(made, Warehouse(SNOW, {}).read(set()), SNOW).missing == (TABLES[0].id,)


def test_side_effects_are_told_once_for_a_table_that_was_bare():
    house, classes = of_one_rule(columns=2, tables=1)
    plan = plan_for(house, [a_rule()], classes)

    assert [effect.code for effect in plan.tables[0].side_effects] == ["ctas"]
    run(house, plan)
    assert plan_for(house, [a_rule(action="hash")], classes).tables[0].side_effects == ()


def test_a_comment_that_lags_behind_its_body_is_mended_alone():
    house, classes = of_one_rule(columns=1, tables=1)
    run(house, plan_for(house, [a_rule()], classes))
    plan = plan_for(house, [a_rule(action="hash")], classes)
    for step in plan.steps:
        if not isinstance(step, NoteMask):
            house.do(step)

    assert kinds(plan_for(house, [a_rule(action="hash")], classes)) == ["NoteMask"]


def test_objects_whose_uses_are_unknown_are_neither_changed_nor_dropped():
    house, classes = of_one_rule(columns=1, tables=1)
    run(house, plan_for(house, [a_rule()], classes))
    actual = house.read(set(house.tables))
    blind = replace(actual, objects={name: replace(known, uses=None) for name, known in actual.objects.items()})
    tables = [held.table for held in house.tables.values()]

    changed = diff(wanted([a_rule(action="hash")], classes, tables, SNOW, NOW), blind, SNOW)
    assert not any(isinstance(step, ChangeMask | DropMask) for step in changed.steps)
    assert any(isinstance(step, CreateMask) for step in changed.steps)
    assert not any(isinstance(step, DropMask) for step in diff(Wanted({}), blind, SNOW).steps)


def test_steps_come_apart_by_column():
    house, classes = of_one_rule(columns=3, tables=1)
    create, tag, attach, tags = plan_for(house, [a_rule()], classes).steps

    assert apart(create) == (create,)
    assert [step.attachments for step in apart(attach)] == [(one,) for one in attach.attachments]
    assert len(apart(tags)) == 3
    for step in (create, tag, *apart(attach), *apart(tags)):
        house.do(step)
    assert plan_for(house, [a_rule()], classes).steps == ()
    unset = UnsetTags(attach.table, (TagEntry("a", "k"), TagEntry("a", "l"), TagEntry("b", "k")))
    assert [len(step.entries) for step in apart(unset)] == [2, 1]


def test_owners_are_told_by_comment():
    house, classes = of_one_rule(columns=1, tables=1)
    run(house, plan_for(house, [a_rule()], classes))

    assert {known.owner for known in house.read(set()).objects.values()} == {Owner.OURS}
