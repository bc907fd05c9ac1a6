"""A body in chunks, as it arrives: in the place of waitress' receiver, which takes ten times as long over small chunks.

Source: RFC 9112, section 7.1. Stricter where two servers in a row could differ: a size line ends in CRLF, is bounded, and is
never empty. Trailers are bounded and thrown away.
"""

import re
from typing import Any

from waitress.rfc7230 import CHUNK_EXT_RE
from waitress.utilities import BadRequest

SIZE_LINE_BYTES_MAX = 1024
TRAILER_BYTES_MAX = 8192

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[^\r\n]*)?\r\n")
_SMALL = re.compile(rb"([0-9A-Fa-f]{1,3})\r\n")
_CRLF = b"\r\n"


class Chunks:
    """What waitress' parser asks of a receiver. `buffer` takes the content."""

    completed = False
    error: BadRequest | None = None

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._held = b""  # the beginning of a line whose end has not come
        self._left = 0  # of the present chunk
        self._is_line_end_due = False  # behind a chunk's content
        self._is_last_seen = False

    def __len__(self) -> int:
        return len(self._buffer)

    def getbuf(self) -> Any:
        return self._buffer

    def getfile(self) -> Any:
        return self._buffer.getfile()

    def received(self, data: bytes) -> int:
        """How many of these bytes belong to the body: all, until it is complete or broken."""
        held = len(self._held)
        joined = self._held + data if held else data
        self._held = b""
        content: list[bytes] = []
        at = self._take(joined, content)
        if content:
            self._buffer.append(b"".join(content))
        if self.completed:
            return at - held
        self._held = joined[at:]
        return len(data)

    def _take(self, data: bytes, content: list[bytes]) -> int:
        """Where the next look has to begin."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                content.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._is_line_end_due = not self._left
            elif self._is_last_seen:
                return self._end(data, at)
            elif self._is_line_end_due:
                if not data.startswith(_CRLF, at):
                    return at if data[at:] == b"\r" else self._break("a chunk is longer than its size says", end)
                at += 2
                self._is_line_end_due = False
            else:
                at = _take_whole(data, at, content)
                line = _SIZE_LINE.match(data, at)
                if line is None:
                    if data.find(_CRLF, at) >= 0 or end - at > SIZE_LINE_BYTES_MAX:
                        return self._break("the size of a chunk is invalid", end)
                    return at
                if line[2] and (len(line[0]) > SIZE_LINE_BYTES_MAX or not CHUNK_EXT_RE.match(line[2])):
                    return self._break("the extension of a chunk is invalid", end)
                at = line.end()
                self._left = int(line[1], 16)
                self._is_last_seen = not self._left
        return at

    def _end(self, data: bytes, at: int) -> int:
        """Behind the last chunk: trailers, if any, and an empty line."""
        if data.startswith(_CRLF, at):
            self.completed = True
            return at + 2
        end = data.find(b"\r\n\r\n", at)
        if end >= 0:
            self.completed = True
            return end + 4
        return self._break("the trailers are too long", len(data)) if len(data) - at > TRAILER_BYTES_MAX else at

    def _break(self, reason: str, end: int) -> int:
        self.error = BadRequest(reason)
        return end


def _take_whole(data: bytes, at: int, content: list[bytes]) -> int:
    """Take all small chunks that are here from end to end; where the next one begins. A hundred thousand of them may come."""
    match = _SMALL.match
    while (line := match(data, at)) is not None:
        begin = line.end()
        end = begin + int(line[1], 16)
        if end == begin or data[end : end + 2] != _CRLF:
            break
        content.append(data[begin:end])
        at = end + 2
    return at
