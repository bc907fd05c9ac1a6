import os
import signal
import threading
import time

import pytest
import redis

from lily.runtime import redis_pool
from tests.waiting import eventually


def test_answers_are_bytes(redis_server):
    redis_pool.client().set("k", "v")

    assert redis_pool.client().get("k") == b"v"
    assert redis_pool.client() is redis_pool.client()


def test_a_forked_process_has_connections_of_its_own(redis_server):
    redis_pool.client().set("k", "parent")
    ours = redis_pool.client().client_id()
    read, write = os.pipe()

    child = os.fork()
    if child == 0:
        theirs = redis_pool.client().client_id()
        os.write(write, f"{theirs} {redis_pool.client().get('k').decode()}".encode())
        os._exit(0)
    os.waitpid(child, 0)

    theirs, seen = os.read(read, 100).decode().split()
    assert int(theirs) != ours
    assert seen == "parent"
    connected = {int(one["id"]) for one in redis_pool.client().client_list()}
    assert ours in connected  # the child did not close it; whether it is the next to be used, other threads have a say in
    assert redis_pool.client().client_id() != int(theirs)


def test_a_restart_of_redis_costs_no_command(redis_server):
    redis_pool.client().set("k", "v")
    redis_server.stop()
    redis_server.start()

    assert redis_pool.client().get("k") is None


def test_a_hanging_redis_ends_in_time(redis_server):
    redis_pool.client().ping()
    redis_server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(redis.RedisError):
            redis_pool.client().get("k")
        assert time.monotonic() - began < 2.5
    finally:
        redis_server.signal(signal.SIGCONT)


class TestAttempt:
    @pytest.mark.usefixtures("redis_server")
    def test_gives_what_the_work_gives(self):
        assert redis_pool.attempt(lambda client: client.ping()) is True

    @pytest.mark.usefixtures("configured")
    def test_gives_none_when_redis_is_away_and_leaves_it_alone_for_a_while(self):
        tries = []

        def work(client: redis.Redis) -> object:
            tries.append(1)
            return client.ping()

        assert [redis_pool.attempt(work) for _ in range(20)] == [None] * 20
        assert len(tries) < 5

    def test_finds_redis_again_by_itself(self, redis_server):
        redis_server.stop()
        assert redis_pool.attempt(lambda client: client.ping()) is None

        redis_server.start()

        assert eventually(lambda: redis_pool.attempt(lambda client: client.ping()), within_s=5) is True
        assert redis_pool.attempt(lambda client: client.ping()) is True

    def test_a_hanging_redis_costs_one_caller_in_a_second_and_the_others_nothing(self, redis_server):
        redis_server.signal(signal.SIGSTOP)
        try:
            assert redis_pool.attempt(lambda client: client.ping()) is None
            eventually(_is_tried_again, within_s=3)  # the caller that waits is a thread of its own, started there

            began = time.monotonic()
            assert [redis_pool.attempt(lambda client: client.ping()) for _ in range(100)] == [None] * 100
            assert time.monotonic() - began < 0.5
        finally:
            redis_server.signal(signal.SIGCONT)

    @pytest.mark.usefixtures("redis_server")
    def test_a_bug_in_the_work_is_no_outage(self):
        with pytest.raises(ZeroDivisionError):
            redis_pool.attempt(lambda _: 1 / 0)

        assert redis_pool.attempt(lambda client: client.ping()) is True

    @pytest.mark.usefixtures("redis_server")
    def test_a_full_redis_counts_as_away(self):
        redis_pool.client().config_set("maxmemory", "1")
        try:
            assert redis_pool.attempt(lambda client: client.set("k", "v")) is None
        finally:
            redis_pool.client().config_set("maxmemory", "0")


def _is_tried_again() -> bool:
    """Starts a caller; true once it is one that waits for Redis instead of being turned away."""
    reached = threading.Event()

    def work(client: redis.Redis) -> object:
        reached.set()
        return client.ping()

    threading.Thread(target=redis_pool.attempt, args=(work,), daemon=True).start()
    return reached.wait(0.05)
