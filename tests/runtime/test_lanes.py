"""Lanes: one batch in flight, oldest first, nothing twice, and everything may be lost."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lily.runtime import lanes
from lily.runtime.errors import Transient
from tests.runtime.conftest import RedisServer


def test_the_first_push_starts_an_idle_lane_and_later_ones_wait_for_its_end(redis_url: str) -> None:
    first = lanes.push(0, ["e:1"])
    assert first is not None
    assert first.members == ("e:1",)
    assert lanes.push(0, ["e:2"]) is None
    assert lanes.push(0, ["e:3", "e:2"]) is None

    following = lanes.done(first)

    assert following is not None
    assert following.members == ("e:2", "e:3")
    assert lanes.done(following) is None
    assert lanes.depths() == {0: 0, 1: 0}


def test_it_can_be_asked_who_waits(redis_url: str) -> None:
    assert lanes.push(0, ["e:1"])
    lanes.push(0, ["e:2", "!e:3"])

    assert lanes.waiting(0, ["e:1", "e:2", "e:3", "!e:3"]) == {"e:2", "!e:3"}
    assert lanes.waiting(1, ["e:2"]) == set()
    assert lanes.waiting(0, []) == set()


def test_other_lanes_are_not_held_up(redis_url: str) -> None:
    assert lanes.push(0, ["e:1"])
    assert lanes.push(1, ["e:2"])


def test_a_batch_is_bounded_and_takes_the_oldest_first(redis_url: str, configured: Callable[..., None]) -> None:
    first = lanes.push(0, ["e:0"])
    assert first is not None
    for number in range(1, 150):
        lanes.push(0, [f"e:{number:03d}"])

    following = lanes.done(first)

    assert following is not None
    assert following.members == tuple(f"e:{number:03d}" for number in range(1, 101))


def test_behind_a_backlog_one_in_five_is_fresh(redis_url: str) -> None:
    first = lanes.push(0, ["e:0"])
    assert first is not None
    for number in range(1, 1000):
        lanes.push(0, [f"e:{number:03d}"])

    following = lanes.done(first)

    assert following is not None
    assert len(following.members) == 100
    assert {"e:001", "e:080", "e:999", "e:980"} <= set(following.members)


def test_an_overtaken_holder_learns_it_and_cannot_end_the_other_ones_turn(
    redis_server: RedisServer, configured: Callable[..., None]
) -> None:
    overtaken = lanes.push(0, ["e:1"])
    assert overtaken is not None
    redis_server.client().flushall()
    holder = lanes.push(0, ["e:1"])
    assert holder is not None

    assert not lanes.renew(overtaken)
    assert lanes.done(overtaken) is None
    lanes.release(overtaken)
    assert lanes.renew(holder)
    assert lanes.push(0, ["e:2"]) is None


def test_a_lane_whose_holder_died_starts_again_once_the_lease_is_over(redis_server: RedisServer) -> None:
    held = lanes.push(0, ["e:1"])
    assert held is not None
    lanes.push(0, ["e:2"])
    assert lanes.start(0) is None
    assert 0 < redis_server.client().pttl("lily:{lane:0}:lock") <= 15_000

    redis_server.client().delete("lily:{lane:0}:lock")  # what the end of the lease does

    again = lanes.start(0)
    assert again is not None
    assert again.members == ("e:2",)
    assert lanes.start(1) is None


def test_a_released_lane_can_be_started_by_anyone(redis_url: str) -> None:
    held = lanes.push(0, ["e:1"])
    assert held is not None
    lanes.release(held)

    assert lanes.push(0, ["e:2"]) is not None


def test_what_was_cut_short_before_makes_a_batch_of_its_own(redis_url: str) -> None:
    first = lanes.push(0, ["e:0"])
    assert first is not None
    lanes.push(0, ["!e:1", "e:2", "!e:3", "e:4"])

    batches = [first]
    while following := lanes.done(batches[-1]):
        batches.append(following)

    assert [batch.members for batch in batches] == [("e:0",), ("!e:1",), ("!e:3",), ("e:2", "e:4")]


def test_a_working_set_is_sealed_and_its_loss_is_no_error(redis_server: RedisServer) -> None:
    batch = lanes.push(0, ["e:1"])
    assert batch is not None
    lanes.save_work(batch, {"owner": "jane@example.com"})
    (key,) = redis_server.client().keys("*:w:*")
    assert b"jane" not in (redis_server.client().get(key) or b"")

    assert lanes.load_work(batch) == {"owner": "jane@example.com"}
    lanes.drop_work(batch)
    assert lanes.load_work(batch) is None


def test_without_redis_pushing_is_transient_and_working_sets_are_just_gone(configured: Callable[..., None]) -> None:
    batch = lanes.Batch(0, "token", ("e:1",))
    for act in (lambda: lanes.push(0, ["e:1"]), lambda: lanes.done(batch), lambda: lanes.renew(batch), lanes.depths):
        with pytest.raises(Transient, match="Redis"):
            act()
    lanes.save_work(batch, {})
    assert lanes.load_work(batch) is None


members = st.lists(st.sampled_from([f"{mark}e:{number}" for number in range(40) for mark in ("", "!")]), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(pushes=st.lists(members, min_size=1, max_size=6))
def test_every_member_pushed_comes_out_at_least_once_and_no_batch_repeats_one(
    pushes: list[list[str]], redis_server: RedisServer
) -> None:
    redis_server.client().flushall()
    batches = [batch for batch in (lanes.push(0, some) for some in pushes) if batch]

    current = batches[-1] if batches else None
    while current and (current := lanes.done(current)):
        batches.append(current)

    assert {member for batch in batches for member in batch.members} == {member for some in pushes for member in some}
    assert all(len(batch.members) == len(set(batch.members)) for batch in batches)
    assert lanes.depths()[0] == 0
