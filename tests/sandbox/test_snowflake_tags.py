"""Tags in Snowflake's stand-in: set, inherited, counted, and masks that come by them."""

from typing import Any

import pytest

from tests.sandbox.conftest import Snowflake, refusal

MASK = "CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> '***'"
SET = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.KIND = 'email'"
ALL_COLUMNS = "SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.TAG_REFERENCES_ALL_COLUMNS('DB.S.T', 'table'))"


def tags(cursor: Any) -> list[tuple[str, str, str, str, str]]:
    """Name, value, method, level and column of the tags on DB.S.T."""
    return sorted((row[2], row[3], row[4], row[5], row[10]) for row in cursor.execute(ALL_COLUMNS).fetchall())


def test_a_tag_is_set_changed_and_unset(lily: Any) -> None:
    assert lily.execute("CREATE TAG GOV.LILY.KIND COMMENT = 'x'").fetchall() == [("Tag KIND successfully created.",)]
    lily.execute(f"{SET}, COLUMN NAME SET TAG GOV.LILY.KIND = 'it''s \\\\'")
    assert tags(lily) == [("KIND", "email", "MANUAL", "COLUMN", "EMAIL"), ("KIND", "it's \\", "MANUAL", "COLUMN", "NAME")]

    lily.execute(SET.replace("'email'", "'mail'"))
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN NAME UNSET TAG GOV.LILY.KIND")

    assert tags(lily) == [("KIND", "mail", "MANUAL", "COLUMN", "EMAIL")]
    assert refusal(lily, "CREATE TAG GOV.LILY.KIND") == (2002, "42710")
    lily.execute("DROP TAG GOV.LILY.KIND")
    assert tags(lily) == []
    assert refusal(lily, SET) == (2003, "02000")


def test_several_tags_on_one_column(lily: Any) -> None:
    lily.execute("CREATE TAG GOV.LILY.A")
    lily.execute("CREATE TAG GOV.LILY.B")
    lily.execute(
        "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.A = '1', GOV.LILY.B = '2', COLUMN ID SET TAG GOV.LILY.A = '3'"
    )

    assert [(row[0], row[1], row[4]) for row in tags(lily)] == [("A", "1", "EMAIL"), ("A", "3", "ID"), ("B", "2", "EMAIL")]


