import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from lily.runtime import bucket
from tests.waiting import eventually

NEVER = 0.0001  # tokens per second: nothing comes back while a test runs


@pytest.fixture(autouse=True)
def _no_local_buckets_yet(monkeypatch):
    monkeypatch.setattr(bucket, "_local", bucket._Local())


@pytest.mark.usefixtures("redis_server")
def test_a_full_bucket_gives_its_capacity_and_then_says_how_long_to_wait():
    assert [bucket.take("b", 1, 3, NEVER) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take("b", 1, 3, NEVER) == pytest.approx(1 / NEVER, rel=0.01)


@pytest.mark.usefixtures("redis_server")
def test_what_cannot_be_taken_whole_is_not_taken_at_all():
    bucket.take("b", 2, 3, NEVER)

    assert bucket.take("b", 2, 3, NEVER) > 0
    assert bucket.take("b", 1, 3, NEVER) == 0.0


@pytest.mark.usefixtures("redis_server")
def test_tokens_come_back_up_to_the_capacity():
    bucket.take("b", 2, 2, 20)

    assert 0 < bucket.take("b", 2, 2, 20) <= 0.1
    eventually(lambda: bucket.take("b", 2, 2, 20) == 0.0, within_s=3)


@pytest.mark.usefixtures("redis_server")
def test_buckets_are_apart_by_name_and_installation(configured):
    bucket.take("b", 3, 3, NEVER)

    assert bucket.take("other", 3, 3, NEVER) == 0.0
    configured(LILY_INSTALLATION="other")
    assert bucket.take("b", 3, 3, NEVER) == 0.0


@pytest.mark.usefixtures("redis_server")
def test_many_takers_together_get_no_more_than_there_is():
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: bucket.take("b", 1, 50, NEVER), range(200)))

    assert waits.count(0.0) == 50


def test_a_bucket_that_is_full_again_leaves_nothing_behind(redis_server):
    bucket.take("b", 1, 1, 100)

    def others() -> list[bytes]:
        return [key for key in redis_server.client().scan_iter() if b":metrics:" not in key]

    eventually(lambda: not others(), within_s=5)


@pytest.mark.usefixtures("configured")
class TestWithoutRedis:
    def test_a_quarter_is_given(self):
        waits = [bucket.take("b", 1, 40, NEVER) for _ in range(20)]

        assert waits.count(0.0) == 10
        assert waits[-1] == pytest.approx(1 / (NEVER / 4), rel=0.01)

    def test_tokens_come_back(self):
        bucket.take("b", 1, 4, 40)

        eventually(lambda: bucket.take("b", 1, 4, 40) == 0.0, within_s=3)

    def test_what_needs_more_than_a_quarter_is_given_all_the_same(self):
        assert bucket.take("b", 8, 8, NEVER) == 0.0
        assert bucket.take("b", 8, 8, NEVER) > 0

    def test_the_memory_is_bounded(self, monkeypatch):
        monkeypatch.setattr(bucket, "LOCAL_BUCKETS_MAX", 10)
        for n in range(100):
            bucket.take(f"b{n}", 1, 4, NEVER)

        assert list(bucket._local.kept) == [f"b{n}" for n in range(90, 100)]

    def test_a_fork_while_the_lock_is_held_does_not_stop_the_child(self):
        with bucket._local.lock:
            child = os.fork()
            if child == 0:
                os._exit(0 if bucket._local.lock.acquire(timeout=1) else 1)
            _, status = os.waitpid(child, 0)

        assert status == 0


@pytest.mark.parametrize(("n", "capacity", "per_second"), [(0, 1, 1), (2, 1, 1), (1, 1, 0), (-1, 1, 1), (1, 1, -1)])
def test_what_can_never_be_taken_is_a_bug(n, capacity, per_second):
    with pytest.raises(ValueError, match="can never be taken"):
        bucket.take("b", n, capacity, per_second)


def test_who_matters_less_leaves_a_reserve_for_the_others(redis_server):
    assert [bucket.take("b", 1, 4, NEVER, reserve=2) == 0.0 for _ in range(4)] == [True, True, False, False]
    assert [bucket.take("b", 1, 4, NEVER) == 0.0 for _ in range(3)] == [True, True, False]


def test_without_redis_too_a_reserve_is_left():
    assert [bucket.take("b", 1, 16, NEVER, reserve=8) == 0.0 for _ in range(4)] == [True, True, False, False]
    assert [bucket.take("b", 1, 16, NEVER) == 0.0 for _ in range(3)] == [True, True, False]


def test_a_paused_bucket_gives_nothing_to_anybody_until_the_pause_ends(redis_server):
    bucket.pause("b", 0.3, 10, 1000)
    bucket.pause("b", 0.1, 10, 1000)  # does not shorten it

    assert 0.2 < bucket.take("b", 1, 10, 1000) <= 0.31
    assert bucket.take("other", 1, 10, 1000) == 0.0
    eventually(lambda: bucket.take("b", 1, 10, 1000) == 0.0, within_s=3)


def test_a_pause_holds_in_this_process_without_redis():
    bucket.pause("b", 60, 10, 1000)

    assert bucket.take("b", 1, 10, 1000) == pytest.approx(60, abs=1)
