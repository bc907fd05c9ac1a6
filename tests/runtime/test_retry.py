import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime.errors import Permanent, Transient
from lily.runtime.retry import CAP_S, Again, Park, decide

fractions = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_what_is_permanent_is_parked_with_its_reason_at_the_first_attempt():
    assert decide(Permanent("the table is gone; create it"), 1, 10) == Park("the table is gone; create it")


def test_a_bug_is_parked_by_its_type_without_its_text():
    assert decide(KeyError("a secret value"), 1, 10) == Park("bug: KeyError")


def test_the_last_attempt_is_parked_with_the_last_reason():
    assert decide(Transient("timeout"), 10, 10) == Park("gave up after 10 attempts; the last: timeout")
    assert isinstance(decide(Transient("timeout"), 9, 10), Again)


@pytest.mark.parametrize(("attempt", "most_s"), [(1, 1), (2, 2), (3, 4), (10, 512), (11, 900), (5000, 900)])
def test_delays_double_up_to_a_cap_and_are_spread_from_zero(attempt, most_s):
    assert decide(Transient("x"), attempt, 10_000, lambda: 0.0) == Again(0.0)
    assert decide(Transient("x"), attempt, 10_000, lambda: 0.5) == Again(most_s / 2)


@given(st.integers(1, 10_000), st.floats(min_value=0, max_value=86_400), fractions)
def test_no_attempt_comes_before_the_other_side_allows_it(attempt, retry_after_s, fraction):
    again = decide(Transient("429", retry_after_s), attempt, 10_001, lambda: fraction)

    assert isinstance(again, Again)
    assert retry_after_s <= again.delay_s <= retry_after_s + CAP_S


@pytest.mark.parametrize(("asked_s", "least_s"), [(-5.0, 0.0), (1e12, 86_400.0), (float("inf"), 86_400.0)])
def test_an_absurd_request_to_wait_is_bounded(asked_s, least_s):
    assert decide(Transient("429", asked_s), 1, 10, lambda: 0.0) == Again(least_s)
