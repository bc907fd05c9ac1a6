"""The HTTP face of the stand-in: `/api/meta/` as the vendor has it, `/sandbox/` to make things happen, `/` to look at."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.asgi import Receive, Scope, Send
from sandbox.atlan import page, rest
from sandbox.atlan.admin import Admin
from sandbox.atlan.catalog import Catalog
from sandbox.atlan.gate import Gate
from sandbox.atlan.settings import Settings


class Sandbox:
    """One tenant. Everything is forgotten when the process ends."""

    def __init__(self, token: str, settings: Settings) -> None:
        self.catalog = Catalog(settings)
        admin = Admin(self.catalog, lambda: self.gate)
        own = [Route("/", self.index), Route("/healthz", self.healthz)]
        self.gate = Gate(Starlette(routes=[*own, *rest.routes(self.catalog), *admin.routes()]), self.catalog, token)
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._worker is None:  # the loop exists from the first request on, and tasks come with requests only
            self._worker = asyncio.create_task(self.catalog.tasks.run(self.catalog))
        await self.gate(scope, receive, send)

    async def index(self, request: Request) -> Response:
        return HTMLResponse(page.render(self.catalog, str(request.base_url).rstrip("/"), request.query_params.get("asset")))

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})
