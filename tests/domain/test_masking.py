"""Masks by action and type: every result fits its column, and no type is ever given a weaker mask than was asked for."""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.inventory import DataType, Family
from lily.domain.masking import NULLIFY, MaskType, covers, fitted, mask_type, masked, strictness
from lily.domain.rules import MASKS, Action, ActionKind

SALT = "5a" * 32


def text(length: int | None = None) -> MaskType:
    made = mask_type(DataType(Family.TEXT, f"VARCHAR({length})", "VARCHAR", length))
    assert made is not None
    return made


def of(family: Family) -> MaskType:
    return MaskType(family, family.value, 64 if family is Family.TEXT else 0)


mask_actions = st.one_of(
    st.just(NULLIFY),
    st.builds(Action, st.just(ActionKind.REDACT), text=st.text(min_size=1, max_size=64)),
    st.just(Action(ActionKind.HASH)),
    st.builds(Action, st.just(ActionKind.PARTIAL), keep_first=st.integers(0, 9), keep_last=st.integers(1, 9)),
    st.just(Action(ActionKind.EMAIL_DOMAIN)),
    st.builds(Action, st.just(ActionKind.DATE_TRUNCATE), unit=st.sampled_from(["year", "quarter", "month"])),
)


@given(mask_actions, st.integers(1, 200), st.data())
def test_a_masked_text_fits_its_column(action, length, data):
    value = data.draw(st.text(alphabet="ab@é😀", max_size=length))

    shown = masked(fitted(action, text(length)), value, text(length), SALT)

    assert shown is None or len(shown) <= length


@given(mask_actions, st.sampled_from([f for f in Family if f is not Family.OTHER]), st.integers(1, 80))
def test_a_type_never_gets_a_weaker_mask_than_was_asked_for(action, family, length):
    made = mask_type(DataType(family, "T", "T", length))
    assert made is not None

    assert covers(fitted(action, made), action)


def test_every_action_on_every_family_is_carried_out_or_nullifies():
    done = {
        ActionKind.NULLIFY: set(Family) - {Family.OTHER},
        ActionKind.REDACT: {Family.TEXT, Family.INTEGER, Family.DECIMAL, Family.FLOAT},
        ActionKind.HASH: {Family.TEXT},
        ActionKind.PARTIAL: {Family.TEXT},
        ActionKind.EMAIL_DOMAIN: {Family.TEXT},
        ActionKind.DATE_TRUNCATE: {Family.DATE, Family.TIMESTAMP},
    }

    for kind, family in product(MASKS, set(Family) - {Family.OTHER}):
        action = Action(kind, text="***", keep_last=4, unit="year")
        assert fitted(action, of(family)).kind is (kind if family in done[kind] else ActionKind.NULLIFY), (kind, family)


def test_an_unknown_type_has_no_mask():
    assert mask_type(DataType(Family.OTHER, "VECTOR(3)", "VECTOR")) is None


@pytest.mark.parametrize(("length", "fit"), [(None, 64), (64, 64), (63, 32), (20, 16), (15, 8), (7, 4), (3, 1), (1, 1)])
def test_columns_share_masks_by_length_class(length, fit):
    assert text(length).fit == fit


def test_a_hash_is_sha256_of_salt_and_utf8_cut_to_the_column():
    whole = hashlib.sha256(SALT.encode() + "Zoë".encode()).hexdigest()

    assert masked(fitted(Action(ActionKind.HASH), text()), "Zoë", text(), SALT) == whole
    assert masked(fitted(Action(ActionKind.HASH), text(20)), "Zoë", text(20), SALT) == whole[:16]


def test_a_column_too_short_for_a_distinct_hash_shows_nothing():
    assert fitted(Action(ActionKind.HASH), text(15)) == NULLIFY


@pytest.mark.parametrize(
    ("value", "shown"),
    [("4111111111111111", "41**********1111"), ("123456789012", "12******9012"), ("12345678901", "*" * 11), ("", "")],
)
def test_partial_never_shows_more_than_half(value, shown):
    assert masked(Action(ActionKind.PARTIAL, keep_first=2, keep_last=4), value, text()) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("ann@example.com", "*@example.com"), ("a@b@c", "*@c"), ("@example.com", "*"), ("nobody", "*"), ("", "*"), ("a@", "*@")],
)
def test_email_domain_keeps_what_follows_the_last_at(value, shown):
    assert masked(Action(ActionKind.EMAIL_DOMAIN), value, text()) == shown


@pytest.mark.parametrize(("unit", "shown"), [("year", (2026, 1, 1)), ("quarter", (2026, 10, 1)), ("month", (2026, 11, 1))])
def test_dates_and_times_are_cut_to_the_beginning_of_the_unit(unit, shown):
    action = Action(ActionKind.DATE_TRUNCATE, unit=unit)
    moment = datetime(2026, 11, 24, 17, 5, 6, 7, tzinfo=UTC)

    assert masked(action, date(2026, 11, 24), of(Family.DATE)) == date(*shown)
    assert masked(action, moment, of(Family.TIMESTAMP)) == datetime(*shown, tzinfo=UTC)


def test_a_redacted_number_is_zero():
    assert masked(fitted(Action(ActionKind.REDACT, text="***"), of(Family.DECIMAL)), Decimal("3.20"), of(Family.DECIMAL)) == 0


@given(mask_actions)
def test_null_stays_null(action):
    assert masked(action, None, text(), SALT) is None


def test_the_order_of_strictness_is_the_documented_one():
    strictest_first = [
        NULLIFY,
        Action(ActionKind.REDACT, text="a"),
        Action(ActionKind.REDACT, text="ab"),
        Action(ActionKind.REDACT, text="b"),
        Action(ActionKind.HASH),
        Action(ActionKind.PARTIAL, keep_last=2),
        Action(ActionKind.PARTIAL, keep_first=1, keep_last=1),
        Action(ActionKind.PARTIAL, keep_last=4),
        Action(ActionKind.EMAIL_DOMAIN),
        Action(ActionKind.DATE_TRUNCATE, unit="year"),
        Action(ActionKind.DATE_TRUNCATE, unit="quarter"),
        Action(ActionKind.DATE_TRUNCATE, unit="month"),
    ]

    assert all(strictness(one) > strictness(next_one) for one, next_one in pairwise(strictest_first))


@given(mask_actions, mask_actions)
def test_what_hides_at_least_as_much_is_never_less_strict(one, other):
    if covers(one, other) and not covers(other, one):
        assert strictness(one) > strictness(other)
    if strictness(one) == strictness(other):
        assert one == other


@given(mask_actions, mask_actions, mask_actions)
def test_hiding_at_least_as_much_is_transitive(one, other, third):
    if covers(one, other) and covers(other, third):
        assert covers(one, third)


def test_clear_covers_only_clear():
    assert covers(None, None)
    assert covers(NULLIFY, None)
    assert not covers(None, Action(ActionKind.DATE_TRUNCATE, unit="month"))
