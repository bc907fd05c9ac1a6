"""A server on this machine that executes queries against the vendor's schema, and fails on request."""

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from graphql import build_schema, graphql_sync

SCHEMA = Path(__file__).with_name("monte_carlo_schema.graphql")
A, B, C = (str(uuid.UUID(int=number)) for number in (10, 11, 12))
MCON = f"MCON++{A}++{B}++table++zeus:ares.artemis"
Fault = Callable[["Api", BaseHTTPRequestHandler], None]


def a_node(alert_id: str = A, **more: Any) -> dict[str, Any]:
    alert = {
        "id": alert_id,
        "title": "Volume anomaly",
        "type": "ANOMALIES",
        "subTypes": ["VOLUME_ANOMALY"],
        "severity": "SEV_2",
        "priority": "P1",
        "status": "WORK_IN_PROGRESS",
        "owner": {"email": "data-oncall@example.com"},
        "tables": [{"mcon": MCON, "tableId": "zeus:ares.artemis", "isKeyAsset": True}],
        "createdTime": "2026-01-01T10:00:00+00:00",
        "updatedTime": "2026-01-01T11:00:00.123456+00:00",
        "url": f"https://getmontecarlo.com/alerts/{alert_id}",
    }
    return alert | more


def an_answer(*edges: Any, **more: Any) -> dict[str, Any]:
    connection = {"edges": list(edges), "pageInfo": {"hasNextPage": False, "endCursor": None}}
    return {"data": {"getAlerts": connection}, **more}


@dataclass
class Api:
    """`alerts` by id; `faults` answer the next calls instead; `calls` are the variables and headers of all that came."""

    url: str = ""
    alerts: dict[str, Any] = field(default_factory=dict)
    page_max: int = 100
    faults: deque[Fault] = field(default_factory=deque)
    calls: list[dict[str, Any]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def execute(self, query: dict[str, Any]) -> dict[str, Any]:
        root = {"getAlerts": self._get_alerts}
        result = graphql_sync(_schema, query["query"], root, variable_values=query.get("variables"))
        return {"data": result.data, **({"errors": [error.formatted for error in result.errors]} if result.errors else {})}

    def _get_alerts(self, _info: Any, ids: list[str], first: int, after: str | None = None) -> dict[str, Any]:
        found = [self.alerts[each] for each in ids if each in self.alerts]
        start = int(after or 0)
        stop = start + min(first, self.page_max)
        edges = [{"node": node, "cursor": str(at)} for at, node in enumerate(found[start:stop], start=start + 1)]
        return {"edges": edges, "pageInfo": {"hasNextPage": stop < len(found), "endCursor": str(stop)}}


def answering(status: int, body: bytes = b"", **headers: str) -> Fault:
    def fault(_: Api, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return fault


def answering_json(answer: Any) -> Fault:
    return answering(200, json.dumps(answer).encode())


def hanging(api: Api, handler: BaseHTTPRequestHandler) -> None:
    """Says nothing until the server ends."""
    api.ending.wait(30)


def trickling(api: Api, handler: BaseHTTPRequestHandler) -> None:
    """Sends an answer without end, a byte now and then."""
    handler.send_response(200)
    handler.end_headers()
    while not api.ending.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def hanging_up(api: Api, handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(2)


def serve(api: Api) -> ThreadingHTTPServer:
    """The server, in a thread of its own, at a free port that `api.url` tells. Set `api.ending` before shutting it down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.calls.append({"at": time.monotonic(), "path": self.path, "headers": self.headers, **query["variables"]})
            fault = api.faults.popleft() if api.faults else answering_json(api.execute(query))
            try:
                fault(api, self)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}/graphql"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


_schema = build_schema(SCHEMA.read_text())
