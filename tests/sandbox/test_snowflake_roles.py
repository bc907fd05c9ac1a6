"""Roles, grants and simulated roles in Snowflake's stand-in: who may do and who sees what."""

import time
from typing import Any

import pytest

from tests.sandbox.conftest import Snowflake, refusal

MASK = """CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR ->
          CASE WHEN IS_ROLE_IN_SESSION('PII') THEN 'clear' WHEN CURRENT_ROLE() = 'BOSS' THEN 'boss' ELSE 'masked' END"""
ATTACH = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.M"
READ = "SELECT DISTINCT EMAIL FROM DB.S.T"
CANARY = "SELECT DISTINCT V FROM GOV.LILY.CANARY"


def seen(cursor: Any, query: str = READ) -> str:
    rows = cursor.execute(query).fetchall()
    assert len(rows) == 1
    return str(rows[0][0])


@pytest.fixture
def masked(snowflake: Snowflake, lily: Any) -> Snowflake:
    lily.execute(MASK)
    lily.execute(ATTACH)
    return snowflake


def test_a_role_that_inherits_an_exempt_one_is_exempt(masked: Snowflake) -> None:
    assert [seen(masked.reader(role)) for role in ("PII", "BOSS", "ANALYST", "PUBLIC")] == ["clear", "clear", "masked", "masked"]


def test_secondary_roles_exempt_too_but_are_not_the_current_role(masked: Snowflake) -> None:
    masked.sql("CREATE USER BOTH PASSWORD = 'pw'; GRANT ROLE ANALYST TO USER BOTH; GRANT ROLE PII TO USER BOTH")
    cursor = masked.connect("BOTH", "ANALYST").cursor()
    assert seen(cursor) == "masked"

    cursor.execute("USE SECONDARY ROLES ALL")
    assert (seen(cursor), seen(cursor, "SELECT CURRENT_ROLE()")) == ("clear", "ANALYST")
    cursor.execute("USE SECONDARY ROLES NONE")
    assert seen(cursor) == "masked"
    cursor.execute("USE ROLE PII")
    assert seen(cursor) == "clear"


def test_without_a_word_all_secondary_roles_are_on_unless_the_user_says_otherwise(masked: Snowflake) -> None:
    masked.sql("CREATE USER BOTH PASSWORD = 'pw'; GRANT ROLE ANALYST TO USER BOTH; GRANT ROLE PII TO USER BOTH")
    assert seen(masked.connect("BOTH", "ANALYST", secondary_roles=None).cursor()) == "clear"

    masked.sql("ALTER USER BOTH SET DEFAULT_SECONDARY_ROLES = ()")

    assert seen(masked.connect("BOTH", "ANALYST", secondary_roles=None).cursor()) == "masked"


