"""Snowflake's stand-in, as benchmarks use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.warehouse import SCHEMA, STORED, Door, StandIn
from sandbox import snowflake_world
from sandbox.surroundings import SNOWFLAKE, new_key, public_key, snowflake_settings

TYPES = ("VARCHAR(100)", "VARCHAR", "NUMBER(12,2)", "DATE", "VARCHAR(40)")
VALUES = tuple(value if place == 2 else f"'{value}'" for place, value in enumerate(STORED))
IN = f"ANALYTICS.{SCHEMA.upper()}"
CHANGES = {"masks": "SET MASKING POLICY", "tags": "SET TAG"}


@dataclass(frozen=True)
class Snowflake:
    url: str
    target = SNOWFLAKE

    def place(self, table: str, column: str) -> dict[str, str]:
        at = {"database": "ANALYTICS", "schema": SCHEMA.upper(), "table": table.upper(), "column": column.upper()}
        return {"target": self.target, **at}

    def make_tables(self, names: Sequence[str], columns: int) -> None:
        self.sql(
            f"CREATE SCHEMA IF NOT EXISTS {IN}; GRANT USAGE ON SCHEMA {IN} TO ROLE LILY; "
            f"GRANT USAGE ON DATABASE ANALYTICS TO ROLE PUBLIC; GRANT USAGE ON SCHEMA {IN} TO ROLE PUBLIC"
        )
        described = ", ".join(f"C{n} {TYPES[n % len(TYPES)]}" for n in range(columns))
        row = ", ".join(VALUES[n % len(VALUES)] for n in range(columns))
        for name in names:
            table = f"{IN}.{name.upper()}"
            self.sql(
                f"CREATE TABLE {table} ({described}); INSERT INTO {table} VALUES ({row}); "  # noqa: S608 - names from here
                f"GRANT SELECT ON TABLE {table} TO ROLE PUBLIC"
            )

    def row(self, table: str, columns: Sequence[int]) -> list[Any]:
        text = f"SELECT {', '.join(f'C{c}' for c in columns)} FROM {IN}.{table.upper()}"  # noqa: S608 - as above
        return self.sql(text, role="ANALYST", trusted=False, warehouse="BI_WH", secondary="NONE")[0]

    def put_foreign_mask(self, table: str, column: int) -> None:
        self.sql(
            "CREATE MASKING POLICY GOV.LILY.THEIRS AS (V VARCHAR) RETURNS VARCHAR -> 'theirs'; "
            f"ALTER TABLE {IN}.{table.upper()} MODIFY COLUMN C{column} SET MASKING POLICY GOV.LILY.THEIRS"
        )

    def changes(self) -> Mapping[str, int]:
        return {what: self._count(f"^ALTER TABLE .ANALYTICS.*{words}") for what, words in CHANGES.items()}

    def fault(self, **spec: Any) -> None:
        Door(self.url).call("POST", "/sandbox/faults", spec)

    def mend(self) -> None:
        Door(self.url).call("DELETE", "/sandbox/faults")

    def forget(self) -> None:
        Door(self.url).call("DELETE", "/sandbox/queries")

    def sql(self, text: str, **how: Any) -> list[list[Any]]:
        return snowflake_world.sql(self.url, text, **how)

    def _count(self, match: str) -> int:
        found = Door(self.url).call("GET", "/sandbox/queries", match=match)
        return sum(query["user"] == "LILY_SVC" for query in found)


def stand_in() -> StandIn:
    """With a key of its own."""
    key = new_key()

    def make(url: str) -> Snowflake:
        snowflake_world.make(url, public_key(key))
        return Snowflake(url)

    return StandIn("snowflake", {}, make, lambda url: snowflake_settings(url, key))
