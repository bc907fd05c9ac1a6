"""The journal: what was flushed is there again, in order, whatever happened in between."""

import json
import os
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.journal import Damaged, Journal
from tests.waiting import eventually

Sums = dict[str, int]


class Store:
    """The simplest state there is: sums by name; "add" is an effect whose repetition or loss would show."""

    def __init__(self, folder: Path, length_max_bytes: int = 10**9) -> None:
        self.sums: Sums = {}
        self.journal = Journal(folder, length_max_bytes)
        self.read_back = self.journal.recover(self._load, self._apply)

    def add(self, name: str, n: int) -> None:
        self._apply(["add", name, n])
        self.journal.note(["add", name, n])
        self.journal.flush()
        self.journal.compact_if_long(self.dump)

    def dump(self, stream: BinaryIO) -> None:
        stream.write(json.dumps(self.sums).encode())

    def close(self) -> None:
        self.journal.close(self.dump)

    def die(self) -> None:
        """As by SIGKILL: nothing more is written, and the lock is free."""
        os.close(self.journal._file)
        os.close(self.journal._holder)

    def _load(self, stream: BinaryIO) -> None:
        self.sums = json.loads(stream.read())

    def _apply(self, effect: list[Any]) -> None:
        _, name, n = effect
        self.sums[name] = self.sums.get(name, 0) + n


ADDITIONS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 5)), max_size=8)
LIVES = st.lists(st.tuples(ADDITIONS, st.sampled_from(["close", "die", "cut"])))


@given(LIVES)
def test_any_sequence_of_lives_and_deaths_loses_nothing_and_repeats_nothing(lives: Any) -> None:
    expected: Sums = {}
    with tempfile.TemporaryDirectory() as name:
        for additions, end in lives:
            store = Store(Path(name))
            assert store.sums == expected
            for key, n in additions:
                store.add(key, n)
                expected[key] = expected.get(key, 0) + n
            if end == "cut":
                os.write(store.journal._file, b'[["add", "a", 10')
            (store.close if end == "close" else store.die)()

        assert Store(Path(name)).sums == expected


def test_a_snapshot_taken_while_writes_go_on_loses_none_of_them(tmp_path: Path) -> None:
    store = Store(tmp_path, length_max_bytes=2_000)
    numbers = count()

    def stands() -> bool:
        n = next(numbers)
        store.add(f"{n % 7}", n)
        return n > 2_000 and any(not path.suffix for path in tmp_path.glob("snapshot-*"))

    eventually(stands, within_s=10, every_s=0)
    store.die()

    assert Store(tmp_path).sums == store.sums


def test_what_a_snapshot_replaced_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path, length_max_bytes=2_000)

    def written() -> int:
        store.add("a", 1)
        return sum(path.stat().st_size for path in tmp_path.iterdir())

    while written() < 2_000:
        pass
    eventually(lambda: written() < 1_000, within_s=10)
    assert len(list(tmp_path.glob("snapshot-*"))) == 1


def test_a_snapshot_that_was_killed_half_way_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("a", 1)
    store.die()
    (tmp_path / "snapshot-00000001.4711").write_bytes(b'{"a": ')
    (tmp_path / "journal-00000001.jsonl").write_bytes(b'[["add", "a", 2]]\n')

    assert Store(tmp_path).sums == {"a": 3}


def test_leftovers_of_a_death_between_snapshot_and_removal_are_not_counted_twice(tmp_path: Path) -> None:
    (tmp_path / "journal-00000000.jsonl").write_bytes(b'[["add", "a", 1]]\n')
    (tmp_path / "snapshot-00000001").write_bytes(b'{"a": 1}')

    assert Store(tmp_path).sums == {"a": 1}


def test_effects_of_one_request_are_there_together_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.journal.note(["add", "a", 1])
    store.journal.note(["add", "b", 1])
    store.journal.flush()
    store.die()
    journal = tmp_path / "journal-00000000.jsonl"

    for length in range(journal.stat().st_size, 0, -1):
        os.truncate(journal, length)
        again = Store(tmp_path)
        assert again.sums in ({}, {"a": 1, "b": 1})
        again.die()


def test_what_a_refused_request_noted_is_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.journal.note(["add", "kept", 1])
    mark = store.journal.mark()
    store.journal.note(["add", "undone", 1])
    store.journal.forget(mark)
    store.journal.flush()
    store.die()

    assert Store(tmp_path).sums == {"kept": 1}


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.add("a", 1)
    write: Callable[[int, bytes], int] = os.write

    def half_then_full(file: int, data: bytes) -> int:
        if len(data) > 10:
            return write(file, bytes(data[:10]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="No space"):
        store.add("a", 2)
    monkeypatch.undo()
    store.add("a", 4)
    store.die()

    assert Store(tmp_path).sums == {"a": 7}


@pytest.mark.parametrize("line", [b"\x00\x00\n", b"{}\n", b"[[\n"])
def test_damage_before_the_end_is_not_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "journal-00000000.jsonl").write_bytes(line + b'[["add", "a", 1]]\n')

    with pytest.raises(Damaged, match=r"journal-00000000\.jsonl: line 1 cannot be read"):
        Store(tmp_path)


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    Store(tmp_path)

    with pytest.raises(Damaged, match="another process"):
        Store(tmp_path)
