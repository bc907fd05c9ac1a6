"""Health: is the process alive, can it do its work, and its figures. Asked by machines, without tokens."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from app import accept
from app.openapi import refuses
from app.problems import UNAVAILABLE, Fault, Problem, retry_after
from app.schemas.health import LiveSchema, ReadySchema
from connectors import eventbridge
from lily.records import table
from lily.runtime import lanes, metrics, redis_pool
from lily.runtime.errors import Permanent, Transient
from lily.runtime.metrics import prometheus
from lily.runtime.settings import settings

CHECK_TIMEOUT_S = 1.5
KEPT_S = 1.0
REQUIRED = "table"  # without the bus or Redis, deliveries are still accepted, and processed later

blp = Blueprint("health", __name__, description="For load balancers, orchestrators and Prometheus.")


@dataclass(frozen=True)
class Finding:
    """What a check found; `state` is `ok`, or says what is wrong without naming hosts."""

    state: str

    @property
    def ok(self) -> bool:
        return self.state == "ok"


class Checks:
    """Runs checks beside each other under one deadline, and keeps what they found for a second.

    A check that hangs is not begun again before it ends, so however often one asks, each takes one thread.
    """

    def __init__(self, checks: Mapping[str, Callable[[], object]]) -> None:
        self.checks = checks
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(len(checks), thread_name_prefix="health")  # its threads begin with the first check
        self._running: dict[str, Future[Finding]] = {}
        self._found: tuple[float, dict[str, Finding]] = (float("-inf"), {})

    def run(self) -> dict[str, Finding]:
        with self._lock:
            at, found = self._found
            if time.monotonic() - at < KEPT_S:
                return found
            for name, check in self.checks.items():
                if name not in self._running or self._running[name].done():
                    self._running[name] = self._pool.submit(_finding, check)
            wait(self._running.values(), CHECK_TIMEOUT_S)
            hanging = Finding(f"no answer within {CHECK_TIMEOUT_S} s")
            found = {name: future.result() if future.done() else hanging for name, future in self._running.items()}
            self._found = (time.monotonic(), found)
            return found


checks = Checks(
    {
        "table": table.check,
        "bus": lambda: eventbridge.check(settings().bus),
        "redis": lambda: redis_pool.client().ping(),
    }
)


@blp.route("/livez")
@blp.response(200, LiveSchema, description="The process answers.")
def livez() -> dict[str, Any]:
    """Is the process alive?

    Looks at nothing else: a process that cannot reach DynamoDB must not be restarted for it.
    """
    return {"status": "ok"}


@blp.route("/readyz")
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, ReadySchema, description="Deliveries can be accepted.")
def readyz() -> dict[str, Any]:
    """Can deliveries be accepted?

    That needs the DynamoDB table. The bus and Redis are looked at too; without them the status is `degraded`: deliveries are
    accepted at the usual speed and processed once they are back. What was found is kept for a second.
    """
    found = checks.run()
    if not found[REQUIRED].ok:
        faults = [Fault(name, finding.state) for name, finding in found.items() if not finding.ok]
        raise Problem(UNAVAILABLE, "The table cannot be used.", faults=faults, headers=retry_after(1))
    status = "ok" if all(finding.ok for finding in found.values()) else "degraded"
    return {"status": status, "checks": {name: finding.state for name, finding in found.items()}}


@blp.route("/metrics", endpoint="metrics")
@blp.response(200, {"type": "string"}, content_type="text/plain", description="Figures of all processes of this installation.")
def figures() -> Response:
    """Figures for Prometheus

    The text exposition format. Counters are those of all processes together; they reach this page within seconds.
    """
    try:
        for lane, waiting in lanes.depths().items():
            metrics.gauge("lily_lane_depth", waiting, lane=str(lane))
    except Transient:
        pass  # the exposition itself says that Redis is away
    return Response(prometheus.render() + _accept_depth(), content_type=prometheus.CONTENT_TYPE)


def _accept_depth() -> bytes:
    """The one figure that is not in Redis: it is about the process that answers, at this moment."""
    help_text = "# HELP lily_accept_depth Deliveries that wait for a write to begin, in the process that answers."
    return f"{help_text}\n# TYPE lily_accept_depth gauge\nlily_accept_depth {accept.depth()}\n".encode()


def _finding(check: Callable[[], object]) -> Finding:
    try:
        check()
    except Transient:
        return Finding("does not answer")
    except Permanent:
        return Finding("is not set up, or refuses access")
    except Exception as error:
        return Finding(f"does not answer ({type(error).__name__})")
    return Finding("ok")
