"""Rules as authors write them: what is accepted, and every fault with its field at once."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lily.domain.rule_documents import new, replaced, restored, stored
from lily.domain.rules import ActionKind, InvalidRule, Operator, Principal, Regulation, deleted

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_document(**more: Any) -> dict[str, Any]:
    plain = {
        "name": "Mask e-mail addresses",
        "regulation": "PII",
        "match": {"classifications": ["Email"]},
        "action": {"kind": "redact"},
        "exempt": [],
        "targets": ["*"],
    }
    return {**plain, **more}


def fields(document: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidRule) as refused:
        new("r1", document, NOW)
    return [fault.field for fault in refused.value.faults]


def test_a_rule_is_read_whole():
    rule = new(
        "r1",
        a_document(
            match={"patterns": ["*.e?mail"], "databases": ["crm"]},
            action={"kind": "partial", "parameters": {"keep_last": 4}},
            exempt=[{"role": "AUDITOR", "until": "2027-01-01T01:00:00+01:00", "reason": "audit"}, {"group": "auditors"}],
            targets=["snow", "bricks"],
        ),
        NOW,
    )

    assert (rule.version, rule.regulation, rule.action.kind, rule.action.keep_last) == (1, Regulation.PII, ActionKind.PARTIAL, 4)
    assert rule.exempts("role", NOW) == {Principal("role", "AUDITOR")}
    assert rule.next_change_at(NOW) == datetime(2027, 1, 1, tzinfo=UTC)
    assert rule.aims_at("snow")
    assert not rule.aims_at("elsewhere")


def test_every_fault_is_told_at_once_with_its_field():
    document = {
        "name": "",
        "colour": "red",
        "regulation": "XYZ",
        "match": {"patterns": ["a..b"], "columns": ["e*"], "databases": ["a.b"], "tables": []},
        "action": {"kind": "partial", "parameters": {"keep_last": 99, "text": "x"}},
        "exempt": [{"role": "A", "group": "b"}, {"role": "C", "until": "tomorrow"}, {"role": "D\0"}],
        "targets": [],
        "enabled": "yes",
    }

    assert set(fields(document)) == {
        "name",
        "colour",
        "regulation",
        "match.patterns[0]",
        "match.columns[0]",
        "match.databases[0]",
        "match.tables",
        "action.parameters.keep_last",
        "action.parameters.text",
        "exempt[0]",
        "exempt[1].until",
        "exempt[2].role",
        "targets",
        "enabled",
    }


@pytest.mark.parametrize(
    "everyone", [{"role": "PUBLIC"}, {"role": "public"}, {"group": "account users"}, {"group": "Account Users "}]
)
def test_a_rule_that_exempts_everyone_is_refused(everyone):
    assert fields(a_document(exempt=[{"role": "OK"}, everyone])) == [f"exempt[1].{next(iter(everyone))}"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"match": {}}, "match"),
        ({"match": {"databases": ["crm"]}}, "match"),
        ({"match": None}, "match"),
        ({"action": {"kind": "partial"}}, "action.parameters"),
        ({"action": {"kind": "partial", "parameters": {"keep_last": True}}}, "action.parameters.keep_last"),
        ({"action": {"kind": "date_truncate", "parameters": {"unit": "day"}}}, "action.parameters.unit"),
        ({"action": {"kind": "hash", "parameters": {"text": "x"}}}, "action.parameters.text"),
        ({"action": {"kind": "redact", "parameters": {"text": "x" * 65}}}, "action.parameters.text"),
        ({"action": {"kind": "redact", "parameters": []}}, "action.parameters"),
        ({"action": {"kind": "tag_only"}, "exempt": [{"role": "A"}]}, "exempt"),
        ({"action": {"kind": "tag_only", "parameters": {"tag": "pii", "value": "x"}}}, "action.parameters.tag"),
        ({"action": {"kind": "tag_only", "parameters": {"tag": "keep", "value": "a;b"}}}, "action.parameters.value"),
        ({"action": {"kind": "drop_table"}}, "action.kind"),
        ({"exempt": [{"role": "A"}, {"role": "A"}]}, "exempt[1]"),
        ({"exempt": [{"role": "A", "until": "2026-01-01T00:00:00Z"}]}, "exempt[0].until"),
        ({"exempt": [{"role": "A", "until": "2027-01-01T00:00:00"}]}, "exempt[0].until"),
        ({"exempt": {"role": "A"}}, "exempt"),
        ({"exempt": ["A"]}, "exempt[0]"),
        ({"name": "\ud800"}, "name"),
        ({"name": 5}, "name"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(change, field):
    assert fields(a_document(**change)) == [field]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"column": "region", "operator": "~", "values": [1]}, "operator"),
        ({"column": "region", "operator": "=", "values": [1, 2]}, "values"),
        ({"column": "region", "operator": "in", "values": []}, "values"),
        ({"column": "region", "operator": "is_null", "values": [1]}, "values"),
        ({"column": "region", "operator": "in", "values": [1, "x"]}, "values"),
        ({"column": "region", "operator": "=", "values": [float("nan")]}, "values[0]"),
        ({"column": "region", "operator": "=", "values": [10**38]}, "values[0]"),
        ({"column": "region", "operator": "=", "values": [None]}, "values[0]"),
        ({"column": "a.region", "operator": "=", "values": [1]}, "column"),
        ({"column": "region", "operator": "=", "values": [1], "sql": "1=1"}, "sql"),
    ],
)
def test_row_filters_are_structured(parameters, field):
    assert fields(a_document(action={"kind": "row_filter", "parameters": parameters})) == [f"action.parameters.{field}"]


def test_a_single_value_needs_no_list():
    parameters = {"column": "region", "operator": "=", "values": "EU'; --"}
    rule = new("r1", a_document(action={"kind": "row_filter", "parameters": parameters}), NOW)

    assert rule.action.filter is not None
    assert (rule.action.filter.operator, rule.action.filter.values) == (Operator.EQUAL, ("EU'; --",))


def test_an_exemption_ends_by_itself():
    until = NOW + timedelta(hours=1)
    rule = new("r1", a_document(exempt=[{"role": "A", "until": until}, {"role": "B"}, {"group": "c"}]), NOW)

    assert rule.exempts("role", until - timedelta(seconds=1)) == {Principal("role", "A"), Principal("role", "B")}
    assert rule.exempts("role", until) == {Principal("role", "B")}
    assert rule.next_change_at(until) is None


def test_an_ended_exemption_may_stay_in_a_later_version_but_not_come_new():
    document = a_document(exempt=[{"role": "A", "until": NOW + timedelta(hours=1)}])
    rule, later = new("r1", document, NOW), NOW + timedelta(hours=2)

    assert replaced(rule, {**document, "name": "Other"}, later).version == 2
    with pytest.raises(InvalidRule, match="passed already"):
        replaced(rule, {**document, "exempt": [{"role": "B", "until": NOW + timedelta(hours=1)}]}, later)


def test_deleting_makes_a_last_version():
    rule = deleted(new("r1", a_document(), NOW), NOW)

    assert (rule.version, rule.is_active, rule.aims_at("snow")) == (2, False, False)
    assert deleted(rule, NOW + timedelta(1)) == rule


exemptions = st.lists(
    st.one_of(
        st.builds(lambda name: {"role": name}, st.sampled_from("ABC")),
        st.builds(lambda name, h: {"group": name, "until": NOW + timedelta(hours=h)}, st.sampled_from("ab"), st.integers(1, 9)),
    ),
    max_size=2,
    unique_by=str,
)


@given(exemptions, st.booleans())
def test_a_stored_rule_comes_back_equal_after_its_exemptions_ended(exempt, gone):
    document = a_document(exempt=exempt)
    try:
        rule = new("r1", document, NOW)
    except InvalidRule:
        return
    rule = deleted(rule, NOW + timedelta(days=1)) if gone else rule

    assert restored(json.loads(json.dumps(stored(rule)))) == rule


@settings(max_examples=30)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_is_sent_is_refused_with_faults_never_with_an_accident(junk):
    for name in ("name", "regulation", "match", "action", "exempt", "targets", "enabled", "description"):
        document = a_document(**{name: junk})
        try:
            new("r1", document, NOW)
        except InvalidRule as refused:
            assert all(fault.field.startswith(name) for fault in refused.faults)
    for parameters in (
        {"column": junk, "operator": "in", "values": junk},
        {"tag": junk, "value": junk},
        {"keep_first": junk},
        {"text": junk},
    ):
        for kind in ActionKind:
            try:
                new("r1", a_document(action={"kind": kind.value, "parameters": parameters}), NOW)
            except InvalidRule as refused:
                assert refused.faults
