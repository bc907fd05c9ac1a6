"""The HTTP face of the stand-in: `POST /graphql` as the vendor has it, and `/sandbox/...` to make things happen."""

import asyncio
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode, graphql_sync, parse
from graphql.utilities import value_from_ast_untyped
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox import faults
from sandbox.monte_carlo import page, views, webhooks
from sandbox.monte_carlo.alerts import CHANGE, Alert, Store, checked
from sandbox.monte_carlo.deliveries import MODES, Delivery, Options, Webhooks
from sandbox.monte_carlo.resolvers import ROOT, Call
from sandbox.monte_carlo.schema import SCHEMA
from sandbox.monte_carlo.webhooks import FORMS, SENT_FOR


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `x-mcd-id` and `x-mcd-token` must say."""

    id: str
    token: str


class Sandbox:
    """One account: its alerts, its webhooks, its API. Everything is forgotten when the process ends."""

    def __init__(self, account: str, credentials: Credentials, options: Options) -> None:
        self.store = Store(account)
        self.credentials = credentials
        self.webhooks = Webhooks(options)
        routes = [*self._routes(), *faults.routes(lambda: self.app)]
        inner = Starlette(routes=routes, exception_handlers={ValueError: _refused, HTTPException: _failed})
        self.app = faults.Faults(inner, "/graphql", describe)
        self._sending: set[asyncio.Task[None]] = set()

    def _routes(self) -> list[Route]:
        return [
            Route("/", self.index),
            Route("/healthz", self.healthz),
            Route("/graphql", self.graphql, methods=["POST"]),
            Route("/sandbox/alerts", self.list_alerts, methods=["GET"]),
            Route("/sandbox/alerts", self.create_alert, methods=["POST"]),
            Route("/sandbox/alerts/{id}", self.show_alert, methods=["GET"]),
            Route("/sandbox/alerts/{id}", self.change_alert, methods=["PATCH"]),
            Route("/sandbox/tables", self.list_tables, methods=["GET"]),
            Route("/sandbox/tables", self.put_table, methods=["POST"]),
            Route("/sandbox/webhooks", self.show_webhooks, methods=["GET"]),
            Route("/sandbox/webhooks", self.set_webhooks, methods=["PATCH"]),
            Route("/sandbox/webhooks/release", self.release, methods=["POST"]),
            Route("/sandbox/deliveries", self.list_deliveries, methods=["GET"]),
            Route("/sandbox/deliveries", self.deliver, methods=["POST"]),
            Route("/sandbox/deliveries/{number:int}", self.show_delivery, methods=["GET"]),
            Route("/sandbox/deliveries/{number:int}/again", self.deliver_again, methods=["POST"]),
            Route("/sandbox/reset", self.reset, methods=["POST"]),
        ]

    # The vendor's own

    async def graphql(self, request: Request) -> Response:
        """GraphQL over POST. Statuses as graphene-django has them: 400 if nothing could run, else 200 even with errors."""
        if refusal := self._refusal(request):
            return refusal
        try:
            asked = await request.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
            return _json({"errors": [{"message": "Must provide query string."}]}, 400)
        call = Call(self.store)
        result = graphql_sync(
            SCHEMA,
            asked["query"],
            ROOT,
            call,
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
        )
        self._notify_later(call)
        not_run = result.data is None and any(error.path is None for error in result.errors or ())
        return _json(result.formatted, 400 if not_run else 200)

    def _refusal(self, request: Request) -> Response | None:
        # The vendor documents the headers only. Statuses and bodies here are those of the API gateway of AWS, whose shape
        # (`message`) the vendor's SDK looks for.
        given_id, given_token = request.headers.get("x-mcd-id"), request.headers.get("x-mcd-token")
        if given_id is None or given_token is None:
            return _json({"message": "Unauthorized"}, 401)
        right = hmac.compare_digest(given_id.encode(), self.credentials.id.encode())
        right &= hmac.compare_digest(given_token.encode(), self.credentials.token.encode())
        return None if right else _json({"message": "Forbidden"}, 403)

    def _notify_later(self, call: Call) -> None:
        bodies = [(alert, aspect, self._body(alert, aspect)) for alert, aspect in call.changes if aspect in SENT_FOR]

        async def send() -> None:
            for alert, aspect, body in bodies:
                await self.webhooks.notify(alert.id, webhooks.variant(alert, aspect), body)

        task = asyncio.create_task(send())
        self._sending.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._sending.discard)

    # Ours: making things happen

    async def index(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return HTMLResponse(page.render(self.store, self.webhooks, self.credentials.id, base))

    async def healthz(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def list_alerts(self, _: Request) -> Response:
        return _json([self._shown(alert) for alert in self.store.alerts.values()])

    async def show_alert(self, request: Request) -> Response:
        return _json(self._shown(self._alert(request)))

    async def create_alert(self, request: Request) -> Response:
        """Any of the words of alerts.CREATE, and `deliver`: a mode for this webhook alone. A list makes one after another."""
        spec = await _parsed(request)
        made = [await self._create(one) for one in (spec if type(spec) is list else [spec])]
        return _json(made if type(spec) is list else made[0], 201)

    async def _create(self, spec: Any) -> dict[str, Any]:
        spec = _as_object(spec)
        mode = spec.pop("deliver", None)
        self.webhooks.check(mode)
        alert = self.store.create(spec)
        sent = await self.webhooks.notify(alert.id, "created", self._body(alert, None), mode)
        return self._outcome(alert, sent)

    async def change_alert(self, request: Request) -> Response:
        """Any of the words of alerts.CHANGE: each is a change, and a webhook, of its own, in the order of that table."""
        alert = self._alert(request)
        spec = await _object(request)
        mode = spec.pop("deliver", None)
        self.webhooks.check(mode)
        sent: list[Delivery] = []
        for aspect, value in checked(spec, CHANGE).items():
            alert = self.store.change(alert.id, aspect, value)
            if aspect in SENT_FOR:
                body = self._body(alert, aspect)
                sent += await self.webhooks.notify(alert.id, webhooks.variant(alert, aspect), body, mode)
        return _json(self._outcome(alert, sent))

    async def list_tables(self, _: Request) -> Response:
        return _json([views.table(table) for table in self.store.tables.values()])

    async def put_table(self, request: Request) -> Response:
        return _json(views.table(self.store.put_table(await _object(request))))

    async def show_webhooks(self, _: Request) -> Response:
        options = self.webhooks.options
        secret = {"secret": options.secret is not None, "second_secret": options.second_secret is not None}
        held = [delivery.report() for delivery in self.webhooks.held]
        return _json({"url": options.url, "mode": options.mode, **asdict(options.shape), **secret, "held": held, "modes": MODES})

    async def set_webhooks(self, request: Request) -> Response:
        self.webhooks.set(await _object(request))
        return await self.show_webhooks(request)

    async def release(self, request: Request) -> Response:
        """`{"order": "reversed"}` sends the newest of the held ones first."""
        order = (await _object(request)).get("order", "kept")
        if order not in ("kept", "reversed"):
            raise ValueError(f"order: {order!r} is neither kept nor reversed")
        sent = await self.webhooks.release(reverse=order == "reversed")
        return _json({"deliveries": [delivery.report() for delivery in sent]})

    async def list_deliveries(self, _: Request) -> Response:
        return _json([delivery.report() for delivery in self.webhooks.kept])

    async def deliver(self, request: Request) -> Response:
        """A webhook of one's own: `payload` (any JSON object) or `body` (any text), sent at once, signed by `deliver`."""
        spec = await _object(request)
        mode = spec.get("deliver")
        self.webhooks.check(mode)
        if type(spec.get("body")) is str:
            body = spec["body"]
        elif type(spec.get("payload")) is dict:
            body = json.dumps(spec["payload"])
        else:
            raise ValueError("expected payload, an object, or body, a string")
        return _json((await self.webhooks.raw(body.encode(), mode or "now")).report(), 201)

    async def show_delivery(self, request: Request) -> Response:
        number = request.path_params["number"]
        found = [delivery for delivery in self.webhooks.kept if delivery.number == number]
        if not found:
            raise HTTPException(404, f"delivery {number} is not kept")
        return _json(found[0].as_sent())

    async def deliver_again(self, request: Request) -> Response:
        """Byte for byte, or with `form` in other bytes that mean the same and carry the same signature."""
        form = (await _object(request)).get("form")
        if form is not None and form not in FORMS:
            raise ValueError(f"form: {form!r} is not one of {', '.join(FORMS)}")
        try:
            return _json((await self.webhooks.again(request.path_params["number"], form)).report(), 201)
        except KeyError as error:
            raise HTTPException(404, f"delivery {request.path_params['number']} is not kept") from error

    async def reset(self, _: Request) -> Response:
        """Back to how it was at the start: no alerts, no faults, no log, the options of the command line."""
        self.store.clear()
        self.webhooks.clear()
        self.app.clear()
        self.app.log.clear()
        return _json({"status": "reset"})

    def _alert(self, request: Request) -> Alert:
        alert = self.store.alerts.get(request.path_params["id"])
        if alert is None:
            raise HTTPException(404, f"no alert {request.path_params['id']}")
        return alert

    def _body(self, alert: Alert, changed: str | None) -> dict[str, Any]:
        return webhooks.body(alert, self.store.account, changed, self.webhooks.options.shape)

    def _shown(self, alert: Alert) -> dict[str, Any]:
        return {key: value for key, value in views.alert(alert, self.store).items() if key != "__typename"}

    def _outcome(self, alert: Alert, sent: list[Delivery]) -> dict[str, Any]:
        return {"alert": self._shown(alert), "deliveries": [delivery.report() for delivery in sent]}


