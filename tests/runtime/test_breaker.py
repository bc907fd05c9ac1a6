import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lily.runtime import breaker
from lily.runtime.errors import Permanent, Transient
from tests.waiting import eventually

AWAY = Transient("away")


@pytest.fixture(autouse=True)
def _all_closed(monkeypatch):
    monkeypatch.setattr(breaker, "_breakers", breaker._Breakers())


@pytest.fixture
def opens_briefly(monkeypatch):
    monkeypatch.setattr(breaker, "OPEN_S", 0.05)


def fail(times: int, error: BaseException = AWAY, name: str = "mc") -> None:
    def work() -> None:
        raise error

    for _ in range(times):
        with pytest.raises(type(error)):
            breaker.call(name, work)


def refused(name: str = "mc") -> bool:
    """Whether a call is turned away without being made."""
    with pytest.raises(Transient) as raised:
        breaker.call(name, lambda: pytest.fail("this must not be called"))
    return "breaker open" in raised.value.reason


def test_what_the_work_gives_is_given():
    assert breaker.call("mc", lambda: 42) == 42
    assert breaker.states() == {}


def test_five_failures_in_a_row_open_it_and_it_says_when_to_come_again():
    fail(4)
    assert breaker.states() == {"mc": "closed"}
    fail(1)

    with pytest.raises(Transient, match="mc: breaker open") as raised:
        breaker.call("mc", lambda: pytest.fail("this must not be called"))

    assert 4 < raised.value.retry_after_s <= 5
    assert breaker.states() == {"mc": "open"}


def test_an_answer_between_failures_starts_the_count_anew():
    fail(4)
    breaker.call("mc", lambda: None)
    fail(4)

    assert breaker.states() == {"mc": "closed"}


def test_a_refusal_is_an_answer():
    fail(4)
    fail(1, Permanent("no such table"))
    fail(4)
    fail(20, Permanent("no such table"))

    assert breaker.states() == {}


def test_a_bug_is_neither_failure_nor_answer():
    fail(4)
    fail(3, KeyError("bug"))
    assert breaker.states() == {"mc": "closed"}

    fail(1)

    assert breaker.states() == {"mc": "open"}


def test_systems_do_not_share_a_breaker():
    fail(5, name="mc")

    assert breaker.call("atlan", lambda: 1) == 1


@pytest.mark.usefixtures("opens_briefly")
class TestHalfOpen:
    def test_one_call_may_try_and_closes_it(self):
        fail(5)
        eventually(lambda: breaker.states()["mc"] == "half-open")

        assert breaker.call("mc", lambda: 1) == 1
        assert breaker.states() == {}

    def test_a_failure_of_that_call_opens_it_again_at_once(self, monkeypatch):
        fail(5)
        eventually(lambda: breaker.states()["mc"] == "half-open")
        monkeypatch.setattr(breaker, "OPEN_S", 60.0)

        fail(1)

        assert breaker.states() == {"mc": "open"}
        assert refused()

    def test_the_others_are_turned_away_while_one_tries(self):
        fail(5)
        eventually(lambda: breaker.states()["mc"] == "half-open")
        asked, answer = threading.Event(), threading.Event()

        def slow() -> int:
            asked.set()
            answer.wait(5)
            return 1

        with ThreadPoolExecutor(1) as pool:
            trying = pool.submit(breaker.call, "mc", slow)
            assert asked.wait(5)
            assert [refused() for _ in range(5)] == [True] * 5
            answer.set()
            assert trying.result() == 1
        assert breaker.states() == {}

    @pytest.mark.parametrize("error", [KeyError("bug"), KeyboardInterrupt()])
    def test_a_bug_in_that_call_lets_the_next_one_try(self, error):
        fail(5)
        eventually(lambda: breaker.states()["mc"] == "half-open")
        fail(1, error)

        assert breaker.call("mc", lambda: 1) == 1

    def test_a_refusal_closes_it(self):
        fail(5)
        eventually(lambda: breaker.states()["mc"] == "half-open")
        fail(1, Permanent("no"))

        assert breaker.states() == {}


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(breaker, "SYSTEMS_MAX", 10)
    for n in range(100):
        fail(1, name=f"s{n}")

    assert list(breaker.states()) == [f"s{n}" for n in range(90, 100)]


def test_a_forked_process_begins_closed():
    fail(5)

    with breaker._breakers.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            os._exit(breaker.call("mc", lambda: 7) if breaker.states() == {} else 1)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
