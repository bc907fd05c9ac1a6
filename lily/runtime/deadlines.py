"""Sockets for httpcore that end every call at one moment, however the other side spreads its bytes.

httpcore's own timeouts begin anew with each read, so that a host which sends one byte a second holds a caller for ever; and
no timeout holds for the resolution of names.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)
_CHUNK_BYTES = 16 * 1024


@contextmanager
def within(timeout_s: float) -> Iterator[None]:
    """All that the sockets of this module do for this context ends `timeout_s` from now, in a httpcore.TimeoutException."""
    token = _ends_at.set(time.monotonic() + timeout_s)
    try:
        yield
    finally:
        _ends_at.reset(token)


class Backend(httpcore.NetworkBackend):
    """TCP connections under the deadline of whoever uses them at the time."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port, _left(timeout, httpcore.ConnectTimeout))
        for index, address in enumerate(addresses):
            left_s = _left(timeout, httpcore.ConnectTimeout)
            share_s = None if left_s is None else left_s / (len(addresses) - index)  # a dead first address costs its share only
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, share_s, local_address, socket_options)
                return _Stream(stream)
            except (httpcore.ConnectTimeout, httpcore.ConnectError):
                if index == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError(f"{host} has no address")


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _CHUNK_BYTES):
            self._stream.write(buffer[start : start + _CHUNK_BYTES], _left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = _left(timeout, httpcore.ConnectTimeout)  # holds for the handshake as a whole
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, late: Callable[[str], Exception]) -> float | None:
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise late("the deadline has passed")
    return left_s if timeout is None else min(left_s, timeout)


# By process, host and port: one thread asks for all who wait, however long the resolver hangs.
_asked: dict[tuple[int, str, int], Future[list[str]]] = {}


def _resolve(host: str, port: int, timeout_s: float | None) -> list[str]:
    """The addresses of `host`, in the order of the resolver."""
    if _is_address(host):
        return [host]
    key = (os.getpid(), host, port)
    future: Future[list[str]] = Future()
    pending = _asked.setdefault(key, future)
    try:
        if pending is future:
            _start(key, future)
        return pending.result(timeout_s)
    except FutureTimeoutError:
        raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from None
    except OSError as error:
        raise httpcore.ConnectError(f"the name {host} cannot be resolved: {error}") from error


def _start(key: tuple[int, str, int], future: Future[list[str]]) -> None:
    try:
        threading.Thread(target=_ask, args=(key, future), name=f"resolve {key[1]}", daemon=True).start()
    except RuntimeError as error:  # no more threads to be had
        _asked.pop(key, None)
        future.set_exception(OSError(str(error)))


def _ask(key: tuple[int, str, int], future: Future[list[str]]) -> None:
    _, host, port = key
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answer = list(dict.fromkeys(str(address[0]) for *_, address in found))
    except Exception as error:
        _asked.pop(key, None)
        future.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
    else:
        _asked.pop(key, None)
        future.set_result(answer)


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False
