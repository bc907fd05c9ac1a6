"""Snowflake as a target, through the vendor's connector: what is planned is done, seen and proven."""

from dataclasses import replace

import pytest

from connectors import snowflake as connector
from lily.domain.inventory import TableId
from lily.domain.proofs import Outcome, compare
from lily.domain.rules import Principal
from tests.connectors.snowflake_account import NAME, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import Snowflake, snowflake, snowflake_process

__all__ = ["Snowflake", "account", "snowflake", "snowflake_process"]

T = TableId("DB", "S", "T")
SCHEMA = "DB.INFORMATION_SCHEMA"
EMAIL = a_rule("r1", "email_domain", match={"columns": ["email"]}, exempt=[{"role": "PII"}])


def test_the_simulation_of_roles_is_known_to_tell_them_apart(account: Account) -> None:
    assert connector.check(NAME).proves


def test_a_rule_is_enforced_read_back_and_proven(account: Account) -> None:
    plan = account.enforce([EMAIL], T)

    assert account.reads("SELECT EMAIL FROM DB.S.T ORDER BY ID", "ANALYST") == [["*@x.org"], ["*@y.org"]]
    assert account.reads("SELECT EMAIL FROM DB.S.T ORDER BY ID", "PII") == [["ann@x.org"], ["bob@y.org"]]
    (table,) = plan.tables
    shown = connector.prove(NAME, table.expected.objects)
    observed = replace(connector.observe(NAME, [table.expected])[T], behaviours=shown)
    verdict = compare(table.expected, observed)
    assert (verdict.outcome, verdict.reasons) == (Outcome.ENFORCED, ())
    assert {(tuple(sorted(p.name for p in b.reader)), seen.shown) for b, seen in shown.items()} == {
        (("PII",), "clear"),
        ((), "email_domain"),
    }
    assert account.plan([EMAIL], T).steps == ()


def test_taking_it_away_leaves_the_account_as_it_was(account: Account) -> None:
    def dump() -> list[object]:
        return [
            account.sql(text)
            for text in (
                "SHOW MASKING POLICIES IN ACCOUNT",
                "SHOW ROW ACCESS POLICIES IN ACCOUNT",
                f"SELECT * FROM TABLE({SCHEMA}.POLICY_REFERENCES(REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE'))",
                f"SELECT * FROM TABLE({SCHEMA}.TAG_REFERENCES_ALL_COLUMNS('DB.S.T', 'TABLE'))",
            )
        ]

    connector.check(NAME)
    before = dump()
    plan = account.enforce([EMAIL], T)
    connector.prove(NAME, plan.tables[0].expected.objects)
    assert dump() != before

    account.enforce([], T)

    assert dump() == before


def test_who_has_a_role_is_told_through_the_hierarchy(account: Account) -> None:
    account.sql("CREATE ROLE CHIEF; GRANT ROLE BOSS TO ROLE CHIEF")
    found = connector.holders(NAME, [Principal("role", "PII"), Principal("role", "NOBODY")])

    assert {principal.name for principal in found[Principal("role", "PII")].through} == {"BOSS", "CHIEF"}
    assert not found[Principal("role", "NOBODY")].exists


def test_the_inventory_holds_every_table_with_its_types(account: Account) -> None:
    tables = [table for page in connector.tables(NAME) for table in page]
    read = connector.read(NAME, [T]).tables[T].table

    assert [table.id for table in tables] == [T]
    assert [(c.name, c.type.family, c.type.signature, c.type.length) for c in tables[0].columns] == [
        (c.name, c.type.family, c.type.signature, c.type.length) for c in read.columns
    ]


@pytest.mark.parametrize("several", ["true", "false"])
def test_a_row_filter_and_a_mask_on_its_column_stand_together(account: Account, several: str) -> None:
    rows = a_rule(
        "r2", "row_filter", parameters={"column": "email", "operator": "=", "values": ["ann@x.org"]}, match={"columns": ["email"]}
    )
    plan = account.enforce([EMAIL, rows], T)

    assert account.reads("SELECT EMAIL FROM DB.S.T", "ANALYST") == [["*@x.org"]]
    shown = connector.prove(NAME, plan.tables[0].expected.objects)
    assert {behaviour.shown for behaviour in shown} == {seen.shown for seen in shown.values()}
