import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime import breaker, clock, deadlines, metrics, outgoing, trace
from lily.runtime.errors import Permanent, Transient
from tests.runtime.servers import Answering, answering, as_json, hangs, hangs_up, raw, resets, self_signed, sends, trickles

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    monkeypatch.setattr(breaker, "_breakers", breaker._Breakers())
    monkeypatch.setattr(metrics, "_table", metrics._Table())
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as state:
        yield state


def post(url: str, body: Any = None, timeout_s: float = 5.0, **headers: str) -> Any:
    return outgoing.post_json(url, body or {}, headers=headers, timeout_s=timeout_s, name="mc")


def outcome_of(server: Answering) -> Transient | Permanent:
    with pytest.raises((Transient, Permanent)) as raised:
        post(server.url)
    return raised.value


def test_an_answer_is_parsed_and_the_request_is_json(server):
    server.body = as_json({"data": [1, "ü"]})

    assert post(server.url, {"query": "ü"}, **{"x-mcd-id": "id"}) == {"data": [1, "ü"]}

    [(headers, body)] = server.seen
    assert body == '{"query":"ü"}'.encode()
    assert (headers["content-type"], headers["accept"], headers["x-mcd-id"]) == ("application/json", "application/json", "id")
    assert "traceparent" not in headers


def test_what_failed_says_with_which_status(server):
    server.status = 404
    assert outcome_of(server).status == 404
    server.status = 429
    assert outcome_of(server).status == 429


def test_a_header_of_the_caller_replaces_ours(server):
    post(server.url, Accept="application/graphql-response+json")

    assert server.seen[0][0]["accept"] == "application/graphql-response+json"


def test_the_bound_trace_is_sent_on_with_a_span_of_its_own(server):
    with trace.bound(trace.new()) as here:
        post(server.url)

    sent = trace.parse(server.seen[0][0]["traceparent"])
    assert sent.trace_id == here.trace_id
    assert sent.span_id != here.span_id


def test_connections_are_used_again(server):
    for _ in range(5):
        post(server.url)

    assert len(server.connections) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_transient(server, status):
    server.status = status

    error = outcome_of(server)

    assert isinstance(error, Transient)
    assert error.reason == f"mc: answered {status}"
    assert error.retry_after_s is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
def test_what_is_refused_is_permanent_and_says_what_was_said_without_secrets(server, status):
    server.status, server.body = status, b'{"message": "no such key", "token": "abcdefgh"}'

    error = outcome_of(server)

    assert isinstance(error, Permanent)
    assert error.reason.startswith(f"mc: answered {status}: ")
    assert "no such key" in error.reason
    assert "abcdefgh" not in error.reason


def test_a_redirect_is_not_followed(server):
    server.status, server.headers = 308, {"Location": server.url + "/elsewhere"}

    error = outcome_of(server)

    assert isinstance(error, Permanent)
    assert "/elsewhere" in error.reason
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"NaN", b"\xff"])
def test_an_answer_that_is_not_json_is_transient(server, body):
    server.body = body

    assert "not JSON" in outcome_of(server).reason


def test_an_answer_that_is_too_large_is_permanent_and_not_read_to_its_end(server, monkeypatch):
    monkeypatch.setattr(outgoing, "ANSWER_BYTES_MAX", 100_000)

    server.body = as_json("x" * 99_998)
    assert len(post(server.url)) == 99_998

    server.body = as_json("x" * 99_999)
    assert "larger than 100000 bytes" in outcome_of(server).reason

    endless = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with raw(trickles(endless, b"10000\r\n" + b"x" * 0x10000 + b"\r\n")) as url, pytest.raises(Permanent, match="larger than"):
        post(url)


class TestRetryAfter:
    def test_in_seconds_is_honoured(self, server):
        server.status, server.headers = 429, {"Retry-After": "7"}

        assert outcome_of(server).retry_after_s == 7.0

    def test_as_a_date_is_seconds_from_now(self, server):
        at = datetime(2026, 11, 24, 17, 0, 30, tzinfo=UTC)
        server.status, server.headers = 503, {"Retry-After": format_datetime(at, usegmt=True)}

        with clock.freeze(at - timedelta(seconds=30)):
            assert outcome_of(server).retry_after_s == 30.0
        with clock.freeze(at + timedelta(seconds=30)):
            assert outcome_of(server).retry_after_s == 0.0

    @pytest.mark.parametrize("header", [None, "", "soon", "-1", "nan", "inf", "1e5", "9" * 400, "Tue, 99 Foo 2026 17:00:00 GMT"])
    def test_that_is_malformed_is_none(self, header):
        assert outgoing.retry_after_s(header) is None

    @given(st.text())
    def test_of_any_kind_is_none_or_a_time_to_wait(self, header):
        waits = outgoing.retry_after_s(header)

        assert waits is None or waits >= 0


