"""An open loop: deliveries leave at their scheduled moments, whatever became of those before, and latency counts from there.

A process of its own. Everything is prepared first; then it says `ready` and waits for one line on its standard input, the
moment (seconds since the epoch) at which the first delivery leaves. What became of each is in the file that it writes.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import select
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.deliveries import Prepared, prepare

CONNECTIONS_MAX = 2000
LATE_S = 15.0  # how long answers are waited for when the last delivery has left
TICK_S = 0.001
AGAIN_AFTER_S = 1.0


@dataclass
class Log:
    """What became of each delivery, in order. Status 0: no answer. Times are seconds since the epoch, latencies seconds.

    Of a delivery that was sent again: its last moment, status and latency.
    """

    ids: list[str] = field(default_factory=list)
    scheduled: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    connections: int = 0
    late_max: float = 0.0  # how far the generator itself fell behind its schedule
    refused: int = 0  # connections that could not be made
    cut: int = 0  # closed or reset with a request on its way
    resent: int = 0  # on a fresh connection, as the kept one closed when the request met it; not in `cut`
    again: int = 0  # deliveries that had no 202 in the first round


class Generator:
    """Takes an idle connection for each delivery that is due, or opens one; beyond CONNECTIONS_MAX it waits for an answer.

    The one that was used last, so that few are needed; or with `kept` connections each in its turn, as many clients would.
    """

    def __init__(self, host: str, port: int, deliveries: Sequence[Prepared], log: Log, kept: int = 0) -> None:
        self.host = host
        self.port = port
        self.requests = [delivery.request for delivery in deliveries]
        self.log = log
        self.kept = kept
        self.idle: deque[Connection] = deque()
        self.waiting: deque[int] = deque()
        self.resent: set[int] = set()
        self.open = 0
        self.connecting = 0
        self.unanswered = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, start_at: float, rate: float, again: bool = False) -> None:
        """Offer everything; with `again`, what had no 202 once more when all answers are there, at the same rate."""
        loop = asyncio.get_running_loop()
        self.to_epoch = time.time() - loop.time()
        for _ in range(self.kept):
            self.connect(None)
        await self.offer(range(len(self.requests)), start_at - self.to_epoch, rate)
        if again:
            refused = [index for index, status in enumerate(self.log.status) if status != 202]
            self.log.again = len(refused)
            self.resent.clear()
            await self.offer(refused, loop.time() + AGAIN_AFTER_S, rate)

    async def offer(self, indices: Sequence[int], begin: float, rate: float) -> None:
        loop = asyncio.get_running_loop()
        sent, count = 0, len(indices)
        for place, index in enumerate(indices):
            self.log.scheduled[index] = begin + self.to_epoch + place / rate
        while sent < count:
            now = loop.time()
            due = min(count, int((now - begin) * rate) + 1) if now >= begin else 0
            self.log.late_max = max(self.log.late_max, now - begin - sent / rate if sent < due else 0.0)
            while sent < due:
                self.send(indices[sent])
                sent += 1
            await asyncio.sleep(max(TICK_S / 2, begin + sent / rate - loop.time()))
        ends_at = loop.time() + LATE_S
        while self.unanswered and loop.time() < ends_at:
            await asyncio.sleep(0.02)

    def send(self, index: int) -> None:
        self.unanswered += 1
        while self.idle:
            connection = self.idle.popleft() if self.kept else self.idle.pop()
            if not connection.has_ended():
                connection.send(index)
                return
        self.waiting.append(index)
        self.grow()

    def grow(self) -> None:
        """A connection on its way for each that waits, as far as the limit goes."""
        while self.connecting < len(self.waiting) and self.open < CONNECTIONS_MAX:
            self.connect(None)

    def connect(self, index: int | None) -> None:
        self.open += 1
        self.connecting += 1
        task = asyncio.ensure_future(self._connect(index))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self, index: int | None) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Connection(self, index), self.host, self.port)
        except OSError:
            self.open -= 1
            self.log.refused += 1
            if index is None and self.waiting:
                index = self.waiting.popleft()
            if index is not None:
                self.answered(index, 0)
        finally:
            self.connecting -= 1

    def free(self, connection: "Connection") -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            connection.was_idle = True
            self.idle.append(connection)

    def lost(self, connection: "Connection") -> None:
        """A connection is gone. A request that met its end is sent once more: RFC 9112, section 9.3.1.

        Only if it had been idle and nothing came back: the server closed it before it saw the request. And even if it had seen
        it, the same delivery twice is one event.
        """
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        index = connection.index
        if index is not None:
            if connection.was_idle and not connection.received and index not in self.resent:
                self.log.resent += 1
                self.resent.add(index)
                self.connect(index)
            else:
                self.log.cut += 1
                self.answered(index, 0)
        self.grow()

    def answered(self, index: int, status: int) -> None:
        self.unanswered -= 1
        self.log.status[index] = status
        self.log.latency[index] = asyncio.get_running_loop().time() + self.to_epoch - self.log.scheduled[index]


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way. `first` is what it was opened for, if anything."""

    def __init__(self, generator: Generator, first: int | None = None) -> None:
        self.generator = generator
        self.first = first
        self.index: int | None = None
        self.received = b""
        self.poll = select.poll()
        self.was_idle = False  # it was kept, for whatever might come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.generator.log.connections = max(self.generator.log.connections, self.generator.open)
        if self.first is not None:
            self.send(self.first)
        else:
            self.generator.free(self)

    def has_ended(self) -> bool:
        """The other side closed it, although the event loop has not come to tell yet: clients look before they send."""
        return bool(self.poll.poll(0))

    def send(self, index: int) -> None:
        self.index = index
        self.transport.write(self.generator.requests[index])

    def data_received(self, data: bytes) -> None:
        self.received = self.received + data if self.received else data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or self.index is None or len(body) < length(head):
            return
        status, self.received, index, self.index = int(head[9:12]), b"", self.index, None
        self.generator.answered(index, status)
        if b"connection: close" in head.lower():
            self.transport.close()
        else:
            self.generator.free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as inherited
        self.generator.lost(self)
        self.index = None


def length(head: bytes) -> int:
    """The length of the body that a response head announces."""
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def main() -> None:
    import uvloop  # type: ignore[import-not-found]  # it lies in the benchmarks' own virtualenv

    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--rate", type=float, required=True, help="deliveries per second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--per-incident", type=int, default=1, help="deliveries about the same incident (%(default)s)")
    parser.add_argument("--connections", type=int, default=0, help="kept and used in turn; 0: as few as will do (%(default)s)")
    parser.add_argument("--again", action="store_true", help="in the end, send once more what had no 202")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else CONNECTIONS_MAX + 100, hard))
    count = round(arguments.rate * arguments.seconds)
    deliveries = list(prepare(count, f"127.0.0.1:{arguments.port}", arguments.secret, arguments.per_incident))
    log = Log([one.event_id for one in deliveries], [0.0] * count, [0] * count, [0.0] * count)
    generator = Generator("127.0.0.1", arguments.port, deliveries, log, arguments.connections)
    gc.freeze()  # a collection that walks all requests would look like a pause of the system
    gc.disable()
    print("ready", os.getpid(), flush=True)
    start_at = float(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(generator.run(start_at, arguments.rate, arguments.again))
    arguments.out.write_text(json.dumps(asdict(log)))


if __name__ == "__main__":
    main()
