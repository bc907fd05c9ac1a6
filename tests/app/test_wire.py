"""The server on raw sockets: what is not a request is a problem or a clean end, and slow senders keep nobody waiting."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import create_app, intake, serve, wire
from lily.runtime.settings import settings
from tests.servers import free_port
from tests.waiting import eventually

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /webhooks/unsigned HTTP/1.1\r\nHost: x\r\n"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.read = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> "Connection":
        for part in parts:
            self.socket.sendall(part)
        return self

    def reply(self) -> Reply | None:
        """The next answer; None where the connection ended cleanly instead."""
        first = self.read.readline()
        if not first:
            return None
        headers = {}
        while (line := self.read.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Reply(int(first.split()[1]), headers, self.read.read(int(headers.get("content-length", "0"))))

    def ended(self) -> bool:
        return self.read.read(1) == b""

    def close(self) -> None:
        self.read.close()
        self.socket.close()


@pytest.fixture
def port(web: Callable[..., None]) -> Iterator[int]:
    """The port of a server that runs in a thread of the tests."""
    number = free_port()
    web(LILY_WEB_PORT=str(number), LILY_WEB_THREADS="4", LILY_AWS_ENDPOINT_URL="http://127.0.0.1:9", LILY_ACCEPT_DEADLINE_S="0.1")
    server = serve.make_server(create_app(), serve.bind(settings()), settings(), 2000)
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            server.turn(0.2)

    thread = threading.Thread(target=loop)
    thread.start()
    yield number
    over.set()
    server.pull_trigger()
    thread.join()
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.task_dispatcher.shutdown()
    server.deliveries.shutdown()
    server.large.shutdown()
    server.close()


def ask(port: int, *parts: bytes) -> Reply | None:
    connection = Connection(port)
    try:
        return connection.send(*parts).reply()
    finally:
        connection.close()


def assert_refused(reply: Reply | None, status: int, slug: str) -> None:
    assert reply is not None
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    document = json.loads(reply.body)
    assert document["status"] == status
    assert document["type"] == f"http://127.0.0.1:8000/problems/{slug}"
    assert len(document["trace_id"]) == 32
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["connection"] == "close"
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("request_bytes", "status", "slug"),
    [
        (b"nonsense\r\n\r\n", 400, "malformed-request"),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\nB: 2\r\n\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "malformed-request"),
        (b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed-request"),
        (POST + b"Content-Length: -1\r\n\r\n", 400, "malformed-request"),
        (POST + b"Content-Length: 1, 1\r\n\r\n{", 400, "malformed-request"),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400, "malformed-request"),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, "malformed-request"),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, "malformed-request"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed-request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", 400, "malformed-request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", 400, "malformed-request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}too long\r\n0\r\n\r\n", 400, "malformed-request"),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "malformed-request"),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400, "malformed-request"),
        (POST + b"Content-Length: 10000000\r\n\r\n", 413, "body-too-large"),
        (POST + b"Content-Length: %d\r\n\r\n" % (2**20 + 1), 413, "body-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "headers-too-large"),
    ],
)
def test_what_is_not_a_request_is_refused_by_a_problem(port: int, request_bytes: bytes, status: int, slug: str) -> None:
    assert_refused(ask(port, request_bytes), status, slug)


def test_a_chunked_body_is_read_as_any_other_and_limited_as_any_other(port: int) -> None:
    def chunked(size: int) -> bytes:
        return b"%x\r\n" % size + b" " * size + b"\r\n"

    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    reply = ask(port, chunks, b"1\r\n{\r\n", b"1\r\n]\r\n", b"0\r\n\r\n")
    assert reply is not None and reply.status == 400
    assert json.loads(reply.body)["errors"][0]["field"] == "line 1 column 2"
    reply = ask(port, chunks, chunked(2**20), chunked(1), b"0\r\n\r\n")
    assert reply is not None and reply.status == 413
    assert_refused(ask(port, chunks, chunked(2**20), chunked(2**20)), 413, "body-too-large")


def test_a_sender_of_too_much_gets_to_read_the_refusal(port: int) -> None:
    connection = Connection(port).send(POST + b"Content-Length: 8000000\r\n\r\n")
    for _ in range(80):  # a connection that is closed at once would be reset, and the answer lost
        connection.send(b"x" * 100_000)

    assert_refused(connection.reply(), 413, "body-too-large")
    assert connection.ended()
    connection.close()


def test_so_many_headers_are_read(port: int) -> None:
    reply = ask(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 195 + b"\r\n")

    assert reply is not None
    assert reply.status == 200


def test_while_long_bodies_wait_for_their_share_of_the_loop_others_are_answered(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(intake, "SAVED_MAX_S", 1e-6)
    monkeypatch.setattr(wire, "Intake", lambda: intake.Intake(0.001))  # some 50 ms until the next piece
    port = request.getfixturevalue("port")
    long = [Connection(port) for _ in range(3)]
    body = b"[" * 300_000
    for connection in long:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        threading.Thread(target=connection.send, args=(body,)).start()

    begun = time.monotonic()
    for _ in range(20):
        reply = ask(port, GET)
        assert reply is not None
        assert reply.status == 200
    assert time.monotonic() - begun < 2

    for connection in long:
        assert (reply := connection.reply()) is not None
        assert reply.status == 400
        connection.close()
    assert time.monotonic() - begun > 0.3


def test_a_long_body_that_waits_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(wire, "ARRIVAL_S", 0.2)
    monkeypatch.setattr(intake, "SAVED_MAX_S", 0.0)  # there never is room
    port = request.getfixturevalue("port")
    connection = Connection(port).send(POST + b"Content-Length: 300000\r\n\r\n" + b"[" * 100_000)

    assert_refused(connection.reply(), 408, "request-timeout")
    connection.close()


def test_a_request_that_is_cut_off_ends_cleanly(port: int) -> None:
    for part in (b"", b"GET", GET[:-2], POST + b"Content-Length: 10\r\n\r\n{"):
        connection = Connection(port).send(part)
        connection.socket.shutdown(socket.SHUT_WR)

        assert connection.reply() is None
        connection.close()
    reply = ask(port, GET)
    assert reply is not None and reply.status == 200


def test_a_connection_serves_one_request_after_another(port: int) -> None:
    connection = Connection(port)
    for _ in range(3):
        reply = connection.send(GET).reply()
        assert reply is not None and reply.status == 200 and "connection" not in reply.headers
    first, second = connection.send(GET + GET).reply(), connection.reply()
    assert first is not None and second is not None and {first.status, second.status} == {200}
    connection.close()


def test_a_smuggled_second_request_is_never_answered(port: int) -> None:
    smuggled = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    length = str(len(smuggled) + 5).encode()
    connection = Connection(port)
    connection.send(POST + b"Content-Length: " + length + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)

    assert_refused(connection.reply(), 400, "malformed-request")
    assert connection.ended()
    connection.close()


def test_a_request_that_does_not_arrive_is_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ARRIVAL_S", 0.2)
    for part in (b"GET /livez HT", POST + b"Content-Length: 10\r\n\r\n{"):
        connection = Connection(port).send(part)

        assert_refused(connection.reply(), 408, "request-timeout")
        assert connection.ended()
        connection.close()


def test_dripping_does_not_keep_a_request_alive_and_idling_keeps_a_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ARRIVAL_S", 0.5)
    idle, dripping = Connection(port).send(GET), Connection(port).send(b"GET /")
    assert idle.reply() is not None
    begun = time.monotonic()

    def refused() -> bool:
        dripping.send(b"x")
        dripping.socket.settimeout(0.05)
        try:
            return dripping.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.0 408"
        except TimeoutError:
            return False

    eventually(refused, within_s=10)
    assert time.monotonic() - begun < 5
    assert idle.send(GET).reply() is not None
    dripping.close()
    idle.close()


def test_a_thousand_half_sent_requests_keep_nobody_waiting(port: int) -> None:
    serve._raise_descriptor_limit(2000)
    slow = [Connection(port).send(POST + b"Content-Length: 1000\r\n\r\n" + b"{" * 500) for _ in range(1000)]
    try:
        begun = time.monotonic()
        replies = [ask(port, GET) for _ in range(20)]
        assert all(reply is not None and reply.status == 200 for reply in replies)
        assert time.monotonic() - begun < 5
    finally:
        for connection in slow:
            connection.close()


@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([GET, POST, b"\r\n", b"0\r\n", b"Content-Length: 2", b"{}", b" ", b"\0"]))
)
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_arrives_the_answer_is_no_5xx_and_every_refusal_is_a_problem(port: int, sent: bytes | list[bytes]) -> None:
    connection = Connection(port).send(sent if isinstance(sent, bytes) else b"".join(sent))
    connection.socket.shutdown(socket.SHUT_WR)
    while (reply := connection.reply()) is not None:
        assert reply.status < 500 or reply.status == 503  # there is no DynamoDB behind this server
        assert reply.status < 400 or reply.headers["content-type"] == "application/problem+json"
    connection.close()


@pytest.mark.parametrize(
    "head",
    [
        POST + b"Transfer-Encoding:\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /livez HTTP/3.7\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_odd_codings_and_versions_are_refused_and_the_connection_ends(port: int, head: bytes) -> None:
    connection = Connection(port).send(head)

    reply = connection.reply()

    assert reply is not None
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert connection.ended()
    connection.close()


def test_who_expects_to_go_on_without_a_body_is_answered_and_the_next_request_is_its_own(port: int) -> None:
    connection = Connection(port)
    connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    first = connection.reply()
    connection.send(GET)
    second = connection.reply()

    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (200, 200)
    connection.close()
