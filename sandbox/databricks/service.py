"""Statements in flight: PENDING, RUNNING, and how they ended; waiting for them, cancelling them, the journal of all."""

import asyncio
import re
import time
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from sandbox.databricks import errors, results, run
from sandbox.databricks.context import Context, Warehouse, World
from sandbox.databricks.cursor import Cursor
from sandbox.databricks.directory import Identity
from sandbox.databricks.errors import Bad, Refused
from sandbox.databricks.expressions import cast
from sandbox.databricks.faults import Fault, Waiting
from sandbox.databricks.lexer import tokenise
from sandbox.databricks.results import Result

JOURNAL_MAX = 50_000
REMEMBERED_MAX = 5_000
WAIT = re.compile(r"(\d+)s")
WAIT_LEAST_S, WAIT_MOST_S = 5, 50


@dataclass(slots=True)
class Statement:
    """One request as it was sent, and how it ended (`result` or `refused`; neither: it still runs, or was cancelled)."""

    id: str
    number: int
    user: str
    text: str
    warehouse: str
    row_limit: int | None
    at: datetime
    state: str = "PENDING"
    done: int = 0  # statements of a script that were carried out
    task: "asyncio.Task[None] | None" = None
    result: Result | None = None
    refused: Refused | None = None
    started: float = field(default_factory=time.perf_counter)
    ms: float | None = None

    def answer(self) -> dict[str, Any]:
        """As POST and GET tell it."""
        status: dict[str, Any] = {"state": self.state}
        if self.refused is not None:
            status["error"] = {"error_code": self.refused.error_code, "message": str(self.refused)}
            if self.refused.sqlstate:
                status["sql_state"] = self.refused.sqlstate
        told: dict[str, Any] = {"statement_id": self.id, "status": status}
        if self.state == "SUCCEEDED":
            told["manifest"], told["result"] = results.manifest(self.result or Result(), self.row_limit)
        return told

    def entry(self) -> dict[str, Any]:
        """As the journal shows it."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "user": self.user,
            "text": self.text,
            "state": self.state,
            "error_class": self.refused.error_class if self.refused else None,
            "sqlstate": self.refused.sqlstate if self.refused else None,
            "message": str(self.refused) if self.refused else None,
            "rows": len(self.result.rows) if self.result else None,
            "inner_done": self.done,
            "ms": self.ms,
        }


class Service:
    """To be used from one event loop."""

    def __init__(self, world: World, faults: Waiting) -> None:
        self.world = world
        self.faults = faults
        self.journal: deque[Statement] = deque(maxlen=JOURNAL_MAX)
        self.by_id: OrderedDict[str, Statement] = OrderedDict()
        self._numbers = 0

    def begin(self, identity: Identity, asked: dict[str, Any], fault: Fault | None) -> Statement:
        """Start a statement. Raises Bad."""
        text = asked.get("statement")
        if not isinstance(text, str) or not text.strip():
            raise Bad(400, "INVALID_PARAMETER_VALUE", "statement is required")
        warehouse = self._warehouse(identity, asked.get("warehouse_id"))
        for name, only in (("format", "JSON_ARRAY"), ("disposition", "INLINE")):
            if asked.get(name, only) != only:
                raise Bad(400, "INVALID_PARAMETER_VALUE", f"{name}: the stand-in knows {only} only")
        wait(asked)
        limit = asked.get("row_limit")
        self._numbers += 1
        statement = Statement(
            str(uuid.uuid1()), self._numbers, identity.name, text, warehouse.id, int(limit) if limit else None, datetime.now(UTC)
        )
        self.journal.append(statement)
        self.by_id[statement.id] = statement
        while len(self.by_id) > REMEMBERED_MAX:
            self.by_id.popitem(last=False)
        statement.task = asyncio.create_task(self._run(statement, identity, asked, warehouse, fault))
        return statement

    def _warehouse(self, identity: Identity, warehouse_id: object) -> Warehouse:
        found = self.world.warehouses.get(str(warehouse_id))
        if found is None:
            raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {warehouse_id} does not exist.")
        if not (identity.trusted or identity.admin or identity.names() & found.users):
            raise Bad(403, "PERMISSION_DENIED", f"You do not have permission to use the SQL Warehouse {found.id}.")
        return found

    async def _run(
        self, statement: Statement, identity: Identity, asked: dict[str, Any], warehouse: Warehouse, fault: Fault | None
    ) -> None:
        try:
            if fault and fault.kind == "pending":
                await asyncio.sleep(fault.delay_s)
            await _started(warehouse)
            statement.state = "RUNNING"
            statement.result = await self._work(statement, identity, asked, fault)
            statement.state = "SUCCEEDED"
        except Refused as refused:
            if statement.state != "CANCELED":
                statement.state, statement.refused = "FAILED", refused
        except asyncio.CancelledError:
            statement.state = "CANCELED"
        except Exception as error:
            statement.state = "FAILED"
            statement.refused = Refused("INTERNAL_ERROR", "XX000", f"{type(error).__name__}: {error}")
            raise
        finally:
            statement.ms = round((time.perf_counter() - statement.started) * 1000, 2)

    async def _work(self, statement: Statement, identity: Identity, asked: dict[str, Any], fault: Fault | None) -> Result:
        if fault and fault.kind not in ("pending", "status", "hang"):
            await asyncio.sleep(fault.delay_s)
        if fault and fault.kind == "failed":
            raise told(fault)
        context = self.world.context(
            identity,
            catalog=str(asked.get("catalog") or "").lower(),
            schema=str(asked.get("schema") or "").lower(),
            parameters=parameters(asked.get("parameters") or []),
            number=statement.number,
        )
        result = Result()
        inner = run.statements(context, statement.text)
        for text, node in inner:
            result = await self._one(statement, context, text, node, is_inner=len(inner) > 1)
            statement.done += 1
        if fault and fault.kind == "failed_after":
            raise told(fault)
        return result

    async def _one(self, statement: Statement, context: Context, text: str, node: Any, *, is_inner: bool) -> Result:
        fault = self.faults.take("inner", text, statement.user) if is_inner else None
        if delay_s := self.world.settings.latency_s + (fault.delay_s if fault else 0.0):
            await asyncio.sleep(delay_s)
        if fault and fault.kind == "failed":
            raise told(fault)
        threads = self.world.engine.threads
        result = await asyncio.get_running_loop().run_in_executor(threads, run.run_one, context, node)
        if fault and fault.kind == "failed_after":
            raise told(fault)
        return result

    def find(self, statement_id: str) -> Statement:
        """Raises Bad."""
        found = self.by_id.get(statement_id)
        if found is None:
            raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"The statement {statement_id} was not found.")
        return found

    def cancel(self, statement: Statement) -> None:
        """If it still runs. What a script did before stays done."""
        if statement.ms is None:
            statement.state = "CANCELED"
            self.world.engine.interrupt(statement.number)
            if statement.task is not None:
                statement.task.cancel()

    async def outcome(self, statement: Statement, asked: dict[str, Any]) -> dict[str, Any]:
        """When it has ended, or the time that the client would wait is over."""
        if statement.task is not None and statement.ms is None:
            await asyncio.wait([statement.task], timeout=wait(asked))
        if statement.ms is None and asked.get("on_wait_timeout") == "CANCEL":
            self.cancel(statement)
        return statement.answer()

    def clear(self) -> None:
        """Forget all statements."""
        for statement in list(self.by_id.values()):
            self.cancel(statement)
        self.journal.clear()
        self.by_id.clear()


async def _started(warehouse: Warehouse) -> None:
    if warehouse.state == "STOPPED":
        warehouse.state = "STARTING"
        await asyncio.sleep(warehouse.starts_in_s)
        warehouse.state = "RUNNING"
    while warehouse.state == "STARTING":
        await asyncio.sleep(0.02)


def told(fault: Fault) -> Refused:
    """The failure that a fault asks for."""
    return Refused(fault.error_class, fault.sqlstate or None, fault.message, fault.error_code or "BAD_REQUEST")


def wait(asked: dict[str, Any]) -> float:
    """Seconds that the client waits. Raises Bad."""
    found = WAIT.fullmatch(str(asked.get("wait_timeout", "10s")))
    seconds = int(found[1]) if found else -1
    if seconds != 0 and not WAIT_LEAST_S <= seconds <= WAIT_MOST_S:
        raise Bad(400, "INVALID_PARAMETER_VALUE", "wait_timeout: expected 0s, or 5s to 50s")
    return float(seconds)


def parameters(given: Any) -> dict[str, exp.Expr]:
    """Values by the names under which a query has them, in lower case and as written. Raises Refused."""
    found: dict[str, exp.Expr] = {}
    for each in given if isinstance(given, list) else []:
        name, value = str(each.get("name", "")), each.get("value")
        cursor = Cursor(tokenise(str(each.get("type") or "STRING")), "")
        kind = cursor.type()
        cursor.end()
        node: exp.Expr = exp.null() if value is None else exp.Literal.string(str(value))
        if not name:
            raise errors.invalid("a parameter without name")
        found[name] = exp.Paren(this=cast(node, kind))
    return found
