import signal
import time

import pytest

from lily.runtime import cache
from tests.waiting import eventually


@pytest.mark.usefixtures("redis_server")
def test_what_was_put_is_found_and_the_rest_left_out():
    cache.put_many("assets", {"a": b"1", "b": b"\x00\xff", "empty": b""}, ttl_s=60)

    assert cache.get_many("assets", ["b", "missing", "a", "a", "empty"]) == {"a": b"1", "b": b"\x00\xff", "empty": b""}


@pytest.mark.usefixtures("redis_server")
def test_namespaces_do_not_meet():
    cache.put_many("assets", {"a": b"1"}, ttl_s=60)

    assert cache.get_many("owners", ["a"]) == {}


@pytest.mark.usefixtures("redis_server")
def test_installations_do_not_meet(configured):
    cache.put_many("assets", {"a": b"1"}, ttl_s=60)

    configured(LILY_INSTALLATION="other")

    assert cache.get_many("assets", ["a"]) == {}


@pytest.mark.usefixtures("redis_server")
def test_what_was_put_is_forgotten_in_time():
    cache.put_many("assets", {"short": b"1", "shortest": b"1"}, ttl_s=0.05)
    cache.put_many("assets", {"long": b"1"}, ttl_s=60)

    eventually(lambda: list(cache.get_many("assets", ["short", "shortest", "long"])) == ["long"], within_s=3)


def test_nothing_wanted_and_nothing_put_need_no_redis():
    assert cache.get_many("assets", []) == {}
    cache.put_many("assets", {}, ttl_s=60)


@pytest.mark.usefixtures("configured")
def test_without_redis_it_is_empty():
    cache.put_many("assets", {"a": b"1"}, ttl_s=60)

    assert cache.get_many("assets", ["a"]) == {}


def test_a_hanging_redis_costs_about_a_second_and_then_nothing(redis_server):
    cache.put_many("assets", {"a": b"1"}, ttl_s=60)
    redis_server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert [cache.get_many("assets", ["a"]) for _ in range(100)] == [{}] * 100
        assert time.monotonic() - began < 2.5
    finally:
        redis_server.signal(signal.SIGCONT)

    eventually(lambda: cache.get_many("assets", ["a"]) == {"a": b"1"}, within_s=5)
