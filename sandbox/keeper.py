"""Ends process groups when the process that started them is gone, however it went, even by SIGKILL.

Portable, and unlike a parent-death signal it reaches the children of children: the pool of a Celery worker, for instance.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Keeper:
    """A small process that reads the groups to end from a pipe. The pipe closes when this process is gone."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def hold(self, group: int) -> None:
        """End this process group when the present process is gone."""
        self._tell(b"+%d\n" % group)

    def release(self, group: int) -> None:
        """The group has ended; its number may be given to others."""
        self._tell(b"-%d\n" % group)

    def close(self) -> None:
        """End what is still held, and wait for that."""
        self._process.communicate()

    def _tell(self, line: bytes) -> None:
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):  # someone ended the keeper: then nothing is kept, but all goes on
                self._process.stdin.write(line)
                self._process.stdin.flush()


def end_group(group: int) -> None:
    """SIGKILL for every process of the group; nothing if there is none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: "not permitted" if only a zombie is left
        os.killpg(group, signal.SIGKILL)


def _keep() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        end_group(group)


if __name__ == "__main__":
    _keep()
