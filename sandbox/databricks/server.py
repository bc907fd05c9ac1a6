"""The HTTP face: what the vendor's SDK asks for, and `/sandbox/...` to make things happen. See also admin."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox import asgi
from sandbox.asgi import Receive, Scope, Send
from sandbox.databricks import rest, rest_tags, run, workspace
from sandbox.databricks.admin import Admin
from sandbox.databricks.context import World
from sandbox.databricks.directory import Identity, Token
from sandbox.databricks.errors import Bad, Refused, as_rest
from sandbox.databricks.faults import Fault, Waiting
from sandbox.databricks.rest_call import Call
from sandbox.databricks.service import Service

BODY_BYTES_MAX = 17 * 2**20
HALF = b'{"statement_id": "01f0", "status": {"sta'
REQUESTS_MAX = 50_000
Work = Callable[[], Awaitable[tuple[int, Any]]]


class Request:
    """One HTTP request, read whole, and where its answer goes.

    `parts` of the path are without percent signs, each after it was split off.
    """

    def __init__(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        self.receive, self.send = receive, send
        self.method = str(scope["method"])
        raw = scope.get("raw_path") or str(scope["path"]).encode()
        self.path = raw.decode("latin-1").partition("?")[0]
        self.parts = [unquote(part) for part in self.path.split("/")[1:]]
        self.query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.body = body
        self.base = f"http://{self.headers.get('host', '127.0.0.1')}"

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises Bad."""
        try:
            value = json.loads(self.body) if self.body else {}
        except ValueError as error:
            raise Bad(400, "MALFORMED_REQUEST", f"Could not parse request object: {error}") from error
        return value if isinstance(value, dict) else {}


