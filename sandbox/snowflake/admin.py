"""The door for tests and for people: statements as ACCOUNTADMIN, the log of queries, faults, settings, a reset."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sandbox.snowflake import errors, page
from sandbox.snowflake.account import Account
from sandbox.snowflake.faults import Waiting, parse
from sandbox.snowflake.login import Client, Doors
from sandbox.snowflake.results import Result
from sandbox.snowflake.service import Keep, Service
from sandbox.snowflake.session import Session

Answer = tuple[int, Any]
CHOICES = {"edition": ("ENTERPRISE", "STANDARD"), "policy_context": ("all", "activated", "nothing", "refused")}


class Bad(Exception):
    """A request that cannot be answered. It says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Admin:
    """`let_go` ends the requests that hang on purpose."""

    def __init__(
        self, account: Account, service: Service, doors: Doors, faults: Waiting, *, let_go: Callable[[], None], keep: Keep
    ) -> None:
        self.account = account
        self.service = service
        self.doors = doors
        self.faults = faults
        self.let_go = let_go
        self.keep = keep
        self.first_settings = replace(account.settings)
        self.forget: Callable[[], None] = lambda: None  # what is kept on disk
        self._routes: dict[tuple[str, str], Callable[[Any, dict[str, str]], Answer]] = {
            ("GET", "/healthz"): lambda _body, _query: (200, {"status": "ok"}),
            ("GET", "/"): lambda _body, _query: (200, page.render(self.account, self.service)),
            ("POST", "/sandbox/sql"): self._sql,
            ("GET", "/sandbox/queries"): self._queries,
            ("DELETE", "/sandbox/queries"): self._forget_queries,
            ("GET", "/sandbox/faults"): lambda _body, _query: (200, self.faults.shown()),
            ("POST", "/sandbox/faults"): self._add_faults,
            ("DELETE", "/sandbox/faults"): self._clear_faults,
            ("GET", "/sandbox/settings"): lambda _body, _query: (200, asdict(self.account.settings)),
            ("PATCH", "/sandbox/settings"): self._change_settings,
            ("GET", "/sandbox/sessions"): self._sessions,
            ("POST", "/sandbox/sessions/expire"): self._expire,
            ("POST", "/sandbox/oauth/clients"): self._client,
            ("POST", "/sandbox/reset"): self._reset,
        }

    async def answer(self, method: str, path: str, body: bytes, query: dict[str, str]) -> Answer:
        """Status and value. Raises Bad or errors.Refused."""
        found = self._routes.get((method, path))
        if found is None:
            known = any(route == path for _, route in self._routes)
            raise Bad(405 if known else 404, f"{method} {path} is not here; GET / tells what is")
        try:
            value = json.loads(body) if body else {}
        except ValueError as error:
            raise Bad(400, f"the body is no JSON: {error}") from error
        return found(value, query)

    def _sql(self, body: Any, _query: dict[str, str]) -> Answer:
        """`sql`: one or more statements. As ACCOUNTADMIN, or `role`; with all rights unless `trusted` is false.

        `share` true reads as a consumer of a data share does, for whom no role is known. Answers the last result.
        """
        text = body.get("sql") if isinstance(body, dict) else None
        if not isinstance(text, str):
            raise Bad(
                400, 'expected {"sql": "..."}, and if wanted role, secondary, warehouse, database, schema, user, trusted, share'
            )
        session = Session(
            0, body.get("user", "ADMIN"), body.get("role", "ACCOUNTADMIN"), body.get("secondary", "NONE"), body.get("warehouse"),
            body.get("database"), body.get("schema"), trusted=body.get("trusted", True), share=body.get("share", False),
        )  # fmt: skip
        result = Result([])
        for tokens in self.account.statements(text, 0):
            now = datetime.now(UTC)
            before = replace(session, parameters=dict(session.parameters))
            started = self.account.start(session, tokens, text, now=now)
            result = self.account.finish(started)
            if started.keeps:
                self.keep(before, text[tokens[0].start : tokens[-1].start], None, now)
        columns = [{"name": name, "type": str(kind)} for name, kind in result.columns]
        return 200, {"columns": columns, "rows": [[_plain(cell) for cell in row] for row in result.rows]}

    def _queries(self, _body: Any, query: dict[str, str]) -> Answer:
        """The log, oldest first. `match`: only texts in which this regular expression is found; `user`; `after`: an id."""
        try:
            pattern = re.compile(query.get("match", ""))
        except re.error as error:
            raise Bad(400, f"match: no regular expression: {error}") from error
        found = list(self.service.log)
        if after := query.get("after"):
            places = [at for at, each in enumerate(found) if each.id == after]
            found = found[places[0] + 1 :] if places else found
        user = query.get("user")
        return 200, [each.entry() for each in found if pattern.search(each.text) and user in (None, each.session.user)]

    def _forget_queries(self, _body: Any, _query: dict[str, str]) -> Answer:
        self.service.log.clear()
        return 200, []

    def _add_faults(self, body: Any, _query: dict[str, str]) -> Answer:
        try:
            wanted = [parse(one) for one in (body if isinstance(body, list) else [body])]
        except (ValueError, TypeError) as error:
            raise Bad(400, str(error)) from error
        self.faults.faults += wanted
        return 200, self.faults.shown()

    def _clear_faults(self, _body: Any, _query: dict[str, str]) -> Answer:
        self.faults.faults.clear()
        self.let_go()
        return 200, []

    def _change_settings(self, body: Any, _query: dict[str, str]) -> Answer:
        known = asdict(self.account.settings)
        if not isinstance(body, dict) or set(body) - set(known):
            raise Bad(400, f"expected an object of {', '.join(known)}")
        for name, value in body.items():
            if name in CHOICES and value not in CHOICES[name]:
                raise Bad(400, f"{name}: {value!r} is not one of {', '.join(CHOICES[name])}")
            numeric = isinstance(known[name], float) and type(value) in (int, float) and value >= 0
            if not numeric and type(value) is not type(known[name]):
                raise Bad(400, f"{name}: {value!r}; expected something like {known[name]!r}")
        for name, value in body.items():
            setattr(self.account.settings, name, float(value) if isinstance(known[name], float) else value)
        return 200, asdict(self.account.settings)

    def _sessions(self, _body: Any, _query: dict[str, str]) -> Answer:
        sessions = [ticket.session for ticket in self.service.tickets()]
        return 200, [
            {"id": each.id, "user": each.user, "role": each.role, "secondary": each.secondary, "parameters": each.parameters}
            for each in sessions
        ]

    def _expire(self, body: Any, _query: dict[str, str]) -> Answer:
        what = body.get("what", "session") if isinstance(body, dict) else None
        if what not in ("session", "master", "all"):
            raise Bad(400, f"what: {what!r} is not one of session, master, all")
        return 200, {"expired": self.service.expire(what)}

    def _client(self, body: Any, _query: dict[str, str]) -> Answer:
        """An OAuth client: `id`, `secret`, and the `user` that it logs in as."""
        if not isinstance(body, dict) or any(not isinstance(body.get(name), str) for name in ("id", "secret", "user")):
            raise Bad(400, "expected id, secret and user")
        if body["user"] not in self.account.catalog.users:
            raise errors.not_there("User", body["user"])
        self.doors.clients[body["id"]] = Client(body["id"], body["secret"], body["user"])
        return 201, {"id": body["id"], "user": body["user"]}

    def _reset(self, _body: Any, _query: dict[str, str]) -> Answer:
        """As on the first day: nothing in the account, no sessions, no faults, no log, the settings of the command line."""
        self.service.clear()
        self.faults.faults.clear()
        self.let_go()
        self.doors.clients.clear()
        self.account.settings = replace(self.first_settings)
        self.account.reset()
        self.forget()
        return 200, {"status": "reset"}


def _plain(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else str(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return bytes(cell).hex() if isinstance(cell, bytes | bytearray) else cell