def test_tags_are_inherited_downwards_and_the_nearest_wins(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER DATABASE DB SET TAG GOV.LILY.KIND = 'database'")
    assert {row[1:4] for row in tags(lily)} == {("database", "INHERITED", "DATABASE")}
    lily.execute("ALTER SCHEMA DB.S SET TAG GOV.LILY.KIND = 'schema'")
    lily.execute("ALTER TABLE DB.S.T SET TAG GOV.LILY.KIND = 'table'")
    lily.execute(SET)

    found = {row[4]: row[1:4] for row in tags(lily)}
    assert (found["EMAIL"], found["ID"]) == (("email", "MANUAL", "COLUMN"), ("table", "INHERITED", "TABLE"))
    asked = "SELECT SYSTEM$GET_TAG('GOV.LILY.KIND', 'DB.S.T.EMAIL', 'COLUMN'), SYSTEM$GET_TAG('GOV.LILY.KIND', 'DB.S', 'SCHEMA')"
    assert lily.execute(asked).fetchall() == [("email", "schema")]
    lily.execute("ALTER TABLE DB.S.T UNSET TAG GOV.LILY.KIND")
    assert {row[4]: row[1] for row in tags(lily)}["ID"] == "schema"


def test_only_allowed_values_can_be_set(lily: Any) -> None:
    lily.execute("CREATE TAG GOV.LILY.KIND ALLOWED_VALUES 'email', 'name'")
    lily.execute(SET)
    assert refusal(lily, SET.replace("'email'", "'other'"))[0] == 3560

    lily.execute("ALTER TAG GOV.LILY.KIND ADD ALLOWED_VALUES 'other'")
    lily.execute("ALTER TAG GOV.LILY.KIND DROP ALLOWED_VALUES 'name'")
    lily.execute(SET.replace("'email'", "'other'"))
    assert refusal(lily, SET.replace("'email'", "'name'"))[0] == 3560
    lily.execute("ALTER TAG GOV.LILY.KIND UNSET ALLOWED_VALUES")
    lily.execute(SET.replace("'email'", "'name'"))


def test_quotas_hold(snowflake: Snowflake, lily: Any) -> None:
    columns = [f"C{at}" for at in range(101)]
    snowflake.sql(f"CREATE TABLE DB.S.WIDE ({', '.join(f'{name} INT' for name in columns)})")
    for at in range(51):
        lily.execute(f"CREATE TAG GOV.LILY.K{at}")

    def statement(items: list[tuple[str, int]]) -> str:
        actions = ", ".join(f"COLUMN {name} SET TAG GOV.LILY.K{tag} = 'x'" for name, tag in items)
        return f"ALTER TABLE DB.S.WIDE MODIFY {actions}"

    assert refusal(lily, statement([(name, 0) for name in columns]))[0] == 3561
    lily.execute(statement([(name, 0) for name in columns[:100]]))
    assert refusal(lily, statement([("C0", at) for at in range(51)]))[0] == 3561
    lily.execute(statement([("C0", at) for at in range(50)]))
    assert refusal(lily, f"ALTER TABLE DB.S.WIDE MODIFY COLUMN C0 SET TAG GOV.LILY.K0 = '{'x' * 257}'")[0] == 3561
    lily.execute(f"ALTER TABLE DB.S.WIDE MODIFY COLUMN C0 SET TAG GOV.LILY.K0 = '{'x' * 256}'")
    values = ", ".join(f"'{at}'" for at in range(5001))
    assert refusal(lily, f"CREATE TAG GOV.LILY.MANY ALLOWED_VALUES {values}")[0] == 3561


def test_a_mask_on_a_tag_covers_every_column_of_its_type(snowflake: Snowflake, lily: Any) -> None:
    analyst = snowflake.reader("ANALYST")
    lily.execute(MASK)
    lily.execute("CREATE MASKING POLICY GOV.LILY.ZERO AS (V NUMBER) RETURNS NUMBER -> 0")
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.M, MASKING POLICY GOV.LILY.ZERO")
    lily.execute(f"{SET}, COLUMN AMOUNT SET TAG GOV.LILY.KIND = 'amount'")

    assert analyst.execute("SELECT EMAIL, NAME, AMOUNT FROM DB.S.T WHERE ID = 1").fetchall() == [("***", "Ann", 0)]
    described = {row[0]: row[10] for row in lily.execute("DESCRIBE TABLE DB.S.T").fetchall()}
    assert set(described.values()) == {None}  # only direct masks are shown there
    text = (
        "SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES(REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE'))"
    )
    rows = lily.execute(text).fetchall()
    assert [(row[2], row[8], row[12], row[13]) for row in rows] == [
        ("M", "EMAIL", "KIND", "ACTIVE"),
        ("ZERO", "AMOUNT", "KIND", "ACTIVE"),
    ]
    lily.execute("ALTER TAG GOV.LILY.KIND UNSET MASKING POLICY GOV.LILY.M")
    assert analyst.execute("SELECT EMAIL FROM DB.S.T WHERE ID = 1").fetchall() == [("ann@x.org",)]


def test_a_table_in_a_tagged_schema_is_masked_from_its_first_moment(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.M")
    lily.execute("ALTER SCHEMA DB.S SET TAG GOV.LILY.KIND = 'all'")

    snowflake.sql("CREATE TABLE DB.S.FRESH (A VARCHAR, B INT); INSERT INTO DB.S.FRESH VALUES ('a', 1)")
    snowflake.sql("GRANT SELECT ON TABLE DB.S.FRESH TO ROLE PUBLIC")

    assert snowflake.reader("ANALYST").execute("SELECT * FROM DB.S.FRESH").fetchall() == [("***", 1)]


def test_a_direct_mask_beats_one_by_tag(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    lily.execute("CREATE MASKING POLICY GOV.LILY.DIRECT AS (V VARCHAR) RETURNS VARCHAR -> 'direct'")
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.M")
    lily.execute(SET)
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.DIRECT")

    assert snowflake.reader("ANALYST").execute("SELECT DISTINCT EMAIL FROM DB.S.T").fetchall() == [("direct",)]


def test_one_policy_of_a_type_on_a_tag_and_force_swaps_it(lily: Any) -> None:
    lily.execute(MASK)
    lily.execute(MASK.replace("LILY.M", "LILY.N"))
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.M")

    assert refusal(lily, "ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.N")[0] == 3559
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.N FORCE")

    lily.execute("DROP MASKING POLICY GOV.LILY.M")
    assert refusal(lily, "DROP MASKING POLICY GOV.LILY.N")[0] == 3551
    assert refusal(lily, "DROP TAG GOV.LILY.KIND")[0] == 3552
    assert refusal(lily, "ALTER TAG GOV.LILY.KIND UNSET MASKING POLICY GOV.LILY.M")[0] == 2003


def test_two_tags_with_masks_of_one_type_break_every_query_of_the_column(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    lily.execute(MASK.replace("LILY.M", "LILY.N"))
    for tag, policy in (("A", "M"), ("B", "N")):
        lily.execute(f"CREATE TAG GOV.LILY.{tag}")
        lily.execute(f"ALTER TAG GOV.LILY.{tag} SET MASKING POLICY GOV.LILY.{policy}")
        lily.execute(f"ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.{tag} = 'x'")
    analyst = snowflake.reader("ANALYST")

    assert refusal(analyst, "SELECT EMAIL FROM DB.S.T")[0] == 3558
    assert analyst.execute("SELECT COUNT(ID) FROM DB.S.T").fetchall() == [(2,)]
    arguments = "REF_ENTITY_NAME => 'DB.S.T', REF_ENTITY_DOMAIN => 'TABLE'"
    text = f"SELECT POLICY_STATUS FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES({arguments}))"
    assert lily.execute(text).fetchall() == [("MULTIPLE_MASKING_POLICY_ASSIGNED_TO_THE_COLUMN",)] * 2


def test_a_policy_reads_the_tag_of_its_column(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(
        "CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> "
        "IFF(SYSTEM$GET_TAG_ON_CURRENT_COLUMN('GOV.LILY.KIND') = 'open', V, SYSTEM$GET_TAG_ON_CURRENT_COLUMN('GOV.LILY.KIND'))"
    )
    lily.execute("CREATE TAG GOV.LILY.KIND")
    lily.execute("ALTER TAG GOV.LILY.KIND SET MASKING POLICY GOV.LILY.M")
    lily.execute(f"{SET}, COLUMN NAME SET TAG GOV.LILY.KIND = 'open'")

    assert snowflake.reader("ANALYST").execute("SELECT EMAIL, NAME FROM DB.S.T WHERE ID = 1").fetchall() == [("email", "Ann")]


def test_a_schema_with_what_others_use_cannot_be_dropped(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(MASK)
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.M")

    for statement in ("DROP SCHEMA GOV.LILY", "DROP DATABASE GOV"):
        assert snowflake.http.post("/sandbox/sql", json={"sql": statement}).json()["code"] == "003553"
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY")
    snowflake.sql("DROP SCHEMA GOV.LILY")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TAG GOV.LILY.KIND PROPAGATE = ON_DEPENDENCY",
        "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.KIND",
        "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.KIND = EMAIL",
        "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET TAG GOV.LILY.KIND = 'a' 'b'",
        "ALTER TAG GOV.LILY.KIND SET PROPAGATE = NONE",
    ],
)
def test_what_is_not_known_of_tags_is_refused(lily: Any, statement: str) -> None:
    lily.execute("CREATE TAG GOV.LILY.OTHER")

    assert refusal(lily, statement)[0] in (2, 1003)
