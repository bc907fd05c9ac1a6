"""Snowflake keeps what every target promises."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import snowflake as connector
from connectors.contracts import Refused
from lily.domain.inventory import TableId
from lily.domain.rules import Principal
from lily.domain.steps import CreateMask
from lily.runtime import breaker
from tests.connectors.snowflake_account import NAME, Account, account
from tests.contracts.place import plan
from tests.contracts.target_contract import TargetContract
from tests.sandbox.conftest import snowflake, snowflake_process

__all__ = ["account", "snowflake", "snowflake_process"]

CHANGES = r"(?i)^(CREATE|DROP) (MASKING|TAG)|^ALTER (TABLE|TAG|MASKING)"
CARRIED = (
    "TAG_REFERENCES_ALL_COLUMNS('DB.S.T', 'TABLE')",
    "POLICY_REFERENCES(REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE')",
)


@dataclass(frozen=True)
class AtSnowflake:
    account: Account
    instance = NAME
    table = TableId("DB", "S", "T")
    text = "EMAIL"
    exempt = Principal("role", "PII")

    def shown(self, column: str, to: Principal | None) -> Sequence[Any]:
        query = f'SELECT "{column}" FROM DB.S.T ORDER BY ID'
        return [row[0] for row in self.account.reads(query, to.name if to else "ANALYST")]

    def dump(self) -> Any:
        policies = {kind: self.account.sql(f"SHOW {kind} IN ACCOUNT") for kind in ("MASKING POLICIES", "ROW ACCESS POLICIES")}
        bodies = [self.account.sql(f'DESCRIBE MASKING POLICY GOV.LILY."{row[1]}"') for row in policies["MASKING POLICIES"]]
        carried = [self.account.sql(f"SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.{query})") for query in CARRIED]
        return [{kind: [row[1:] for row in rows] for kind, rows in policies.items()}, bodies, carried]

    def canaries(self) -> list[str]:
        return [row[1] for row in self.account.sql("SHOW TABLES IN SCHEMA GOV.LILY")]

    def take_off(self, column: str) -> None:
        self.account.sql(f'ALTER TABLE DB.S.T MODIFY COLUMN "{column}" UNSET MASKING POLICY')

    def change_by_hand(self, name: str, comment: str) -> None:  # noqa: ARG002 - a body is changed alone here
        self.account.sql(f'ALTER MASKING POLICY GOV.LILY."{name}" SET BODY -> V')

    def make_foreign(self, name: str) -> None:
        self.account.sql(f"CREATE MASKING POLICY GOV.LILY.\"{name}\" AS (V VARCHAR) RETURNS VARCHAR -> 'theirs'")

    def refuse_next(self) -> None:
        self.fault(kind="error", code="003001", sqlstate="42501", message="Insufficient privileges", match=CHANGES)

    def lose_next(self) -> None:
        self.fault(kind="drop_after", match=CHANGES)

    def go_away(self) -> None:
        self.fault(kind="status", status=503, count=None)

    def come_back(self) -> None:
        self.account.stand_in.http.delete("/sandbox/faults")

    def drop_table(self) -> None:
        self.account.sql("DROP TABLE DB.S.T")

    def fault(self, **spec: Any) -> None:
        answer = self.account.stand_in.http.post("/sandbox/faults", json=spec)
        assert answer.is_success, answer.text


@pytest.fixture
def place(account: Account) -> Iterator[AtSnowflake]:
    breaker._start_anew()
    at = AtSnowflake(account)
    yield at
    at.come_back()
    breaker._start_anew()


class TestSnowflake(TargetContract):
    target = connector
    module = "connectors.snowflake"

    def test_a_policy_that_was_refused_leaves_no_canary(self, place: AtSnowflake) -> None:
        (create, *_) = [step for step in plan(connector, place, [self.rule(place)]).steps if isinstance(step, CreateMask)]
        place.refuse_next()

        with pytest.raises(Refused):
            connector.execute(NAME, create)

        assert place.canaries() == []
