"""Row access policies, views, and what copying or rebuilding a table does to its protection, in Snowflake's stand-in."""

from typing import Any

import pytest

from tests.sandbox.conftest import Snowflake, refusal

ROWS = "CREATE ROW ACCESS POLICY GOV.LILY.R AS (I INT) RETURNS BOOLEAN -> I = 1 OR IS_ROLE_IN_SESSION('PII')"
ADD = "ALTER TABLE DB.S.T ADD ROW ACCESS POLICY GOV.LILY.R ON (ID)"
MASK = "CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> IFF(IS_ROLE_IN_SESSION('PII'), V, '***')"
ATTACH = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.M"


def ids(cursor: Any, table: str = "DB.S.T") -> list[int]:
    return [row[0] for row in cursor.execute(f"SELECT ID FROM {table} ORDER BY ID").fetchall()]


def test_a_row_access_policy_hides_rows(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(ROWS)
    lily.execute(ADD)

    assert ids(snowflake.reader("ANALYST")) == [1]
    assert ids(snowflake.reader("BOSS")) == [1, 2]
    assert snowflake.reader("ANALYST").execute("SELECT COUNT(*) FROM DB.S.T").fetchall() == [(1,)]


def test_a_condition_that_is_null_hides_the_row(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE ROW ACCESS POLICY GOV.LILY.R AS (N VARCHAR) RETURNS BOOLEAN -> N <> 'x'")
    lily.execute("ALTER TABLE DB.S.T ADD ROW ACCESS POLICY GOV.LILY.R ON (NAME)")

    assert ids(snowflake.reader("ANALYST")) == [1]  # the name of 2 is null


def test_a_table_has_one_and_it_is_swapped_in_one_statement(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(ROWS)
    lily.execute(ADD)
    lily.execute("CREATE ROW ACCESS POLICY GOV.LILY.Q AS (I INT) RETURNS BOOLEAN -> I = 2")

    assert refusal(lily, ADD.replace("LILY.R", "LILY.Q")) == (3549, "23505")
    assert refusal(lily, "DROP ROW ACCESS POLICY GOV.LILY.R")[0] == 3551
    lily.execute("ALTER TABLE DB.S.T DROP ROW ACCESS POLICY GOV.LILY.R, ADD ROW ACCESS POLICY GOV.LILY.Q ON (ID)")

    assert ids(snowflake.reader("ANALYST")) == [2]
    lily.execute("DROP ROW ACCESS POLICY GOV.LILY.R")


def test_a_swap_that_fails_leaves_the_old_one(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(ROWS)
    lily.execute(ADD)
    swap = "ALTER TABLE DB.S.T DROP ROW ACCESS POLICY GOV.LILY.R, ADD ROW ACCESS POLICY GOV.LILY"

    assert refusal(lily, f"{swap}.NOPE ON (ID)") == (2003, "02000")
    assert refusal(lily, f"{swap}.R ON (EMAIL)")[0] == 3563
    assert refusal(lily, "ALTER TABLE DB.S.T DROP ROW ACCESS POLICY GOV.LILY.NOPE")[0] == 2003

    assert ids(snowflake.reader("ANALYST")) == [1]


def test_the_body_is_changed_in_place_and_the_signature_must_fit(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(ROWS)
    assert refusal(lily, ADD.replace("(ID)", "(NAME)"))[0] == 3563
    assert refusal(lily, ADD.replace("(ID)", "(ID, NAME)"))[0] == 3563
    assert refusal(lily, ADD.replace("(ID)", "(NOPE)")) == (904, "42000")
    lily.execute(ADD)

    lily.execute("ALTER ROW ACCESS POLICY GOV.LILY.R SET BODY -> I = 2")

    assert ids(snowflake.reader("ANALYST")) == [2]
    assert refusal(lily, "ALTER ROW ACCESS POLICY GOV.LILY.R SET BODY -> 'text'")[0] == 3554
    assert refusal(lily, ROWS.replace("BOOLEAN", "VARCHAR"))[0] == 1003


def test_dropping_all_never_fails(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("ALTER TABLE DB.S.T DROP ALL ROW ACCESS POLICIES")
    lily.execute(ROWS)
    lily.execute(ADD)
    lily.execute("ALTER TABLE DB.S.T DROP ALL ROW ACCESS POLICIES")

    assert ids(snowflake.reader("ANALYST")) == [1, 2]


def test_a_column_is_masked_or_an_argument_unless_the_mask_allows_it(snowflake: Snowflake, lily: Any) -> None:
    """With EXEMPT_OTHER_POLICIES the row policy sees the stored value."""
    lily.execute("CREATE ROW ACCESS POLICY GOV.LILY.R AS (E VARCHAR) RETURNS BOOLEAN -> E LIKE 'ann%'")
    add = "ALTER TABLE DB.S.T ADD ROW ACCESS POLICY GOV.LILY.R ON (EMAIL)"
    lily.execute(MASK)
    lily.execute(ATTACH)
    assert refusal(lily, add)[0] == 3556
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY")
    lily.execute(add)
    assert refusal(lily, ATTACH)[0] == 3556

    lily.execute("DROP MASKING POLICY GOV.LILY.M")
    lily.execute(f"{MASK} EXEMPT_OTHER_POLICIES = TRUE")
    lily.execute(ATTACH)

    rows = snowflake.reader("ANALYST").execute("SELECT ID, EMAIL FROM DB.S.T").fetchall()
    assert rows == [(1, "***")]


def test_an_exempting_mask_must_belong_to_a_role_that_the_row_policys_owner_inherits(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql("CREATE ROW ACCESS POLICY GOV.LILY.FOREIGN_R AS (E VARCHAR) RETURNS BOOLEAN -> TRUE")
    snowflake.sql("ALTER TABLE DB.S.T ADD ROW ACCESS POLICY GOV.LILY.FOREIGN_R ON (EMAIL)")
    lily.execute(f"{MASK} EXEMPT_OTHER_POLICIES = TRUE")
    assert refusal(lily, ATTACH)[0] == 3556

    snowflake.sql("GRANT ROLE LILY TO ROLE SYSADMIN")  # which ACCOUNTADMIN, the owner, inherits

    lily.execute(ATTACH)


def test_a_view_shows_what_its_tables_policies_leave_and_then_its_own(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    lily.execute(ATTACH)
    snowflake.sql("CREATE VIEW DB.S.W AS SELECT ID, EMAIL AS E, NAME FROM DB.S.T; GRANT SELECT ON VIEW DB.S.W TO ROLE PUBLIC")
    lily.execute("CREATE MASKING POLICY GOV.LILY.OUTER_M AS (V VARCHAR) RETURNS VARCHAR -> '<' || V || '>'")
    lily.execute("ALTER VIEW DB.S.W MODIFY COLUMN E SET MASKING POLICY GOV.LILY.OUTER_M")
    lily.execute("CREATE ROW ACCESS POLICY GOV.LILY.R AS (I INT) RETURNS BOOLEAN -> I = 1")
    lily.execute("ALTER VIEW DB.S.W ADD ROW ACCESS POLICY GOV.LILY.R ON (ID)")

    assert snowflake.reader("ANALYST").execute("SELECT * FROM DB.S.W").fetchall() == [(1, "<***>", "Ann")]
    assert snowflake.reader("PII").execute("SELECT E FROM DB.S.W").fetchall() == [("<ann@x.org>",)]
    assert refusal(lily, "ALTER TABLE DB.S.W MODIFY COLUMN E UNSET MASKING POLICY")[0] == 2003


def test_a_view_is_read_without_rights_on_its_tables(snowflake: Snowflake) -> None:
    snowflake.sql("REVOKE SELECT ON TABLE DB.S.T FROM ROLE PUBLIC")
    snowflake.sql("CREATE VIEW DB.S.W AS SELECT ID FROM DB.S.T WHERE ID > 1; GRANT SELECT ON VIEW DB.S.W TO ROLE PUBLIC")
    analyst = snowflake.reader("ANALYST")

    assert ids(analyst, "DB.S.W") == [2]
    assert refusal(analyst, "SELECT ID FROM DB.S.T") == (2003, "42S02")


def test_invoker_role_is_the_views_owner_within_it(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE MASKING POLICY GOV.LILY.I AS (V VARCHAR) RETURNS VARCHAR -> INVOKER_ROLE() || '/' || CURRENT_ROLE()")
    lily.execute(ATTACH.replace("LILY.M", "LILY.I"))
    snowflake.sql("CREATE VIEW DB.S.W AS SELECT EMAIL FROM DB.S.T; GRANT SELECT ON VIEW DB.S.W TO ROLE PUBLIC")
    analyst = snowflake.reader("ANALYST")

    assert analyst.execute("SELECT DISTINCT EMAIL FROM DB.S.T").fetchall() == [("ANALYST/ANALYST",)]
    assert analyst.execute("SELECT DISTINCT EMAIL FROM DB.S.W").fetchall() == [("ACCOUNTADMIN/ANALYST",)]


@pytest.fixture
def protected(snowflake: Snowflake, lily: Any) -> Snowflake:
    """DB.S.T with a mask, a row policy and a tag, and a role LOADER that owns it and the schema."""
    lily.execute(f"{MASK} EXEMPT_OTHER_POLICIES = TRUE")
    lily.execute(ATTACH)
    lily.execute(ROWS)
    lily.execute(ADD)
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.KIND = 'email'")
    snowflake.sql("CREATE ROLE LOADER; GRANT CREATE TABLE ON SCHEMA DB.S TO ROLE LOADER")
    snowflake.sql("GRANT OWNERSHIP ON TABLE DB.S.T TO ROLE LOADER COPY CURRENT GRANTS")
    return snowflake


def references(lily: Any, table: str) -> list[tuple[str, str | None]]:
    arguments = f"REF_ENTITY_NAME => '{table}', REF_ENTITY_DOMAIN => 'TABLE'"
    text = f"SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES({arguments}))"
    return sorted((row[2], row[8]) for row in lily.execute(text).fetchall())


BOTH: list[tuple[str, str | None]] = [("M", "EMAIL"), ("R", None)]


def test_create_table_as_select_writes_what_its_creator_sees(protected: Snowflake, lily: Any) -> None:
    loader = protected.reader("LOADER")
    loader.execute("CREATE TABLE DB.S.COPIED AS SELECT * FROM DB.S.T")

    assert loader.execute("SELECT ID, EMAIL FROM DB.S.COPIED").fetchall() == [(1, "***")]
    assert references(lily, "DB.S.COPIED") == []


def test_create_table_as_select_with_a_hash_too_long_for_its_column_fails(protected: Snowflake, lily: Any) -> None:
    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET BODY -> SHA2(V)")

    assert refusal(protected.reader("LOADER"), "CREATE TABLE DB.S.COPIED AS SELECT * FROM DB.S.T")[0] == 100078
    assert refusal(lily, "DESCRIBE TABLE DB.S.COPIED")[0] == 2003


def test_a_clone_keeps_policies_tags_and_rows(protected: Snowflake, lily: Any) -> None:
    loader = protected.reader("LOADER")
    loader.execute("CREATE TABLE DB.S.COPIED CLONE DB.S.T")

    assert references(lily, "DB.S.COPIED") == BOTH
    assert loader.execute("SELECT ID, EMAIL FROM DB.S.COPIED").fetchall() == [(1, "***")]
    tags = "SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.TAG_REFERENCES_ALL_COLUMNS('DB.S.COPIED', 'table'))"
    assert [row[3] for row in loader.execute(tags).fetchall()] == ["email"]
    loader.execute("DROP TABLE DB.S.T")
    assert references(lily, "DB.S.COPIED") == BOTH


def test_like_keeps_the_columns_alone(protected: Snowflake, lily: Any) -> None:
    protected.reader("LOADER").execute("CREATE TABLE DB.S.COPIED LIKE DB.S.T")

    assert references(lily, "DB.S.COPIED") == []
    assert len(lily.execute("DESCRIBE TABLE DB.S.COPIED").fetchall()) == 5


def test_a_table_created_anew_is_bare(protected: Snowflake, lily: Any) -> None:
    protected.reader("LOADER").execute("CREATE OR REPLACE TABLE DB.S.T (ID INT, EMAIL VARCHAR)")

    assert references(lily, "DB.S.T") == []
    lily.execute("DROP MASKING POLICY GOV.LILY.M")
    lily.execute("DROP ROW ACCESS POLICY GOV.LILY.R")


def test_a_table_can_be_made_with_its_protection(protected: Snowflake, lily: Any) -> None:
    protected.sql(
        """CREATE TABLE DB.S.NEW (ID INT, EMAIL VARCHAR(40) WITH MASKING POLICY GOV.LILY.M WITH TAG (GOV.LILY.KIND = 'x'))
           WITH ROW ACCESS POLICY GOV.LILY.R ON (ID)"""
    )
    assert references(lily, "DB.S.NEW") == BOTH


def test_renamed_things_stay_protected(protected: Snowflake, lily: Any) -> None:
    loader = protected.reader("LOADER")
    loader.execute("ALTER TABLE DB.S.T RENAME COLUMN EMAIL TO MAIL")
    loader.execute("ALTER TABLE DB.S.T RENAME TO DB.S.T2")

    assert references(lily, "DB.S.T2") == [("M", "MAIL"), ("R", None)]
    assert loader.execute("SELECT MAIL FROM DB.S.T2").fetchall() == [("***",)]


def test_columns_come_go_and_widen(protected: Snowflake, lily: Any) -> None:
    loader = protected.reader("LOADER")
    loader.execute("ALTER TABLE DB.S.T ADD COLUMN EXTRA VARCHAR(5) DEFAULT 'new'")
    loader.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET DATA TYPE VARCHAR(80)")
    assert loader.execute("SELECT EXTRA FROM DB.S.T").fetchall() == [("new",)]
    assert refusal(loader, "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET DATA TYPE VARCHAR(10)")[0] == 2108
    assert refusal(loader, "ALTER TABLE DB.S.T DROP COLUMN ID")[0] == 3556  # an argument of the row policy
    loader.execute("ALTER TABLE DB.S.T DROP COLUMN EMAIL")

    assert references(lily, "DB.S.T") == [("R", None)]
    lily.execute("DROP MASKING POLICY GOV.LILY.M")


def test_writing_meets_the_policies_too(protected: Snowflake, lily: Any) -> None:
    """What is hidden is neither found by its value nor changed nor deleted."""
    loader = protected.reader("LOADER")

    assert loader.execute("UPDATE DB.S.T SET NAME = 'found' WHERE EMAIL = 'ann@x.org'").rowcount == 0
    assert loader.execute("UPDATE DB.S.T SET NAME = NAME || '!', AMOUNT = AMOUNT + 1").rowcount == 1
    assert loader.execute("DELETE FROM DB.S.T WHERE ID = 2").rowcount == 0
    assert protected.sql("SELECT ID, NAME, AMOUNT FROM DB.S.T ORDER BY ID", role="PII") == [
        [1, "Ann!", "2.50"],
        [2, None, "22.75"],
    ]
    assert loader.execute("INSERT INTO DB.S.T (ID, EMAIL) SELECT ID + 10, EMAIL FROM DB.S.T").rowcount == 1
    assert protected.sql("SELECT EMAIL FROM DB.S.T WHERE ID = 11", role="PII") == [["***"]]
    assert loader.execute("DELETE FROM DB.S.T WHERE ID = 1").rowcount == 1
    assert refusal(loader, "INSERT INTO DB.S.T (ID, EMAIL) VALUES (1)") == (1137, "42601")
    loader.execute("TRUNCATE TABLE DB.S.T")
    assert protected.sql("SELECT COUNT(*) FROM DB.S.T", role="PII") == [[0]]


def test_rows_that_do_not_fit_are_refused(snowflake: Snowflake) -> None:
    snowflake.sql("CREATE TABLE DB.S.N (A INT NOT NULL, B VARCHAR(3), C NUMBER(3,0))")

    for values, code in (
        ("NULL, 'a', 1", "100072"),
        ("'x', 'a', 1", "100038"),
        ("1, 'a', 12345", "100039"),
        ("1, 'abcd', 1", "100078"),
    ):
        answer = snowflake.http.post("/sandbox/sql", json={"sql": f"INSERT INTO DB.S.N VALUES ({values})"})
        assert answer.json()["code"] == code
    assert snowflake.sql("SELECT COUNT(*) FROM DB.S.N") == [[0]]
