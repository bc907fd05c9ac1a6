"""What the tests of security over HTTP share: a client that knows the tokens, rules as their authors write them, tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient

from lily.domain.inventory import Table, TableId
from lily.domain.proofs import Expected
from lily.domain.propagations import State
from lily.domain.steps import TagEntry
from lily.records import inventory, table_states
from lily.records.table_states import TableState
from lily.runtime import clock
from tests.app.conftest import bearer
from tests.domain.security import a_table

ALL = "rules:read rules:write rules:weaken annotations:write audit:read admin"
CUSTOMERS = TableId("CRM", "PUBLIC", "customers")


@dataclass(frozen=True)
class Api:
    """The API below /security as one client calls it. `scope`: of its tokens."""

    http: FlaskClient
    scope: str = ALL

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """The answer's document, or the answer itself where it is a refusal. The status must be the given one."""
        sent = {"json": body} if body is not None else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.open(f"/security{path}", method=method, headers=bearer(scope=self.scope) | named, **sent)
        assert answer.status_code == status, answer.text
        return answer.get_json() if status < 300 else answer

    def as_one_who_may(self, scope: str) -> "Api":
        return Api(self.http, scope)

    def create(self, **more: Any) -> dict[str, Any]:
        created: dict[str, Any] = self("POST", "/rules", a_document(**more), 201)
        return created

    def change(self, rule: dict[str, Any], status: int = 200, **more: Any) -> Any:
        return self("PUT", f"/rules/{rule['id']}", rule | more, status, If_Match=f'"{rule["version"]}"')

    def delete(self, rule: dict[str, Any]) -> Any:
        return self("DELETE", f"/rules/{rule['id']}", None, 202, If_Match=f'"{rule["version"]}"')

    def all(self, path: str) -> list[dict[str, Any]]:
        """The items of all pages, two at a time."""
        items, cursor, more = [], "", "&" if "?" in path else "?"
        while True:
            page = self("GET", f"{path}{more}limit=2{cursor}")
            assert len(page["items"]) <= 2
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"


def a_document(**more: Any) -> dict[str, Any]:
    return {
        "name": "Hide",
        "regulation": "PII",
        "match": {"classifications": ["Email"]},
        "action": {"kind": "redact"},
        "targets": ["snow"],
    } | more


def listed(*tables: Table, target: str = "snow", read_at: datetime | None = None) -> None:
    """Have tables in the inventory of a target."""
    inventory.save(target, tables or [a_table(EMAIL="text", AMOUNT="number")], read_at or clock.now())


def seen(
    table: Table,
    expected: Expected | None = None,
    outcome: State = State.ENFORCED,
    rules: Iterable[str] = ("r",),
    *,
    tags: Iterable[TagEntry] = (),
    reasons: tuple[str, ...] = (),
) -> None:
    """Have a table remembered as it was last looked at."""
    state = TableState(
        target="snow",
        table=table,
        outcome=outcome,
        reasons=reasons,
        rules=dict.fromkeys(rules, 1),
        expected=expected or Expected(table.id),
        tags=frozenset(tags),
        verdict=None,
        observed_at=clock.now(),
    )
    table_states.save_many([state])


def annotation(*classifications: str, column: str | None = "EMAIL", table: TableId = CUSTOMERS, **more: Any) -> dict[str, Any]:
    names = {"target": "snow", "database": table.database, "schema": table.schema, "table": table.name}
    own = {"column": column} if column is not None else {}
    return names | own | {"classifications": list(classifications)} | more


def states(*entries: dict[str, Any], source: str = "contracts", **more: Any) -> dict[str, Any]:
    return {"source": source, "annotations": list(entries), **more}
