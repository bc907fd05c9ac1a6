"""Sessions and statements in flight: tokens, the same request twice, long ones, timeouts, cancelling, the log of it all."""

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.snowflake import errors, results
from sandbox.snowflake.account import Account
from sandbox.snowflake.errors import Refused
from sandbox.snowflake.expressions import Bindings
from sandbox.snowflake.faults import Fault
from sandbox.snowflake.results import Result
from sandbox.snowflake.session import Session

LOG_MAX = 50_000
REMEMBERED_MAX = 5_000
RETRIES_MAX = 5  # of a query whose tables changed while it waited


@dataclass(slots=True)
class Ticket:
    """A session with its tokens and the times until which they are good."""

    session: Session
    token: str
    master: str
    token_until: float
    master_until: float


@dataclass(slots=True)
class Query:
    """One statement as it was sent, and how it ended (`result` or `refused`; neither: it still runs)."""

    id: str
    number: int
    session: Session
    text: str
    tag: str
    at: datetime
    role: str
    task: "asyncio.Task[None] | None" = None
    result: Result | None = None
    refused: Refused | None = None
    started: float = field(default_factory=time.perf_counter)
    ms: float | None = None
    cancelled: bool = False
    retries: int = 0
    children: list["Query"] = field(default_factory=list)

    def entry(self) -> dict[str, Any]:
        """As the log shows it."""
        state = "running" if self.ms is None else "failed" if self.refused else "success"
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "user": self.session.user,
            "role": self.role,
            "session": self.session.id,
            "text": self.text,
            "tag": self.tag,
            "state": state,
            "code": self.refused.code if self.refused else None,
            "sqlstate": self.refused.sqlstate if self.refused else None,
            "message": self.refused.message if self.refused else None,
            "rows": len(self.result.rows) if self.result else None,
            "ms": self.ms,
            "retries": self.retries,
        }


Keep = Callable[[Session, str, Bindings | None, datetime], None]


