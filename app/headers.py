"""What every answer carries, whatever made it: a trace, a request id, security headers. And one log line and one figure each."""

import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lily.runtime import logs, metrics, trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CSP_DATA = "default-src 'none'; frame-ancestors 'none'"
CSP_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
ENDPOINT = "lily.endpoint"  # in the environ: what answers, where that is known only after Flask has forgotten the request
QUIET = frozenset({"health.livez", "health.readyz", "health.metrics", "static"})  # asked every few seconds by machines

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

log = logs.get("app.http")


def dressed(app: "WSGIApplication", https: bool) -> "WSGIApplication":
    """The WSGI application with all of that around it. HSTS only where the public address is https."""
    always = [*ALWAYS, ("Strict-Transport-Security", "max-age=31536000")] if https else list(ALWAYS)

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        begun = time.perf_counter()
        bound = trace.parse(environ.get("HTTP_TRACEPARENT", "")) or trace.new()
        given_id = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else bound.trace_id

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            given = {name.lower(): value for name, value in headers}
            headers += always
            headers += [("X-Request-Id", request_id), ("traceparent", bound.header())]
            if "cache-control" not in given:
                headers.append(("Cache-Control", "no-store"))
            page = given.get("content-type", "").startswith("text/html")
            headers.append(("Content-Security-Policy", CSP_PAGE if page else CSP_DATA))
            _record(environ, int(status[:3]), time.perf_counter() - begun)
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        with trace.bound(bound):
            return app(environ, start)

    return serve


def _record(environ: "WSGIEnvironment", status: int, seconds: float) -> None:
    request = environ.get("werkzeug.request")
    endpoint = environ.get(ENDPOINT) or (request.endpoint if request is not None else None) or "none"
    method = environ["REQUEST_METHOD"]
    known = method if method in {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"} else "other"
    metrics.observe("lily_http_seconds", seconds, endpoint=endpoint, method=known, status=str(status))
    ordinary = endpoint in QUIET or (endpoint.startswith("webhooks.") and status < 500)
    line = log.debug if ordinary else log.info  # refused deliveries have a line of their own, limited per sender
    line("request.answered", endpoint=endpoint, method=known, status=status, duration_ms=round(seconds * 1000, 1))
