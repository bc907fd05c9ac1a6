"""Made-up values: each shows whether a mask is at work, and rows tell a filter from none."""

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain import probes, rows
from lily.domain.inventory import Family
from lily.domain.masking import FITS, MaskType, fitted, masked
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Operator, Principal

ACTIONS = [
    Action(ActionKind.NULLIFY),
    Action(ActionKind.REDACT, text="***"),
    Action(ActionKind.HASH),
    Action(ActionKind.PARTIAL, keep_first=1, keep_last=1),
    Action(ActionKind.EMAIL_DOMAIN),
    Action(ActionKind.DATE_TRUNCATE, unit="month"),
]
TYPES = [MaskType(Family.TEXT, "t", fit) for fit in FITS] + [
    MaskType(family, "t") for family in probes.VALUES if family != "text"
]
VALUES = {
    Family.TEXT: st.text(max_size=10),
    Family.INTEGER: st.integers(-(2**40), 2**40),
    Family.BOOLEAN: st.booleans(),
    Family.DATE: st.dates().map(date.isoformat),
    Family.TIMESTAMP: st.datetimes().map(datetime.isoformat),
}


@pytest.mark.parametrize("of", TYPES, ids=lambda of: f"{of.family} {of.fit}")
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.kind)
def test_no_mask_leaves_made_up_values_as_they_are(of: MaskType, action: Action) -> None:
    made = list(probes.values(of))

    assert made
    assert [masked(fitted(action, of), value, of, "0" * 32) for value in made] != made


@st.composite
def specs(draw: st.DrawFn) -> RowSpec:
    family = draw(st.sampled_from(sorted(VALUES)))
    few = {Operator.EQUAL, Operator.NOT_EQUAL} if family is Family.BOOLEAN else set(Operator) - {Operator.IS_NULL}
    operator = draw(st.sampled_from(sorted(few - {Operator.IS_NOT_NULL})))
    size = 3 if operator in {Operator.IN, Operator.NOT_IN} else 1
    values = tuple(draw(st.lists(VALUES[family], min_size=size, max_size=size)))
    return RowSpec(("r",), (Argument(family, "t"),), (RowCondition(frozenset({Principal("group", "g")}), 0, operator, values),))


@given(specs())
def test_rows_are_all_shown_to_the_exempt_and_not_all_to_others(spec: RowSpec) -> None:
    comparable = probes.comparable(spec)
    made: list[list[Any]] = [[probes.compared(value, spec.arguments[0]) for value in row] for row in probes.rows(spec)]

    assert all(rows.shows(comparable, row, frozenset({Principal("group", "g")})) for row in made)
    assert not all(rows.shows(comparable, row, frozenset()) for row in made)


def test_what_a_column_cannot_hold_is_left_out() -> None:
    spec = RowSpec(("r",), (Argument(Family.INTEGER, "tinyint"),), (RowCondition(frozenset(), 0, Operator.LESS, (128,)),))

    assert probes.rows(spec, lambda value, _: value < 128) == [[127], [None]]
