"""The door for tests and for people: statements as an admin, people and groups, rows, the journal, faults, a dump, a reset."""

import asyncio
import json
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sandbox.databricks import dump, page, results, run
from sandbox.databricks.catalog import Metastore
from sandbox.databricks.context import Warehouse, World
from sandbox.databricks.directory import Directory, Identity, Token
from sandbox.databricks.errors import Bad
from sandbox.databricks.faults import Waiting, parse
from sandbox.databricks.service import Service, parameters

Answer = tuple[int, Any]
CHOICES = {"mask_types": ("equal", "castable")}
ADMIN = "admin"


class Admin:
    """`let_go` ends the requests that hang on purpose."""

    def __init__(
        self, world: World, service: Service, faults: Waiting, requests: deque[dict[str, Any]], *, let_go: Callable[[], None]
    ) -> None:
        self.world = world
        self.service = service
        self.faults = faults
        self.requests = requests
        self.let_go = let_go
        self.first_settings = replace(world.settings)
        world.directory.add_principal(ADMIN, "User", admin=True)
        self._routes: dict[tuple[str, str], Callable[[Any, dict[str, str]], Answer]] = {
            ("GET", "healthz"): lambda _body, _query: (200, {"status": "ok"}),
            ("GET", ""): lambda _body, _query: (200, page.render(self.world, self.service)),
            ("GET", "sandbox/statements"): self._statements,
            ("DELETE", "sandbox/statements"): self._forget,
            ("GET", "sandbox/requests"): self._requests,
            ("GET", "sandbox/faults"): lambda _body, _query: (200, self.faults.shown()),
            ("POST", "sandbox/faults"): self._add_faults,
            ("DELETE", "sandbox/faults"): self._clear_faults,
            ("GET", "sandbox/settings"): lambda _body, _query: (200, asdict(self.world.settings)),
            ("PATCH", "sandbox/settings"): self._change_settings,
            ("POST", "sandbox/principals"): self._principal,
            ("POST", "sandbox/groups"): self._group,
            ("DELETE", "sandbox/groups"): self._remove_group,
            ("POST", "sandbox/warehouses"): self._warehouse,
            ("POST", "sandbox/governed"): self._governed,
            ("POST", "sandbox/tokens/expire"): self._expire,
            ("GET", "sandbox/dump"): lambda _body, query: (200, dump.everything(self.world, rows=query.get("rows") != "false")),
            ("POST", "sandbox/reset"): self._reset,
        }

    async def answer(self, method: str, parts: Sequence[str], body: bytes, query: dict[str, str]) -> Answer:
        """Status and value. Raises Bad or Refused."""
        path = "/".join(parts)
        try:
            value = json.loads(body) if body else {}
        except ValueError as error:
            raise Bad(400, "", f"the body is no JSON: {error}") from error
        if (method, path) == ("POST", "sandbox/sql"):
            return await self._sql(value)
        found = self._routes.get((method, path))
        if found is None:
            known = any(route == path for _, route in self._routes)
            raise Bad(405 if known else 404, "", f"{method} /{path} is not here; GET / tells what is")
        with run.lock:
            self.world.changes += method != "GET"
            return found(value, query)

    def _sql(self, body: Any) -> Awaitable[Answer]:
        """`sql`: one statement, or a list of them. With all rights; or as the principal `user`, or in the role of `group`."""
        given = body.get("sql") if isinstance(body, dict) else None
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Bad(400, "", 'expected {"sql": "..." or ["...", ...]}, and if wanted user, group, catalog, schema, parameters')
        context = self.world.context(
            self._identity(body),
            catalog=body.get("catalog", ""),
            schema=body.get("schema", ""),
            parameters=parameters(body.get("parameters") or []),
        )

        def work() -> Answer:
            result = results.Result()
            for text in texts:
                result = run.run(context, text)
            columns = [{"name": name, "type": kind.text} for name, kind in result.columns]
            return 200, {"columns": columns, "rows": [[results.cell(cell) for cell in row] for row in result.rows]}

        running: Awaitable[Answer] = asyncio.get_running_loop().run_in_executor(self.world.engine.threads, work)
        return running

    def _identity(self, body: dict[str, Any]) -> Identity:
        directory, lag_s = self.world.directory, self.world.settings.membership_lag_s
        if group_name := body.get("group"):
            group = directory.group(str(group_name))
            if group is None:
                raise Bad(400, "", f"group: there is no {group_name!r}")
            return directory.identity(Token("", group.id, 0.0), lag_s)
        if user := body.get("user"):
            if user not in directory.principals:
                raise Bad(400, "", f"user: there is no {user!r}")
            return directory.identity_of(str(user), lag_s)
        return replace(directory.identity_of(ADMIN, lag_s), trusted=True)

    def _statements(self, _body: Any, query: dict[str, str]) -> Answer:
        """The journal, oldest first. `match`: only texts in which this regular expression is found; `user`; `after`: an id."""
        try:
            pattern = re.compile(query.get("match", ""))
        except re.error as error:
            raise Bad(400, "", f"match: no regular expression: {error}") from error
        found = list(self.service.journal)
        if after := query.get("after"):
            places = [at for at, each in enumerate(found) if each.id == after]
            found = found[places[0] + 1 :] if places else found
        user = query.get("user")
        return 200, [each.entry() for each in found if pattern.search(each.text) and user in (None, each.user)]

    def _requests(self, _body: Any, query: dict[str, str]) -> Answer:
        """How many requests there were since the last reset or DELETE of the journal, by method and path."""
        user = query.get("user")
        counted = [each for each in self.requests if user in (None, each["user"])]
        by_path = Counter(f"{each['method']} {_shape(each['path'])}" for each in counted)
        return 200, {"count": len(counted), "by_path": dict(by_path), "last": counted[-int(query.get("last", "20")) :]}

    def _forget(self, _body: Any, _query: dict[str, str]) -> Answer:
        self.service.journal.clear()
        self.requests.clear()
        return 200, []

    def _add_faults(self, body: Any, _query: dict[str, str]) -> Answer:
        try:
            wanted = [parse(one) for one in (body if isinstance(body, list) else [body])]
        except (ValueError, TypeError) as error:
            raise Bad(400, "", str(error)) from error
        self.faults.faults += wanted
        return 200, self.faults.shown()

    def _clear_faults(self, _body: Any, _query: dict[str, str]) -> Answer:
        self.faults.faults.clear()
        self.let_go()
        return 200, []

    def _change_settings(self, body: Any, _query: dict[str, str]) -> Answer:
        known = asdict(self.world.settings)
        if not isinstance(body, dict) or set(body) - set(known):
            raise Bad(400, "", f"expected an object of {', '.join(known)}")
        for name, value in body.items():
            if name in CHOICES and value not in CHOICES[name]:
                raise Bad(400, "", f"{name}: {value!r} is not one of {', '.join(CHOICES[name])}")
            numeric = isinstance(known[name], float) and type(value) in (int, float) and value >= 0
            if not numeric and type(value) is not type(known[name]):
                raise Bad(400, "", f"{name}: {value!r}; expected something like {known[name]!r}")
        for name, value in body.items():
            setattr(self.world.settings, name, float(value) if isinstance(known[name], float) else value)
        return 200, asdict(self.world.settings)

    def _principal(self, body: Any, _query: dict[str, str]) -> Answer:
        """`name`, and if wanted `kind` (User or ServicePrincipal), `display`, `secret`, `admin`."""
        name = _text(body, "name")
        kind = body.get("kind", "User")
        if kind not in ("User", "ServicePrincipal"):
            raise Bad(400, "", f"kind: {kind!r} is not one of User, ServicePrincipal")
        found = self.world.directory.add_principal(
            name, kind, str(body.get("display", "")), str(body.get("secret", "")), admin=bool(body.get("admin"))
        )
        return 201, {"id": found.id, "name": found.name}

    def _group(self, body: Any, _query: dict[str, str]) -> Answer:
        """Made if it is missing. `add`, `remove`: principals; `add_groups`, `remove_groups`; `assumers`: who may act as it."""
        directory = self.world.directory
        group = directory.add_group(_text(body, "name"))
        for name in body.get("add_groups", []):
            group.members.add(f"group:{directory.add_group(str(name)).id}")
        for name in body.get("remove_groups", []):
            group.members.discard(f"group:{directory.add_group(str(name)).id}")
        for name in body.get("add", []):
            if name not in directory.principals:
                raise Bad(400, "", f"add: there is no principal {name!r}")
            group.members.add(name)
        group.members.difference_update(body.get("remove", []))
        if "assumers" in body:
            group.assumers = set(body["assumers"])
        directory.remember()
        return 201, {"id": group.id, "name": group.name}

    def _remove_group(self, _body: Any, query: dict[str, str]) -> Answer:
        """`name`."""
        group = self.world.directory.group(query.get("name", ""))
        if group is None:
            raise Bad(404, "", f"name: there is no group {query.get('name')!r}")
        self.world.directory.remove_group(group.id)
        return 200, {}

    def _warehouse(self, body: Any, _query: dict[str, str]) -> Answer:
        """`id`; if wanted `name`, `users` (who has CAN USE), `state`, `starts_in_s`."""
        warehouse_id = _text(body, "id")
        there = self.world.warehouses.get(warehouse_id) or Warehouse(warehouse_id, warehouse_id)
        known = {each.name for each in fields(Warehouse)}
        if unknown := set(body) - known:
            raise Bad(400, "", f"unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
        changed = {**body, **({"users": set(body["users"])} if "users" in body else {})}
        self.world.warehouses[warehouse_id] = replace(there, **changed)
        return 201, {"id": warehouse_id}

    def _governed(self, body: Any, _query: dict[str, str]) -> Answer:
        """`key` of a governed tag, and `assigners`: who holds ASSIGN on it."""
        found = self.world.metastore.governed.get(_text(body, "key"))
        if found is None:
            raise Bad(404, "", f"key: there is no governed tag {body['key']!r}; CREATE GOVERNED TAG makes one")
        found.assigners = set(body.get("assigners", []))
        return 200, {"key": found.key, "assigners": sorted(found.assigners)}

    def _expire(self, _body: Any, _query: dict[str, str]) -> Answer:
        count = len(self.world.directory.tokens)
        self.world.directory.tokens.clear()
        return 200, {"expired": count}

    def _reset(self, _body: Any, _query: dict[str, str]) -> Answer:
        """As on the first day: no objects, people, groups, faults or journal, the settings of the command line."""
        self.service.clear()
        self.requests.clear()
        self.faults.faults.clear()
        self.let_go()
        for table in self.world.metastore.tables():
            if table.query is None:
                self.world.engine.change(f"DROP TABLE {table.key}")
        self.world.metastore, self.world.directory = Metastore(), Directory()
        self.world.warehouses = {}
        self.world.settings = replace(self.first_settings)
        self.world.directory.add_principal(ADMIN, "User", admin=True)
        return 200, {"status": "reset"}


def _text(body: Any, name: str) -> str:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, str) or not found:
        raise Bad(400, "", f"{name}: expected a text")
    return found


def _shape(path: str) -> str:
    """A path with its statement ids left out, so that polls of different statements count together."""
    return re.sub(r"/statements/[^/]+", "/statements/{id}", path)
