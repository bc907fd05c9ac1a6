"""Statements and REST calls over the vendor's SDK: one client for each identity, deadlines, one try for each call.

The SDK is imported on the first use in a process: it takes a second and 80 MB, and its connections do not survive a fork. Left
to itself it would ask the host for its settings with retries of its own, read DATABRICKS_* from the environment, fetch tokens
without a deadline and send a POST again after a lost connection; all of that is taken from it here. A statement that failed
comes back as HTTP 200, so its state is looked at. Source: databricks-sdk 0.162; docs.databricks.com, Statement Execution API.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from connectors.contracts import Refused
from connectors.databricks import failures, tokens
from lily.runtime import breaker, metrics, outgoing
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings, settings

T = TypeVar("T")
R = TypeVar("R")

STATEMENTS = "/api/2.0/sql/statements"
WAITS = 5  # deadlines of a call, for one's turn
WAIT_S = (5, 50)  # what the service accepts as its own time to wait for a result
POLL_S = (0.05, 1.0)  # between two questions for a statement's state, the first and the longest
PAGES_MAX = 10_000
SCRIPT_SHARE = 0.8  # of a lane's lease, at most: what a script has done by then stays done, and the next plan goes on


@dataclass(frozen=True)
class Answer:
    """Rows of cells, each a text or None, with the statement's id."""

    rows: Sequence[Sequence[str | None]]
    names: Sequence[str]
    query_id: str

    @property
    def dicts(self) -> list[dict[str, str | None]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


@dataclass
class _Instance:
    """What this process has of one target: as many calls at once as `free` admits, and a client for each identity."""

    free: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    clients: dict[str, Any] = field(default_factory=dict)


_instances: dict[tuple[int, str], _Instance] = {}
_lock = threading.Lock()


def run(instance: str, statement: str, binds: Mapping[str, str] | None = None, group: str = "", longer_s: float = 0.0) -> Answer:
    """One statement, within the target's deadline and `longer_s` more. `binds` are texts for its `:name`s.

    `group` is the id of a group that is assumed as a role for it; empty: Lily's own principal.
    Raises Transient for whatever may be otherwise later, or may have happened and left no answer; Refused for the rest.
    """
    config = settings().targets[instance]
    if not config.warehouse:
        raise Permanent(f"{config.name}: no SQL warehouse to run statements on; set WAREHOUSE to the id of one")
    body: dict[str, Any] = {
        "statement": statement,
        "warehouse_id": config.warehouse,
        "wait_timeout": _wait(config),
        "on_wait_timeout": "CONTINUE",
        "disposition": "INLINE",
        "format": "JSON_ARRAY",
    }
    if binds:
        body["parameters"] = [{"name": name, "value": value, "type": "STRING"} for name, value in binds.items()]

    def ask() -> Answer:
        most_s = max(config.statement_timeout_s, SCRIPT_SHARE * settings().lanes.lease_s)
        ends_at = time.monotonic() + min(config.statement_timeout_s + longer_s, most_s)
        told = _finished(config, _call(config, group, "POST", STATEMENTS, body=body), group, ends_at)
        return _answer(config, told, group)

    return _in_turn(config, ask)


def get(instance: str, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What REST shows at a path, whose parts are quoted already. Raises as `run`; what is not there is Refused `gone`."""
    config = settings().targets[instance]
    return _in_turn(config, lambda: _call(config, "", "GET", path, query=query))


def pages(instance: str, path: str, key: str, query: Mapping[str, Any] | None = None) -> Iterator[Sequence[Any]]:
    """The lists under `key` of all pages."""
    token = None
    for _ in range(PAGES_MAX):
        told = get(instance, path, {**(query or {}), **({"page_token": token} if token else {})})
        yield told.get(key) or []
        token = told.get("next_page_token")
        if not token:
            return
    raise Transient(f"{instance}: {path} has more than {PAGES_MAX} pages")


def warm(instance: str) -> None:
    """Make the client and log in. Raises Transient and Refused."""
    config = settings().targets[instance]
    _in_turn(config, lambda: _client(config, ""))
    tokens.headers(config, "")


def close(instance: str) -> None:
    _instances.pop((os.getpid(), instance), None)
    tokens.forget(instance)


def each(instance: str, items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """`work` on all items, as many at once as the instance may have calls; in order. Raises what any of them raises."""
    if len(items) <= 1:
        return [work(item) for item in items]
    contexts = [(copy_context(), item) for item in items]
    with ThreadPoolExecutor(min(len(items), settings().targets[instance].sessions), f"ask {instance}") as pool:
        return list(pool.map(lambda one: one[0].run(work, one[1]), contexts))


def _in_turn(config: TargetSettings, ask: Callable[[], R]) -> R:
    with _turn(config):
        return breaker.call(f"databricks:{config.name}", ask)


@contextmanager
def _turn(config: TargetSettings) -> Iterator[None]:
    # Waiting for one's own calls says nothing about the warehouse, so it is no failure that the breaker counts.
    free = _instance(config).free
    if not free.acquire(timeout=WAITS * config.statement_timeout_s):
        raise Transient(f"{config.name}: all {config.sessions} sessions are at work; allow more, or ask less at once")
    try:
        yield
    finally:
        free.release()


def _finished(config: TargetSettings, told: dict[str, Any], group: str, ends_at: float) -> dict[str, Any]:
    """The statement's last state. One that does not end in time is cancelled, which may come too late: the state is unknown."""
    pause_s = POLL_S[0]
    while _state(told) in {"PENDING", "RUNNING"}:
        path = f"{STATEMENTS}/{told['statement_id']}"
        if time.monotonic() + pause_s >= ends_at:
            with suppress(Transient, Permanent):
                _call(config, group, "POST", f"{path}/cancel")
            last = _call(config, group, "GET", path)
            if _state(last) == "SUCCEEDED":
                return last
            raise Transient(
                f"{config.name}: statement {told['statement_id']} was {_state(told)} after {config.statement_timeout_s:g} s"
                + (" (a warehouse that stood still takes a while to start)" if _state(told) == "PENDING" else "")
            )
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_S[1])
        told = _call(config, group, "GET", path)
    return told


def _wait(config: TargetSettings) -> str:
    """How long the service itself waits for the result: less than the deadline, and not at all where that is too short."""
    least, most = WAIT_S
    seconds = int(config.statement_timeout_s) - 1
    return f"{min(seconds, most)}s" if seconds >= least else "0s"


def _state(told: Mapping[str, Any]) -> str:
    return str((told.get("status") or {}).get("state"))


def _answer(config: TargetSettings, told: dict[str, Any], group: str) -> Answer:
    if _state(told) != "SUCCEEDED":
        raise failures.of_statement(told.get("status") or {}, config)
    manifest, result, query_id = told.get("manifest") or {}, told.get("result") or {}, str(told.get("statement_id") or "")
    if manifest.get("truncated"):
        raise Refused(f"{config.name}: the answer to {query_id} is too large; ask for less at once", "statement")
    columns = (manifest.get("schema") or {}).get("columns") or []
    rows = list(result.get("data_array") or [])
    while (chunk := result.get("next_chunk_index")) is not None:
        more = _call(config, group, "GET", f"{STATEMENTS}/{query_id}/result/chunks/{chunk}")
        result = more
        rows += more.get("data_array") or []
    return Answer(rows, [str(column["name"]) for column in columns], query_id)


def _call(config: TargetSettings, group: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    """One request; a second one only where the first was not let in, so that nothing was done."""
    for is_last in (False, True):
        client, used = _client(config, group), tokens.headers(config, group)
        try:
            told = client.do(method, path, **{name: dict(value) for name, value in more.items() if value})
        except Exception as error:
            meaning = failures.of_call(error, config)
            if meaning is None and not is_last:
                tokens.refused(config, group, used)
                continue
            metrics.count("lily_errors_total", where="databricks", kind=type(error).__name__)
            raise (meaning or Transient(f"{config.name}: the login was refused twice")) from error
        return told if isinstance(told, dict) else {}
    raise AssertionError("one of two tries returns or raises")


def _instance(config: TargetSettings) -> _Instance:
    key = (os.getpid(), config.name)
    with _lock:
        if key not in _instances:
            _instances[key] = _Instance(threading.BoundedSemaphore(config.sessions))
        return _instances[key]


def _client(config: TargetSettings, group: str) -> Any:
    mine = _instance(config)
    with mine.lock:
        if group not in mine.clients:
            mine.clients[group] = _connect(config, group)
        return mine.clients[group]


def _connect(config: TargetSettings, group: str) -> Any:
    from databricks.sdk.core import ApiClient, Config

    class Own(Config):
        """All that is to be known is told: nothing is read from the environment, nobody is asked."""

        attributes = Config.attributes  # which are found in the annotations of the class itself

        def _load_from_env(self) -> None: ...

        def _resolve_host_metadata(self) -> None: ...

    workspace = _workspace_id(config)
    told = Own(
        host=config.url,
        credentials_strategy=cast(Any, tokens.Strategy(config, group)),
        auth_type=tokens.Strategy.NAME,
        clock=cast(Any, _Once()),
        custom_headers={"X-Databricks-Workspace-Id": workspace} if workspace else {},
        http_timeout_seconds=config.statement_timeout_s,
        retry_timeout_seconds=300,  # not used up, as the clock ends it with the first failure
        max_connection_pools=config.sessions,
        product="lily",
        product_version="1.0",
    )
    return ApiClient(told)


def _workspace_id(config: TargetSettings) -> str:
    """Which workspace the host is, for hosts that serve several. One that does not say serves one."""
    address = f"{config.url}/.well-known/databricks-config"
    try:
        told = outgoing.get_json(address, headers={}, timeout_s=config.statement_timeout_s, name=f"databricks-host:{config.name}")
    except Permanent:
        return ""
    return str(told.get("workspace_id") or "") if isinstance(told, dict) else ""


class _Once:
    """The SDK's clock: it sleeps only before it would try again, and there the failure is given back instead."""

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        error = sys.exc_info()[1]
        raise error if error is not None else Transient(f"the vendor's client wanted to wait {seconds:g} s")
