"""Matching: what each reader sees is what the strictest rule that does not exempt them says, on every type."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.branches import sees
from lily.domain.inventory import TableKind
from lily.domain.masking import NULLIFY
from lily.domain.matching import concerns, wanted
from lily.domain.rows import shows
from lily.domain.rules import Action, ActionKind, Principal, deleted
from tests.domain.security import BRICKS, NAMES, NOW, SNOW, TYPES, a_rule, a_table, mask_rules

CUSTOMERS = a_table(**{name: name for name in TYPES})
CARRIED_OUT = {  # by the text of the type, straight from the meaning of each action
    "VARCHAR": {"redact", "hash", "partial", "email_domain"},
    "VARCHAR(10)": {"redact", "partial", "email_domain"},  # a hash of 10 digits would join strangers
    "NUMBER(10,2)": {"redact"},
    "DATE": {"date_truncate"},
    "TIMESTAMP_TZ": {"date_truncate"},
    "BOOLEAN": set(),
    "VARIANT": set(),
}
SCALE = ["nullify", "redact", "hash", "partial", "email_domain", "date_truncate"]


def what_the_rules_say(rules, classes, type_text, reader, now):
    """The oracle, from the documents: None for clear, else the kind and parameters of the strictest action."""
    left = []
    for rule in rules:
        written = rule.document
        names = {
            e["role"] for e in written.get("exempt", []) if "role" in e and ("until" not in e or now.isoformat() < e["until"])
        }
        if written["enabled"] and classes & set(written["match"]["classifications"]) and not names & reader:
            kind, parameters = written["action"]["kind"], written["action"]["parameters"]
            left.append((kind, parameters) if kind in CARRIED_OUT[type_text] else ("nullify", {}))

    def less_shown(said):
        kind, parameters = said
        first, last = parameters.get("keep_first", 0), parameters.get("keep_last", 0)
        return SCALE.index(kind), first + last, first, ["year", "quarter", "month"].index(parameters.get("unit", "year"))

    return min(left, key=less_shown, default=None)


def in_words(action: Action | None):
    if action is None:
        return None
    said = {"keep_first": action.keep_first, "keep_last": action.keep_last, "unit": action.unit}
    if action.kind is ActionKind.REDACT:
        return "redact", {"text": "***"}
    return action.kind.value, {name: value for name, value in said.items() if value}


@given(
    st.lists(st.sampled_from(["r1", "r2", "r3", "r4"]), unique=True, min_size=1).flatmap(
        lambda ids: st.tuples(*(mask_rules(rule_id) for rule_id in ids))
    ),
    st.dictionaries(st.sampled_from(sorted(TYPES)), st.frozensets(st.sampled_from("xy"), min_size=1), min_size=1),
    st.sampled_from([NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=6)]),
)
def test_every_reader_sees_what_the_strictest_rule_not_exempting_them_says(rules, classes, now):
    table = wanted(rules, {CUSTOMERS.id: classes}, [CUSTOMERS], SNOW, now).tables[CUSTOMERS.id]
    bare = {entry.site.column: entry.code for entry in table.unprotected}

    for name, of in TYPES.items():
        about = classes.get(name, frozenset())
        if not any(r.document["enabled"] and about & set(r.document["match"]["classifications"]) for r in rules):
            assert name not in table.masks
            assert name not in bare
        elif name == "vector":
            assert bare[name] == "unsupported_type"
        else:
            for reader in (frozenset(some) for n in range(4) for some in combinations(NAMES, n)):
                said = what_the_rules_say(rules, about, of.text, reader, now)
                met = sees(table.masks[name].branches, frozenset(Principal("role", role) for role in reader))
                assert in_words(met) == said, (name, reader)


@given(st.tuples(mask_rules("r1"), mask_rules("r2"), mask_rules("r3")), st.data())
def test_the_order_of_rules_and_tables_does_not_matter(rules, data):
    tables = [CUSTOMERS, a_table("orders", text="text")]
    classified = {table.id: {"text": frozenset("x"), "date": frozenset("y")} for table in tables}
    shuffled = wanted(data.draw(st.permutations(rules)), classified, data.draw(st.permutations(tables)), SNOW, NOW)

    assert shuffled == wanted(rules, classified, tables, SNOW, NOW)


@given(st.tuples(mask_rules("r1"), mask_rules("r2")))
def test_nothing_changes_before_the_moment_that_is_given(rules):
    classified = {CUSTOMERS.id: {"text": frozenset("xy"), "number": frozenset("y")}}
    first = wanted(rules, classified, [CUSTOMERS], SNOW, NOW)
    moment = first.next_change_at or NOW + timedelta(days=9)

    assert wanted(rules, classified, [CUSTOMERS], SNOW, moment - timedelta(seconds=1)).tables == first.tables


def masks(rules, classes, target=SNOW, table=CUSTOMERS):
    return wanted(rules, {table.id: classes}, [table], target, NOW).tables[table.id].masks


def test_an_ended_exemption_covers_its_reader_again():
    rule = a_rule(exempt=[{"role": "A", "until": NOW + timedelta(hours=1)}])
    classified, reader = {CUSTOMERS.id: {"text": frozenset("c")}}, frozenset({Principal("role", "A")})
    before = wanted([rule], classified, [CUSTOMERS], SNOW, NOW)
    after = wanted([rule], classified, [CUSTOMERS], SNOW, NOW + timedelta(hours=1))

    assert before.next_change_at == NOW + timedelta(hours=1)
    assert sees(before.tables[CUSTOMERS.id].masks["text"].branches, reader) is None
    assert sees(after.tables[CUSTOMERS.id].masks["text"].branches, reader) is not None
    assert after.next_change_at is None


def test_columns_of_one_rule_set_and_type_share_one_mask():
    table = a_table(a="text", b="text", c="short", d="date")
    made = masks([a_rule("r1"), a_rule("r2", match={"columns": ["b"]})], dict.fromkeys("abcd", frozenset("c")), table=table)

    assert made["a"] != made["b"]  # of r1; of r1 and r2
    assert made["a"].type != made["c"].type
    assert masks([a_rule()], {"a": frozenset("c"), "b": frozenset("c")}, table=table)["a"] is not None
    assert len(set(masks([a_rule()], {"a": frozenset("c"), "b": frozenset("c")}, table=table).values())) == 1


def test_deleted_disabled_and_elsewhere_aimed_rules_want_nothing():
    rules = [deleted(a_rule("r1"), NOW), a_rule("r2", enabled=False), a_rule("r3", targets=["other"])]

    assert masks(rules, {"text": frozenset("c")}) == {}


def test_classifications_compare_without_case_but_column_names_do_not_on_a_target_that_tells_them_apart():
    assert masks([a_rule()], {"text": frozenset("C")})
    assert not masks([a_rule()], {"TEXT": frozenset("c")})
    assert masks([a_rule()], {"TEXT": frozenset("c")}, target=BRICKS)


def test_a_twin_that_differs_in_case_is_left_alone_if_the_name_is_quoted():
    table = a_table(Id="text", ID="text")

    assert set(masks([a_rule(match={"columns": ['"Id"']})], {}, table=table)) == {"Id"}
    assert set(masks([a_rule(match={"columns": ["id"]})], {}, table=table)) == {"Id", "ID"}


@pytest.mark.parametrize(
    ("scope", "is_met"),
    [
        ({"databases": ["crm"]}, True),
        ({"databases": ["sales", '"CRM"']}, True),
        ({"databases": ["sales"]}, False),
        ({"schemas": ["public"]}, True),
        ({"schemas": ["crm.public"], "databases": ["crm"]}, True),
        ({"schemas": ["sales.public"]}, False),
    ],
)
def test_databases_and_schemas_bound_every_kind_of_match(scope, is_met):
    for match in ({"classifications": ["c"]}, {"columns": ["text"]}, {"patterns": ["*.te?t"]}):
        assert bool(masks([a_rule(match={**match, **scope})], {"text": frozenset("c")})) == is_met


def test_groups_mean_nobody_where_masks_know_roles():
    rule = a_rule(exempt=[{"group": "A"}, {"role": "B"}])
    spec = {target.name: masks([rule], {"text": frozenset("c")}, target)["text"] for target in (SNOW, BRICKS)}

    assert sees(spec["snow"].branches, frozenset({Principal("group", "A")})) is not None
    assert sees(spec["snow"].branches, frozenset({Principal("role", "B")})) is None
    assert sees(spec["bricks"].branches, frozenset({Principal("group", "A")})) is None
    assert sees(spec["bricks"].branches, frozenset({Principal("role", "B")})) is not None


def test_an_action_that_does_not_fit_nullifies_and_says_so():
    table = wanted([a_rule(action="hash")], {CUSTOMERS.id: {"number": frozenset("c")}}, [CUSTOMERS], SNOW, NOW).tables[
        CUSTOMERS.id
    ]

    assert sees(table.masks["number"].branches, frozenset()) == NULLIFY
    assert [(remark.code, remark.site.column) for remark in table.remarks] == [("falls_back", "number")]
    assert table.masks["number"].salt == ""


def test_a_view_is_reported_where_views_cannot_be_masked():
    view = a_table(kind=TableKind.VIEW, text="text")
    table = wanted([a_rule()], {view.id: {"text": frozenset("c")}}, [view], BRICKS, NOW).tables[view.id]

    assert (dict(table.masks), [entry.code for entry in table.unprotected]) == ({}, ["unsupported_kind"])


def test_a_table_that_carries_a_classification_itself_masks_nothing_and_is_remarked():
    table = wanted([a_rule()], {CUSTOMERS.id: {None: frozenset("c")}}, [CUSTOMERS], SNOW, NOW).tables[CUSTOMERS.id]

    assert dict(table.masks) == {}
    assert [remark.code for remark in table.remarks] == ["whole_table"]
    assert table.rules == {"r1"}


def test_a_rule_for_whole_tables_masks_every_column_of_a_table_that_carries_its_classification():
    rule = a_rule(match={"classifications": ["C"], "whole_tables": True})
    table = wanted([rule], {CUSTOMERS.id: {None: frozenset("c")}}, [CUSTOMERS], SNOW, NOW).tables[CUSTOMERS.id]
    other = wanted([rule], {CUSTOMERS.id: {None: frozenset("x")}}, [CUSTOMERS], SNOW, NOW).tables[CUSTOMERS.id]

    unmaskable = {one.site.column for one in table.unprotected}
    assert {*table.masks, *unmaskable} == {column.name for column in CUSTOMERS.columns}
    assert {remark.code for remark in table.remarks} == {"falls_back"}
    assert dict(other.masks) == {}


def a_filter(rule_id="f1", column="region", values=("EU",), **more):
    return a_rule(rule_id, "row_filter", parameters={"column": column, "operator": "in", "values": list(values)}, **more)


ORDERS = a_table("orders", REGION="text", LAND="text", email="text")


def rows(rules, classes=None, target=SNOW, table=ORDERS):
    made = wanted(rules, {table.id: classes or {None: frozenset("c")}}, [table], target, NOW).tables[table.id]
    return made.rows, made.row_columns, [entry.code for entry in made.unprotected]


def test_filters_of_several_rules_are_one_policy_in_which_each_keeps_its_exemptions():
    spec, columns, missing = rows(
        [a_filter("f1", exempt=[{"role": "A"}]), a_filter("f2", "land", ["DE"]), a_filter("f3", "region", ["EU", "US"])]
    )

    assert columns == ("REGION", "LAND")
    assert missing == []
    assert spec is not None
    assert shows(spec, ("EU", "DE"), frozenset())
    assert not shows(spec, ("US", "DE"), frozenset())
    assert shows(spec, ("US", "DE"), frozenset({Principal("role", "A")}))
    assert not shows(spec, ("US", "FR"), frozenset({Principal("role", "A")}))


def test_a_filter_is_about_tables_of_which_a_column_is_matched():
    assert rows([a_filter()], {"email": frozenset("c")})[0] is not None
    assert rows([a_filter(match={"patterns": ["orders.*"]})])[0] is not None
    assert rows([a_filter(match={"patterns": ["customers.*"]})])[0] is None


def test_a_filter_that_cannot_be_stated_is_reported_and_the_others_hold():
    twins = a_table("twins", Region="text", REGION="text", born="date")

    assert rows([a_filter(column="planet")]) == (None, (), ["missing_column"])
    assert rows([a_filter(column="planet"), a_filter("f2")])[1:] == (("REGION",), ["missing_column"])
    assert rows([a_filter()], table=twins)[2] == ["ambiguous_column"]
    assert rows([a_filter(column='"Region"')], table=twins)[1] == ("Region",)
    assert rows([a_filter(column="born")], table=twins)[2] == ["unsupported_filter"]


def test_a_masked_column_filters_rows_only_where_the_target_allows_it():
    rules, classes = [a_filter(), a_rule("r1", match={"columns": ["region"]})], {None: frozenset("c")}

    assert rows(rules, classes)[2] == []
    assert rows(rules, classes, target=BRICKS)[2] == ["masked_argument"]


@pytest.mark.parametrize("order", [("text", "TEXT", "Text"), ("Text", "TEXT", "text")])
def test_where_case_is_ignored_no_spelling_of_a_column_hides_what_is_said_of_another(order):
    said = dict(zip(order, (frozenset("c"), frozenset("harmless"), frozenset()), strict=True))

    assert "text" in masks([a_rule()], said, target=BRICKS)


def test_tags_tell_the_strictest_action_per_regulation_and_what_authors_add():
    keep = {"tag": "retention", "value": "1 year"}
    rules = [
        a_rule("r1", "partial"),
        a_rule("r2", "hash"),
        a_rule("r3", "nullify", regulation="GDPR"),
        a_rule("r4", "tag_only", parameters=keep),
        a_filter(),
    ]
    made = wanted(rules, {ORDERS.id: {"email": frozenset("c")}}, [ORDERS], SNOW, NOW).tables[ORDERS.id]

    assert {(tag.column, tag.key, tag.value) for tag in made.tags} == {
        ("email", "lily_prod__pii", "hash"),
        ("email", "lily_prod__gdpr", "nullify"),
        ("email", "lily_prod__retention", "1 year"),
        (None, "lily_prod__pii", "row_filter"),
    }


@given(
    st.tuples(mask_rules("r1"), mask_rules("r2")),
    st.dictionaries(st.sampled_from(["text", None]), st.frozensets(st.sampled_from("xyz"))),
)
def test_a_table_is_concerned_if_and_only_if_the_rule_finds_something_in_it(rules, classes):
    made = wanted(rules, {CUSTOMERS.id: classes}, [CUSTOMERS], SNOW, NOW).tables[CUSTOMERS.id]

    for rule in rules:
        asked = replace(rule, enabled=True)
        assert (rule.id in made.rules) == (rule.enabled and concerns(asked, CUSTOMERS, classes, ignores_case=False))
