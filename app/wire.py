"""What waitress does with bytes before they are a request: stricter, with deadlines, and refusing in problem details.

Source: waitress 3.0.2, whose classes name their parts (`parser_class`, `task_class`, `error_task_class`, `channel_class`) so that
they can be replaced. Methods marked "main thread" run in its one loop and must never block.
"""

import contextlib
import re
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

from app import problems
from app.headers import ALWAYS, CSP_DATA
from lily.runtime import metrics, trace

ARRIVAL_S = 30.0  # from a request's first byte to its last; longer only helps those who send slowly on purpose
LINGER_S = 2.0
LINGER_BYTES_MAX = 16 * 2**20
DETAIL_CHARACTERS_MAX = 200
_CODING = re.compile(rb"transfer-encoding[ \t]*:", re.IGNORECASE)


class TooSlow(BadRequest):  # type: ignore[misc]
    code = 408
    reason = "Request Timeout"


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what two servers in a row could read differently (request smuggling, RFC 9112, section 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        codings = [line.partition(b":")[2].strip().lower() for line in header_plus.split(b"\r\n")[1:] if _CODING.match(line)]
        parts = [part.strip() for line in codings for part in line.split(b",")]
        if len(codings) > 1 or b"" in parts or parts.count(b"chunked") > 1:
            raise ParsingError("Transfer-Encoding must be chunked, once, or absent")
        try:
            super().parse_header(header_plus)
        except (ParsingError, TransferEncodingNotImplemented):
            raise
        except ValueError as error:  # a bracket in the authority, a length of 5,000 digits
            raise ParsingError(f"Start line or header is invalid: {error}") from error
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")
        if self.version != "1.1" and "TRANSFER_ENCODING" in self.headers:
            raise ParsingError(f"HTTP/{self.version} has no Transfer-Encoding")
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError(f"HTTP/{self.version} is not spoken here; use HTTP/1.1")
        if self.version == "1.1" and ("HOST" not in self.headers or "," in self.headers["HOST"]):
            raise ParsingError("exactly one Host header is needed")


class Refusal(ErrorTask):  # type: ignore[misc]
    """The server's own refusals: 400, 408, 413, 431, 501, and 500 for what went wrong outside the application."""

    def execute(self) -> None:
        error = self.request.error
        kind = problems.MALFORMED if error.code == 400 else problems.KIND_BY_STATUS.get(error.code, problems.BUG)
        detail = str(error.body)[:DETAIL_CHARACTERS_MAX] if kind in {problems.MALFORMED, problems.NOT_IMPLEMENTED} else ""
        with trace.bound(trace.new()) as bound:
            body = problems.encode(kind, detail)
        self.status = f"{kind.status} {error.reason}"
        self.response_headers += [*ALWAYS, ("Content-Security-Policy", CSP_DATA), ("Cache-Control", "no-store")]
        self.response_headers += [("Content-Type", problems.MEDIA_TYPE), ("X-Request-Id", bound.trace_id)]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.unread = True
        self.write(body)
        metrics.observe("lily_http_seconds", 0.0, endpoint="server", method="other", status=str(kind.status))


class Answer(WSGITask):  # type: ignore[misc]
    """Tells keep-alive clients of a server that is leaving to connect anew, which takes them to its successor."""

    def build_response_header(self) -> bytes:
        if self.channel.server.leaving and len(self.channel.requests) == 1:
            self.channel.unread = True
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. Closing it while unread bytes wait would reset it, and the client would lose the answer: it lingers."""

    parser_class = Parser
    task_class = Answer
    error_task_class = Refusal

    request: HTTPRequestParser | None
    unread = False  # the other side may still be sending
    begun_at = 0.0  # when the first byte of the unfinished request came
    lingers_until = 0.0
    thrown_away = 0

    @property
    def busy(self) -> bool:
        return bool(self.requests or self.request is not None or self.total_outbufs_len or self.lingers_until)

    def received(self, data: bytes) -> bool:  # main thread
        before = self.request
        taken = super().received(data)
        if self.request is not None and self.request is not before:
            self.begun_at = time.time()
        return bool(taken)

    def send_continue(self) -> None:  # main thread
        """Nothing more is to come of a request that is complete or refused; going on would read the next one into it."""
        if self.request is not None and not self.request.completed:
            super().send_continue()

    def readable(self) -> bool:  # main thread
        return bool(self.lingers_until and not self.will_close) or bool(super().readable())

    def handle_read(self) -> None:  # main thread
        if not self.lingers_until:
            super().handle_read()
            return
        try:
            self.thrown_away += len(self.recv(65536))  # an empty one is the end: recv has closed the channel then
        except OSError:
            self.handle_close()
        if self.thrown_away > LINGER_BYTES_MAX:
            self.will_close = True

    def handle_write(self) -> None:  # main thread
        if self.unread and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and not self.will_close:
                self._linger()
            return
        super().handle_write()

    def expire(self, now: float) -> None:  # main thread
        """End what takes too long: lingering, or a request that does not arrive."""
        if self.lingers_until:
            self.will_close = self.will_close or now > self.lingers_until
            return
        with self.requests_lock:
            partial = self.request
            if partial is None or self.requests or self.will_close or now - self.begun_at < ARRIVAL_S:
                return
            partial.error = TooSlow("")
            partial.completed = True
            self.requests.append(partial)
            self.request = None
        self.server.add_task(self)

    def _linger(self) -> None:
        self.close_when_flushed = False
        self.lingers_until = time.time() + LINGER_S
        with contextlib.suppress(OSError):  # it is gone already: reading will tell
            self.socket.shutdown(socket.SHUT_WR)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket and its connections."""

    channel_class = Channel
    leaving = False

    def maintenance(self, now: float) -> None:  # main thread
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            channel.expire(now)

    def leave(self) -> None:  # main thread
        """Accept who has connected already, then stop listening at once: what connects between the two is reset by the kernel.

        With SO_REUSEPORT all later connections go to the other processes on the port.
        """
        self.leaving = True
        while (pair := self._accepted()) is not None:
            self.set_socket_options(pair[0])
            self.channel_class(self, pair[0], self.fix_addr(pair[1]), self.adj, map=self._map)
        self.accepting = False
        self.del_channel(self._map)
        self.socket.close()

    def _accepted(self) -> tuple[Any, Any] | None:
        try:
            connection: tuple[Any, Any] | None = self.accept()
        except OSError:
            return None
        return connection