class Service:
    """To be used from one event loop. `keep` is told of each statement that changed the account, before it is answered."""

    def __init__(self, account: Account, keep: Keep) -> None:
        self.account = account
        self.keep = keep
        self.log: deque[Query] = deque(maxlen=LOG_MAX)
        self.by_id: OrderedDict[str, Query] = OrderedDict()
        self._by_request: OrderedDict[tuple[int, str], Query] = OrderedDict()
        self._by_token: dict[str, Ticket] = {}
        self._by_master: dict[str, Ticket] = {}
        self._numbers = 0

    # Sessions

    def next_session(self) -> int:
        """The number of a new one."""
        self._numbers += 1
        return 1_000_000 + self._numbers

    def open(self, session: Session) -> Ticket:
        """Tokens for a new session."""
        ticket = Ticket(session, "", "", 0.0, 0.0)
        self._renew(ticket)
        return ticket

    def _renew(self, ticket: Ticket) -> None:
        self._by_token.pop(ticket.token, None)
        self._by_master.pop(ticket.master, None)
        now, settings = time.monotonic(), self.account.settings
        ticket.token = f"ver:1-hint:{ticket.session.id}-{secrets.token_urlsafe(24)}"
        ticket.master = f"ver:1-hint:{ticket.session.id}-{secrets.token_urlsafe(24)}"
        ticket.token_until, ticket.master_until = now + settings.session_valid_s, now + settings.master_valid_s
        self._by_token[ticket.token] = self._by_master[ticket.master] = ticket

    def session(self, token: str) -> Ticket:
        """Whose token it is. Raises errors.Refused (390111, 390112, 390114)."""
        ticket = self._by_token.get(token)
        if ticket is None:
            raise Refused("390111", "08001", "Session no longer exists.  New login required to access the service.")
        if ticket.token_until < time.monotonic():
            if ticket.master_until < time.monotonic():
                raise Refused("390114", "08001", "Authentication token has expired.  The user must authenticate again.")
            raise Refused("390112", "08001", "Your session has expired. Please login again.")
        return ticket

    def renew(self, master: str) -> Ticket:
        """New tokens for the session of this master token. Raises errors.Refused (390114)."""
        ticket = self._by_master.get(master)
        if ticket is None or ticket.master_until < time.monotonic():
            raise Refused("390114", "08001", "Authentication token has expired.  The user must authenticate again.")
        self._renew(ticket)
        return ticket

    def close(self, ticket: Ticket) -> None:
        """Logged out."""
        self._by_token.pop(ticket.token, None)
        self._by_master.pop(ticket.master, None)

    def expire(self, what: str) -> int:
        """All session tokens (`session`), master tokens too (`master`), or forget the sessions (`all`). Returns how many."""
        tickets = list(self._by_token.values())
        for ticket in tickets:
            ticket.token_until = 0.0
            if what == "master":
                ticket.master_until = 0.0
            elif what == "all":
                self.close(ticket)
        return len(tickets)

    def tickets(self) -> list[Ticket]:
        """Of all sessions that are open."""
        return list(self._by_token.values())

    # Statements

    def same(self, session: Session, request_id: str) -> Query | None:
        """The statement that came with this request id before: it is not run again."""
        query = self._by_request.get((session.id, request_id))
        if query is not None:
            query.retries += 1
        return query

    def begin(
        self,
        session: Session,
        request_id: str,
        text: str,
        *,
        parameters: dict[str, Any],
        bindings: Bindings | None,
        fault: Fault | None,
    ) -> Query:
        """Start a statement, or several if the request says so."""
        query = self._new(session, text, self.account.parameter(session, "QUERY_TAG", parameters))
        self._by_request[(session.id, request_id)] = query
        while len(self._by_request) > REMEMBERED_MAX:
            self._by_request.popitem(last=False)
        query.task = asyncio.create_task(self._run(query, parameters, bindings, fault))
        return query

    def _new(self, session: Session, text: str, tag: str) -> Query:
        self._numbers += 1
        query = Query(results.query_id(), self._numbers, session, text, tag, datetime.now(UTC), session.role)
        self.log.append(query)
        self.by_id[query.id] = query
        while len(self.by_id) > REMEMBERED_MAX:
            self.by_id.popitem(last=False)
        return query

    async def _run(self, query: Query, parameters: dict[str, Any], bindings: Bindings | None, fault: Fault | None) -> None:
        try:
            timeout_s = int(self.account.parameter(query.session, "STATEMENT_TIMEOUT_IN_SECONDS", parameters))
            query.result = await self._in_time(query, parameters, bindings, fault, timeout_s)
        except Refused as refused:
            query.refused = errors.cancelled() if query.cancelled else refused
        except asyncio.CancelledError:
            query.refused = errors.cancelled()
        except Exception as error:
            query.refused = errors.internal(f"{type(error).__name__}: {error}")
            raise
        finally:
            query.ms = round((time.perf_counter() - query.started) * 1000, 2)

    async def _in_time(
        self, query: Query, parameters: dict[str, Any], bindings: Bindings | None, fault: Fault | None, timeout_s: int
    ) -> Result:
        delay_s = fault.delay_s if fault else 0.0
        if timeout_s and delay_s >= timeout_s:
            await asyncio.sleep(timeout_s)
            raise errors.timed_out(timeout_s)
        if delay_s:
            await asyncio.sleep(delay_s)
        if fault and fault.kind == "error":
            raise Refused(fault.code, fault.sqlstate, fault.message)
        wanted = int(parameters.get("MULTI_STATEMENT_COUNT", self.account.parameter(query.session, "MULTI_STATEMENT_COUNT")))
        statements = self.account.statements(query.text, wanted)
        if len(statements) == 1:
            return await self._one(query, statements[0], bindings, timeout_s)
        for tokens in statements:
            child = self._new(query.session, query.text[tokens[0].start : tokens[-1].start].strip(), query.tag)
            query.children.append(child)
            try:
                child.result = await self._one(child, tokens, bindings, timeout_s)
            except Refused as refused:
                child.refused = refused
                raise
            finally:
                child.ms = round((time.perf_counter() - child.started) * 1000, 2)
        return results.status("Multiple statements executed successfully.")

    async def _one(self, query: Query, tokens: list[Any], bindings: Bindings | None, timeout_s: int) -> Result:
        for again in range(RETRIES_MAX + 1):
            now = datetime.now(UTC)
            session = query.session
            before = replace(session, parameters=dict(session.parameters))
            started = self.account.start(session, tokens, query.text, bindings, number=query.number, now=now)
            result = started.result
            await asyncio.sleep(started.waits_s)
            if result is None:
                try:
                    result = await self._finish(query, lambda made=started: self.account.finish(made, query.number), timeout_s)  # type: ignore[misc]
                except Refused as refused:
                    if again < RETRIES_MAX and _overtaken(refused):
                        continue
                    raise
            if started.keeps:
                text = query.text[tokens[0].start : tokens[-1].start]
                self.keep(before, text, bindings, now)
            return result
        raise errors.internal("its tables changed all the time")

    async def _finish(self, query: Query, work: Callable[[], Result], timeout_s: int) -> Result:
        running: Awaitable[Result] = asyncio.get_running_loop().run_in_executor(self.account.engine.threads, work)
        if not timeout_s:
            return await running
        try:
            return await asyncio.wait_for(asyncio.shield(running), timeout_s)
        except TimeoutError:
            self.account.engine.interrupt(query.number)
            raise errors.timed_out(timeout_s) from None

    def cancel(self, query_id: str) -> bool:
        """Whether there was something to cancel."""
        query = self.by_id.get(query_id)
        if query is None or query.ms is not None:
            return False
        query.cancelled = True
        self.account.engine.interrupt(query.number)
        if query.task is not None:
            query.task.cancel()
        return True

    def clear(self) -> None:
        """Forget sessions, statements and the log."""
        for query in list(self.by_id.values()):
            self.cancel(query.id)
        self.log.clear()
        self.by_id.clear()
        self._by_request.clear()
        self._by_token.clear()
        self._by_master.clear()


def _overtaken(refused: Refused) -> bool:
    """A table went, or was changed, between the planning of a query and its run."""
    return refused.code == "001044" and ("does not exist" in refused.message or "onflict" in refused.message)