class Server:
    """An ASGI application. It must be called by uvicorn itself: dropping a connection needs its transport."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.port = port
        self.faults = Waiting()
        self.service = Service(world, self.faults)
        self.requests: deque[dict[str, Any]] = deque(maxlen=REQUESTS_MAX)
        self.admin = Admin(world, self.service, self.faults, self.requests, let_go=self._let_go)
        self._cleared = asyncio.Event()

    def _let_go(self) -> None:
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await asgi.read(receive, BODY_BYTES_MAX)
        if body is None:
            await asgi.answer(send, 413, {"error_code": "BAD_REQUEST", "message": f"Body larger than {BODY_BYTES_MAX} bytes"})
            return
        request = Request(scope, body, receive, send)
        if request.parts[0] in ("sandbox", "healthz", ""):
            await self._administer(request, send)
            return
        try:
            await self._serve(request)
        except Bad as bad:
            self._note(request, "", bad.status)
            await asgi.answer(send, bad.status, {"error_code": bad.error_code, "message": str(bad)})

    def _note(self, request: Request, user: str, status: int) -> None:
        self.requests.append({"method": request.method, "path": request.path, "user": user, "status": status})

    async def _administer(self, request: Request, send: Send) -> None:
        try:
            status, value = await self.admin.answer(request.method, request.parts, request.body, request.query)
        except Bad as bad:
            status, value = bad.status, {"error": str(bad)}
        except Refused as refused:
            status = 422
            value = {"error_class": refused.error_class, "sqlstate": refused.sqlstate, "message": str(refused)}
        kind = "text/html; charset=utf-8" if isinstance(value, str) else "application/json"
        await asgi.answer(send, status, value, {"content-type": kind})

    async def _serve(self, request: Request) -> None:
        parts = request.parts
        words = f"{request.method} {request.path}"
        if parts == [".well-known", "databricks-config"]:
            await self._faulty(request, "", self._take("config", words, ""), _given(workspace.config(request.base)))
            return
        if parts[0] == "oidc" and parts[-1] in ("oauth-authorization-server", "openid-configuration"):
            await self._faulty(request, "", self._take("config", words, ""), _given(workspace.oidc(request.base)))
            return
        if parts == ["oidc", "v1", "token"] and request.method == "POST":

            async def grant() -> tuple[int, Any]:
                return workspace.token(self.world, request.headers.get("authorization", ""), request.body)

            await self._faulty(request, "", self._take("token", words, ""), grant)
            return
        token = workspace.bearer(self.world, request.headers.get("authorization", ""))
        identity = self.world.directory.identity(token, self.world.settings.membership_lag_s)
        if parts[:4] == ["api", "2.0", "sql", "statements"]:
            await self._statement(request, identity)
            return
        fault = self._take("rest", words, identity.name)
        await self._faulty(request, identity.name, fault, lambda: self._rest(request, identity, token))

    def _take(self, on: str, text: str, user: str) -> Fault | None:
        return self.faults.take(on, text, user)

    async def _statement(self, request: Request, identity: Identity) -> None:
        rest_of, asked = request.parts[4:], request.json()
        name = identity.name
        if not rest_of and request.method == "POST":
            fault = self._take("statement", str(asked.get("statement")), name)

            async def work() -> tuple[int, Any]:
                try:
                    statement = self.service.begin(identity, asked, fault)
                except Refused as refused:
                    raise as_rest(refused) from refused
                return 200, await self.service.outcome(statement, asked)

            await self._faulty(request, name, fault, work, delayed=True)
            return

        async def look() -> tuple[int, Any]:
            statement = self.service.find(rest_of[0])
            if statement.user != name and not identity.admin:
                raise Bad(403, "PERMISSION_DENIED", f"The statement {statement.id} belongs to somebody else.")
            if rest_of[1:] == ["cancel"] and request.method == "POST":
                self.service.cancel(statement)
                return 200, {}
            if len(rest_of) == 1 and request.method == "GET":
                return 200, statement.answer()
            raise Bad(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.path}'")

        await self._faulty(request, name, self._take("poll", f"{request.method} {request.path}", name), look)

    async def _rest(self, request: Request, identity: Identity, token: Token) -> tuple[int, Any]:
        parts = request.parts
        context = self.world.context(identity)

        def call(after: int) -> Call:
            return Call(context, request.method, parts[after:], request.query, request.json())

        with run.lock:
            self.world.changes += request.method != "GET"
            if parts[:3] == ["api", "2.1", "unity-catalog"]:
                return 200, rest.answer(call(3))
            if parts[:3] == ["api", "2.1", "tag-policies"]:
                return 200, rest_tags.tag_policies(call(2))
            if parts[:5] == ["api", "2.0", "preview", "scim", "v2"] and len(parts) > 5:
                return 200, workspace.scim(call(5), token)
            if parts[:4] == ["api", "2.0", "sql", "warehouses"]:
                return 200, workspace.warehouses(call(4), self.port)
        raise Bad(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.path}'")

    # Faults

    async def _faulty(self, request: Request, user: str, fault: Fault | None, work: Work, *, delayed: bool = False) -> None:
        """Answer with what `work` gives, disturbed by `fault`. `delayed`: the work itself waits for the fault's delay."""
        if fault is None:
            await self._answer(request, user, await work())
            return
        if not delayed or fault.kind in ("status", "drop_before"):
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "drop_before":
            self._note(request, user, 0)
            await asgi.drop(request.send)
        elif fault.kind == "hang":
            self._note(request, user, 0)
            await self._hang(request)
        elif fault.kind == "status":
            headers = {} if fault.retry_after_s is None else {"retry-after": f"{fault.retry_after_s:g}"}
            code = fault.error_code or {429: "REQUEST_LIMIT_EXCEEDED", 503: "TEMPORARILY_UNAVAILABLE"}.get(
                fault.status, "INTERNAL_ERROR"
            )
            self._note(request, user, fault.status)
            await asgi.answer(request.send, fault.status, {"error_code": code, "message": fault.message}, headers)
        elif fault.kind == "malformed":
            self._note(request, user, 200)
            await asgi.answer(request.send, 200, HALF)
        else:
            answer = await work()
            if fault.kind in ("drop_after", "hang_after"):
                self._note(request, user, 0)
                await (asgi.drop(request.send) if fault.kind == "drop_after" else self._hang(request))
            else:
                await self._answer(request, user, answer)

    async def _answer(self, request: Request, user: str, answer: tuple[int, Any]) -> None:
        self._note(request, user, answer[0])
        await asgi.answer(request.send, *answer)

    async def _hang(self, request: Request) -> None:
        waits = [asyncio.ensure_future(self._cleared.wait()), asyncio.ensure_future(asgi.disconnected(request.receive))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await asgi.drop(request.send)


def _given(value: dict[str, Any]) -> Work:
    async def work() -> tuple[int, Any]:
        return 200, value

    return work
