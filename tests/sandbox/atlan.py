"""Atlan's stand-in as tests see it, the assets that the captured exchanges speak of, and a receiver for its webhooks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.waiting import eventually

SECRET = "lily-atlan-test-secret"
CONNECTION = "default/snowflake/1732406400"
ORDERS = f"{CONNECTION}/ANALYTICS/PUBLIC/ORDERS"
DAILY = f"{CONNECTION}/ANALYTICS/PUBLIC/ORDERS_DAILY"
PII, GDPR = "yiB7RLvdC2yeryLPjaDeHM", "q2Wm0hUuJqHk3Xv8bDn4sT"
QUALITY, OPEN, LINK = "UuPz0CjWHFuuKTCiTRwapk", "jpf1oz5ux6MjmaOGPn9jMD", "k0Yt3sWcQm8nLz5rVx2aBd"
TYPEDEFS = {
    "classificationDefs": [{"name": PII, "displayName": "PII"}, {"name": GDPR, "displayName": "GDPR"}],
    "businessMetadataDefs": [
        {
            "name": QUALITY,
            "displayName": "Data quality",
            "attributeDefs": [
                {"name": OPEN, "displayName": "Open incidents", "typeName": "int", "options": {"primitiveType": "int"}},
                {"name": LINK, "displayName": "Incident link", "options": {"primitiveType": "string", "customType": "url"}},
            ],
        }
    ],
}


def guid(end: str) -> str:
    return f"6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7{end}"


@dataclass(frozen=True)
class Atlan:
    """The stand-in over HTTP: the vendor's API with the right token, and the doors under `/sandbox/`."""

    http: httpx.Client
    url: str

    def post(self, door: str, value: Any = None) -> Any:
        return self._done(self.http.post(f"/sandbox/{door}", json=value))

    def get(self, door: str) -> Any:
        return self._done(self.http.get(f"/sandbox/{door}"))

    def delete(self, door: str) -> Any:
        return self._done(self.http.delete(f"/sandbox/{door}"))

    def settings(self, **changed: Any) -> None:
        self._done(self.http.patch("/sandbox/settings", json=changed))

    def _done(self, answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json()

    def api(self, method: str, path: str, body: Any = None, **how: Any) -> httpx.Response:
        return self.http.request(method, f"/api/meta/{path}", json=body, **how)

    def upsert(self, *entities: dict[str, Any], **flags: bool) -> httpx.Response:
        query = {name: str(value).lower() for name, value in flags.items()}
        return self.api("POST", "entity/bulk", {"entities": entities}, params=query)

    def find(self, *clauses: dict[str, Any], **more: Any) -> Any:
        dsl = {"from": 0, "size": 50, "query": {"bool": {"filter": list(clauses)}}, "sort": [{"__guid": {"order": "asc"}}]}
        return self._done(self.api("POST", "search/indexsearch", {"dsl": dsl, **more}))

    def read(self, guid: str) -> Any:
        return self._done(self.api("GET", f"entity/guid/{guid}"))["entity"]

    def tags(self, guid: str) -> set[tuple[str, str]]:
        """Of one asset: tag id and guid of its source, read from the store."""
        listed = self._done(self.api("GET", f"entity/guid/{guid}/classifications"))["list"]
        return {(each["typeName"], each["entityGuid"]) for each in listed}

    def settle(self) -> None:
        """Wait until tags have travelled and webhooks were answered."""
        eventually(lambda: self.get("idle")["idle"], within_s=10)


def seed(atlan: Atlan, view: str = "a03", view_column: str = "a05") -> None:
    """ORDERS with two columns, ORDERS_DAILY made of it, and the typedefs of the captured exchanges."""
    atlan.post("typedefs", TYPEDEFS)
    columns = [{"name": "EMAIL", "guid": guid("a02")}, {"name": "PHONE", "guid": guid("a04")}]
    base = {"database": "ANALYTICS", "schema": "PUBLIC"}
    tables = [
        base | {"name": "ORDERS", "guid": guid("a01"), "columns": columns},
        base
        | {"name": "ORDERS_DAILY", "type": "View", "guid": guid(view), "columns": [{"name": "EMAIL", "guid": guid(view_column)}]},
    ]
    connection = {"name": "snowflake-prod", "qualifiedName": CONNECTION}
    atlan.post("tables", {"connection": connection, "tables": tables})
    edges = [(ORDERS, DAILY), (f"{ORDERS}/EMAIL", f"{DAILY}/EMAIL")]
    atlan.post("lineage", [{"inputs": [one], "outputs": [other]} for one, other in edges])


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["message"]
        return found

    @property
    def what(self) -> tuple[str, str]:
        """Operation and the asset's guid."""
        return self.message["operationType"], self.message["entity"]["guid"]


@dataclass
class Receiver:
    url: str = ""
    status: int = 202
    got: list[Received] = field(default_factory=list)

    @property
    def events(self) -> list[Received]:
        return [each for each in self.got if b"atlan-webhook" not in each.body[:20]]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks/atlan"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        server.shutdown()