def test_roles_are_compared_exactly(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql('CREATE ROLE "pii"; CREATE ROLE "it\'s ""x"""')
    lily.execute(
        "CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> IFF(IS_ROLE_IN_SESSION('pii'), 'clear', 'masked')"
    )
    lily.execute(ATTACH)
    assert [seen(snowflake.reader(role)) for role in ("PII", "pii")] == ["masked", "clear"]

    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET BODY -> IFF(IS_ROLE_IN_SESSION('it''s \"x\"'), 'clear', 'masked')")
    snowflake.sql('CREATE USER Q PASSWORD = \'pw\'; GRANT ROLE "it\'s ""x""" TO USER Q')
    assert seen(snowflake.connect("Q", '"it\'s ""x"""').cursor()) == "clear"


def test_a_role_that_does_not_exist_exempts_nobody(masked: Snowflake, lily: Any) -> None:
    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET BODY -> IFF(IS_ROLE_IN_SESSION('GONE'), 'clear', 'masked')")

    assert seen(masked.reader("BOSS")) == "masked"


def test_membership_counts_from_the_next_statement(masked: Snowflake) -> None:
    analyst = masked.reader("ANALYST")
    masked.sql("GRANT ROLE PII TO ROLE ANALYST")
    assert seen(analyst) == "clear"
    masked.sql("REVOKE ROLE PII FROM ROLE ANALYST")
    assert seen(analyst) == "masked"
    masked.sql("GRANT ROLE PII TO ROLE ANALYST; DROP ROLE PII")
    assert seen(analyst) == "masked"


def test_in_a_share_no_role_is_known(masked: Snowflake, lily: Any) -> None:
    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET BODY -> IFF(NOT IS_ROLE_IN_SESSION('NOBODY'), 'clear', 'masked')")
    assert seen(masked.reader("ANALYST")) == "clear"

    assert masked.sql(READ, share=True) == [["masked"]]
    assert masked.sql("SELECT CURRENT_ROLE(), IS_ROLE_IN_SESSION('PUBLIC') FROM DB.S.T LIMIT 1", share=True) == [[None, None]]


# Grants


def test_the_role_may_govern_without_reading(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql("REVOKE SELECT ON TABLE DB.S.T FROM ROLE PUBLIC")
    lily.execute(MASK)
    lily.execute(ATTACH)
    lily.execute("DESCRIBE TABLE DB.S.T")

    assert refusal(lily, "SELECT * FROM DB.S.T") == (2003, "42S02")
    for statement in ("DROP TABLE DB.S.T", "ALTER TABLE DB.S.T DROP COLUMN NAME", "TRUNCATE TABLE DB.S.T"):
        assert refusal(lily, statement) == (3001, "42501")
    assert refusal(lily, "INSERT INTO DB.S.T (ID) VALUES (1)") == (3001, "42501")


@pytest.mark.parametrize(
    ("revoked", "statement", "expected"),
    [
        ("USAGE ON DATABASE GOV", MASK, (2003, "02000")),
        ("CREATE MASKING POLICY ON SCHEMA GOV.LILY", MASK, (3001, "42501")),
        (
            "CREATE ROW ACCESS POLICY ON SCHEMA GOV.LILY",
            "CREATE ROW ACCESS POLICY GOV.LILY.R AS (I INT) RETURNS BOOLEAN -> TRUE",
            (3001, "42501"),
        ),
        ("CREATE TAG ON SCHEMA GOV.LILY", "CREATE TAG GOV.LILY.KIND", (3001, "42501")),
        ("CREATE TABLE ON SCHEMA GOV.LILY", "CREATE TABLE GOV.LILY.CANARY (V VARCHAR)", (3001, "42501")),
    ],
)
def test_each_grant_is_needed(snowflake: Snowflake, lily: Any, revoked: str, statement: str, expected: tuple[int, str]) -> None:
    snowflake.sql(f"REVOKE {revoked} FROM ROLE LILY")

    assert refusal(lily, statement) == expected
    snowflake.sql(f"GRANT {revoked} TO ROLE LILY")
    lily.execute(statement)


def test_a_database_or_schema_without_usage_is_not_there(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    for revoked in ("USAGE ON DATABASE DB", "USAGE ON SCHEMA DB.S"):
        snowflake.sql(f"REVOKE {revoked} FROM ROLE LILY; REVOKE {revoked} FROM ROLE PUBLIC")
        assert refusal(lily, ATTACH) == (2003, "42S02")
        snowflake.sql(f"GRANT {revoked} TO ROLE LILY")
    lily.execute(ATTACH)


def test_apply_on_the_account_or_apply_with_ownership(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    snowflake.sql("REVOKE APPLY MASKING POLICY ON ACCOUNT FROM ROLE LILY")
    assert refusal(lily, ATTACH) == (3001, "42501")

    snowflake.sql("GRANT SELECT ON TABLE DB.S.T TO ROLE PUBLIC; GRANT OWNERSHIP ON TABLE DB.S.T TO ROLE LILY COPY CURRENT GRANTS")
    lily.execute(ATTACH)
    assert seen(snowflake.reader("ANALYST")) == "masked"


def test_what_a_role_does_not_own_it_does_not_change(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql(MASK.replace("LILY.M", "LILY.FOREIGN_M"))
    for statement in ("DROP MASKING POLICY GOV.LILY.FOREIGN_M", "ALTER MASKING POLICY GOV.LILY.FOREIGN_M SET BODY -> V"):
        assert refusal(lily, statement) == (3001, "42501")
    lily.execute(ATTACH.replace("LILY.M", "LILY.FOREIGN_M"))  # but APPLY on the account attaches and detaches it
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY")


def test_a_query_needs_a_warehouse_and_ddl_does_not(snowflake: Snowflake) -> None:
    cursor = snowflake.connect(warehouse=None).cursor()
    references = (
        "SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES(REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE'))"
    )

    for query in ("SELECT * FROM DB.S.T", references, "SELECT * FROM DB.INFORMATION_SCHEMA.TABLES"):
        assert refusal(cursor, query) == (606, "57P03")
    cursor.execute(MASK)
    cursor.execute("DESCRIBE TABLE DB.S.T")
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]
    cursor.execute("USE WAREHOUSE WH")
    assert cursor.execute(references).fetchall() == []
    assert refusal(cursor, "USE WAREHOUSE NOPE") == (2043, "02000")


def test_a_suspended_warehouse_resumes_unless_it_may_not(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql("ALTER WAREHOUSE WH SUSPEND")
    assert len(lily.execute("SELECT * FROM DB.S.T").fetchall()) == 2
    assert lily.execute("SHOW WAREHOUSES").fetchone()[1] == "STARTED"

    snowflake.sql("ALTER WAREHOUSE WH SET AUTO_RESUME = FALSE; ALTER WAREHOUSE WH SUSPEND")
    assert refusal(lily, "SELECT * FROM DB.S.T") == (606, "57P03")
    snowflake.sql("ALTER WAREHOUSE WH RESUME")
    assert len(lily.execute("SELECT * FROM DB.S.T").fetchall()) == 2


def test_a_warehouse_may_take_its_time_to_resume(snowflake: Snowflake, lily: Any) -> None:
    snowflake.settings(resume_s=0.3)
    snowflake.sql("ALTER WAREHOUSE WH SUSPEND")
    started = time.perf_counter()
    lily.execute("SELECT * FROM DB.S.T")
    assert time.perf_counter() - started >= 0.3

    started = time.perf_counter()
    lily.execute("SELECT * FROM DB.S.T")
    assert time.perf_counter() - started < 0.3


def test_using_what_is_not_there(lily: Any) -> None:
    for statement in ("USE ROLE NOPE", "USE DATABASE NOPE", "USE SCHEMA DB.NOPE", "USE SCHEMA NOPE.S"):
        assert refusal(lily, statement) == (2043, "02000")
    assert refusal(lily, "USE ROLE PII") == (3013, "42501")
    lily.execute("USE DB.S")
    assert lily.execute("SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()").fetchall() == [("DB", "S")]
    assert len(lily.execute("SELECT * FROM T").fetchall()) == 2


def test_roles_cannot_go_in_circles(snowflake: Snowflake) -> None:
    answer = snowflake.http.post("/sandbox/sql", json={"sql": "GRANT ROLE BOSS TO ROLE PII"})

    assert (answer.status_code, answer.json()["sqlstate"]) == (422, "42501")


# EXECUTE USING POLICY_CONTEXT


@pytest.fixture
def canary(snowflake: Snowflake, lily: Any) -> Any:
    """A cursor of LILY, and her own table with the policy on it."""
    lily.execute(MASK)
    lily.execute("CREATE TABLE GOV.LILY.CANARY (V VARCHAR)")
    lily.execute("INSERT INTO GOV.LILY.CANARY VALUES ('a'), ('b')")
    lily.execute("ALTER TABLE GOV.LILY.CANARY MODIFY COLUMN V SET MASKING POLICY GOV.LILY.M")
    return lily


def as_role(role: str) -> str:
    lists = ", ".join(f"SNOWFLAKE${kind}_ACTIVATED_ROLES => ('{role}', 'PUBLIC')" for kind in ("CURRENT", "SESSION"))
    return f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => '{role}', {lists}) AS {CANARY}"


def test_the_owner_sees_what_other_roles_would_see(canary: Any) -> None:
    assert [seen(canary, as_role(role)) for role in ("PII", "BOSS", "ANALYST", "PUBLIC")] == [
        "clear",
        "clear",
        "masked",
        "masked",
    ]
    assert seen(canary, CANARY) == "masked"
    assert seen(canary, f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS {CANARY}") == "clear"


def test_row_policies_are_simulated_too(canary: Any) -> None:
    canary.execute("CREATE ROW ACCESS POLICY GOV.LILY.R AS (V VARCHAR) RETURNS BOOLEAN -> V = 'a' AND IS_ROLE_IN_SESSION('PII')")
    canary.execute("CREATE TABLE GOV.LILY.CANARY2 (V VARCHAR)")
    canary.execute("INSERT INTO GOV.LILY.CANARY2 VALUES ('a'), ('b')")
    canary.execute("ALTER TABLE GOV.LILY.CANARY2 ADD ROW ACCESS POLICY GOV.LILY.R ON (V)")

    assert canary.execute(as_role("PII").replace("CANARY", "CANARY2")).fetchall() == [("a",)]
    assert canary.execute(as_role("ANALYST").replace("CANARY", "CANARY2")).fetchall() == []


def test_simulation_needs_ownership_of_the_table_and_apply_on_the_policy(snowflake: Snowflake, canary: Any) -> None:
    canary.execute(ATTACH)
    assert refusal(canary, f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS {READ}") == (3001, "42501")

    snowflake.sql(
        "REVOKE APPLY MASKING POLICY ON ACCOUNT FROM ROLE LILY; GRANT OWNERSHIP ON MASKING POLICY GOV.LILY.M TO ROLE PII"
    )
    snowflake.sql("GRANT USAGE ON DATABASE GOV TO ROLE PII; GRANT USAGE ON SCHEMA GOV.LILY TO ROLE PII")
    assert refusal(canary, as_role("PII")) == (3001, "42501")


NOT_SIMULATED = [
    (f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'NOPE') AS {CANARY}", 3562),
    ("EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS SELECT CURRENT_ROLE()", 3562),
    ("EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS WITH X AS (SELECT 1 AS A) SELECT A FROM X", 3562),
    (f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => ('PII')) AS {CANARY}", 3562),
    (f"EXECUTE USING POLICY_CONTEXT(NONSENSE => 'PII') AS {CANARY}", 1003),
    (f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII', CURRENT_ROLE => 'PII') AS {CANARY}", 1003),
    (f"EXECUTE USING POLICY_CONTEXT() AS {CANARY}", 1003),
    ("EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS DROP TABLE GOV.LILY.CANARY", 1003),
    ("EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS SELECT * FROM GOV.LILY.NOPE", 2003),
    ("EXECUTE IMMEDIATE 'SELECT 1'", 1003),
]


def test_what_cannot_be_simulated_is_refused(canary: Any) -> None:
    assert [(statement, refusal(canary, statement)[0]) for statement, _ in NOT_SIMULATED] == NOT_SIMULATED


@pytest.mark.parametrize(("mode", "told_apart"), [("all", True), ("activated", True), ("nothing", False)])
def test_what_drives_the_simulation_can_be_chosen(snowflake: Snowflake, canary: Any, mode: str, told_apart: bool) -> None:
    """So that a client can be tried against a service which does not do what is hoped for."""
    snowflake.settings(policy_context=mode)

    assert (seen(canary, as_role("PII")) != seen(canary, as_role("ANALYST"))) is told_apart
    current_role_alone = f"EXECUTE USING POLICY_CONTEXT(CURRENT_ROLE => 'PII') AS {CANARY}"
    assert (seen(canary, current_role_alone) == "clear") is (mode == "all")
    snowflake.settings(policy_context="refused")
    assert refusal(canary, as_role("PII")) == (2, "0A000")
