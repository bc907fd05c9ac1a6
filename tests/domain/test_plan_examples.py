"""Plans, by example: how many statements, of which kind, in which order."""

from copy import deepcopy
from dataclasses import replace

import pytest

from lily.domain.brake import Protection, kept, planned, weakenings
from lily.domain.carriers import bystanders
from lily.domain.inventory import Site, TableId, TableKind
from lily.domain.matching import Wanted, wanted
from lily.domain.naming import Owner
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
from tests.domain.epochs import TABLES, run
from tests.domain.security import BRICKS, NOW, SNOW, a_rule, a_table
from tests.domain.warehouse import Held, ObjectKind, Thing, Warehouse


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


def a_filter(column="one", values=("EU",), rule_id="f1", **more):
    return a_rule(rule_id, "row_filter", parameters={"column": column, "operator": "in", "values": list(values)}, **more)


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


def test_a_row_filter_that_cannot_be_stated_any_more_leaves_the_old_one_in_force_and_weakens_nothing():
    table = a_table("t", one="text")
    house = Warehouse(SNOW, {table.id: Held(table)})
    classes = {table.id: {None: frozenset("c")}}
    run(house, plan_for(house, [a_filter()], classes))
    before = house.in_force()
    changed = [a_filter(column="planet")]
    had = {site: Protection(*what) for site, what in before.items()}

    assert weakenings(had, planned(wanted(changed, classes, [table], SNOW, NOW), had)) == ()
    run(house, plan_for(house, changed, classes))
    assert house.in_force() == before


@pytest.mark.parametrize("lost", ["renamed", "masked"])
def test_of_several_row_filters_none_goes_because_another_cannot_be_stated_any_more(lost):
    table = a_table("t", one="text", other="text")
    house = Warehouse(BRICKS, {table.id: Held(table)})
    classes = {table.id: {None: frozenset("c")}}
    rules = [a_filter(), a_filter("other", rule_id="f2")]
    run(house, plan_for(house, rules, classes))
    before = house.in_force()
    had = {site: Protection(*what) for site, what in before.items()}
    changed = (
        [*rules, a_rule("m", match={"columns": ["other"]})] if lost == "masked" else [rules[0], a_filter("gone", rule_id="f2")]
    )
    made = wanted(changed, classes, [table], BRICKS, NOW)

    plan = diff(made, house.read(set(house.tables)), BRICKS, kept(made, had))
    assert weakenings(had, planned(made, had)) == ()
    assert "held" not in {unmet.code for unmet in plan.tables[0].expected.unmet}
    run(house, plan)
    assert house.in_force()[Site(table.id)] == before[Site(table.id)]


def test_a_tag_under_one_of_our_keys_that_somebody_else_made_stays_where_they_set_it():
    house, classes = of_one_rule(columns=1, tables=1)
    (table,) = house.tables.values()
    house.tags["lily_prod__secret"] = "somebody's"
    table.tags["c0", "lily_prod__secret"] = "x"
    run(house, plan_for(house, [a_rule()], classes))
    run(house, plan_for(house, [], {}))

    assert table.tags == {("c0", "lily_prod__secret"): "x"}
    assert house.tags == {"lily_prod__secret": "somebody's"}


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
