"""What waitress does with bytes before they are a request: stricter, with deadlines, and refusing in problem details.

Source: waitress 3.0.2, whose classes name their parts (`parser_class`, `task_class`, `error_task_class`, `channel_class`) so that
they can be replaced. Methods marked "main thread" run in its one loop and must never block.
"""

import contextlib
import random
import re
import socket
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, InternalServerError

from app import problems
from app.bodies import LARGE_BYTES
from app.headers import ALWAYS, CSP_DATA
from app.later import KEY as LATER
from app.later import Parked, parking
from app.loop import Loop, Threads
from lily.runtime import logs, metrics, trace

ARRIVAL_S = 30.0  # from a request's first byte to its last; longer only helps those who send slowly on purpose
LINGER_S = 2.0
LINGER_BYTES_MAX = 16 * 2**20
DETAIL_CHARACTERS_MAX = 200
WAITED_MAX_S = 0.5  # for a thread; from then on, deliveries are refused at once rather than answered ever later
RETRY_AFTER_S = (1, 4)  # spread, so that refused senders do not come back all at once
DELIVERIES = "/webhooks/"  # they have threads of their own, so that no slow query of the API holds them up
DELIVERY_THREADS = 6  # of which at most 4 write a group; the others only compute, so more would only queue for the interpreter

log = logs.get(__name__)

_CODING = re.compile(rb"transfer-encoding[ \t]*:", re.IGNORECASE)


class TooSlow(BadRequest):  # type: ignore[misc]
    code = 408
    reason = "Request Timeout"


