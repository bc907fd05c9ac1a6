"""The HTTP face: what the vendor's connector asks for, and `/sandbox/...` to make things happen. See also admin."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from sandbox import asgi
from sandbox.asgi import Receive, Scope, Send
from sandbox.snowflake import results
from sandbox.snowflake.account import Account
from sandbox.snowflake.admin import Admin, Bad
from sandbox.snowflake.errors import Refused
from sandbox.snowflake.faults import Fault, Waiting
from sandbox.snowflake.login import Doors, LoginRefused, basic, log_in
from sandbox.snowflake.results import Result
from sandbox.snowflake.service import Keep, Query, Service, Ticket

BODY_BYTES_MAX = 64 * 2**20
HALF = b'{"data": {"rowtype": [{"name": "EMAIL", "type": "te'


class Request:
    """One HTTP request, read whole."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.method = str(scope["method"])
        self.path = str(scope["path"])
        self.query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.body = body

    def json(self) -> dict[str, Any]:
        """The body as an object; empty if it is none."""
        raw = self.body
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        value = json.loads(raw) if raw else {}
        return value if isinstance(value, dict) else {}

    def token(self) -> str:
        """Of `Authorization: Snowflake Token="..."`."""
        return str(self.headers.get("authorization", "")).partition('Token="')[2].rstrip('"')


