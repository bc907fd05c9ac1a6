"""What is kept of security comes back as it was, whatever names and numbers are in it."""

import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lily.domain import brake, proofs
from lily.domain.brake import Weakening
from lily.domain.branches import Branch, MaskSpec
from lily.domain.classifications import Annotation, CatalogAsset, Place, stated
from lily.domain.inventory import Column, DataType, Family, Site, Table, TableId, TableKind, Zone
from lily.domain.masking import MaskType
from lily.domain.proofs import Expected, ExpectedObject, Unmet
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import MASKS, Action, Operator, Principal
from lily.domain.steps import TagEntry
from lily.records import security_forms as forms
from tests.domain.security import NOW

names = st.text(max_size=5)
columns = st.none() | names
times = st.datetimes(timezones=st.just(UTC))
lengths = st.none() | st.integers(0, 2**40)
table_ids = st.builds(TableId, names, names, names)
sites = st.builds(Site, table_ids, columns)
types = st.builds(DataType, st.sampled_from(Family), names, names, lengths, lengths, lengths, st.sampled_from(Zone))
tables = st.builds(
    Table,
    table_ids,
    st.lists(st.builds(Column, names, types), max_size=4).map(tuple),
    st.sampled_from(TableKind),
    names,
)
principals = st.builds(Principal, st.sampled_from(["role", "group"]), names)
readers = st.frozensets(principals, max_size=3)
actions = st.builds(Action, st.sampled_from(sorted(MASKS)), names, st.integers(0, 32), st.integers(0, 32), names)
rule_ids = st.lists(names, max_size=3).map(tuple)
masks = st.builds(
    MaskSpec,
    rule_ids,
    st.builds(MaskType, st.sampled_from(Family), names, st.integers(0, 64), st.sampled_from(Zone)),
    st.lists(st.builds(Branch, st.lists(readers, max_size=2).map(tuple), st.none() | actions), max_size=3).map(tuple),
    names,
)
literals = st.one_of(names, st.booleans(), st.integers(-(10**38), 10**38), st.floats(allow_nan=False, allow_infinity=False))
row_policies = st.builds(
    RowSpec,
    rule_ids,
    st.lists(st.builds(Argument, st.sampled_from(Family), names, st.sampled_from(Zone)), max_size=2).map(tuple),
    st.lists(
        st.builds(RowCondition, readers, st.integers(0, 9), st.sampled_from(Operator), st.lists(literals, max_size=3).map(tuple)),
        max_size=2,
    ).map(tuple),
)
expected = st.builds(
    Expected,
    table_ids,
    st.dictionaries(names, names, max_size=2),
    columns,
    st.lists(names, max_size=2).map(tuple),
    st.lists(st.builds(ExpectedObject, names, masks | row_policies, names), max_size=2).map(tuple),
    st.dictionaries(columns, names, max_size=2),
    st.lists(st.builds(Unmet, columns, names, names), max_size=2).map(tuple),
)
verdicts = st.builds(
    proofs.Verdict,
    st.sampled_from(proofs.Outcome),
    rule_ids,
    times,
    st.dictionaries(names, names, max_size=2),
    rule_ids,
)
tags = st.builds(TagEntry, columns, names, names)
weakenings = st.builds(Weakening, sites, st.sampled_from(brake.Why), names, names, st.none() | readers)
annotations = st.builds(
    Annotation,
    st.builds(Place, st.just("snow"), st.just(TableId("A", "B", "c")), columns),
    names,
    st.frozensets(names, max_size=3),
    times,
    st.booleans(),
    st.none() | times,
)


def kinds(value: Any) -> Any:
    """The types of literals, which compare as equal: 1, 1.0 and True."""
    if isinstance(value, RowSpec):
        return [[type(literal) for literal in condition.values] for condition in value.conditions]
    return None


@pytest.mark.parametrize(
    ("values", "form", "inverse"),
    [
        (table_ids, forms.table_id_form, forms.table_id_from),
        (sites, forms.site_form, forms.site_from),
        (tables, forms.table_form, forms.table_from),
        (principals, forms.principal_form, forms.principal_from),
        (masks, forms.mask_form, forms.mask_from),
        (row_policies, forms.rows_form, forms.rows_from),
        (expected, forms.expected_form, forms.expected_from),
        (verdicts, forms.verdict_form, forms.verdict_from),
        (tags, forms.tag_form, forms.tag_from),
        (weakenings, forms.weakening_form, forms.weakening_from),
    ],
    ids=["table id", "site", "table", "principal", "mask", "row policy", "expected", "verdict", "tag", "weakening"],
)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_kept_comes_back(
    values: st.SearchStrategy[Any], form: Callable[[Any], Any], inverse: Callable[[Any], Any], data: st.DataObject
) -> None:
    value = data.draw(values)

    back = inverse(forms.inflated(forms.deflated(form(value))))

    assert back == value
    assert kinds(back) == kinds(value)


@given(annotations)
def test_an_annotation_comes_back_to_its_table(annotation: Annotation) -> None:
    kept = forms.inflated(forms.deflated(forms.annotation_form(annotation)))

    assert forms.annotation_from(kept, "snow", TableId("A", "B", "c")) == annotation


def test_an_annotation_of_no_place_is_refused() -> None:
    with pytest.raises(TypeError, match="has to be resolved before"):
        forms.annotation_form(stated(CatalogAsset("default/x"), "s", ["c"], NOW))


@given(table_ids, table_ids)
def test_two_tables_share_a_key_only_if_they_are_one(one: TableId, other: TableId) -> None:
    assert (forms.table_key(one) == forms.table_key(other)) == (one == other)
    assert set(forms.table_key(one)) <= set("0123456789abcdef")


def test_a_key_is_that_of_the_names_in_canonical_json() -> None:
    """Items are found by it, so it must never change."""
    assert forms.table_key(TableId("CRM", "PUBLIC", "Kunden ü.\U0001f600")) == "c9019d61e4e0b109b0d2cfde49eb8e6f"


def test_a_wide_table_of_few_types_stays_far_below_what_an_item_may_hold() -> None:
    of = DataType(Family.TEXT, "VARCHAR(16777216)", "VARCHAR", 16777216)
    wide = Table(TableId("D", "S", "T"), tuple(Column(f"COLUMN_NUMBER_{n}", of) for n in range(2000)))

    assert len(json.dumps(forms.table_form(wide))) < 80_000
    assert len(forms.deflated(forms.table_form(wide))) < 20_000
