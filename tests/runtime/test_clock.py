from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime import clock

offsets = st.timedeltas(min_value=timedelta(hours=-14), max_value=timedelta(hours=14)).map(
    lambda delta: timezone(timedelta(minutes=delta // timedelta(minutes=1)))
)
moments = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=offsets)  # noqa: DTZ001


def test_now_is_aware_and_utc():
    assert clock.now().utcoffset() == timedelta(0)


def test_a_frozen_clock_stands_still_for_every_thread_until_it_is_advanced():
    at = datetime(2026, 11, 24, 17, tzinfo=UTC)
    seen = []

    with clock.freeze(at) as held:
        held.advance(1.5)
        thread = Thread(target=lambda: seen.append(clock.now()))
        thread.start()
        thread.join()

    assert seen == [at + timedelta(seconds=1.5)]
    assert clock.now() != seen[0]


def test_an_inner_freeze_gives_the_outer_one_back():
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)

    with clock.freeze(early):
        with clock.freeze(late):
            assert clock.now() == late
        assert clock.now() == early


def test_a_moment_is_written_in_utc_with_milliseconds():
    at = datetime(2026, 11, 24, 18, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))

    assert clock.iso(at) == "2026-11-24T17:00:00.123Z"


@given(moments)
def test_a_written_moment_reads_back_to_the_millisecond(at):
    back = clock.from_iso(clock.iso(at))

    assert timedelta(0) <= at - back < timedelta(milliseconds=1)
    assert clock.iso(back) == clock.iso(at)


@given(moments, moments)
def test_written_moments_sort_as_the_moments_do(one, other):
    if clock.iso(one) < clock.iso(other):
        assert one < other
    elif one < other:
        assert other - one < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-24T17:00:00", "2026-13-01T00:00:00Z"])
def test_a_text_that_names_no_moment_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        clock.from_iso(text)


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="has no time zone"):
        clock.iso(datetime(2026, 11, 24))  # noqa: DTZ001
