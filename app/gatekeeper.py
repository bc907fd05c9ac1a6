"""A process that proves large deliveries, one at a time, so that they cost the serving process no more than a copy.

Parsing and hashing a body of 1 MiB takes up to some 300 ms, and holds the interpreter lock for tens of them at a stretch, while
no other delivery is answered. Here that holds up nobody: the process has a lower priority, and bounded memory.

`python -m app.gatekeeper <descriptor>` is that process; it knows no settings, and ends when the other side of the socket does.
"""

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from app.proving import Verdict, prove
from lily.runtime import logs, memory
from lily.runtime.errors import Transient
from lily.runtime.settings import SourceSettings

LARGE_BYTES = 64 * 1024  # from here on a body costs milliseconds of an interpreter
WAIT_S = 1.0  # for those before
WAITING_MAX = 16
WITHIN_S = 10.0  # of a judgement, which takes a tenth of a second where there is CPU to be had
NICE = 15  # a thirtieth of the CPU while others want all of it, which is a judgement in a second or two
MEMORY_BYTES_MAX = 2**30  # of address space; 1 MiB of JSON takes 150 MB at worst

log = logs.get(__name__)


class Gatekeeper:
    """The serving process' side. It starts the other one when it is needed, and again when it is gone."""

    def __init__(self, wait_s: float = WAIT_S, waiting_max: int = WAITING_MAX, within_s: float = WITHIN_S) -> None:
        self._wait_s = wait_s
        self._within_s = within_s
        self._places = threading.BoundedSemaphore(waiting_max)
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Have the process started by the time that it is needed: it takes a third of a second. Waits for nothing."""
        with self._turn:
            self._connected()

    def judge(self, config: SourceSettings, raw: bytes, signature: str | None) -> Verdict:
        """What `proving.prove` says. Raises Transient when too many wait, the wait gets too long, or the process is lost."""
        if not self._places.acquire(blocking=False):
            raise self._busy()
        try:
            if not self._turn.acquire(timeout=self._wait_s):
                raise self._busy()
            try:
                return self._ask(config, raw, signature)
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None

    def _ask(self, config: SourceSettings, raw: bytes, signature: str | None) -> Verdict:
        try:
            connection = self._connected()
            connection.send((config, raw, signature))
            verdict: Verdict | str = connection.recv()
        except (OSError, EOFError) as error:  # a BlockingIOError when the time was over
            self.stop()
            log.error("gatekeeper.lost", bytes=len(raw), reason=repr(error))
            raise Transient("the gatekeeper was lost", retry_after_s=self._wait_s) from error
        if isinstance(verdict, str):
            raise RuntimeError(f"in the gatekeeper:\n{verdict}")  # noqa: TRY004 - it is the trace of a bug
        return verdict

    def _connected(self) -> Connection:
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._connection is None:
            ours, theirs = socket.socketpair()
            with theirs:
                descriptor = theirs.fileno()
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", "app.gatekeeper", str(descriptor)],
                    cwd=Path(__file__).parents[1],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[descriptor],
                )
            limit = struct.pack("ll", int(self._within_s), int(self._within_s % 1 * 1_000_000))
            for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, direction, limit)
            self._connection = Connection(ours.detach())
        return self._connection

    def _busy(self) -> Transient:
        return Transient("too many large bodies at once", retry_after_s=self._wait_s)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # some send them to all processes of a service; this one ends after the other
        signal.signal(number, signal.SIG_IGN)
    _step_back()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    memory.settle()
    connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            connection.send(_judged(*connection.recv()))


def _step_back() -> None:
    """Let others have the CPU first. Where Linux groups processes by session, that needs a session of its own."""
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


def _judged(config: SourceSettings, raw: bytes, signature: str | None) -> Verdict | str:
    try:
        return prove(config, raw, signature)
    except MemoryError:
        raise  # let it end: who knows what is left of it
    except Exception:
        return traceback.format_exc()


if __name__ == "__main__":
    main()
