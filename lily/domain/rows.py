"""Row policies: which rows a table shows to whom, as conditions that every warehouse can state.

A reader sees a row if each condition holds: the reader has one of its exempt principals, or its comparison is true. A
comparison with NULL is not true, and a principal that cannot be told (NULL) exempts nobody; so NULL hides.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lily.domain.inventory import DataType, Family, Zone
from lily.domain.masking import NUMBERS
from lily.domain.rules import NULL_TESTS, Literal, Operator, Principal, RowFilter

VALUE_LISTS = frozenset({Operator.EQUAL, Operator.IN})  # `= x` is `in (x)`


@dataclass(frozen=True)
class Argument:
    """The type of a column that a row policy reads; see DataType.signature."""

    family: Family
    signature: str
    zone: Zone = Zone.NONE


@dataclass(frozen=True)
class RowCondition:
    """`argument` is the place in the policy's arguments. `values` have the kind that the argument's family compares with."""

    exempt: frozenset[Principal]
    argument: int
    operator: Operator
    values: tuple[Literal, ...] = ()


@dataclass(frozen=True)
class RowSpec:
    """One row policy, free of any vendor's language. Tables with the same rules and argument types share one object.

    The columns that a table gives as arguments belong to the attachment (AttachRowPolicy), in the order of `arguments`.
    """

    rules: tuple[str, ...]
    arguments: tuple[Argument, ...]
    conditions: tuple[RowCondition, ...]

    @property
    def principals(self) -> frozenset[Principal]:
        """Everyone whom the policy asks about."""
        return frozenset(principal for condition in self.conditions for principal in condition.exempt)

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all that decides which rows readers see."""
        arguments = [[a.family, a.signature, a.zone] for a in self.arguments]
        conditions = [
            [sorted([p.kind, p.name] for p in c.exempt), c.argument, c.operator, [[type(v).__name__, str(v)] for v in c.values]]
            for c in self.conditions
        ]
        return hashlib.sha256(json.dumps([arguments, conditions], separators=(",", ":")).encode()).hexdigest()


def unfit(row_filter: RowFilter, column: DataType) -> str:
    """Why a filter cannot compare a column of this type; empty if it can. Reads after `column x`."""
    if column.family in {Family.OTHER, Family.SEMI_STRUCTURED, Family.BINARY, Family.TIME}:
        return f"is {column.text}, which row filters do not compare"
    if row_filter.operator in NULL_TESTS:
        return ""
    if column.family is Family.BOOLEAN and row_filter.operator not in {Operator.EQUAL, Operator.NOT_EQUAL}:
        return f"is {column.text}, which has no order; use = or !="
    wrong = next((value for value in row_filter.values if not _compares(value, column)), None)
    return "" if wrong is None else f"is {column.text} and does not compare with {wrong!r}"


def _compares(value: Literal, column: DataType) -> bool:
    if column.family in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if column.family is Family.BOOLEAN:
        return isinstance(value, bool)
    if column.family is Family.TEXT:
        return isinstance(value, str)
    return isinstance(value, str) and _is_time(value, column)


def _is_time(text: str, column: DataType) -> bool:
    try:
        if column.family is Family.DATE:
            return date.fromisoformat(text) is not None
        offset = datetime.fromisoformat(text).utcoffset()
        if offset is None or column.zone is Zone.NONE:
            return offset is None and column.zone is Zone.NONE
        return offset.total_seconds() % 60 == 0  # warehouses tell zones by minutes
    except ValueError:
        return False


def shows(spec: RowSpec, row: Sequence[Any], reader: frozenset[Principal]) -> bool:
    """Whether `reader` sees a row, given its arguments' values: the meaning that every target's dialect has to keep.

    Dates and times are compared as values of one kind: `row` holds what `values` hold, parsed.
    """
    return all(condition.exempt & reader or _true(condition, row[condition.argument]) for condition in spec.conditions)


def weaker_for(
    before: RowSpec, columns_before: Sequence[str], after: RowSpec, columns_after: Sequence[str]
) -> RowCondition | None:
    """A condition of `before` that nothing in `after` holds up, wholly and for as many readers; None if all are held up.

    The columns are those that the table gives as arguments. Comparisons that are neither the same nor both lists of values
    count as not comparable.
    """
    held = (
        any(columns_after[new.argument] == columns_before[old.argument] and _holds_up(new, old) for new in after.conditions)
        for old in before.conditions
    )
    return next((old for old, is_held in zip(before.conditions, held, strict=True) if not is_held), None)


def _holds_up(new: RowCondition, old: RowCondition) -> bool:
    if not new.exempt <= old.exempt:
        return False
    if {new.operator, old.operator} <= VALUE_LISTS:
        return set(new.values) <= set(old.values)
    if new.operator is old.operator is Operator.NOT_IN:
        return set(new.values) >= set(old.values)
    return new.operator is old.operator and new.values == old.values


def _true(condition: RowCondition, value: Any) -> bool:
    if value is None:
        return condition.operator is Operator.IS_NULL
    return COMPARISONS[condition.operator](value, condition.values)


COMPARISONS: Mapping[Operator, Callable[[Any, Sequence[Any]], bool]] = {
    Operator.EQUAL: lambda value, values: bool(value == values[0]),
    Operator.NOT_EQUAL: lambda value, values: bool(value != values[0]),
    Operator.LESS: lambda value, values: bool(value < values[0]),
    Operator.LESS_OR_EQUAL: lambda value, values: bool(value <= values[0]),
    Operator.GREATER: lambda value, values: bool(value > values[0]),
    Operator.GREATER_OR_EQUAL: lambda value, values: bool(value >= values[0]),
    Operator.IN: lambda value, values: value in values,
    Operator.NOT_IN: lambda value, values: value not in values,
    Operator.IS_NULL: lambda _, __: False,
    Operator.IS_NOT_NULL: lambda _, __: True,
}
