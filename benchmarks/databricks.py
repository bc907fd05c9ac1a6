"""Databricks' stand-in, as benchmarks use it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.warehouse import SCHEMA, STORED, Door, StandIn
from sandbox import databricks_world
from sandbox.surroundings import DATABRICKS, databricks_settings

TYPES = ("varchar(100)", "string", "decimal(12,2)", "date", "varchar(40)")
VALUES = tuple(value if place == 2 else f"'{value}'" for place, value in enumerate(STORED))
IN = f"analytics.{SCHEMA}"
CHANGES = "SET MASK|DROP MASK|SET TAGS|UNSET TAGS|ROW FILTER"
READER = "ana@example.com"


@dataclass(frozen=True)
class Databricks:
    url: str
    target = DATABRICKS

    def place(self, table: str, column: str) -> dict[str, str]:
        return {"target": self.target, "database": "analytics", "schema": SCHEMA, "table": table, "column": column}

    def make_tables(self, names: Sequence[str], columns: int) -> None:
        self.sql(
            f"CREATE SCHEMA IF NOT EXISTS {IN}",
            f"GRANT USE SCHEMA, MANAGE, APPLY TAG, SELECT ON SCHEMA {IN} TO `{databricks_world.SERVICE}`",
            f"GRANT USE SCHEMA, SELECT ON SCHEMA {IN} TO `account users`",
        )
        described = ", ".join(f"c{n} {TYPES[n % len(TYPES)]}" for n in range(columns))
        row = ", ".join(VALUES[n % len(VALUES)] for n in range(columns))
        for name in names:
            self.sql(f"CREATE TABLE {IN}.{name} ({described})", f"INSERT INTO {IN}.{name} VALUES ({row})")  # noqa: S608

    def row(self, table: str, columns: Sequence[int]) -> list[Any]:
        text = f"SELECT {', '.join(f'c{c}' for c in columns)} FROM {IN}.{table}"  # noqa: S608 - names from here
        return self.sql(text, user=READER)[0]

    def put_foreign_mask(self, table: str, column: int) -> None:
        kind = TYPES[column % len(TYPES)]
        self.sql(
            f"CREATE FUNCTION gov.lily.theirs(v {kind}) RETURNS {kind} RETURN 'theirs'",
            f"ALTER TABLE {IN}.{table} ALTER COLUMN c{column} SET MASK gov.lily.theirs",
        )

    def changes(self) -> Mapping[str, int]:
        found = Door(self.url).call("GET", "/sandbox/statements", match=CHANGES, user=databricks_world.SERVICE)
        return {"all": len(found)}

    def fault(self, **spec: Any) -> None:
        Door(self.url).call("POST", "/sandbox/faults", spec)

    def mend(self) -> None:
        Door(self.url).call("DELETE", "/sandbox/faults")

    def forget(self) -> None:
        Door(self.url).call("DELETE", "/sandbox/statements")

    def sql(self, *texts: str, **how: Any) -> list[list[Any]]:
        return databricks_world.sql(self.url, *texts, **how)


def stand_in() -> StandIn:
    """With a secret of its own."""
    secret = secrets.token_urlsafe(24)

    def make(url: str) -> Databricks:
        databricks_world.make(url, secret)
        return Databricks(url)

    return StandIn("databricks", {}, make, lambda url: databricks_settings(url, secret))
