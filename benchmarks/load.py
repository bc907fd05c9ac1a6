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
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from benchmarks.deliveries import Prepared, prepare

CONNECTIONS_MAX = 2000
LATE_S = 15.0  # how long answers are waited for when the last delivery has left
TICK_S = 0.001


@dataclass
class Log:
    """What became of each delivery, in order. Status 0: no answer. Times are seconds since the epoch, latencies seconds."""

    ids: list[str] = field(default_factory=list)
    scheduled: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    connections: int = 0
    late_max: float = 0.0  # how far the generator itself fell behind its schedule


class Generator:
    """Takes an idle connection for each delivery that is due, or opens one; beyond CONNECTIONS_MAX it waits for an answer."""

    def __init__(self, host: str, port: int, deliveries: list[Prepared], log: Log) -> None:
        self.host = host
        self.port = port
        self.requests = [delivery.request for delivery in deliveries]
        self.log = log
        self.idle: list[Connection] = []
        self.waiting: deque[int] = deque()
        self.open = 0
        self.unanswered = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, start_at: float, rate: float) -> None:
        loop = asyncio.get_running_loop()
        to_epoch = time.time() - loop.time()
        begin, count = start_at - to_epoch, len(self.requests)
        self.to_epoch = to_epoch
        self.log.scheduled = [start_at + index / rate for index in range(count)]
        index = 0
        while index < count:
            now = loop.time()
            due = min(count, int((now - begin) * rate) + 1) if now >= begin else 0
            self.log.late_max = max(self.log.late_max, now - begin - index / rate if index < due else 0.0)
            while index < due:
                self.send(index)
                index += 1
            await asyncio.sleep(max(TICK_S / 2, begin + index / rate - loop.time()))
        ends_at = loop.time() + LATE_S
        while self.unanswered and loop.time() < ends_at:
            await asyncio.sleep(0.02)

    def send(self, index: int) -> None:
        self.unanswered += 1
        if self.idle:
            self.idle.pop().send(index)
            return
        self.waiting.append(index)
        if self.open < CONNECTIONS_MAX:
            self.open += 1
            task = asyncio.ensure_future(self.connect())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Connection(self), self.host, self.port)
        except OSError:
            self.open -= 1
            if self.waiting:
                self.answered(self.waiting.popleft(), 0)

    def free(self, connection: "Connection") -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.idle.append(connection)

    def answered(self, index: int, status: int) -> None:
        self.unanswered -= 1
        self.log.status[index] = status
        self.log.latency[index] = asyncio.get_running_loop().time() + self.to_epoch - self.log.scheduled[index]


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.index: int | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.generator.log.connections = max(self.generator.log.connections, self.generator.open)
        self.generator.free(self)

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
        generator = self.generator
        generator.open -= 1
        if self in generator.idle:
            generator.idle.remove(self)
        if self.index is not None:
            generator.answered(self.index, 0)
            self.index = None


def length(head: bytes) -> int:
    """The length of the body that a response head announces."""
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--rate", type=float, required=True, help="deliveries per second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--per-incident", type=int, default=1, help="deliveries about the same incident (%(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else CONNECTIONS_MAX + 100, hard))
    count = round(arguments.rate * arguments.seconds)
    deliveries = list(prepare(count, f"127.0.0.1:{arguments.port}", arguments.secret, arguments.per_incident))
    log = Log([one.event_id for one in deliveries], [], [0] * count, [0.0] * count)
    generator = Generator("127.0.0.1", arguments.port, deliveries, log)
    gc.freeze()  # a collection that walks all requests would look like a pause of the system
    gc.disable()
    print("ready", os.getpid(), flush=True)
    start_at = float(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(generator.run(start_at, arguments.rate))
    arguments.out.write_text(json.dumps(asdict(log)))


if __name__ == "__main__":
    main()
