"""Databricks keeps what every target promises."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import databricks as connector
from lily.domain.inventory import TableId
from lily.domain.rules import Principal
from lily.runtime import breaker
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.contracts.target_contract import TargetContract
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

CHANGES = r"(?i)^(CREATE|DROP|ALTER|BEGIN)"


@dataclass(frozen=True)
class AtDatabricks:
    workspace: Workspace
    instance = NAME
    table = TableId("analytics", "crm", "customers")
    text = "email"
    exempt = Principal("group", "data_stewards")

    def shown(self, column: str, to: Principal | None) -> Sequence[Any]:
        user = "dora@example.com" if to else "ana@example.com"
        return [row[0] for row in self.workspace.reads(f"SELECT `{column}` FROM analytics.crm.customers ORDER BY id", user)]

    def dump(self) -> Any:
        return self.workspace.stand_in.dump()

    def take_off(self, column: str) -> None:
        self.workspace.sql(f"ALTER TABLE analytics.crm.customers ALTER COLUMN `{column}` DROP MASK")

    def change_by_hand(self, name: str, comment: str) -> None:
        quoted = comment.replace("\\", "\\\\").replace("'", "\\'")
        self.workspace.sql(f"CREATE OR REPLACE FUNCTION gov.lily.`{name}`(V STRING) RETURNS STRING COMMENT '{quoted}' RETURN V")

    def make_foreign(self, name: str) -> None:
        self.workspace.sql(f"CREATE FUNCTION gov.lily.`{name}`(V STRING) RETURNS STRING RETURN 'theirs'")

    def refuse_next(self) -> None:
        fault = {"kind": "failed", "error_class": "INSUFFICIENT_PERMISSIONS", "sqlstate": "42501", "error_code": "BAD_REQUEST"}
        self.workspace.stand_in.fault(**fault, match=CHANGES)

    def lose_next(self) -> None:
        self.workspace.stand_in.fault(kind="drop_after", match=CHANGES)

    def go_away(self) -> None:
        self.workspace.stand_in.fault(kind="status", status=503, on="all", count=None)

    def come_back(self) -> None:
        assert self.workspace.stand_in.http.delete("/sandbox/faults").is_success
        breaker._start_anew()

    def drop_table(self) -> None:
        self.workspace.sql("DROP TABLE analytics.crm.customers")


@pytest.fixture
def place(workspace: Workspace) -> Iterator[AtDatabricks]:
    yield AtDatabricks(workspace)


class TestDatabricks(TargetContract):
    target = connector
    module = "connectors.databricks"
