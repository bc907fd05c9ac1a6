"""Row policies: NULL hides, every condition holds, and what counts as weaker."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.inventory import DataType, Family, Zone
from lily.domain.patterns import Part
from lily.domain.rows import Argument, RowCondition, RowSpec, shows, unfit, weaker_for
from lily.domain.rules import Operator, Principal, RowFilter

ROLES = [Principal("role", name) for name in "AB"]
NUMBER = Argument(Family.INTEGER, "NUMBER")
comparisons = st.one_of(
    st.tuples(
        st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL, Operator.LESS, Operator.GREATER_OR_EQUAL]),
        st.tuples(st.integers(0, 3)),
    ),
    st.tuples(st.sampled_from([Operator.IN, Operator.NOT_IN]), st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)),
    st.tuples(st.sampled_from([Operator.IS_NULL, Operator.IS_NOT_NULL]), st.just(())),
)
row_conditions = st.builds(
    lambda exempt, argument, compared: RowCondition(exempt, argument, *compared),
    st.frozensets(st.sampled_from(ROLES)),
    st.integers(0, 1),
    comparisons,
)
specs = st.lists(row_conditions, min_size=1, max_size=3).map(
    lambda conditions: RowSpec(("r",), (NUMBER, NUMBER), tuple(conditions))
)
READERS = [frozenset(), frozenset(ROLES[:1]), frozenset(ROLES[1:]), frozenset(ROLES)]
ROWS = list(product([None, 0, 1, 2, 3], repeat=2))


def a_spec(*conditions: RowCondition) -> RowSpec:
    return RowSpec(("r",), (NUMBER,), conditions)


def test_all_conditions_hold_together_each_with_its_own_exemptions():
    a, b = frozenset(ROLES[:1]), frozenset(ROLES[1:])
    spec = RowSpec(
        ("r1", "r2"), (NUMBER, NUMBER), (RowCondition(a, 0, Operator.EQUAL, (1,)), RowCondition(b, 1, Operator.LESS, (5,)))
    )

    assert shows(spec, (1, 4), frozenset())
    assert not shows(spec, (2, 4), frozenset())
    assert shows(spec, (2, 4), a)
    assert not shows(spec, (2, 6), a)
    assert shows(spec, (2, 6), a | b)


@pytest.mark.parametrize("operator", [o for o in Operator if o is not Operator.IS_NULL])
def test_null_hides_unless_it_is_asked_for(operator):
    assert not shows(a_spec(RowCondition(frozenset(), 0, operator, (1,))), (None,), frozenset())
    assert shows(a_spec(RowCondition(frozenset(), 0, Operator.IS_NULL)), (None,), frozenset())


@given(specs, specs)
def test_whoever_sees_a_new_row_is_found(before, after):
    grown = any(shows(after, row, reader) and not shows(before, row, reader) for reader in READERS for row in ROWS)

    if grown:
        assert weaker_for(before, ("a", "b"), after, ("a", "b")) is not None


@given(specs)
def test_nothing_is_weaker_than_itself_nor_with_a_further_condition(spec):
    more = RowSpec(spec.rules, spec.arguments, (*spec.conditions, RowCondition(frozenset(), 0, Operator.IS_NOT_NULL)))

    assert weaker_for(spec, ("a", "b"), spec, ("a", "b")) is None
    assert weaker_for(spec, ("a", "b"), more, ("a", "b")) is None


def test_fewer_values_are_stricter_and_other_columns_are_not_comparable():
    one, two = (a_spec(RowCondition(frozenset(), 0, Operator.IN, values)) for values in ((1,), (1, 2)))

    assert weaker_for(two, ("a",), one, ("a",)) is None
    assert weaker_for(one, ("a",), two, ("a",)) is not None
    assert weaker_for(one, ("a",), one, ("b",)) is not None


@given(specs, specs)
def test_fingerprints_tell_apart_what_is_shown(one, other):
    same = (one.arguments, [(c.exempt, c.argument, c.operator, c.values) for c in one.conditions]) == (
        other.arguments,
        [(c.exempt, c.argument, c.operator, c.values) for c in other.conditions],
    )

    assert (one.fingerprint == other.fingerprint) == same


def test_fingerprints_tell_one_from_true_and_from_text():
    prints = {a_spec(RowCondition(frozenset(), 0, Operator.EQUAL, (value,))).fingerprint for value in (1, True, "1", 1.0)}

    assert len(prints) == 4


@pytest.mark.parametrize(
    ("family", "zone", "operator", "values", "fits"),
    [
        (Family.TEXT, Zone.NONE, Operator.IN, ("EU", "US"), True),
        (Family.TEXT, Zone.NONE, Operator.EQUAL, (1,), False),
        (Family.DECIMAL, Zone.NONE, Operator.LESS, (1.5,), True),
        (Family.DECIMAL, Zone.NONE, Operator.LESS, (True,), False),
        (Family.BOOLEAN, Zone.NONE, Operator.EQUAL, (True,), True),
        (Family.BOOLEAN, Zone.NONE, Operator.LESS, (True,), False),
        (Family.DATE, Zone.NONE, Operator.LESS, ("2026-01-01",), True),
        (Family.DATE, Zone.NONE, Operator.LESS, ("yesterday",), False),
        (Family.TIMESTAMP, Zone.NONE, Operator.LESS, ("2026-01-01T00:00:00",), True),
        (Family.TIMESTAMP, Zone.OFFSET, Operator.LESS, ("2026-01-01T00:00:00",), False),
        (Family.TIMESTAMP, Zone.SESSION, Operator.LESS, ("2026-01-01T00:00:00Z",), True),
        (Family.TIME, Zone.NONE, Operator.LESS, ("12:00",), False),
        (Family.OTHER, Zone.NONE, Operator.IS_NULL, (), False),
        (Family.DATE, Zone.NONE, Operator.IS_NULL, (), True),
    ],
)
def test_a_filter_fits_a_column_or_says_why_not(family, zone, operator, values, fits):
    column = DataType(family, family.value.upper(), family.value, zone=zone)

    assert (unfit(RowFilter(Part("c", is_exact=False), operator, values), column) == "") == fits
