"""An AWS service that answers what a test says: what no stand-in does, such as doing half of a batch. Real HTTP on both sides."""

import json
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lily.runtime import aws_json


@dataclass
class Answers:
    """What is answered next, in order, and what was asked so far: (operation, request)."""

    waiting: deque[tuple[str, int, bytes]] = field(default_factory=deque)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, operation: str, answer: dict[str, Any], status: int = 200) -> None:
        self.waiting.append((operation, status, json.dumps(answer).encode()))

    def refuse(self, operation: str, code: str, status: int = 400, **more: Any) -> None:
        self.add(operation, {"__type": f"com.amazonaws.v1#{code}", "message": "m", **more}, status)

    def next(self, operation: str, request: dict[str, Any]) -> tuple[int, bytes]:
        self.asked.append((operation, request))
        if not self.waiting or self.waiting[0][0] != operation:
            self.surprises.append(f"{operation} was not expected")
            return 400, b'{"__type": "Unexpected"}'
        return self.waiting.popleft()[1:]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [request for _, request in self.asked]


@contextmanager
def answering(service: str) -> Iterator[Answers]:
    """The hot calls to `service` come here until the block ends, by when every answer must have been fetched."""
    with scripted() as answers, pytest.MonkeyPatch.context() as patch:
        way = aws_json._line

        def line(of_service: str, timeout_s: float) -> Any:
            found = way(of_service, timeout_s)
            return replace(found, url=answers.url, host=answers.url[7:-1]) if of_service == service else found

        patch.setattr(aws_json, "_line", line)
        yield answers
    assert not answers.surprises
    assert not answers.waiting, "not all answers were fetched"


@contextmanager
def scripted() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = answers.next(self.headers["X-Amz-Target"].partition(".")[2], request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amz-crc32", str(zlib.crc32(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
