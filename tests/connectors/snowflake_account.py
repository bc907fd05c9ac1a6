"""Snowflake's stand-in as a target named `snow`, and what tests do with it through the connector."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors import snowflake as connector
from lily.domain import matching
from lily.domain.classifications import Classified
from lily.domain.inventory import TableId
from lily.domain.naming import object_name
from lily.domain.plan import Plan, diff
from lily.domain.rules import Rule
from lily.domain.targets import Target
from lily.runtime.settings import settings
from tests.domain.security import NOW
from tests.sandbox.conftest import Snowflake

SALT = "0123456789abcdef0123456789abcdef"
NAME = "snow"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
PUBLIC = "".join(
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
    .splitlines()[1:-1]
)


@dataclass(frozen=True)
class Account:
    """The account as somebody sees it who has all rights, and Lily's way into it."""

    stand_in: Snowflake

    @property
    def target(self) -> Target:
        return Target(NAME, settings().installation, "deployment", connector.capabilities(NAME))

    def sql(self, text: str, **how: Any) -> list[list[Any]]:
        return self.stand_in.sql(text, **how)

    def plan(self, rules: list[Rule], *tables: TableId, classified: Classified | None = None) -> Plan:
        """The plan for these tables, from what is there now."""
        actual = connector.read(NAME, tables)
        wanted = matching.wanted(rules, classified or {}, [table.table for table in actual.tables.values()], self.target, NOW)
        firsts = [object_name(self.target.installation, spec) for t in wanted.tables.values() for spec in t.specs.values()]
        names = {name for name in actual.objects if any(name.startswith(first) for first in firsts)}
        names |= {what.name for table in actual.tables.values() for what in table.attached.values()}
        return diff(wanted, connector.closer(NAME, actual, (), names | set(actual.objects)), self.target)

    def enforce(self, rules: list[Rule], *tables: TableId, classified: Classified | None = None) -> Plan:
        """Plan and do it, one step after the other."""
        plan = self.plan(rules, *tables, classified=classified)
        for step in plan.steps:
            connector.execute(NAME, step)
        return plan

    def reads(self, query: str, role: str, secondary: str = "NONE") -> list[list[Any]]:
        """What somebody gets who works in `role`."""
        return self.sql(query, role=role, secondary=secondary, trusted=False, warehouse="WH")


@pytest.fixture
def account(snowflake: Snowflake, configured: Callable[..., None]) -> Iterator[Account]:
    snowflake.sql(f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{PUBLIC}'; GRANT USAGE ON WAREHOUSE WH TO ROLE LILY")
    configured(
        LILY_HASH_SALT=SALT,
        LILY_TARGETS=NAME,
        LILY_TARGET_SNOW_KIND="snowflake",
        LILY_TARGET_SNOW_URL=f"http://127.0.0.1:{snowflake.port}",
        LILY_TARGET_SNOW_ACCOUNT="org-acct",
        LILY_TARGET_SNOW_USER="LILY_SVC",
        LILY_TARGET_SNOW_PRIVATE_KEY=PEM,
        LILY_TARGET_SNOW_ROLE="LILY",
        LILY_TARGET_SNOW_WAREHOUSE="WH",
        LILY_TARGET_SNOW_HOME="GOV.LILY",
        LILY_TARGET_SNOW_DATABASES="DB",
    )
    yield Account(snowflake)
    connector.close(NAME)
