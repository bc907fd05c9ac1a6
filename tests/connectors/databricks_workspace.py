"""Databricks' stand-in as a target named `bricks`, and what tests do with it through the connector."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import databricks as connector
from lily.domain import matching
from lily.domain.classifications import Classified
from lily.domain.inventory import TableId
from lily.domain.naming import object_name
from lily.domain.plan import Plan, diff
from lily.domain.rules import Rule
from lily.domain.targets import Target
from lily.runtime import breaker
from lily.runtime.settings import settings
from tests.contracts.place import with_uses
from tests.domain.security import NOW
from tests.sandbox.conftest import Databricks

SALT = "0123456789abcdef0123456789abcdef"
NAME = "bricks"
SECRET = "s3cret"
OUTSIDE, INSIDE = "lily_proof_outside", "lily_proof_steward"


@dataclass(frozen=True)
class Workspace:
    """The workspace as somebody sees it who has all rights, and Lily's way into it."""

    stand_in: Databricks

    @property
    def target(self) -> Target:
        return Target(NAME, settings().installation, "deployment", connector.capabilities(NAME))

    def sql(self, *texts: str, **how: Any) -> list[list[Any]]:
        return self.stand_in.sql(*texts, **how)

    def plan(self, rules: list[Rule], *tables: TableId, classified: Classified | None = None) -> Plan:
        """The plan for these tables, from what is there now."""
        actual = connector.read(NAME, tables)
        wanted = matching.wanted(rules, classified or {}, [table.table for table in actual.tables.values()], self.target, NOW)
        firsts = [object_name(self.target.installation, spec) for t in wanted.tables.values() for spec in t.specs.values()]
        names = {name for name in actual.objects if any(name.startswith(first) for first in firsts)}
        names |= {what.name for table in actual.tables.values() for what in table.attached.values()}
        return diff(wanted, with_uses(connector.closer(NAME, actual, (), names | set(actual.objects))), self.target)

    def enforce(self, rules: list[Rule], *tables: TableId, classified: Classified | None = None) -> Plan:
        """Plan and do it, one step after the other."""
        plan = self.plan(rules, *tables, classified=classified)
        for step in plan.steps:
            connector.execute(NAME, step)
        return plan

    def reads(self, query: str, user: str) -> list[list[Any]]:
        return self.sql(query, user=user)

    def requests(self) -> dict[str, int]:
        """How many there were since `forget`, by method and path."""
        found: dict[str, int] = self.stand_in.http.get("/sandbox/requests").json()["by_path"]
        return found

    def forget(self) -> None:
        assert self.stand_in.http.delete("/sandbox/statements").is_success


@pytest.fixture
def workspace(databricks: Databricks, configured: Callable[..., None]) -> Iterator[Workspace]:
    breaker._start_anew()
    configured(
        LILY_HASH_SALT=SALT,
        LILY_TARGETS=NAME,
        LILY_TARGET_BRICKS_KIND="databricks",
        LILY_TARGET_BRICKS_URL=databricks.url,
        LILY_TARGET_BRICKS_OAUTH_CLIENT_ID="lily-svc",
        LILY_TARGET_BRICKS_OAUTH_CLIENT_SECRET=SECRET,
        LILY_TARGET_BRICKS_WAREHOUSE="abcdef0123456789",
        LILY_TARGET_BRICKS_HOME="gov.lily",
        LILY_TARGET_BRICKS_DATABASES="analytics",
        LILY_TARGET_BRICKS_PROOF_GROUPS=f"{OUTSIDE},{INSIDE}",
    )
    yield Workspace(databricks)
    databricks.http.delete("/sandbox/faults")
    connector.close(NAME)
    breaker._start_anew()
