"""What Lily asks to be granted is enough, is all needed, and is told apart from what is there."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from connectors import registry
from connectors import snowflake as connector
from connectors.contracts import Grants
from connectors.snowflake import grants
from lily.domain.inventory import TableId
from lily.domain.proofs import Outcome, compare
from lily.runtime.errors import Permanent, Transient
from sandbox import snowflake_world
from tests.connectors.snowflake_account import NAME, PUBLIC, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import Snowflake, snowflake, snowflake_process

__all__ = ["Snowflake", "account", "snowflake", "snowflake_process"]

T = TableId("DB", "S", "T")
RULES = [
    a_rule("r1", "email_domain", match={"columns": ["email"]}, exempt=[{"role": "PII"}]),
    a_rule("r2", "row_filter", parameters={"column": "id", "operator": "=", "values": [1]}, match={"columns": ["id"]}),
]
# As an administrator has it before Lily: places, people, tables, and nothing granted to the role but its name.
BARE = f"""
CREATE ROLE LILY; CREATE ROLE PII; CREATE ROLE ANALYST; CREATE WAREHOUSE WH;
CREATE USER LILY_SVC DEFAULT_ROLE = LILY; ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{PUBLIC}';
CREATE DATABASE GOV; CREATE SCHEMA GOV.LILY; CREATE DATABASE DB; CREATE SCHEMA DB.S; CREATE SCHEMA DB."s.t";
CREATE TABLE DB.S.T (ID INT, EMAIL VARCHAR(40)); INSERT INTO DB.S.T VALUES (1, 'ann@x.org'), (2, 'bob@y.org');
"""
# Any privilege on a schema lets a role in, and those to create things there are asked for besides.
IMPLIED = 'GRANT USAGE ON SCHEMA "GOV"."LILY" TO ROLE "LILY"'


@pytest.fixture
def bare(account: Account, snowflake: Snowflake) -> Iterator[Account]:
    connector.close(NAME)
    assert snowflake.http.post("/sandbox/reset").is_success
    snowflake.sql(BARE)
    yield account
    connector.close(NAME)


def required() -> list[str]:
    return [grant.sql for grant in grants.statements(NAME) if not grant.optional]


def give(account: Account, statements: list[str]) -> None:
    account.sql("; ".join(statements))


def everything(account: Account) -> None:
    """All that Lily does in an account, from the list of tables to the last drop."""
    assert [table.id for page in connector.tables(NAME) for table in page] == [T]
    assert connector.check(NAME).proves
    plan = account.enforce(RULES, T)
    (table,) = plan.tables
    seen = replace(connector.observe(NAME, [table.expected])[T], behaviours=connector.prove(NAME, table.expected.objects))
    assert compare(table.expected, seen).outcome is Outcome.ENFORCED
    assert connector.tags(NAME, [T])[T]
    account.enforce([], T)
    assert not connector.tags(NAME, [T])[T]
    assert not [name for name in connector.read(NAME, [T]).objects if "known_answer" not in name]


def test_the_module_is_found_by_its_kind() -> None:
    needed: Grants = registry.grants("snowflake")
    assert needed.statements is grants.statements


def test_what_is_asked_for_is_enough_and_shown_to_be_there(bare: Account) -> None:
    give(bare, required())

    assert {one.grant.sql: one.held for one in grants.check(NAME) if not one.grant.optional} == dict.fromkeys(required(), True)
    everything(bare)


def test_every_single_one_is_needed_and_missed_when_it_is_away(bare: Account) -> None:
    for missing in required()[1:]:
        give(bare, required())
        give(bare, [missing.replace("GRANT ", "REVOKE ", 1).replace(" TO ROLE ", " FROM ROLE ")])
        connector.close(NAME)

        found = {one.grant.sql for one in grants.check(NAME) if not one.held and not one.grant.optional}
        assert found == {missing}
        if missing != IMPLIED:
            with pytest.raises((Permanent, Transient, AssertionError)):
                everything(bare)
        assert bare.stand_in.http.post("/sandbox/reset").is_success
        bare.sql(BARE)


def test_the_account_of_the_tour_grants_these_and_no_more(
    account: Account, snowflake: Snowflake, configured: Callable[..., None]
) -> None:
    configured(LILY_TARGET_SNOW_WAREHOUSE="LILY_WH", LILY_TARGET_SNOW_DATABASES="ANALYTICS")
    assert snowflake.http.post("/sandbox/reset").is_success
    snowflake_world.make(f"http://127.0.0.1:{snowflake.port}", "")

    def granted() -> set[tuple[str, ...]]:
        return {tuple(row[1:4]) for row in account.sql("SHOW GRANTS TO ROLE LILY")}

    there = granted()
    give(account, required())
    assert granted() == there
    give(account, [sql.replace("GRANT ", "REVOKE ", 1).replace(" TO ROLE ", " FROM ROLE ") for sql in required()[1:]])
    assert granted() == set()


def test_without_the_role_nobody_can_look(bare: Account) -> None:
    give(bare, required()[1:])

    with pytest.raises((Permanent, Transient), match="LILY"):
        grants.check(NAME)


def test_what_another_role_passes_on_counts(bare: Account) -> None:
    give(bare, [required()[0], "CREATE ROLE GOVERNOR", "GRANT ROLE GOVERNOR TO ROLE LILY"])
    give(bare, [sql.replace('TO ROLE "LILY"', "TO ROLE GOVERNOR") for sql in required()[1:]])

    assert all(one.held for one in grants.check(NAME) if not one.grant.optional)


def test_what_cannot_be_told_is_not_said_to_be_there(bare: Account) -> None:
    give(bare, required())

    (later,) = [one for one in grants.check(NAME) if one.grant.optional]
    assert (later.held, later.grant.sql) == (None, 'GRANT USAGE ON FUTURE SCHEMAS IN DATABASE "DB" TO ROLE "LILY"')
    assert "does not tell" in later.remark


def test_only_the_schemas_that_may_be_used_are_said_to_be(bare: Account) -> None:
    give(bare, [sql for sql in required() if "ALL SCHEMAS" not in sql] + ['GRANT USAGE ON SCHEMA DB."s.t" TO ROLE LILY'])

    (schemas,) = [one for one in grants.check(NAME) if "ALL SCHEMAS" in one.grant.sql]
    assert schemas.held
    assert schemas.remark.startswith("for s.t;")


def test_names_are_quoted_as_the_settings_have_them(account: Account, configured: Callable[..., None]) -> None:
    configured(LILY_TARGET_SNOW_ROLE='li"ly', LILY_TARGET_SNOW_DATABASES="GOV,my db", LILY_TARGET_SNOW_USER="a@b.example")

    told = [grant.sql for grant in grants.statements(NAME)]
    assert told[0] == 'GRANT ROLE "li""ly" TO USER "a@b.example"'
    assert 'GRANT USAGE ON ALL SCHEMAS IN DATABASE "my db" TO ROLE "li""ly"' in told
    assert len(told) == len(set(told))
    assert told.count('GRANT USAGE ON DATABASE "GOV" TO ROLE "li""ly"') == 1