class Server:
    """An ASGI application. It must be called by uvicorn itself: dropping a connection needs its transport."""

    def __init__(self, account: Account, keep: Keep) -> None:
        self.account = account
        self.doors = Doors()
        self.faults = Waiting()
        self.service = Service(account, keep)
        self.admin = Admin(account, self.service, self.doors, self.faults, let_go=self._let_go, keep=keep)
        self._cleared = asyncio.Event()

    def _let_go(self) -> None:
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await asgi.read(receive, BODY_BYTES_MAX)
        if body is None:
            await asgi.answer(send, 413, {"message": f"Body larger than {BODY_BYTES_MAX} bytes"})
            return
        request = Request(scope, body)
        try:
            await self._serve(request, receive, send)
        except (ValueError, zlib.error, OSError) as error:
            await asgi.answer(send, 400, {"message": f"Bad request: {error}"})

    async def _serve(self, request: Request, receive: Receive, send: Send) -> None:
        path = request.path
        if path == "/queries/v1/query-request":
            await self._query(request, receive, send)
        elif path.startswith("/sandbox") or path in ("/", "/healthz"):
            await self._administer(request, send)
        elif path in ("/session/v1/login-request", "/oauth/token"):
            await self._faulty(self.faults.take("login", "", ""), receive, send, lambda: self._login(request))
        elif path.startswith("/queries/") and path.endswith("/result"):
            await self._faulty(self.faults.take("poll", "", ""), receive, send, lambda: self._poll(request))
        else:
            await self._faulty(self.faults.take("other", "", ""), receive, send, lambda: self._other(request))

    async def _administer(self, request: Request, send: Send) -> None:
        try:
            status, value = await self.admin.answer(request.method, request.path, request.body, request.query)
        except Bad as bad:
            status, value = bad.status, {"error": bad.message}
        except Refused as refused:
            status, value = 422, {"code": refused.code, "sqlstate": refused.sqlstate, "message": refused.message}
        kind = "text/html; charset=utf-8" if isinstance(value, str) else "application/json"
        await asgi.answer(send, status, value, {"content-type": kind})

    # Faults

    async def _faulty(
        self,
        fault: Fault | None,
        receive: Receive,
        send: Send,
        work: Callable[[], Awaitable[tuple[int, Any]]],
        *,
        delayed: bool = False,
    ) -> None:
        """Answer with what `work` gives, disturbed by `fault`. `delayed`: the work itself waits for the fault's delay."""
        if fault is None:
            await asgi.answer(send, *await work())
            return
        if not delayed:
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "drop_before":
            await asgi.drop(send)
        elif fault.kind == "hang":
            await self._hang(receive, send)
        elif fault.kind == "status":
            headers = {} if fault.retry_after_s is None else {"retry-after": f"{fault.retry_after_s:g}"}
            await asgi.answer(send, fault.status, {"message": "x"}, headers)
        elif fault.kind == "malformed":
            await asgi.answer(send, 200, HALF)
        else:
            answer = await work()
            if fault.kind == "drop_after":
                await asgi.drop(send)
            elif fault.kind == "hang_after":
                await self._hang(receive, send)
            else:
                await asgi.answer(send, *answer)

    async def _hang(self, receive: Receive, send: Send) -> None:
        waits = [asyncio.ensure_future(self._cleared.wait()), asyncio.ensure_future(asgi.disconnected(receive))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await asgi.drop(send)

    # The vendor's own

    async def _login(self, request: Request) -> tuple[int, Any]:
        if request.path == "/oauth/token":
            granted = self.doors.grant(*basic(request.headers.get("authorization", "")))
            form = dict(parse_qsl(request.body.decode()))
            if granted is None:
                return 401, {"error": "invalid_client", "error_description": "The client credentials are invalid."}
            if form.get("grant_type") != "client_credentials":
                return 400, {"error": "unsupported_grant_type"}
            return 200, {**granted, "scope": form.get("scope", "")}
        given = request.json().get("data") or {}
        try:
            session = log_in(self.account, self.doors, given, request.query, self.service.next_session())
        except LoginRefused as refused:
            return 200, {
                "data": refused.data,
                "code": refused.code,
                "message": refused.message,
                "success": False,
                "headers": None,
            }
        ticket = self.service.open(session)
        return 200, _success(_logged_in(ticket, self.account))

    async def _query(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            session = self.service.session(request.token()).session
        except Refused as refused:
            await asgi.answer(send, 200, _session_error(refused))
            return
        asked = request.json()
        text, request_id = str(asked.get("sqlText") or ""), request.query.get("requestId", "")
        fault = self.faults.take("statement", text, session.user)

        async def work() -> tuple[int, Any]:
            query = self.service.same(session, request_id) if request_id else None
            if query is None:
                parameters = {str(name).upper(): value for name, value in (asked.get("parameters") or {}).items()}
                bindings = asked.get("bindings")
                query = self.service.begin(session, request_id, text, parameters=parameters, bindings=bindings, fault=fault)
            if asked.get("asyncExec"):
                return 200, _in_progress(query, "333334", "Asynchronous execution in progress.")
            return 200, await self._outcome(query)

        await self._faulty(
            fault, receive, send, work, delayed=fault is not None and fault.kind in ("latency", "error", "drop_after")
        )

    async def _outcome(self, query: Query) -> dict[str, Any]:
        if query.task is not None and query.ms is None:
            await asyncio.wait([query.task], timeout=self.account.settings.detach_after_s)
        if query.ms is None:
            return _in_progress(query, "333333", "Query execution in progress.")
        if query.refused is not None:
            return _failure(query.refused, query.id)
        return _success(_data(query, query.result or Result([])))

    async def _poll(self, request: Request) -> tuple[int, Any]:
        try:
            self.service.session(request.token())
        except Refused as refused:
            return 200, _session_error(refused)
        query = self.service.by_id.get(request.path.split("/")[2])
        if query is None:
            return 200, _failure(Refused("000709", "02000", f"Statement {request.path.split('/')[2]} not found"), None)
        return 200, await self._outcome(query)

    async def _other(self, request: Request) -> tuple[int, Any]:
        path, method = request.path, request.method
        if path == "/telemetry/send":
            request.json()
            return 200, _success(None)
        if (method, path) == ("POST", "/session/token-request"):
            return 200, self._renewed(request)
        try:
            ticket = self.service.session(request.token())
        except Refused as refused:
            return 200, _session_error(refused)
        if (method, path) == ("POST", "/session") and request.query.get("delete") == "true":
            self.service.close(ticket)
            return 200, _success(None)
        if (method, path) == ("POST", "/session/heartbeat"):
            return 200, _success(None)
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["queries"] and parts[-1] == "abort-request" and len(parts) == 3:
            self.service.cancel(parts[1])
            return 200, _success(None)
        if parts[:2] == ["monitoring", "queries"] and len(parts) == 3:
            query = self.service.by_id.get(parts[2])
            return 200, _success({"queries": [_status(query)] if query else []})
        return 404, {"message": "Not found"}

    def _renewed(self, request: Request) -> dict[str, Any]:
        try:
            ticket = self.service.renew(request.token())
        except Refused as refused:
            return _session_error(refused)
        settings = self.account.settings
        return _success(
            {
                "sessionToken": ticket.token,
                "validityInSecondsST": int(settings.session_valid_s),
                "masterToken": ticket.master,
                "validityInSecondsMT": int(settings.master_valid_s),
                "sessionId": ticket.session.id,
            }
        )


# Shapes of answers


def _success(data: Any) -> dict[str, Any]:
    return {"data": data, "code": None, "message": None, "success": True}


def _failure(refused: Refused, query_id: str | None) -> dict[str, Any]:
    data = {
        "internalError": False,
        "unredactedFromSecureObject": False,
        "errorCode": refused.code,
        "age": 0,
        "sqlState": refused.sqlstate,
        "queryId": query_id,
        "line": refused.line,
        "pos": refused.position,
        "type": "COMPILATION",
    }
    return {"data": data, "code": refused.code, "message": refused.message, "success": False, "headers": None}


def _session_error(refused: Refused) -> dict[str, Any]:
    data = {"nextAction": "RETRY_LOGIN"}
    return {"data": data, "code": refused.code, "message": refused.message, "success": False, "headers": None}


def _in_progress(query: Query, code: str, message: str) -> dict[str, Any]:
    data = {"queryId": query.id, "getResultUrl": f"/queries/{query.id}/result", "queryAbortsAfterSecs": 300, "progressDesc": None}
    return {"data": data, "code": code, "message": message, "success": True}


def _data(query: Query, result: Result) -> dict[str, Any]:
    session = query.session
    names: dict[str, Any] = {
        "finalDatabaseName": session.database,
        "finalSchemaName": session.schema,
        "finalWarehouseName": session.warehouse,
        "finalRoleName": session.role,
    }
    if query.children:
        kinds = [child.result.statement_type if child.result else results.SELECT for child in query.children]
        names |= {"resultIds": ",".join(child.id for child in query.children), "resultTypes": ",".join(map(str, kinds))}
        names["statementTypeId"] = 40960
    return results.wire(result, query.id, names)


def _status(query: Query) -> dict[str, Any]:
    status = (
        ("RUNNING", "RUNNING")
        if query.ms is None
        else ("FAILED_WITH_ERROR", "FAILED")
        if query.refused
        else ("SUCCESS", "SUCCEEDED")
    )
    code, message = (query.refused.code, query.refused.message) if query.refused else (None, None)
    return {"id": query.id, "status": status[0], "state": status[1], "errorCode": code, "errorMessage": message}


def _logged_in(ticket: Ticket, account: Account) -> dict[str, Any]:
    session, settings = ticket.session, account.settings
    parameters = {
        "CLIENT_SESSION_KEEP_ALIVE": False,
        "QUERY_CONTEXT_CACHE_SIZE": 5,
        "CLIENT_TELEMETRY_ENABLED": False,
        "AUTOCOMMIT": True,
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "json",
        "TIMEZONE": account.parameter(session, "TIMEZONE"),
    }
    return {
        "masterToken": ticket.master,
        "token": ticket.token,
        "validityInSeconds": int(settings.session_valid_s),
        "masterValidityInSeconds": int(settings.master_valid_s),
        "displayUserName": session.user,
        "serverVersion": "10.40.1",
        "firstLogin": False,
        "remMeToken": None,
        "remMeValidityInSeconds": 0,
        "healthCheckInterval": 45,
        "newClientForUpgrade": None,
        "sessionId": session.id,
        "parameters": [{"name": name, "value": value} for name, value in parameters.items()],
        "sessionInfo": {
            "databaseName": session.database,
            "schemaName": session.schema,
            "warehouseName": session.warehouse,
            "roleName": session.role,
        },
        "idToken": None,
        "idTokenValidityInSeconds": 0,
        "responseData": None,
        "mfaToken": None,
        "mfaTokenValidityInSeconds": 0,
    }


# The wire
