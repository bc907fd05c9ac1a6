"""The head and body of a request as they arrive: waitress' parser, stricter, and bounded in the time that it takes.

Source: waitress 3.0.2, RFC 9112.
"""

import re
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.utilities import RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from app.bodies import BYTES_MAX
from app.chunks import Chunks

PIECE_BYTES, PIECE_BYTES_MAX = 8192, 65536
HEADERS_MAX = 200  # each costs some microseconds of the one loop

_CODING = re.compile(rb"transfer-encoding[ \t]*:", re.IGNORECASE)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what two servers in a row could read differently (request smuggling, RFC 9112, section 6.1)."""

    body_rcv: Any

    def parse_header(self, header_plus: bytes) -> None:
        if header_plus.count(b"\n") > HEADERS_MAX:
            super().parse_header(b"GET / HTTP/1.0\r\n")  # as waitress does where they are too long
            self.error = RequestHeaderFieldsTooLarge(f"more than {HEADERS_MAX} headers")
            return
        _check_coding(header_plus)
        try:
            super().parse_header(header_plus)
        except ParsingError:
            raise
        except TransferEncodingNotImplemented as error:  # 501 in RFC 9112; but nothing is wrong with this server
            raise ParsingError("Transfer-Encoding must be chunked, once, or absent") from error
        except ValueError as error:  # a bracket in the authority, a length of 5,000 digits
            raise ParsingError(f"Start line or header is invalid: {error}") from error
        self._check()
        if self.content_length > BYTES_MAX:
            self.error = RequestEntityTooLarge(f"more than {BYTES_MAX} bytes")
            self.completed = True
        if self.chunked:
            self.body_rcv = Chunks(OverflowableBuffer(self.adj.inbuf_overflow))

    def _check(self) -> None:
        """What can be told only of a head that has been read."""
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")
        if self.version != "1.1" and "TRANSFER_ENCODING" in self.headers:
            raise ParsingError(f"HTTP/{self.version} has no Transfer-Encoding")
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError(f"HTTP/{self.version} is not spoken here; use HTTP/1.1")
        if self.version == "1.1" and ("HOST" not in self.headers or "," in self.headers["HOST"]):
            raise ParsingError("exactly one Host header is needed")

    @property
    def piece_bytes(self) -> int:
        """How much to read at once: what is left of a body of known length, and little where each byte has to be looked at."""
        if self.body_rcv is None or self.chunked:
            return PIECE_BYTES
        left: int = self.content_length - self.body_bytes_received
        return min(max(left, PIECE_BYTES), PIECE_BYTES_MAX)


def _check_coding(head: bytes) -> None:
    codings = [line.partition(b":")[2].strip().lower() for line in head.split(b"\r\n")[1:] if _CODING.match(line)]
    parts = [part.strip() for line in codings for part in line.split(b",")]
    if len(codings) > 1 or b"" in parts or parts.count(b"chunked") > 1:
        raise ParsingError("Transfer-Encoding must be chunked, once, or absent")
