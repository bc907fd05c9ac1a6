"""Plans, by property: carried out on a model of a warehouse, stopped anywhere, made anew; nothing is ever bare."""

from copy import deepcopy
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lily.domain.brake import Protection, kept, planned, weakenings
from lily.domain.matching import Wanted
from lily.domain.plan import diff
from tests.domain.epochs import OTHERS, TABLES, a_warehouse, asked, epochs, run, settle, some_tables, targets, want
from tests.domain.warehouse import Held, ObjectKind, Thing


@settings(max_examples=50)
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


@settings(max_examples=50)
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


@settings(max_examples=30)
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


def protections(house):
    specs = house.in_force().items()
    return {site: Protection(*spec) if site.column is None else Protection(spec) for site, spec in specs}


@settings(max_examples=50)
@given(targets, epochs(), epochs())
def test_without_what_the_brake_holds_a_plan_weakens_nobody(target, first, second):
    house = a_warehouse(target)
    settle(house, first)
    before, wish = protections(house), want(second, target)
    lost = weakenings(before, planned(wish, before))
    run(house, diff(wish, house.read(set(house.tables)), target, kept(wish, before) | {one.site for one in lost}))

    assert weakenings(before, protections(house)) == ()


@settings(max_examples=50)
@given(targets, epochs(), epochs())
def test_every_place_that_a_plan_weakens_was_told_before(target, first, second):
    house = a_warehouse(target)
    settle(house, first)
    before, wish = protections(house), want(second, target)
    told = weakenings(before, planned(wish, before))
    run(house, diff(wish, house.read(set(house.tables)), target, kept(wish, before)))

    assert weakenings(before, protections(house)) == told
