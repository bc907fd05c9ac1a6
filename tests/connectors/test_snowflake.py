"""Snowflake as a target, through the vendor's connector: what is planned is done, seen and proven."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors import snowflake as connector
from lily.domain.inventory import TableId
from lily.domain.proofs import Outcome, compare
from lily.domain.rules import Principal
from lily.domain.steps import AttachMasks
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


def test_where_the_account_does_not_tell_where_a_policy_is_nothing_is_taken_for_granted(account: Account) -> None:
    connector.prove(NAME, account.enforce([EMAIL], T).tables[0].expected.objects)
    assert account.stand_in.http.patch("/sandbox/settings", json={"tells_by_policy": False}).is_success
    try:
        actual = connector.read(NAME, [])
        known = connector.closer(NAME, actual, (), list(actual.objects)).objects
    finally:
        account.stand_in.http.patch("/sandbox/settings", json={"tells_by_policy": True})

    ours = {name: one.uses for name, one in known.items() if "known_answer" not in name}
    assert ours
    assert set(ours.values()) == {None}


@pytest.mark.parametrize("several", ["true", "false"])
def test_a_row_filter_and_a_mask_on_its_column_stand_together(
    account: Account, several: str, configured: Callable[..., None]
) -> None:
    configured(LILY_TARGET_SNOW_SEVERAL_COLUMNS=several)
    rows = a_rule(
        "r2", "row_filter", parameters={"column": "email", "operator": "=", "values": ["ann@x.org"]}, match={"columns": ["email"]}
    )
    plan = account.enforce([EMAIL, rows], T)

    assert account.reads("SELECT EMAIL FROM DB.S.T", "ANALYST") == [["*@x.org"]]
    shown = connector.prove(NAME, plan.tables[0].expected.objects)
    assert {behaviour.shown for behaviour in shown} == {seen.shown for seen in shown.values()}


@pytest.mark.parametrize(("several", "count"), [("true", 1), ("false", 2)])
def test_masks_go_on_several_columns_at_once_where_the_account_can(
    account: Account, configured: Callable[..., None], several: str, count: int
) -> None:
    configured(LILY_TARGET_SNOW_SEVERAL_COLUMNS=several)
    both = a_rule("r1", "nullify", match={"columns": ["email", "born"]})

    plan = account.enforce([both], T)

    assert sum(isinstance(step, AttachMasks) for step in plan.steps) == count
    assert account.reads("SELECT EMAIL, BORN FROM DB.S.T", "ANALYST") == [[None, None]] * 2
    assert account.plan([both], T).steps == ()