class Overloaded(BadRequest):  # type: ignore[misc]
    """The reading loop refuses this itself; the connection stays."""

    code = 503
    reason = "Service Unavailable"


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what two servers in a row could read differently (request smuggling, RFC 9112, section 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        codings = [line.partition(b":")[2].strip().lower() for line in header_plus.split(b"\r\n")[1:] if _CODING.match(line)]
        parts = [part.strip() for line in codings for part in line.split(b",")]
        if len(codings) > 1 or b"" in parts or parts.count(b"chunked") > 1:
            raise ParsingError("Transfer-Encoding must be chunked, once, or absent")
        try:
            super().parse_header(header_plus)
        except ParsingError:
            raise
        except TransferEncodingNotImplemented as error:  # 501 in RFC 9112; but nothing is wrong with this server
            raise ParsingError("Transfer-Encoding must be chunked, once, or absent") from error
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
    """The server's own refusals: 400, 408, 413, 431, 503, and 500 for what went wrong outside the application."""

    def execute(self) -> None:
        error = self.request.error
        kind = problems.MALFORMED if error.code == 400 else problems.KIND_BY_STATUS.get(error.code, problems.BUG)
        detail = str(error.body)[:DETAIL_CHARACTERS_MAX] if kind is problems.MALFORMED else ""
        with trace.bound(trace.new()) as bound:
            body = problems.encode(kind, detail)
        self.status = f"{kind.status} {error.reason}"
        self.response_headers += [*ALWAYS, ("Content-Security-Policy", CSP_DATA), ("Cache-Control", "no-store")]
        self.response_headers += [("Content-Type", problems.MEDIA_TYPE), ("X-Request-Id", bound.trace_id)]
        if kind is problems.UNAVAILABLE:  # the request was read to its end
            self.response_headers.append(("Retry-After", str(random.randint(*RETRY_AFTER_S))))
        else:
            self.set_close_on_finish()
            self.channel.unread = True
        self.content_length = len(body)
        self.write(body)
        metrics.observe("lily_http_seconds", 0.0, endpoint="server", method="other", status=str(kind.status))


class Answer(WSGITask):  # type: ignore[misc]
    """Tells keep-alive clients of a server that is leaving to connect anew, which takes them to its successor."""

    def write(self, data: bytes) -> None:
        """The head goes out with the first of the body, in one packet."""
        if self.wrote_header:
            super().write(data)
            return
        with self.channel.gathering():
            super().write(data)

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
    gathered: list[bytes] | None = None
    requests: list[Any]

    def __init__(self, server: "Server", *given: Any, **named: Any) -> None:
        super().__init__(server, *given, **named)
        server.loop.look(self)

    @property
    def busy(self) -> bool:
        return bool(self.requests or self.request is not None or self.total_outbufs_len or self.lingers_until)

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """What is written in the block goes out together at its end."""
        self.gathered = []
        try:
            yield
        finally:
            parts, self.gathered = self.gathered, None
            if parts:
                self.write_soon(b"".join(parts))

    def write_soon(self, data: Any) -> int:
        if self.gathered is not None and isinstance(data, bytes):
            self.gathered.append(data)
            return len(data)
        return int(super().write_soon(data))

    def service(self) -> None:
        """Answer the oldest request."""
        request = self.requests[0]
        self._answer(self.error_task_class(self, request) if request.error else self.task_class(self, request))

    def _answer(self, task: Any) -> None:
        """Let the task write its answer, now or when it is known; then see to what follows.

        The loop hears of it only if it has something to do; usually all is sent already.
        """
        try:
            if self.connected:
                task.service()
            else:
                task.close_on_finish = True
        except Parked as parked:
            task.environ[LATER] = parked.later
            parked.later.when_ready(partial(self._answer, task))
            return
        except ClientDisconnected:
            task.close_on_finish = True
        except Exception as error:
            log.error("web.unanswered", path=task.request.path, exc_info=error)
            self._apologise(task)
        with self.requests_lock:
            if task.close_on_finish:
                self.close_when_flushed = True
                done = self.requests
                self.requests = []
            else:
                self.current_outbuf_count = self.adj.outbuf_high_watermark  # a buffer of its own for the next answer
                done = [self.requests.pop(0)]
                if self.connected and self.requests:
                    self.server.add_task(self)
                elif self.connected and self._waits_for_continue():
                    super().send_continue()
        for ended in done:
            ended.close()
        self.last_activity = time.time()
        if self.connected and (self.writable() or self.server.loop.is_deaf(self._fileno)):
            self.server.loop.attend(self)

    def _apologise(self, task: Any) -> None:
        """The application, or its body, broke: 500 if nothing was said yet, else only an end that the client cannot mistake."""
        task.close_on_finish = True
        if task.wrote_header:
            return
        apology = self.parser_class(self.adj)
        apology.error = InternalServerError("")
        apology.version = task.request.version
        with contextlib.suppress(ClientDisconnected):
            self.error_task_class(self, apology).service()

    def _waits_for_continue(self) -> bool:
        partial = self.request
        return bool(partial is not None and partial.expect_continue and partial.headers_finished and not self.sent_continue)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - as inherited
        self.server.loop.forget(self._fileno)
        super().del_channel(map)

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

    def __init__(self, app: Any, listener: socket.socket, threads: int, adjustments: Any, information: Any) -> None:
        connections: dict[int, Any] = {}
        self.deliveries = Threads(DELIVERY_THREADS, "delivery")
        self.large = Threads(1, "large-delivery")  # one at a time: many of them cost the small ones one core's turn, not all
        self.loop = Loop(connections)
        self._refused: deque[Channel] = deque()
        super().__init__(
            parking(app),
            map=connections,
            _sock=listener,
            dispatcher=Threads(threads, "api"),
            adj=adjustments,
            sockinfo=information,
            bind_socket=False,
        )
        self.loop.begin(self)

    def turn(self, timeout_s: float) -> None:  # main thread
        """Wait for requests, and take in what has arrived of them."""
        self.loop.look(self)  # it may be full, or have room again
        self.loop.turn(timeout_s)
        while self._refused:
            refused = self._refused.popleft()
            refused.service()
            self.loop.look(refused)

    def pull_trigger(self) -> None:
        self.loop.wake()

    def add_task(self, channel: Channel) -> None:
        """Let a thread answer; a delivery is refused by this loop where those before have waited too long already."""
        request = channel.requests[0]
        if request.error or not request.path.startswith(DELIVERIES):
            self.task_dispatcher.add_task(channel)
            return
        threads = self.large if request.body_bytes_received > LARGE_BYTES else self.deliveries
        if threads.waited_s() < WAITED_MAX_S:
            threads.add_task(channel)
        else:
            request.error = Overloaded("")
            self._refused.append(channel)
            self.loop.attend(channel)

    def maintenance(self, now: float) -> None:  # main thread
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            channel.expire(now)
        self.loop.wake()

    def leave(self) -> None:  # main thread
        """Accept who has connected already, then stop listening at once: what connects between the two is reset by the kernel.

        With SO_REUSEPORT all later connections go to the other processes on the port.
        """
        self.leaving = True
        while (pair := self._accepted()) is not None:
            self.set_socket_options(pair[0])
            self.channel_class(self, pair[0], self.fix_addr(pair[1]), self.adj, map=self._map)
        self.accepting = False
        self.loop.forget(self._fileno)
        self.del_channel(self._map)
        self.socket.close()

    def _accepted(self) -> tuple[Any, Any] | None:
        try:
            connection: tuple[Any, Any] | None = self.accept()
        except OSError:
            return None
        return connection
