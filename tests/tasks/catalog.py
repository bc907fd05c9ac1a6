"""Atlan's stand-in beside Snowflake's, with Lily in between; its webhooks are kept until a test hands them over."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from app.accept import Receipt, accept, flush
from connectors import atlan as connector
from lily.domain.assets import Asset
from lily.domain.catalog import Priority
from lily.domain.classifications import Annotation, Place
from lily.domain.deliveries import Delivery, event_id, lane_key
from lily.domain.inventory import TableId
from lily.records import annotations
from lily.runtime import breaker, clock
from tests.connectors.snowflake_account import NAME, Account
from tests.servers import free_port, running, sandbox
from tests.tasks.conftest import Lily
from tests.waiting import eventually

SNOW = "default/snowflake/1732406400"
T = TableId("DB", "S", "T")
EMAIL = f"{SNOW}/DB/S/T/EMAIL"
TAGS = ("PII", "GDPR")


@dataclass
class Tenant:
    """The stand-in: what people do in Atlan, and the events that it has sent."""

    http: httpx.Client
    got: list[dict[str, Any]] = field(default_factory=list)

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.post(f"/sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def settings(self, **changed: Any) -> None:
        assert self.http.patch("/sandbox/settings", json=changed).is_success

    def tag(self, add: tuple[str, ...] = (), remove: tuple[str, ...] = (), asset: str = EMAIL, **more: Any) -> None:
        self.post("tags", {"asset": asset, "add": list(add), "remove": list(remove), **more})

    def delete(self, asset: str = EMAIL, **more: Any) -> None:
        self.post("delete", {"asset": asset, **more})

    def calls(self) -> dict[str, int]:
        found: dict[str, int] = self.http.get("/sandbox/requests").json()["calls"]
        return found

    def events(self) -> list[dict[str, Any]]:
        """Those that have come since the last time, once all have."""
        eventually(lambda: self.http.get("/sandbox/idle").json()["idle"], within_s=10)
        events, self.got[:] = list(self.got), []
        return events


@dataclass
class Governed:
    """Lily between the two, as a person sees all three."""

    lily: Lily
    atlan: Tenant
    account: Account

    def deliver(self, *events: dict[str, Any]) -> list[Receipt]:
        """Hand events over, and wait until all that they woke was done."""
        return [deliver(event) for event in events]

    def hand_over(self) -> None:
        """What Atlan has sent since the last time."""
        self.deliver(*self.atlan.events())

    def emails(self) -> list[Any]:
        return [row[0] for row in self.account.reads("SELECT EMAIL FROM DB.S.T ORDER BY ID", "ANALYST")]

    def shown(self) -> list[str]:
        """The names of the tags that the store shows on the column to whoever reads it now."""
        (state,) = connector.read_many("atlan", [Asset(EMAIL, "Column", "", "")], priority=Priority.BADGE).values()
        return list(connector.tag_names("atlan", state.tags).values())

    def annotation(self, column: str | None = "EMAIL", source: str = "atlan") -> Annotation | None:
        found = annotations.of_tables(NAME, [T]).get(T, [])
        return next((one for one in found if one.subject == Place(NAME, T, column) and one.source == source), None)


def deliver(body: dict[str, Any]) -> Receipt:
    """One delivery of Atlan's, accepted and worked on."""
    key = lane_key("atlan", connector.incident(body))
    receipt = accept(Delivery("atlan", "", json.dumps(body).encode(), event_id("atlan", "", body), key, clock.now())).receipt()
    flush(20)
    return receipt


@contextmanager
def receiving(got: list[dict[str, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if "message" in body:
                got.append(body)
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks/atlan"
        server.shutdown()


@pytest.fixture(scope="module")
def atlan_process() -> Iterator[httpx.Client]:
    port = free_port()
    with (
        running(sandbox("atlan", "--port", str(port), "--propagation-delay-s", "0"), port, path="/healthz"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        yield http


@pytest.fixture
def tenant(atlan_process: httpx.Client, configured: Callable[..., None]) -> Iterator[Tenant]:
    """As new, with the table that the warehouse has; its webhooks go to whoever asks for `events`."""
    assert atlan_process.post("/sandbox/reset").is_success
    breaker._start_anew()
    tenant = Tenant(atlan_process)
    columns = ["EMAIL", "NAME"]
    with receiving(tenant.got) as url:
        tenant.post("typedefs", {"classificationDefs": [{"displayName": name} for name in TAGS]})
        tenant.post(
            "tables",
            {
                "connection": {"name": "snow", "qualifiedName": SNOW},
                "tables": [{"database": "DB", "schema": "S", "name": "T", "columns": columns}],
            },
        )
        tenant.post("webhooks", {"url": url, "secret": "s3cret"})
        configured(
            LILY_SOURCES="monte-carlo,atlan",
            LILY_SOURCE_ATLAN_SECRETS="s3cret",
            LILY_CATALOGS="atlan",
            LILY_CATALOG_ATLAN_URL=str(atlan_process.base_url).rstrip("/"),
            LILY_CATALOG_ATLAN_TOKEN="sandbox",
            LILY_CATALOG_ATLAN_CALLS_PER_MINUTE="60000",
            LILY_TARGET_SNOW_CATALOG_CONNECTION=SNOW,
        )
        yield tenant
        atlan_process.delete("/sandbox/webhooks")
        atlan_process.delete("/sandbox/faults")