class TestDeadline:
    """The whole call ends at its deadline, whatever the other side does meanwhile."""

    @pytest.mark.parametrize(
        "behave",
        [
            pytest.param(hangs, id="never answers"),
            pytest.param(trickles(b"", b"H"), id="trickles its status line"),
            pytest.param(trickles(HEAD, b"X-A: b\r\n"), id="trickles headers without an end"),
            pytest.param(trickles(HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"), id="trickles its body"),
            pytest.param(trickles(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="trickles chunks"),
            pytest.param(trickles(b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n", b"x"), id="trickles a failure"),
            pytest.param(trickles(b"HTTP/1.1 400 No\r\nContent-Length: 1000000\r\n\r\n", b"x"), id="trickles a refusal"),
            pytest.param(trickles(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), id="sends hints for ever"),
        ],
    )
    def test_holds_for_a_host_that(self, behave):
        with raw(behave) as url:
            began = time.monotonic()
            with pytest.raises(Transient):
                post(url, timeout_s=0.4)
            took_s = time.monotonic() - began

        assert took_s < 1.0

    def test_holds_for_a_host_that_does_not_read(self):
        with raw(hangs, reads=False) as url:
            began = time.monotonic()
            with pytest.raises(Transient, match=r"no whole answer within 0\.4 s"):
                post(url, "x" * 20_000_000, timeout_s=0.4)
            took_s = time.monotonic() - began

        assert took_s < 1.5

    def test_holds_for_a_host_that_does_not_accept(self):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            fillers = [_connecting(listener.getsockname()) for _ in range(4)]
            began = time.monotonic()
            with pytest.raises(Transient, match=r"no whole answer within 0\.4 s"):
                post(url, timeout_s=0.4)
            took_s = time.monotonic() - began
            for filler in fillers:
                filler.close()

        assert took_s < 1.0

    def test_holds_for_a_name_that_is_not_resolved(self, monkeypatch):
        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(10) and [])
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            errors = list(pool.map(lambda _: _error_of("http://slow.example/", timeout_s=0.4), range(4)))
        took_s = time.monotonic() - began
        resolvers = [thread for thread in threading.enumerate() if thread.name == "resolve slow.example"]
        over.set()

        assert all(isinstance(error, Transient) for error in errors)
        assert took_s < 1.5
        assert len(resolvers) == 1

    def test_holds_when_all_connections_are_taken(self, monkeypatch):
        monkeypatch.setattr(outgoing, "CONNECTIONS_MAX", 1)
        monkeypatch.setattr(outgoing, "_pools", {})
        with raw(hangs) as url, ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            errors = list(pool.map(lambda _: _error_of(url, timeout_s=0.4), range(3)))

            assert [type(error) for error in errors] == [Transient] * 3
            assert time.monotonic() - began < 1.5

    def test_holds_for_a_handshake_that_hangs(self):
        with raw(hangs) as url:
            began = time.monotonic()
            with pytest.raises(Transient, match=r"no whole answer within 0\.4 s"):
                post(url.replace("http://", "https://"), timeout_s=0.4)
            took_s = time.monotonic() - began

        assert took_s < 1.0

    def test_is_fresh_for_a_connection_that_is_used_again(self, server):
        for _ in range(4):
            began = time.monotonic()
            while time.monotonic() - began < 0.2:
                post(server.url, timeout_s=0.3)

        assert len(server.connections) == 1


@pytest.mark.parametrize(
    "behave",
    [
        hangs_up,
        resets,
        sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
        sends(HEAD + b"Content-Length: 10\r\n\r\n{"),
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        sends(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n"),
    ],
)
def test_a_connection_that_breaks_is_transient(behave):
    with raw(behave) as url, pytest.raises(Transient):
        post(url)


def test_a_port_where_nobody_listens_is_transient():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Transient, match="mc: ConnectError"):
        post(f"http://127.0.0.1:{port}/")


def test_a_name_that_nobody_knows_is_transient():
    with pytest.raises(Transient, match=r"cannot be resolved|was not resolved"):
        post("http://nobody.invalid/", timeout_s=10)


def test_the_next_address_of_a_name_is_tried_when_one_is_dead(server, monkeypatch):
    port = int(server.url.split(":")[2].split("/")[0])
    addresses = [(0, 0, 0, "", ("127.0.0.2", port)), (0, 0, 0, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", _first(lambda: addresses, for_host="two.example"))

    assert post(f"http://two.example:{port}/") == {"ok": True}


def test_a_name_is_resolved_for_a_call(server):
    assert post(server.url.replace("127.0.0.1", "localhost")) == {"ok": True}


@pytest.mark.parametrize("value", ["tok\nen-secret", "tök-secret", "tok\x00en-secret"])
def test_a_header_that_cannot_be_sent_is_permanent_and_is_not_repeated(server, value):
    with pytest.raises(Permanent, match="cannot be made") as raised:
        post(server.url, Authorization=value)

    assert "secret" not in raised.value.reason
    assert raised.value.__cause__ is None
    assert server.seen == []


@pytest.mark.parametrize("url", ["gopher://127.0.0.1/", "http://127.0.0.1/tök"])
def test_an_address_that_cannot_be_called_is_permanent(url):
    with pytest.raises(Permanent, match="check its URL"):
        post(url)


def test_after_five_failures_nothing_goes_out_any_more(server):
    server.status = 503
    for _ in range(5):
        outcome_of(server)

    assert "breaker open" in outcome_of(server).reason
    assert len(server.seen) == 5


def test_calls_are_timed_by_their_outcome(server):
    post(server.url)
    for status in (500, 400):
        server.status = status
        outcome_of(server)

    assert {labels for name, labels in metrics._table.histograms if name == "lily_outgoing_seconds"} == {
        ("mc", "ok"),
        ("mc", "transient"),
        ("mc", "permanent"),
    }


def test_a_proxy_of_the_environment_is_used_except_where_it_says_not_to(server, monkeypatch):
    proxy = server.url.removesuffix("/graphql")
    monkeypatch.setenv("http_proxy", proxy.replace("://", "://user:pa%40ss@"))

    assert post("http://far.invalid/path") == {"ok": True}
    [(headers, _)] = server.seen
    assert headers["host"] == "far.invalid"
    assert headers["proxy-authorization"] == "Basic dXNlcjpwYUBzcw=="

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert post(server.url) == {"ok": True}


def test_a_certificate_is_checked_and_may_be_trusted_by_setting(tmp_path, monkeypatch):
    context, trusted = self_signed(tmp_path)
    monkeypatch.setattr(outgoing, "_pools", {})
    with answering(context) as server:
        with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
            post(server.url)
        assert server.seen == []

        monkeypatch.setattr(outgoing, "_pools", {})
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert post(server.url) == {"ok": True}
        with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
            post(server.url.replace("127.0.0.1", "localhost"))


def test_a_forked_process_has_connections_of_its_own(server):
    post(server.url)

    child = os.fork()
    if child == 0:
        os._exit(0 if post(server.url) == {"ok": True} else 1)
    _, status = os.waitpid(child, 0)
    post(server.url)

    assert status == 0
    assert len(server.connections) == 2


def test_a_thread_without_a_deadline_keeps_httpcores_own():
    assert deadlines._left(1.5, TimeoutError) == 1.5
    assert deadlines._left(None, TimeoutError) is None


def _error_of(url: str, timeout_s: float) -> BaseException | None:
    try:
        post(url, timeout_s=timeout_s)
    except (Transient, Permanent) as error:
        return error
    return None


def _connecting(address: tuple[str, int]) -> socket.socket:
    """Takes one place in the queue of a listener that never accepts."""
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(address)
    return filler


def _first(answer: Any, *, for_host: str) -> Any:
    usual = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **named: Any) -> Any:
        return answer() if host == for_host else usual(host, *arguments, **named)

    return getaddrinfo
