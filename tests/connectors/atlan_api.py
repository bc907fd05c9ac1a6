"""A server on this machine that keeps what is asked of it and answers as it was told: with captured exchanges, or with faults."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAYLOADS = Path(__file__).parents[1] / "payloads" / "atlan"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None  # instead of a body in JSON


Rule = Callable[[Asked], Answer | None]


@dataclass
class Api:
    """`answers` go out one by one; when there is none left, the first rule that answers does, and else an empty object."""

    url: str = ""
    answers: deque[Answer] = field(default_factory=deque)
    rules: list[Rule] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.answers:
            return self.answers.popleft()
        return next((answer for rule in self.rules if (answer := rule(asked)) is not None), Answer(body={}))

    @property
    def last(self) -> Asked:
        return self.asked[-1]


@cache
def captured(name: str) -> list[dict[str, Any]]:
    """The exchanges of a captured call."""
    exchanges: list[dict[str, Any]] = json.loads((PAYLOADS / "api" / f"{name}.json").read_text())["exchanges"]
    return exchanges


def replay(name: str, at: int = 0) -> Answer:
    """The captured response."""
    response = captured(name)[at]["response"]
    return Answer(response["status"], response.get("body"))


def error(when: str) -> Answer:
    """The vendor's error of that description."""
    listed = json.loads((PAYLOADS / "api" / "errors.json").read_text())["responses"]
    one = next(one for one in listed if one["when"] == when)
    return Answer(one["status"], one.get("body"), one.get("headers", {}), one.get("text"))


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # head and body in one piece, or the second waits 40 ms for the first to be acknowledged

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, json.loads(raw) if raw else None)
            given = api.answer(asked)
            content = (given.text if given.text is not None else json.dumps(given.body)).encode()
            self.send_response(given.status)
            self.send_header("Content-Length", str(len(content)))
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - as inherited

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield api
    server.shutdown()
    server.server_close()
