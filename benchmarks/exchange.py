"""One connection to a server: sends a case piece by piece, whatever comes back meanwhile, and says what came."""

import asyncio
import contextlib

from benchmarks.answers import ENDED, LATE, OPEN, RESET, Garbled, Seen, parse
from benchmarks.raw_cases import Case

PATIENCE_S = 10.0  # from the last piece on, for answers that are to come at once
READ_BYTES = 65536
RECEIVED_BYTES_MAX = 2**20  # more is no answer to anything here


async def exchange(port: int, case: Case, patience_s: float = PATIENCE_S) -> Seen:
    """Ends when all answers are there, the server ends the connection, or patience does. Raises OSError if it cannot connect."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.ensure_future(_send(writer, case))
    received = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            end = await _receive(reader, received, case)
    except TimeoutError:
        end = LATE
    finally:
        sending.cancel()
        writer.close()
    return Seen(bytes(received), end)


async def _send(writer: asyncio.StreamWriter, case: Case) -> None:
    with contextlib.suppress(OSError):  # a server that refuses early may close while we are sending; reading tells
        for piece in case.pieces:
            writer.write(piece)
            await writer.drain()
        if case.hangs_up:
            writer.write_eof()


async def _receive(reader: asyncio.StreamReader, received: bytearray, case: Case) -> str:
    while len(received) < RECEIVED_BYTES_MAX:
        try:
            data = await reader.read(READ_BYTES)
        except ConnectionError:
            return RESET
        if not data:
            return ENDED
        received += data
        if not case.closes and not case.hangs_up and has_all(bytes(received), case.answers_max):
            return OPEN
    return OPEN


def has_all(received: bytes, count: int) -> bool:
    """Whether nothing more needs to be waited for."""
    try:
        return len(parse(received)[0]) >= count
    except Garbled:
        return True
