"""Long bodies may cost the loop a share of its time, and those who wait for more of it go on in turn."""

from dataclasses import dataclass

import pytest

from app.intake import SAVED_MAX_S, Intake


@dataclass
class Clock:
    now: float = 0.0
    busy: float = 0.0


def intake(clock: Clock, share: float = 0.1) -> Intake[str]:
    return Intake(share, now=lambda: clock.now, busy=lambda: clock.busy)


def spend(one: Intake[str], clock: Clock, seconds: float) -> None:
    with one.spending():
        clock.busy += seconds


def test_over_any_time_it_gives_its_share_and_what_was_saved() -> None:
    clock = Clock()
    one = intake(clock)
    spent = 0.0
    for _ in range(1000):
        while one.has_room():
            spend(one, clock, 0.001)
            spent += 0.001
        clock.now += 0.01

    assert 1.0 <= spent <= 1.0 + SAVED_MAX_S + 0.002


def test_what_is_not_used_is_saved_up_to_a_limit_only() -> None:
    clock = Clock()
    one = intake(clock)
    clock.now = 1000.0
    assert one.has_room()

    spend(one, clock, SAVED_MAX_S - 0.001)
    assert one.has_room()
    spend(one, clock, 0.002)
    assert not one.has_room()


def test_a_costly_piece_is_paid_back_before_the_next() -> None:
    clock = Clock()
    one = intake(clock)

    spend(one, clock, SAVED_MAX_S + 1.0)
    clock.now = 9.9
    assert not one.has_room()
    clock.now = 10.1
    assert one.has_room()


def test_those_who_wait_go_on_in_turn_when_there_is_room_again() -> None:
    clock = Clock()
    one = intake(clock)
    spend(one, clock, SAVED_MAX_S)
    for name in ("first", "second", "third"):
        one.wait(name)

    assert one.next(2) == []
    clock.now = 0.1
    assert one.next(2) == ["first", "second"]
    assert len(one) == 1
    assert one.next(2) == ["third"]
    assert one.next(2) == []


def test_the_block_is_paid_for_even_if_it_fails() -> None:
    clock = Clock()
    one = intake(clock)

    def broken() -> None:
        with one.spending():
            clock.busy += 1.0
            raise OSError

    with pytest.raises(OSError):
        broken()
    assert not one.has_room()
