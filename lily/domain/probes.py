"""Made-up values with which masks and row policies are tried: no stored value is ever needed for a proof.

Each value of a type differs from what any mask makes of it, and there are enough rows to tell a filter's conditions apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from lily.domain.inventory import Family
from lily.domain.masking import NUMBERS, MaskType
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Operator

VALUES: Mapping[Family, Sequence[Any]] = {
    Family.TEXT: ("canary.bird-0123456789@lily.example", "No address, @but text", "ab"),
    Family.INTEGER: (7,),  # fits the smallest
    Family.DECIMAL: (Decimal("0.7"),),
    Family.FLOAT: (4711.5,),
    Family.BOOLEAN: (True, False),
    Family.DATE: (date(2021, 8, 17),),
    Family.TIMESTAMP: (datetime(2021, 8, 17, 13, 14, 15),),  # noqa: DTZ001 - as a wall clock shows it
}
ROWS_MAX = 32


def values(of: MaskType) -> Sequence[Any]:
    """Values that a mask of this type is tried on, short enough for it; none for types whose values are not compared."""
    found = VALUES.get(of.family, ())
    return [value[: of.fit] for value in found] if of.family is Family.TEXT else found


def rows(spec: RowSpec, fits: Callable[[Any, Argument], bool] = lambda *_: True) -> list[list[Any]]:
    """Rows as the literals of conditions write them: each differs from the first in one argument; with others, and None.

    `fits`: whether a column of that type can hold a value; what it cannot is left out.
    """
    choices = [[*(v for v in _values(spec, n) if fits(v, of)), None] for n, of in enumerate(spec.arguments)]
    return list(islice(_rows(choices), ROWS_MAX))


def compared(value: Any, of: Argument) -> Any:
    """As conditions compare: dates and times as what their texts mean."""
    if not isinstance(value, str):
        return value
    if of.family is Family.TIMESTAMP:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if of.family is Family.DATE else value


def comparable(spec: RowSpec) -> RowSpec:
    """The same with the values of its conditions as they compare, for rows.shows."""
    conditions = tuple(
        replace(one, values=tuple(compared(value, spec.arguments[one.argument]) for value in one.values))
        for one in spec.conditions
    )
    return replace(spec, conditions=conditions)


def _rows(choices: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    first = [some[0] for some in choices]
    yield first
    for place, some in enumerate(choices):
        for value in some[1:]:
            yield [*first[:place], value, *first[place + 1 :]]


def _values(spec: RowSpec, place: int) -> list[Any]:
    of = spec.arguments[place]
    asked = [value for one in spec.conditions if one.argument == place for value in _near(one, of)]
    return list(dict.fromkeys(asked or [_any(of)]))


def _near(one: RowCondition, of: Argument) -> list[Any]:
    """The first value that a condition names, and some beside it."""
    if one.operator in {Operator.IS_NULL, Operator.IS_NOT_NULL}:
        return [_any(of)]
    value = one.values[0]
    if isinstance(value, bool):
        return [value, not value]
    if isinstance(value, int | float):
        return [value, value - 1, value + 1]
    if of.family is Family.TEXT:
        return [value, f"{value}x", value[:-1]]
    at = datetime.fromisoformat(value) if of.family is Family.TIMESTAMP else date.fromisoformat(value)
    return [value, *filter(None, (_shifted(at, days) for days in (-1, 1)))]


def _shifted(at: date, days: int) -> str:
    try:
        return (at + timedelta(days=days)).isoformat()
    except OverflowError:
        return ""


def _any(of: Argument) -> Any:
    if of.family in NUMBERS:
        return 7
    if of.family is Family.BOOLEAN:
        return True
    return "2021-08-17" if of.family in {Family.DATE, Family.TIMESTAMP} else "canary"