def describe(body: bytes) -> dict[str, Any]:
    """What a GraphQL request asks, for the log: the operation, its root fields, and how many ids they name."""
    try:
        asked = json.loads(body)
        document, variables = parse(asked["query"]), asked.get("variables") or {}
    except (ValueError, TypeError, KeyError, GraphQLError, RecursionError):
        return {"operation": None, "fields": [], "ids": 0}
    found = _root_fields(document, asked.get("operationName"))
    values = [value_from_ast_untyped(arg.value, variables) for each in found for arg in each.arguments if _is_id(arg.name.value)]
    ids = sum(len(value) if isinstance(value, list) else 1 for value in values if value is not None)
    return {"operation": asked.get("operationName"), "fields": [each.name.value for each in found], "ids": ids}


def _root_fields(document: DocumentNode, name: str | None) -> list[FieldNode]:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    chosen = [each for each in operations if name is None or (each.name and each.name.value == name)]
    return [each for each in chosen[0].selection_set.selections if isinstance(each, FieldNode)] if chosen else []


def _is_id(name: str) -> bool:
    return name in ("id", "ids", "uuid", "alertId", "mcon", "mcons")


def _json(value: Any, status: int = 200) -> Response:
    return JSONResponse(value, status)


async def _parsed(request: Request) -> Any:
    """The body as JSON; no body at all is an empty object."""
    raw = await request.body()
    return json.loads(raw) if raw else {}


def _as_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError(f"expected a JSON object, got {json.dumps(value)[:80]}")
    return value


async def _object(request: Request) -> dict[str, Any]:
    return _as_object(await _parsed(request))


async def _refused(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return _json({"error": error.detail}, error.status_code)
