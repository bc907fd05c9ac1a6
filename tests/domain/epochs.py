"""Worlds for the tests of plans: three tables, what rules want of them at some time, and a warehouse to try it on."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from lily.domain.matching import Wanted, wanted
from lily.domain.naming import Comment
from lily.domain.plan import Plan, diff
from lily.domain.targets import Target
from tests.domain.security import BRICKS, NOW, SNOW, a_rule, a_table, exemption, mask_rules
from tests.domain.warehouse import Held, Warehouse

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
