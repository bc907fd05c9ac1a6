"""The load generator against servers that close, refuse and cut: what it sends again, and what it tells of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from benchmarks.deliveries import Prepared
from benchmarks.load import Generator, Log

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, list[str]], Awaitable[None]]
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


async def requests(reader: asyncio.StreamReader, got: list[str]) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    got.append(head.split()[1].decode())
    return head


def offered(talk: Talk, count: int = 3, rate: float = 50.0, again: bool = False, kept: int = 0) -> tuple[Log, list[str]]:
    """The log, and the path of every request that came, of `count` deliveries to a server that behaves like `talk`."""
    got: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await talk(reader, writer, got)
        writer.close()

    async def run() -> Log:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await offer(port, count, rate, again, kept)

    return asyncio.run(run()), got


async def offer(port: int, count: int, rate: float, again: bool = False, kept: int = 0) -> Log:
    prepared = [Prepared(f"e{index}", f"POST /{index} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) for index in range(count)]
    log = Log([one.event_id for one in prepared], [0.0] * count, [0] * count, [0.0] * count)
    await Generator("127.0.0.1", port, prepared, log, kept).run(time.time() + 0.05, rate, again)
    return log


def test_a_request_that_meets_the_end_of_a_kept_connection_is_sent_once_more_on_a_fresh_one() -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        await requests(reader, got)
        writer.write(ANSWER)
        await requests(reader, got)  # and closes, as if it had closed before the request came

    log, got = offered(answer_once)

    assert log.status == [202, 202, 202]
    assert got == ["/0", "/1", "/1", "/2", "/2"]
    assert (log.resent, log.cut, log.refused) == (2, 0, 0)


def test_a_kept_connection_that_never_brought_an_answer_may_have_been_closed_as_idle_too() -> None:
    closed: list[int] = []

    async def close_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        await requests(reader, got)
        if closed:
            writer.write(ANSWER)
            await requests(reader, got)
        closed.append(1)

    log, got = offered(close_the_first, count=1, kept=1)

    assert log.status == [202]
    assert got == ["/0", "/0"]
    assert (log.resent, log.cut) == (1, 0)


def test_a_request_whose_fresh_connection_ends_is_not_sent_again() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        await requests(reader, got)

    log, got = offered(close)

    assert log.status == [0, 0, 0]
    assert got == ["/0", "/1", "/2"]
    assert (log.resent, log.cut) == (0, 3)


def test_an_answer_that_breaks_off_is_no_reason_to_send_again() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        await requests(reader, got)
        writer.write(ANSWER)
        await requests(reader, got)
        writer.write(ANSWER[:10])

    log, got = offered(break_off, count=2)

    assert log.status == [202, 0]
    assert got == ["/0", "/1"]
    assert (log.resent, log.cut) == (0, 1)


def test_a_connection_that_the_server_closes_while_idle_costs_nothing() -> None:
    async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        await requests(reader, got)
        writer.write(ANSWER)

    log, got = offered(answer_and_close)

    assert log.status == [202, 202, 202]
    assert (log.resent, log.cut, log.refused) == (0, 0, 0)
    assert len(got) == 3


def test_what_got_no_202_is_sent_once_more_in_the_end() -> None:
    async def refuse_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        while True:
            await requests(reader, got)
            is_first = got.count(got[-1]) == 1
            writer.write(ANSWER.replace(b"202", b"503") if is_first and got[-1] != "/1" else ANSWER)

    log, got = offered(refuse_at_first, again=True)

    assert log.status == [202, 202, 202]
    assert got == ["/0", "/1", "/2", "/0", "/2"]
    assert log.again == 2


def test_kept_connections_are_used_in_turn() -> None:
    connections: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[str]) -> None:
        number = len(connections)
        connections.append(0)
        while True:
            await requests(reader, got)
            connections[number] += 1
            writer.write(ANSWER)

    log, _ = offered(answer, count=12, kept=4)

    assert log.status == [202] * 12
    assert connections == [3, 3, 3, 3]


def test_nobody_there_is_told_as_refused() -> None:
    async def run() -> Log:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await offer(port, 2, 50.0)

    log = asyncio.run(run())

    assert log.status == [0, 0]
    assert (log.refused, log.cut, log.resent) == (2, 0, 0)
