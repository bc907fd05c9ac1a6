"""What the tests of the command line share: Lily over HTTP on a port of its own, and the command as a shell runs it."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from app.cli import cli
from tests.app.conftest import bearer
from tests.app.security import ALL


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The URL of the application, which answers from threads of the test."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # in life the server logs on a stdout of its own
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    structlog.configure(**before)


@dataclass(frozen=True)
class Shell:
    """Runs `lily ...` against one server. `scope`: of the token."""

    url: str
    scope: str = f"{ALL} events:read events:replay"
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str | Path, code: int = 0, answer: str | None = None) -> Result:
        """The command must end with this exit code."""
        token = bearer(scope=self.scope)["Authorization"].removeprefix("Bearer ")
        environ = {"LILY_URL": self.url, "LILY_TOKEN": token, **self.environ}
        result = CliRunner().invoke(cli, [str(word) for word in words], env=environ, input=answer)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def json(self, *words: str | Path, code: int = 0) -> Any:
        return json.loads(self(*words, "-o", "json", code=code).stdout)
