"""A journal of effects on disk: what was answered survives the death of its process, and snapshots keep it short.

`snapshot-<n>` is the whole state just before the first effect of `journal-<n>.jsonl`. A state is therefore the snapshot of
the highest number plus the journals from that number on, whatever was interrupted when. Each line of a journal is one JSON
list: the effects of one request, which are there together or not at all.
"""

import fcntl
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

LENGTH_MAX_BYTES = 20_000_000  # of all journals: read back in well under a second
LOCK_WAIT_S = 2.0  # a process that was killed while it began a snapshot leaves its copy, which lets go at once


class Damaged(Exception):
    """A file in the folder is not what was written there. The message says which, and what to do."""


class Journal:
    """The journal in one folder. Only one process may hold it; threads may share it.

    Not synced to the disk: it outlives its process by any kind of death, not the machine.
    """

    def __init__(self, folder: Path, length_max_bytes: int = LENGTH_MAX_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()  # held over "note and do", so that the order of notes is the order of deeds
        self._folder = folder
        self._length_max = length_max_bytes
        self._noted: list[str] = []
        self._number = self._file = self._size = 0  # of the journal that is written to
        self._length = 0  # of the journals before it that no snapshot has replaced
        self._writer = 0  # the process that writes a snapshot
        self._holder = _hold(folder)

    def recover(self, load: Callable[[BinaryIO], None], apply: Callable[[list[Any]], None]) -> int:
        """Give the snapshot to `load` and every later effect, in order, to `apply`; then take new ones.

        Returns the number of effects. A last line that was cut off by a death was never answered: it is removed.
        """
        self._number = max(_numbers(self._folder, "snapshot-*"), default=0)
        if (snapshot := self._snapshot(self._number)).exists():
            with snapshot.open("rb") as stream:
                load(stream)
        numbers = [n for n in _numbers(self._folder, "journal-*.jsonl") if n >= self._number]
        count = sum(_replay(self._path(n), apply, may_be_cut=n == numbers[-1]) for n in numbers)
        self._length = sum(self._path(n).stat().st_size for n in numbers[:-1])
        self._open(numbers[-1] if numbers else self._number)
        return count

    def note(self, effect: list[Any]) -> None:
        """Remember `effect` for the next `flush`. It is put into words now and may change afterwards."""
        try:
            text = orjson.dumps(effect).decode()
        except TypeError:  # text that is no Unicode, such as half a surrogate pair
            text = json.dumps(effect)
        with self.lock:
            self._noted.append(text)

    def mark(self) -> int:
        """Where the effects of the request that now begins will start; for `forget`."""
        return len(self._noted)

    def forget(self, mark: int) -> None:
        """Drop what was noted since `mark`: it was undone."""
        with self.lock:
            del self._noted[mark:]

    def flush(self) -> None:
        """Hand everything noted to the operating system, as one line. Raises OSError, and keeps it for next time."""
        if not self._noted:
            return
        with self.lock:
            line = memoryview(f"[{','.join(self._noted)}]\n".encode())
            written = 0
            try:
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                os.ftruncate(self._file, self._size)  # half a line would spoil the next
                raise
            self._size += written
            self._noted.clear()

    def compact_if_long(self, dump: Callable[[BinaryIO], None]) -> None:
        """Start a snapshot in a process of its own, once the journals are long and no other snapshot is on its way.

        `dump` runs in a copy of this process that sees the state of this moment; what happens here meanwhile goes to the
        next journal, so nothing waits and nothing is lost.
        """
        if self._writer:
            self._finish_snapshot()
        elif self._length + self._size > self._length_max:
            with self.lock:
                self.flush()
                self._length += self._size
                os.close(self._file)
                self._open(self._number + 1)
                self._writer = os.fork()
            if not self._writer:
                _write_and_exit(self._snapshot(self._number), dump)

    def close(self, dump: Callable[[BinaryIO], None]) -> None:
        """Write a snapshot and remove what it replaces."""
        self.flush()
        os.close(self._file)
        if self._length + self._size:
            _write(self._snapshot(self._number + 1), dump)
            self._remove_before(self._number + 1)
        os.close(self._holder)

    def _finish_snapshot(self) -> None:
        pid, status = os.waitpid(self._writer, os.WNOHANG)
        if pid:
            self._writer = 0
            self._length = 0  # after a failure too: the next try comes when as much has been written again
            if status == 0:
                self._remove_before(self._number)
                self._length_max = max(self._length_max, self._snapshot(self._number).stat().st_size // 2)

    def _open(self, number: int) -> None:
        self._number = number
        self._file = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def _remove_before(self, number: int) -> None:
        for pattern in ("journal-*.jsonl", "snapshot-*"):
            for path in self._folder.glob(pattern):
                if (n := _number(path)) is None or n < number:
                    path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"journal-{number:08d}.jsonl"

    def _snapshot(self, number: int) -> Path:
        return self._folder / f"snapshot-{number:08d}"


def _hold(folder: Path) -> int:
    holder = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                os.close(holder)
                raise Damaged(f"{folder}: another process keeps its journal here; stop it first") from None
            time.sleep(0.01)
        else:
            return holder


def _numbers(folder: Path, pattern: str) -> list[int]:
    return sorted(number for path in folder.glob(pattern) if (number := _number(path)) is not None)


def _number(path: Path) -> int | None:
    """The number in the name; None for a snapshot that never got finished."""
    digits = path.name.removesuffix(".jsonl").partition("-")[2]
    return int(digits) if digits.isdigit() else None


def _replay(path: Path, apply: Callable[[list[Any]], None], may_be_cut: bool) -> int:
    count = good = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            effects = _effects(line)
            if effects is None:
                if may_be_cut and not lines.read(1):
                    break
                raise Damaged(f"{path}: line {number} cannot be read; move the folder away to start with nothing")
            for effect in effects:
                apply(effect)
            count += len(effects)
            good += len(line)
    if good < path.stat().st_size:
        os.truncate(path, good)
    return count


def _effects(line: bytes) -> list[list[Any]] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        effects = json.loads(line)
    except ValueError:
        return None
    return effects if isinstance(effects, list) else None


def _write(path: Path, dump: Callable[[BinaryIO], None]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with unfinished.open("wb") as stream:
        dump(stream)
    unfinished.rename(path)


def _write_and_exit(path: Path, dump: Callable[[BinaryIO], None]) -> None:
    """The life of the copied process. It holds no connection open and disturbs no one."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.nice(10)
        _write(path, dump)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
