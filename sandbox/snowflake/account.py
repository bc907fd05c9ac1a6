"""One account: its catalog, its rows, and the one way in, a text that a session sends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.snowflake import (
    describe,
    errors,
    lexer,
    nodes,
    rows,
    run_access,
    run_grants,
    run_policies,
    run_tables,
    run_tags,
    show,
)
from sandbox.snowflake.catalog import Catalog, new_catalog
from sandbox.snowflake.context import Context, Settings
from sandbox.snowflake.expressions import Bindings
from sandbox.snowflake.guard import refusal
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Drop, Statement
from sandbox.snowflake.results import Result, status
from sandbox.snowflake.rows import Pending
from sandbox.snowflake.session import DEFAULTS, Session
from sandbox.snowflake.statements import parse
from sandbox.warehouse.engine import Engine, EngineError


@dataclass(frozen=True, slots=True)
class Started:
    """A statement: done (`result`), or still to be asked of DuckDB (`pending`). `keeps`: it changes the account.

    `waits_s` is how long a warehouse takes first that was suspended.
    """

    text: str
    result: Result | None
    pending: Pending | None
    keeps: bool
    waits_s: float = 0.0


class Account:
    """To be used from one thread, but for `finish`, which may run in others."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.catalog: Catalog = new_catalog()
        self.engine = Engine()
        self._waits_s = 0.0

    def reset(self) -> None:
        """As on the first day. Queries that run end as if cancelled."""
        self.engine.close()
        self.catalog = new_catalog()
        self.engine = Engine()

    def parameter(self, session: Session, name: str, given: dict[str, Any] | None = None) -> str:
        """The value that holds: of the statement, the session, the user, the account, or the vendor's."""
        user = self.catalog.users.get(session.user)
        for level in (given or {}, session.parameters, user.parameters if user else {}, self.catalog.parameters):
            if name in level:
                return str(level[name])
        return DEFAULTS[name]

    def statements(self, text: str, wanted: int = 1) -> list[list[lexer.Token]]:
        """The statements of a text. Raises errors.Refused if there are not `wanted` of them (0: any number)."""
        found = lexer.split(lexer.tokenise(text))
        if not found:
            raise errors.empty_statement()
        if wanted and len(found) != wanted:
            raise errors.statement_count(len(found), wanted)
        return found

    def start(
        self,
        session: Session,
        tokens: list[lexer.Token],
        text: str,
        bindings: Bindings | None = None,
        *,
        number: int = 0,
        now: datetime | None = None,
    ) -> Started:
        """Do one statement, or prepare what DuckDB is to do. Raises errors.Refused."""
        ignore_case = self.parameter(session, "QUOTED_IDENTIFIERS_IGNORE_CASE") == "true"
        node = parse(tokens, text, ignore_case=ignore_case)
        context = Context(self.catalog, self.engine, self.settings, session, bindings, now or datetime.now(UTC), number)
        context.warehouse_needed = lambda: self._need_warehouse(context)
        if isinstance(node, nodes.Select | nodes.PolicyContext | nodes.ChangeRows):
            listed = rows.listing(context, node.tokens) if isinstance(node, nodes.Select) else None
            if listed is not None:
                waits_s, self._waits_s = self._waits_s, 0.0
                return Started(text, listed, None, keeps=False, waits_s=waits_s)
            pending = _ROWS[type(node)](context, node)
            waits_s, self._waits_s = self._waits_s, 0.0
            return Started(text, None, pending, isinstance(node, nodes.ChangeRows), waits_s)
        result = _RUN[type(node)](context, node)
        keeps = not isinstance(node, nodes.Use | nodes.Show | nodes.Describe | nodes.Nothing)
        session_only = isinstance(node, nodes.AlterContainer) and node.kind == "SESSION"
        return Started(text, result, None, keeps and not session_only)

    def finish(self, started: Started, number: int = 0) -> Result:
        """The result, from DuckDB if need be; this may take long. Raises errors.Refused."""
        if started.result is not None:
            return started.result
        pending = started.pending
        if pending is None:
            raise errors.internal("nothing to run")
        try:
            if pending.changes:
                return pending.finish(self.engine.change(pending.sql, pending.parameters, number))
            return pending.finish(self.engine.ask(pending.sql, pending.parameters, number))
        except EngineError as error:
            raise refusal(error) from error

    def run(self, session: Session, text: str, bindings: Bindings | None = None, *, now: datetime | None = None) -> Result:
        """One statement, from its text to its result. Raises errors.Refused."""
        tokens = self.statements(text)[0]
        return self.finish(self.start(session, tokens, text, bindings, now=now))

    def _need_warehouse(self, context: Context) -> None:
        """Raises errors.Refused (000606) if the session has none. A suspended one is resumed, unless it may not be."""
        session = context.session
        if session.trusted:
            return
        found = self.catalog.warehouses.get(session.warehouse or "")
        if found is None or not context.access.has(found, "USAGE"):
            raise errors.no_warehouse()
        if found.suspended:
            if not found.auto_resume:
                raise errors.no_warehouse()
            found.suspended = False
            self._waits_s = self.settings.resume_s


def _drop(context: Context, node: Drop) -> Result:
    try:
        name = _dropped(context, node)
    except errors.Refused as error:
        if node.if_exists and error.code == "002003":
            return status(f"Drop statement executed successfully ({shown(node.path[-1])} already dropped).")
        raise
    context.changed()
    return status(f"{shown(name)} successfully dropped.")


def _dropped(context: Context, node: Drop) -> str:
    if node.kind in ("TABLE", "VIEW"):
        return run_tables.drop_table(context, node.kind, node.path)
    if node.kind == "TAG":
        return run_tags.drop_tag(context, node.path)
    if node.kind.endswith("POLICY"):
        kind = node.kind.removesuffix(" POLICY").replace(" ", "_")
        return run_policies.drop_policy(context, kind, node.path)
    return run_access.drop(context, node.kind, node.path)


_RUN: dict[type[Any], Callable[[Context, Any], Result]] = {
    nodes.CreatePolicy: run_policies.create_policy,
    nodes.AlterPolicy: run_policies.alter_policy,
    nodes.CreateTag: run_tags.create_tag,
    nodes.AlterTag: run_tags.alter_tag,
    nodes.Drop: _drop,
    nodes.CreateTable: run_tables.create_table,
    nodes.CreateView: run_tables.create_view,
    nodes.AlterTable: run_tables.alter,
    nodes.TruncateTable: run_tables.truncate,
    nodes.CreateContainer: run_access.create,
    nodes.AlterContainer: run_access.alter,
    nodes.Grant: run_grants.grant,
    nodes.GrantRole: run_grants.grant_role,
    nodes.GrantOwnership: run_grants.grant_ownership,
    nodes.Use: run_access.use,
    nodes.Show: show.show,
    nodes.Describe: describe.describe,
    nodes.Nothing: lambda _context, _node: status(),
}
_ROWS: dict[type[Statement], Callable[[Context, Any], Pending]] = {
    nodes.Select: lambda context, node: rows.select(context, node.tokens),
    nodes.PolicyContext: rows.policy_context,
    nodes.ChangeRows: lambda context, node: rows.change(context, node.tokens),
}
