"""The way into `/api/`: notes each call, disturbs some on demand, asks for the token, and lets in as many as the limits allow.

Faults are posted to `/sandbox/faults`, one or a list; each call meets the first that fits:

    {"kind": "latency", "delay_s": 0.2}                    later, then as usual
    {"kind": "status", "status": 429, "share": 0.05, "retry_after_s": 1}
    {"kind": "hang"}                                       no answer until the client leaves or the faults are cleared
    {"kind": "drop_before"}, {"kind": "drop_after"}        the connection is closed, before or after it was done
    {"kind": "malformed"}                                  200 with half a JSON document

`count`: calls it still applies to, null (the default) until cleared; `share`: of the calls, 1 by default; `path`: only calls
that contain it; `agent`: only calls of this agent id; `delay_s` goes with every kind.
"""

import asyncio
import random
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers

from sandbox import asgi
from sandbox.asgi import App, Message, Receive, Scope, Send
from sandbox.atlan.catalog import Catalog
from sandbox.atlan.limits import Limits

KINDS = ("latency", "status", "hang", "drop_before", "drop_after", "malformed")
BODY_BYTES_MAX = 64 * 2**20
LOG_MAX = 20_000
TOO_MANY = "<html><head><title>429 Too Many Requests</title></head></html>"
HTML = {"content-type": "text/html"}


@dataclass(slots=True)
class Fault:
    kind: str
    count: int | None = None
    share: float = 1.0
    path: str = ""
    agent: str = ""
    delay_s: float = 0.0
    status: int = 503
    retry_after_s: float | None = None


def fault(spec: Any) -> Fault:
    """The fault that a JSON value describes. ValueError says which part is wrong."""
    if type(spec) is not dict or spec.get("kind") not in KINDS:
        raise ValueError(f"fault.kind: expected one of {', '.join(KINDS)}")
    if unknown := sorted(set(spec) - {each.name for each in fields(Fault)}):
        raise ValueError(f"fault: unknown {', '.join(unknown)}")
    made = Fault(**spec)
    if made.count is not None and (type(made.count) is not int or made.count < 1):
        raise ValueError(f"fault.count: {made.count!r}; expected a whole number from 1, or null")
    if not 0 <= made.share <= 1 or not 0 <= made.delay_s <= 600 or not 300 <= made.status <= 599:
        raise ValueError("fault: share is 0 to 1, delay_s 0 to 600, status 300 to 599")
    return made


class Gate:
    """One ASGI application around another. Everything outside of `/api/` passes untouched."""

    def __init__(self, app: App, catalog: Catalog, token: str) -> None:
        self.app = app
        self.catalog = catalog
        self.token = token
        self.limits = Limits()
        self.faults: list[Fault] = []
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)
        self.counts: Counter[str] = Counter()
        self._dice = random.Random(0)
        self._cleared = asyncio.Event()

    def clear(self) -> None:
        self.clear_faults()
        self.clear_log()
        self.limits.clear()

    def clear_log(self) -> None:
        self.log.clear()
        self.counts.clear()

    def clear_faults(self) -> None:
        """Forget all faults and end the calls that hang."""
        self.faults.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        agent = headers.get("x-atlan-agent-id", "")
        path = scope["path"].rstrip("/")
        entry: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(), "call": f"{scope['method']} {shortened(path)}", "path": scope["path"],
            "query": scope["query_string"].decode(), "agent": agent, "request_id": headers.get("x-atlan-request-id"),
            "entities": None, "fault": None, "status": None, "ms": None,
        }  # fmt: skip
        self.log.append(entry)
        self.counts[entry["call"]] += 1
        body = await asgi.read(receive, BODY_BYTES_MAX)
        if body is None:
            await asgi.answer(send, 413, {"code": 413, "message": "request entity too large"})
            return
        started = time.perf_counter()
        scope = {**scope, "path": path, "raw_path": path.encode(), "entry": entry}
        try:
            await self._serve(scope, _replayed(body, receive), send, entry, headers)
        finally:
            entry["ms"] = round((time.perf_counter() - started) * 1000, 1)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, entry: dict[str, Any], headers: Headers) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        origin = headers.get("x-atlan-client-origin", "")
        refused = self.limits.refusal(entry["path"], entry["agent"], origin, self.catalog.settings, time.monotonic())
        found = self._fault(entry)
        if found is not None:
            entry["fault"] = found.kind
            await asyncio.sleep(found.delay_s)
        if refused is not None:
            await self._too_many(refused, noting)
        elif found is not None and found.kind != "latency":
            await self._disturb(found, scope, receive, noting, send)
        elif not self._known(headers):
            await asgi.answer(noting, 401, {"code": 1001, "message": "unauthorized"})
        else:
            await self.app(scope, receive, noting)

    def _fault(self, entry: dict[str, Any]) -> Fault | None:
        for each in self.faults:
            fits = each.path in entry["path"] and each.agent in ("", entry["agent"])
            if fits and (each.share == 1 or self._dice.random() < each.share):
                if each.count is not None:
                    each.count -= 1
                    if each.count == 0:
                        self.faults.remove(each)
                return each
        return None

    def _known(self, headers: Headers) -> bool:
        given: str = headers.get("authorization", "")
        return given == f"Bearer {self.token}"

    async def _too_many(self, limit: str, send: Send) -> None:
        if limit == "tenant":
            await asgi.answer(send, 429, {"code": 429, "message": "too many requests"})
        else:
            later = {"retry-after": "1"} if self.catalog.settings.retry_after else {}
            await asgi.answer(send, 429, TOO_MANY, HTML | later)

    async def _disturb(self, found: Fault, scope: Scope, receive: Receive, noting: Send, send: Send) -> None:
        if found.kind == "status":
            later = {} if found.retry_after_s is None else {"retry-after": f"{found.retry_after_s:g}"}
            page = TOO_MANY if found.status == 429 else f"<html>{found.status}</html>"
            await asgi.answer(noting, found.status, page, HTML | later)
        elif found.kind == "malformed":
            await asgi.answer(noting, 200, b'{"entities": [{"typeName": "Table", "guid": "6f0d')
        elif found.kind == "hang":
            waits = [asyncio.ensure_future(self._cleared.wait()), asyncio.ensure_future(asgi.disconnected(receive))]
            _, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in left:
                each.cancel()
            await asgi.drop(send)
        else:
            if found.kind == "drop_after":

                async def nowhere(_: Message) -> None:
                    pass

                await self.app(scope, receive, nowhere)
            await asgi.drop(send)

    def shown_faults(self) -> list[dict[str, Any]]:
        return [asdict(each) for each in self.faults]


def shortened(path: str) -> str:
    """A path with `*` for what differs between calls of one kind."""
    parts = path.removeprefix("/api/meta").split("/")
    after = {"guid", "type", "businessmetadata", "classification", "name"}
    return "/".join("*" if place and parts[place - 1] in after else part for place, part in enumerate(parts))


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
