"""Group commit: everybody gets an answer of their own, groups grow with the load, nobody waits for ever."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lily.runtime.errors import Transient
from lily.runtime.group_commit import GroupCommit
from tests.waiting import eventually


class Store:
    """A slow store that writes down the size of each group, and how many writes ran side by side."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.groups: list[list[int]] = []
        self.running = self.side_by_side = 0
        self._lock = threading.Lock()

    def write(self, items: Sequence[int]) -> list[str]:
        with self._lock:
            self.groups.append(list(items))
            self.running += 1
            self.side_by_side = max(self.side_by_side, self.running)
        self.gate.wait(10)
        with self._lock:
            self.running -= 1
        if 13 in items and len(items) == 1:
            raise ValueError("unlucky")
        return [f"wrote {item}" for item in items]


def test_alone_an_item_is_written_at_once_as_a_group_of_one() -> None:
    store = Store()

    assert GroupCommit(store.write).submit(1, timeout_s=5).result() == "wrote 1"
    assert store.groups == [[1]]


def test_each_of_many_gets_its_own_answer_and_nothing_is_written_twice() -> None:
    store = Store()
    commits: GroupCommit[int, str] = GroupCommit(store.write)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda item: commits.submit(item, timeout_s=10).result(5), range(1000, 3000)))

    assert answers == [f"wrote {item}" for item in range(1000, 3000)]
    assert sorted(item for group in store.groups for item in group) == list(range(1000, 3000))
    assert all(len(group) <= 25 for group in store.groups)


def test_behind_a_slow_store_groups_gather_and_run_side_by_side_within_their_limits() -> None:
    store = Store()
    store.gate.clear()
    commits: GroupCommit[int, str] = GroupCommit(store.write)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(commits.submit, item, 10) for item in range(100, 220)]
        eventually(lambda: store.running == 4 and sum(map(len, store.groups)) + commits.depth() == 120, within_s=5)
        store.gate.set()
        assert {answer.result().result(5) for answer in answers} == {f"wrote {item}" for item in range(100, 220)}

    assert store.side_by_side == 4
    assert max(map(len, store.groups)) == 25


def test_an_error_reaches_its_own_group_only() -> None:
    commits: GroupCommit[int, str] = GroupCommit(Store().write)

    with pytest.raises(ValueError, match="unlucky"):
        commits.submit(13, timeout_s=5).result()
    assert commits.submit(14, timeout_s=5).result() == "wrote 14"


def test_whoever_waits_too_long_is_told_to_come_back_and_is_never_written() -> None:
    store = Store()
    store.gate.clear()
    commits: GroupCommit[int, str] = GroupCommit(store.write, in_flight_max=1)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(commits.submit, 1, 10)
        eventually(lambda: store.running == 1, within_s=5)

        began_at = time.monotonic()
        with pytest.raises(Transient, match="no write could begin"):
            commits.submit(2, timeout_s=0.1).result(5)
        assert time.monotonic() - began_at < 2

        store.gate.set()
        assert leader.result().result(5) == "wrote 1"
    assert commits.submit(3, timeout_s=5).result(5) == "wrote 3"
    assert store.groups == [[1], [3]]


def test_a_full_queue_turns_newcomers_away_at_once() -> None:
    store = Store()
    store.gate.clear()
    commits: GroupCommit[int, str] = GroupCommit(store.write, in_flight_max=1, waiting_max=3)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(commits.submit, 1, 10)
        eventually(lambda: store.running == 1, within_s=5)
        waiting = [commits.submit(item, 10) for item in (2, 3, 4)]

        with pytest.raises(Transient) as refused:
            commits.submit(5, timeout_s=10)

        store.gate.set()
        assert [answer.result(5) for answer in [leader.result(), *waiting]] == [f"wrote {item}" for item in (1, 2, 3, 4)]
    assert refused.value.retry_after_s == 1.0


def test_behind_a_store_that_stands_still_newcomers_are_turned_away_while_those_before_still_wait() -> None:
    store = Store()
    store.gate.clear()
    commits: GroupCommit[int, str] = GroupCommit(store.write, in_flight_max=1)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(commits.submit, 1, 10)
        eventually(lambda: store.running == 1, within_s=5)
        waiting = [commits.submit(2, 10)]

        def is_turned_away() -> bool:
            try:
                waiting.append(commits.submit(3, 10))
            except Transient:
                return True
            return False

        eventually(is_turned_away, within_s=5)
        store.gate.set()
        assert {answer.result(5) for answer in [leader.result(), *waiting]} <= {"wrote 1", "wrote 2", "wrote 3"}


def test_one_write_that_hangs_does_not_hold_up_those_who_come_later() -> None:
    store = Store()
    store.gate.clear()
    commits: GroupCommit[int, str] = GroupCommit(store.write)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(commits.submit, 1, 10)
        eventually(lambda: store.running == 1, within_s=5)
        second = commits.submit(2, 10)

        eventually(lambda: store.running == 2, within_s=5)

        store.gate.set()
        assert (first.result().result(5), second.result(5)) == ("wrote 1", "wrote 2")
