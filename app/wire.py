"""Connections and the server that holds them: waitress', with deadlines for what arrives and a bound on what one may cost others.

Source: waitress 3.0.2, whose classes name their parts (`parser_class`, `task_class`, `error_task_class`, `channel_class`) so that
they can be replaced. Methods marked "main thread" run in its one loop and must never block.
"""

import contextlib
import socket
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.utilities import InternalServerError

from app.answering import Answer, Overloaded, Refusal, TooSlow
from app.gatekeeper import LARGE_BYTES
from app.intake import Intake
from app.later import KEY as LATER
from app.later import Parked, parking
from app.loop import Loop, Threads
from app.parser import PIECE_BYTES, Parser
from lily.runtime import logs

LONG_BYTES = 16 * 1024  # the rest of a body is taken in at leisure
ARRIVAL_S = 30.0  # from a request's first byte to its last; longer only helps those who send slowly on purpose
LINGER_S = 2.0
LINGER_BYTES_MAX = 16 * 2**20
WAITED_MAX_S = 0.5  # for a thread; from then on, deliveries are refused at once rather than answered ever later
LARGE_WAITED_MAX_S = 5.0  # they are judged one by one
STEP, STEP_S = 50, 0.01  # connections whose deadlines are looked at in one turn, and until the next while there are more
GO_ON = 4  # pieces of long bodies in one turn
DELIVERIES = "/webhooks/"  # they have threads of their own, so that no slow query of the API holds them up
DELIVERY_THREADS = 3  # one may be writing, the others compute; each more takes the interpreter from the loop, which has to refuse

log = logs.get(__name__)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. Closing it while unread bytes wait would reset it, and the client would lose the answer: it lingers."""

    parser_class = Parser
    task_class = Answer
    error_task_class = Refusal

    request: Parser | None
    unread = False  # the other side may still be sending
    begun_at = 0.0  # when the first byte of the unfinished request came
    lingers_until = 0.0
    waits = False  # for the intake to have room
    thrown_away = 0
    connected: bool
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
        if self.waits:
            return False
        return bool(self.lingers_until and not self.will_close) or bool(super().readable())

    def handle_read(self) -> None:  # main thread
        if not self._is_long():
            self._read()
        elif self.server.intake.has_room():
            with self.server.intake.spending():
                self._throw_away() if self.lingers_until else self._read()
        else:
            self.waits = True
            self.server.intake.wait(self)

    def _is_long(self) -> bool:
        return bool(self.lingers_until or (self.request is not None and self.request.body_bytes_received > LONG_BYTES))

    def _throw_away(self) -> None:
        try:
            self.thrown_away += len(self.recv(65536))  # an empty one is the end: recv has closed the channel then
        except OSError:
            self.handle_close()
        if self.thrown_away > LINGER_BYTES_MAX:
            self.will_close = True

    def _read(self) -> None:
        try:
            data = self.recv(self.request.piece_bytes if self.request is not None else PIECE_BYTES)
        except OSError:
            self.handle_close()
            return
        if data:
            self.last_activity = time.time()
            self.received(data)
        else:
            self.connected = False

    def handle_write(self) -> None:  # main thread
        if self.unread and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and not self.will_close:
                self._linger()
            return
        super().handle_write()

    def expire(self, now: float) -> None:  # main thread
        """End what takes too long: idling, lingering, or a request that does not arrive."""
        if not self.requests and self.last_activity < now - self.adj.channel_timeout:
            self.will_close = True
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
        self.intake: Intake[Channel] = Intake()
        self._refused: deque[Channel] = deque()
        self._round: Iterator[Channel] = iter(())  # those whose deadlines are still to be looked at in this round
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
        self.loop.look(self)  # it may be full, or have room again; and a round begins once a second
        more_to_do = (self._go_round(time.time()), self._go_on())
        self.loop.turn(min(timeout_s, STEP_S) if any(more_to_do) else timeout_s)
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
        is_large = request.body_bytes_received > LARGE_BYTES
        threads, waited_max_s = (self.large, LARGE_WAITED_MAX_S) if is_large else (self.deliveries, WAITED_MAX_S)
        if threads.waited_s() < waited_max_s:
            threads.add_task(channel)
        else:
            request.error = Overloaded("")
            self._refused.append(channel)
            self.loop.attend(channel)

    def maintenance(self, now: float) -> None:  # main thread
        """Begin a round over all connections, unless one is under way."""
        if not self._go_round(now):
            self._round = iter(list(self.active_channels.values()))

    def _go_on(self) -> bool:
        """Let some read on that had no room; whether others wait still."""
        for channel in self.intake.next(GO_ON):
            channel.waits = False
            self.loop.look(channel)
        return len(self.intake) > 0

    def _go_round(self, now: float) -> bool:
        """Look at the deadlines of some connections, and whether there may be more: thousands at once would hold up the rest."""
        some = list(islice(self._round, STEP))
        for channel in some:
            channel.expire(now)
            self.loop.look(channel)
        return len(some) == STEP

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
