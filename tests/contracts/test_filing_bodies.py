"""What filing's bodies show is what they mean everywhere: each action on each type, each operator of row filters."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from lily.domain import masking, rows
from lily.domain.branches import MaskSpec, chain
from lily.domain.inventory import DataType, Family
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import MASKS, Action, ActionKind, Operator, Principal
from tests.contracts.filing import bodies
from tests.contracts.filing.types import data_type
from tests.contracts.test_filing import HOME, SALT, AtFiling, new_place, place, unused

__all__ = ["new_place", "place", "unused"]

TEXTS = ["", "a", "ab", "abcd", "@", "a@", "@b", "a@b@c", "it's", "''); --", 'a"b\\', "é\u0301 😀😀", "x" * 70, None]
DAYS = [date(2024, 2, 29), date(1999, 12, 31), date(2021, 4, 1), date(1, 1, 1), None]
VALUES: dict[str, Sequence[Any]] = {
    "text": TEXTS,
    "text(20)": [text and text[:20] for text in TEXTS],
    "text(3)": [text and text[:3] for text in TEXTS],
    "whole": [0, -3, 2**53, None],
    "real": [0.0, -1.5, 1e300, None],
    "day": DAYS,
}
READERS = {"ann": frozenset({Principal("role", "PII")}), "bob": frozenset[Principal]()}


def actions(kind: ActionKind) -> list[Action]:
    if kind is ActionKind.PARTIAL:
        return [Action(kind, keep_first=first, keep_last=last) for first, last in ((1, 1), (0, 4), (3, 0))]
    if kind is ActionKind.DATE_TRUNCATE:
        return [Action(kind, unit=unit) for unit in masking.UNITS]
    return [Action(kind, text="it's hidden; --")] if kind is ActionKind.REDACT else [Action(kind)]


@pytest.mark.parametrize("kind", sorted(MASKS))
@pytest.mark.parametrize("text", VALUES)
def test_an_action_shows_what_it_means(place: AtFiling, text: str, kind: ActionKind) -> None:
    of = masking.mask_type(data_type(text))
    assert of
    for number, action in enumerate(masking.fitted(action, of) for action in actions(kind)):
        spec = MaskSpec(("r1",), of, chain([(READERS["ann"], action)]), SALT)
        table, name = ["CRM", "PUBLIC", f"t{number}"], [*HOME, f"m{number}"]
        place.does("create table", table=table, columns=[["v", text]], rows=[[stored(value)] for value in VALUES[text]])
        place.does("create", kind="screen", name=name, takes=[of.signature], body=bodies.mask(spec, SALT))
        place.does("carry", table=table, kind="screen", onto=[{"column": "v", "name": name, "instead of": None}])

        meant = [[stored(masking.masked(action, value, of, SALT))] for value in VALUES[text]]
        assert place.does("read", "bob", table=table) == meant, action
        assert place.does("read", "ann", table=table) == [[stored(value)] for value in VALUES[text]], action


ASKED: dict[str, tuple[Any, ...]] = {
    "text": ("it's", "a@"),
    "whole": (0, 7),
    "real": (0.5, -1.5),
    "day": ("2021-04-01", "1999-12-31"),
}
PARSED: dict[str, Callable[[Any], Any]] = {"day": date.fromisoformat}


@pytest.mark.parametrize("operator", Operator)
@pytest.mark.parametrize("text", ASKED)
def test_an_operator_shows_the_rows_that_it_means(place: AtFiling, text: str, operator: Operator) -> None:
    values = {Operator.IN: 2, Operator.NOT_IN: 2, Operator.IS_NULL: 0, Operator.IS_NOT_NULL: 0}.get(operator, 1)
    of: DataType = data_type(text)
    asked, parse = ASKED[text][:values], PARSED.get(text, lambda value: value)

    def spec(given: tuple[Any, ...]) -> RowSpec:
        return RowSpec(("r1",), (Argument(of.family, of.signature),), (RowCondition(READERS["ann"], 0, operator, given),))

    table, name = ["CRM", "PUBLIC", "t"], [*HOME, "rows"]
    place.does("create table", table=table, columns=[["v", text]], rows=[[stored(value)] for value in VALUES[text]])
    place.does("create", kind="sieve", name=name, takes=[of.signature], body=bodies.rows(spec(asked)))
    onto = {"column": None, "given": ["v"], "name": name, "instead of": None}
    place.does("carry", table=table, kind="sieve", onto=[onto])

    for user, reader in READERS.items():
        compared = spec(tuple(parse(value) for value in asked))
        meant = [[stored(value)] for value in VALUES[text] if rows.shows(compared, [value], reader)]
        assert place.does("read", user, table=table) == meant


def test_types_that_nobody_knows_are_not_guessed_at() -> None:
    assert {data_type(text).family for text in ("blob", "geo", "text[]", "")} == {Family.OTHER}


def stored(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
