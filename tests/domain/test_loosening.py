"""What may weaken a rule is told from its documents: every real weakening is, and plain strengthening is not."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.brake import Protection, weakenings
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site
from lily.domain.loosening import loosened
from lily.domain.matching import wanted
from lily.domain.rules import Rule
from tests.domain.security import ACTIONS, NOW, SNOW, TYPES, a_rule, a_table, exemption

TABLE = a_table("t", **{name: name for name in TYPES})
COLUMNS = {"text": frozenset("cd"), "number": frozenset("c"), "date": frozenset("d"), "short": frozenset("d")}
CLASSES = {None: frozenset("d"), **COLUMNS}

matches = st.fixed_dictionaries(
    {
        "classifications": st.lists(st.sampled_from(["c", "C", "d"]), unique=True),
        "columns": st.lists(st.sampled_from(["text", "moment", "json"]), unique=True, max_size=2),
        "patterns": st.lists(st.sampled_from(["text", "*o*", "*"]), unique=True, max_size=1),
        "databases": st.sampled_from([[], ["CRM"], ["OTHER"], ["CRM", "OTHER"]]),
        "schemas": st.sampled_from([[], ["PUBLIC"], ["CRM.PUBLIC", "PUBLIC"]]),
        "whole_tables": st.booleans(),
    }
).filter(lambda match: match["classifications"] or (not match["whole_tables"] and (match["columns"] or match["patterns"])))
filters = st.builds(
    lambda column, operator, values: (
        "row_filter",
        {"column": column, "operator": operator, "values": values[:1] if operator == "=" else values},
    ),
    st.sampled_from(["text", "short"]),
    st.sampled_from(["=", "in", "not_in"]),
    st.lists(st.sampled_from(["EU", "US", "ASIA"]), min_size=1, unique=True),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind, parameters = draw(st.one_of(st.sampled_from(ACTIONS), filters))
    return a_rule(
        "r",
        kind,
        parameters=parameters,
        match=draw(matches),
        exempt=draw(st.lists(exemption, max_size=2, unique_by=lambda one: (one.get("role"), one.get("group")))),
        targets=draw(st.sampled_from([["*"], ["snow"], ["other"], ["snow", "other"]])),
        enabled=draw(st.sampled_from([True, True, False])),
    )


def protections(of: Rule) -> dict[Site, Protection]:
    made = wanted([of], {TABLE.id: CLASSES}, [TABLE], SNOW, NOW).tables[TABLE.id]
    return {site: Protection(spec, () if isinstance(spec, MaskSpec) else made.row_columns) for site, spec in made.specs.items()}


def fields(before: Rule, after: Rule) -> Sequence[str]:
    return [fault.field for fault in loosened(before, after, NOW)]


@given(rules(), rules())
def test_whatever_weakens_a_real_table_is_told(before: Rule, after: Rule) -> None:
    if weakenings(protections(before), protections(after)):
        assert loosened(before, after, NOW)


@given(rules())
def test_a_rule_is_never_looser_than_itself(rule: Rule) -> None:
    assert loosened(rule, rule, NOW) == ()


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ({}, {"enabled": False}, "enabled"),
        ({}, {"match": {"classifications": ["other"]}}, "match.classifications"),
        ({"match": {"columns": ["a", "b"]}}, {"match": {"columns": ["a"]}}, "match.columns"),
        ({"match": {"patterns": ["*a", "*b"]}}, {"match": {"patterns": ["*a"]}}, "match.patterns"),
        ({}, {"match": {"classifications": ["c"], "databases": ["CRM"]}}, "match.databases"),
        ({}, {"match": {"classifications": ["c"], "schemas": ["PUBLIC"]}}, "match.schemas"),
        ({"action": "nullify"}, {"action": "redact"}, "action"),
        ({"action": "partial"}, {"action": "email_domain"}, "action"),
        ({}, {"action": "tag_only"}, "action.kind"),
        ({}, {"exempt": [{"role": "A"}]}, "exempt[0]"),
        ({"exempt": [{"role": "A", "until": NOW + timedelta(1)}]}, {"exempt": [{"role": "A"}]}, "exempt[0]"),
        ({}, {"targets": ["snow"]}, "targets"),
    ],
)
def test_the_field_that_weakens_is_named(before: dict[str, Any], after: dict[str, Any], field: str) -> None:
    assert fields(a_rule(**before), a_rule(**after)) == [field]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"enabled": False}, {"match": {"columns": ["x"]}, "exempt": [{"role": "A"}]}),
        ({"action": "tag_only"}, {"enabled": False}),
        ({}, {"match": {"classifications": ["C", "d"], "patterns": ["*mail*"]}}),
        ({"match": {"columns": ["a"]}}, {"match": {"patterns": ["a", "*b"]}}),
        ({"action": "partial"}, {"action": "hash"}),
        ({"action": "redact"}, {"action": "nullify"}),
        ({"exempt": [{"role": "A"}]}, {"exempt": [{"role": "A", "until": NOW + timedelta(1)}]}),
        ({"targets": ["snow"]}, {"targets": ["*"]}),
        ({"match": {"columns": ["a"], "databases": ["CRM"]}}, {"match": {"columns": ["a"], "databases": ["CRM", "HR"]}}),
    ],
)
def test_strengthening_is_no_weakening(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert fields(a_rule(**before), a_rule(**after)) == []
