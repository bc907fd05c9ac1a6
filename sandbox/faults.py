"""Faults on demand for a stand-in, and a log of the requests it got: one ASGI application wrapped around another.

`POST /sandbox/faults` with one fault or a list; each applies to the next `count` requests (`null`: until
cleared), first come first applied, one to a request:

    {"kind": "latency", "delay_s": 0.5}             answer as usual, later (`delay_s` works with every kind)
    {"kind": "hang"}                                never answer; ends when the client leaves or the faults are cleared
    {"kind": "status", "status": 429, "retry_after_s": 2}
    {"kind": "drop_before"}                         close the connection, nothing was done
    {"kind": "drop_after"}                          do what was asked, then close the connection without an answer
    {"kind": "malformed"}                           200 with half a JSON document
    {"kind": "errors", "message": "..", "code": ".."}   200 with GraphQL errors and no data
    {"kind": "trickle", "trickle_s": 2}             the real answer, in small pieces over that time
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import asgi
from sandbox.asgi import App, Message, Receive, Scope, Send

KINDS = ("latency", "hang", "status", "drop_before", "drop_after", "malformed", "errors", "trickle")
BODY_BYTES_MAX = 16 * 2**20
LOG_MAX = 10_000
PHRASES = {status.value: status.phrase for status in HTTPStatus}
TRICKLE_PIECES = 20


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    count: int | None = 1  # requests it still applies to; None: until cleared
    delay_s: float = 0.0  # before anything else happens
    status: int = 503
    retry_after_s: float | None = None
    message: str = "Request timed out"  # the message and code of "errors"; the code is one the vendor's SDK retries
    code: str = "REQUEST_TIMEOUT"
    trickle_s: float = 1.0


def parse(spec: object) -> Fault:
    """The fault that a JSON value describes. ValueError says which part is wrong."""
    if type(spec) is not dict:
        raise ValueError(f'fault: expected an object such as {{"kind": "hang"}}, got {json.dumps(spec)}')
    if spec.get("kind") not in KINDS:
        raise ValueError(f"fault.kind: {spec.get('kind')!r} is not one of {', '.join(KINDS)}")
    if unknown := sorted(set(spec) - set(Fault.__dataclass_fields__)):
        raise ValueError(f"fault: unknown {', '.join(unknown)}; known are {', '.join(Fault.__dataclass_fields__)}")
    fault = Fault(**spec)
    if fault.count is not None and not (type(fault.count) is int and fault.count >= 1):
        raise ValueError(f"fault.count: {fault.count!r}; expected a whole number from 1, or null for until cleared")
    if not (type(fault.status) is int and 300 <= fault.status <= 599):
        raise ValueError(f"fault.status: {fault.status!r}; expected 300 to 599")
    for name in ("delay_s", "trickle_s", "retry_after_s"):
        value = getattr(fault, name)
        if value is not None and not (_is_number(value) and 0 <= value <= 600):
            raise ValueError(f"fault.{name}: {value!r}; expected seconds from 0 to 600")
    return fault


class Faults:
    """The wrapped application: logs every request under `path` and disturbs those that a fault is waiting for.

    `describe` turns a request's body into the words of its log entry, so that tests can count calls by what they asked.
    It must be called by the server itself, not through further middleware: dropping needs the server's transport.
    """

    def __init__(self, app: App, path: str, describe: Callable[[bytes], dict[str, Any]]) -> None:
        self.app = app
        self.path = path
        self.describe = describe
        self.waiting: list[Fault] = []
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)
        self._cleared = asyncio.Event()

    def clear(self) -> None:
        """Forget all faults and end the requests that hang."""
        self.waiting.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        body = await asgi.read(receive, BODY_BYTES_MAX)
        if body is None:
            await asgi.answer(send, 413, {"message": f"Body larger than {BODY_BYTES_MAX} bytes"})
            return
        fault = self._take()
        entry: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(),
            **self.describe(body),
            "fault": fault.kind if fault else None,
            "status": None,  # stays null if no answer began
            "ms": None,  # stays null until it is over
        }
        self.log.append(entry)
        started = time.perf_counter()
        try:
            await self._serve(fault, scope, _replayed(body, receive), _noting_status(entry, send), partial(asgi.drop, send))
        finally:
            entry["ms"] = round((time.perf_counter() - started) * 1000, 1)

    def _take(self) -> Fault | None:
        if not self.waiting:
            return None
        fault = self.waiting[0]
        if fault.count is not None:
            left = fault.count - 1
            self.waiting[:1] = [replace(fault, count=left)] if left else []
        return fault

    async def _serve(
        self, fault: Fault | None, scope: Scope, receive: Receive, send: Send, drop: Callable[[], Awaitable[None]]
    ) -> None:
        if fault is None:
            await self.app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_s)
        if fault.kind == "latency":
            await self.app(scope, receive, send)
        elif fault.kind == "hang":
            await _first_of(self._cleared.wait(), asgi.disconnected(receive))
            await drop()
        elif fault.kind == "drop_before":
            await drop()
        elif fault.kind in ("drop_after", "trickle"):
            messages = await _answer_of(self.app, scope, receive)
            await (drop() if fault.kind == "drop_after" else _trickle(messages, fault.trickle_s, send))
        else:
            await _say(fault, send)


async def _say(fault: Fault, send: Send) -> None:
    if fault.kind == "malformed":
        await asgi.answer(send, 200, b'{"data": {"getAlerts": {"edges": [{"node": {"id": "f838')
    elif fault.kind == "errors":
        error = {"message": fault.message, "extensions": {"code": fault.code}}
        await asgi.answer(send, 200, {"errors": [error], "data": None})
    else:
        headers = {} if fault.retry_after_s is None else {"retry-after": f"{fault.retry_after_s:g}"}
        await asgi.answer(send, fault.status, {"message": PHRASES.get(fault.status, "Error")}, headers)


async def _trickle(messages: list[Message], trickle_s: float, send: Send) -> None:
    start, body = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
    await send(start)
    step = max(1, -(-len(body) // TRICKLE_PIECES))
    for at in range(0, len(body), step):
        await asyncio.sleep(trickle_s / TRICKLE_PIECES)
        await send({"type": "http.response.body", "body": body[at : at + step], "more_body": at + step < len(body)})


async def _answer_of(app: App, scope: Scope, receive: Receive) -> list[Message]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _noting_status(entry: dict[str, Any], send: Send) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
        await send(message)

    return noting


async def _first_of(*waits: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def routes(faults: Callable[[], Faults]) -> list[Route]:
    """The control endpoints. `faults` is asked at each request, since routes are made before what wraps them."""

    async def control(request: Request) -> Response:
        if request.method == "DELETE":
            faults().clear()
        elif request.method == "POST":
            try:
                spec = await request.json()
                wanted = [parse(one) for one in (spec if isinstance(spec, list) else [spec])]
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            faults().waiting.extend(wanted)
        return JSONResponse([asdict(fault) for fault in faults().waiting])

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            faults().log.clear()
        return JSONResponse(list(faults().log))

    return [
        Route("/sandbox/faults", control, methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/requests", requests, methods=["GET", "DELETE"]),
    ]
