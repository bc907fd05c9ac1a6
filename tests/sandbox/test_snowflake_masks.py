"""Masking policies in Snowflake's stand-in: made, attached, swapped, and what readers then see."""

from typing import Any

import pytest
from snowflake.connector import errors

from tests.sandbox.conftest import Snowflake, refusal

BODY = "CASE WHEN IS_ROLE_IN_SESSION('PII') THEN V ELSE '***' END"
CREATE = (
    f"CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> {BODY} COMMENT = 'mine' EXEMPT_OTHER_POLICIES = TRUE"
)
ATTACH = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.M"


def emails(cursor: Any) -> list[str]:
    return [row[0] for row in cursor.execute("SELECT EMAIL FROM DB.S.T ORDER BY ID").fetchall()]


CLEAR = ["ann@x.org", "bob@y.org"]
MASKED = ["***", "***"]


def test_a_mask_hides_from_all_but_the_exempt_at_once(snowflake: Snowflake, lily: Any) -> None:
    analyst, pii = snowflake.reader("ANALYST"), snowflake.reader("PII")
    lily.execute(CREATE)
    assert emails(analyst) == CLEAR

    assert lily.execute(ATTACH).fetchall() == [("Statement executed successfully.",)]

    assert (emails(analyst), emails(pii)) == (MASKED, CLEAR)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ID FROM DB.S.T WHERE EMAIL = 'ann@x.org'",
        "SELECT EMAIL FROM DB.S.T WHERE EMAIL LIKE '%@%'",
        "SELECT A.ID FROM DB.S.T A JOIN (SELECT 'ann@x.org' AS E) B ON A.EMAIL = B.E",
        "SELECT MAX(EMAIL) FROM DB.S.T GROUP BY EMAIL HAVING EMAIL <> '***'",
        "WITH X AS (SELECT EMAIL E FROM DB.S.T) SELECT E FROM X WHERE E <> '***'",
        "SELECT 1 FROM DB.S.T WHERE EXISTS (SELECT 1 FROM DB.S.T I WHERE I.EMAIL <> '***')",
        "SELECT EMAIL FROM DB.S.T UNION SELECT NAME FROM DB.S.T WHERE FALSE EXCEPT SELECT '***'",
    ],
)
def test_a_mask_holds_wherever_the_column_is_used(snowflake: Snowflake, lily: Any, query: str) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)

    assert snowflake.reader("ANALYST").execute(query).fetchall() == []
    assert snowflake.reader("PII").execute(query).fetchall() != []


def test_order_and_distinct_see_the_mask(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE MASKING POLICY GOV.LILY.TURNED AS (V VARCHAR) RETURNS VARCHAR -> REVERSE(V)")
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.TURNED")
    analyst = snowflake.reader("ANALYST")

    assert analyst.execute("SELECT ID FROM DB.S.T ORDER BY EMAIL").fetchall() == [(1,), (2,)]
    assert analyst.execute("SELECT EMAIL FROM DB.S.T ORDER BY ID").fetchall() == [("gro.x@nna",), ("gro.y@bob",)]
    lily.execute("ALTER MASKING POLICY GOV.LILY.TURNED SET BODY -> '*'")
    assert analyst.execute("SELECT DISTINCT EMAIL FROM DB.S.T").fetchall() == [("*",)]


def test_a_body_is_changed_in_place(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)
    analyst = snowflake.reader("ANALYST")

    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET BODY -> CONCAT(LEFT(V, 1), '@', SPLIT_PART(V, '@', 2))")

    assert emails(analyst) == ["a@x.org", "b@y.org"]
    assert lily.execute("DESCRIBE MASKING POLICY GOV.LILY.M").fetchall() == [
        ("M", "(V VARCHAR(16777216))", "VARCHAR(16777216)", "CONCAT(LEFT(V, 1), '@', SPLIT_PART(V, '@', 2))")
    ]


def test_a_policy_in_use_is_neither_dropped_nor_replaced(lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)
    for statement in ("DROP MASKING POLICY GOV.LILY.M", CREATE.replace("CREATE", "CREATE OR REPLACE", 1)):
        with pytest.raises(errors.ProgrammingError, match="cannot be dropped/replaced as it is associated with one or more"):
            lily.execute(statement)

    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY")

    assert lily.execute(CREATE.replace("CREATE", "CREATE OR REPLACE", 1)).fetchall() == [
        ("Masking policy M successfully created.",)
    ]
    assert lily.execute("DROP MASKING POLICY GOV.LILY.M").fetchall() == [("M successfully dropped.",)]


def test_a_name_is_taken_once(lily: Any) -> None:
    lily.execute(CREATE)

    assert refusal(lily, CREATE) == (2002, "42710")
    again = CREATE.replace("POLICY", "POLICY IF NOT EXISTS", 1)
    assert lily.execute(again).fetchall() == [("M already exists, statement succeeded.",)]


def test_create_or_alter_changes_body_and_comment(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)
    head = "CREATE OR ALTER MASKING POLICY GOV.LILY.M AS (V VARCHAR) RETURNS VARCHAR -> 'x'"

    lily.execute(f"{head} COMMENT = 'new' EXEMPT_OTHER_POLICIES = TRUE")

    assert emails(snowflake.reader("ANALYST")) == ["x", "x"]
    assert lily.execute("SHOW MASKING POLICIES IN SCHEMA GOV.LILY").fetchone()[6] == "new"
    assert refusal(lily, head)[0] == 3551  # would take EXEMPT_OTHER_POLICIES away from an attached policy
    assert refusal(lily, head.replace("V VARCHAR", "V VARCHAR, W VARCHAR"))[0] == 1008
    lily.execute(head.replace("LILY.M", "LILY.FRESH"))
    assert len(lily.execute("SHOW MASKING POLICIES IN SCHEMA GOV.LILY").fetchall()) == 2


def test_comment_and_name_can_be_changed(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)
    lily.execute("ALTER MASKING POLICY GOV.LILY.M SET COMMENT = 'it''s \\\\ new'")
    assert lily.execute("SHOW MASKING POLICIES IN SCHEMA GOV.LILY").fetchone()[6] == "it's \\ new"
    lily.execute("ALTER MASKING POLICY GOV.LILY.M UNSET COMMENT")
    lily.execute('ALTER MASKING POLICY GOV.LILY.M RENAME TO GOV.LILY."n w"')

    assert [row[1] for row in lily.execute("SHOW MASKING POLICIES IN SCHEMA GOV.LILY").fetchall()] == ["n w"]
    assert emails(snowflake.reader("ANALYST")) == MASKED
    assert refusal(lily, ATTACH) == (2003, "02000")


def test_if_exists_turns_a_missing_policy_into_a_success(lily: Any) -> None:
    lily.execute("ALTER MASKING POLICY IF EXISTS GOV.LILY.M SET BODY -> V")
    lily.execute("DROP MASKING POLICY IF EXISTS GOV.LILY.M")

    assert refusal(lily, "ALTER MASKING POLICY GOV.LILY.M SET BODY -> V") == (2003, "02000")
    assert refusal(lily, "DROP MASKING POLICY GOV.LILY.M") == (2003, "02000")


IMPOSSIBLE = [
    ("(V VARCHAR) RETURNS NUMBER -> 1", 3554),
    ("(V VARCHAR) RETURNS VARCHAR -> V = 'x'", 3554),
    ("(V NUMBER) RETURNS NUMBER -> 'text'", 3554),
    ("(V DATE) RETURNS DATE -> 1", 3554),
    ("(V VARCHAR) RETURNS VARCHAR -> W", 904),
    ("(V VARCHAR) RETURNS VARCHAR -> T.V", 904),
    ("(V VARCHAR) RETURNS VARCHAR -> NO_SUCH_FUNCTION(V)", 2140),
    ("(V VARCHAR) RETURNS VARCHAR -> V V", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> V, V", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> (V", 1003),
    ("(V VARCHAR) RETURNS VARCHAR ->", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> V FROM DB.S.T", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> CASE WHEN TRUE THEN V", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> V COMMENT 5", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> V NONSENSE = TRUE", 1003),
    ("(V VARCHAR) RETURNS VARCHAR -> (SELECT MAX(EMAIL) FROM DB.S.T)", 2),
    ("() RETURNS VARCHAR -> 'x'", 1003),
    ("(V UUID) RETURNS UUID -> V", 2),
    ("(V NOSUCHTYPE) RETURNS VARCHAR -> V", 2040),
    ("(V VARCHAR, V VARCHAR) RETURNS VARCHAR -> V", 1008),
]


def test_a_policy_that_could_not_work_is_refused(lily: Any) -> None:
    found = [(text, refusal(lily, f"CREATE MASKING POLICY GOV.LILY.BAD AS {text}")[0]) for text, _ in IMPOSSIBLE]

    assert found == IMPOSSIBLE
    assert lily.execute("SHOW MASKING POLICIES IN SCHEMA GOV.LILY").fetchall() == []


def test_a_body_that_could_not_work_leaves_the_old_one(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)

    assert refusal(lily, "ALTER MASKING POLICY GOV.LILY.M SET BODY -> 1 = 1")[0] == 3554

    assert emails(snowflake.reader("ANALYST")) == MASKED


def test_a_column_has_one_policy_and_force_swaps_it(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute(ATTACH)
    lily.execute("CREATE MASKING POLICY GOV.LILY.N AS (V VARCHAR) RETURNS VARCHAR -> 'n'")
    other = ATTACH.replace("LILY.M", "LILY.N")

    assert refusal(lily, other) == (3529, "42601")
    lily.execute(ATTACH)  # the same again is nothing
    lily.execute(f"{other} FORCE")

    assert emails(snowflake.reader("ANALYST")) == ["n", "n"]
    lily.execute("DROP MASKING POLICY GOV.LILY.M")


def test_the_type_of_policy_and_column_must_be_of_one_family(lily: Any) -> None:
    lily.execute(CREATE)
    lily.execute("CREATE MASKING POLICY GOV.LILY.N AS (V NUMBER) RETURNS NUMBER -> 0")

    assert refusal(lily, ATTACH.replace("EMAIL", "AMOUNT"))[0] == 3555
    assert refusal(lily, ATTACH.replace("LILY.M", "LILY.N"))[0] == 3555
    lily.execute(ATTACH.replace("EMAIL", "AMOUNT").replace("LILY.M", "LILY.N"))


def test_several_columns_in_one_statement_are_all_or_none(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    both = f"{ATTACH}, COLUMN NAME SET MASKING POLICY GOV.LILY.M"

    assert refusal(lily, f"{both}, COLUMN NOPE SET MASKING POLICY GOV.LILY.M") == (904, "42000")
    assert emails(snowflake.reader("ANALYST")) == CLEAR
    lily.execute(both)
    analyst = snowflake.reader("ANALYST")
    assert analyst.execute("SELECT EMAIL, NAME FROM DB.S.T").fetchall() == [("***", "***")] * 2

    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL UNSET MASKING POLICY, COLUMN NAME UNSET MASKING POLICY")
    assert analyst.execute("SELECT EMAIL, NAME FROM DB.S.T WHERE ID = 1").fetchall() == [("ann@x.org", "Ann")]


def test_force_on_several_columns_can_be_switched_off(snowflake: Snowflake, lily: Any) -> None:
    lily.execute(CREATE)
    statement = f"{ATTACH} FORCE, COLUMN NAME SET MASKING POLICY GOV.LILY.M FORCE"
    snowflake.settings(force_on_several_columns=False)
    assert refusal(lily, statement) == (2, "0A000")

    snowflake.settings(force_on_several_columns=True)
    lily.execute(statement)


def test_a_conditional_mask_reads_other_columns(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE MASKING POLICY GOV.LILY.C AS (V VARCHAR, I INT) RETURNS VARCHAR -> IFF(I = 1, V, 'hidden')")
    attach = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.C"

    assert refusal(lily, attach)[0] == 1008
    assert refusal(lily, f"{attach} USING (ID, EMAIL)")[0] == 1008
    assert refusal(lily, f"{attach} USING (EMAIL, NAME)")[0] == 3555
    lily.execute(f"{attach} USING (EMAIL, ID)")

    assert emails(snowflake.reader("ANALYST")) == ["ann@x.org", "hidden"]


def test_an_argument_of_a_conditional_mask_cannot_be_masked_unless_exempt(lily: Any) -> None:
    lily.execute("CREATE MASKING POLICY GOV.LILY.C AS (V VARCHAR, N VARCHAR) RETURNS VARCHAR -> IFF(N = 'Ann', V, 'hidden')")
    lily.execute("CREATE MASKING POLICY GOV.LILY.PLAIN AS (V VARCHAR) RETURNS VARCHAR -> '*'")
    lily.execute(CREATE)
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.C USING (EMAIL, NAME)")

    assert refusal(lily, "ALTER TABLE DB.S.T MODIFY COLUMN NAME SET MASKING POLICY GOV.LILY.PLAIN")[0] == 3556
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN NAME SET MASKING POLICY GOV.LILY.M")


@pytest.mark.parametrize(
    ("column", "policy", "number"),
    [
        ("EMAIL", "(V VARCHAR) RETURNS VARCHAR -> SHA2(V)", 100078),
        ("EMAIL", "(V VARCHAR) RETURNS VARCHAR -> LEFT(SHA2(V), 40)", None),
        ("AMOUNT", "(V NUMBER) RETURNS NUMBER -> 123456789012", 100039),
        ("AMOUNT", "(V NUMBER) RETURNS NUMBER -> 1.239", None),
        ("EMAIL", "(V VARCHAR) RETURNS VARCHAR -> IFF(1 / (LENGTH(V) - 9) > 0, V, V)", 100051),
        ("AMOUNT", "(V NUMBER) RETURNS NUMBER -> TO_NUMBER('x' || V)", 100038),
    ],
)
def test_a_mask_that_fails_fails_the_query_for_all(
    snowflake: Snowflake, lily: Any, column: str, policy: str, number: int | None
) -> None:
    """The length, the precision, or whatever goes wrong while it runs. Other columns can still be read."""
    lily.execute(f"CREATE MASKING POLICY GOV.LILY.F AS {policy}")
    lily.execute(f"ALTER TABLE DB.S.T MODIFY COLUMN {column} SET MASKING POLICY GOV.LILY.F")
    for role in ("ANALYST", "BOSS"):
        reader = snowflake.reader(role)
        assert reader.execute("SELECT ID, NAME FROM DB.S.T ORDER BY ID").fetchall()[0] == (1, "Ann")
        if number is None:
            assert len(reader.execute("SELECT * FROM DB.S.T").fetchall()) == 2
        else:
            assert refusal(reader, "SELECT * FROM DB.S.T")[0] == number


def test_every_type_family_can_be_masked(snowflake: Snowflake, lily: Any) -> None:
    kinds = [
        "VARCHAR",
        "NUMBER",
        "FLOAT",
        "BOOLEAN",
        "DATE",
        "TIME",
        "TIMESTAMP_NTZ",
        "TIMESTAMP_LTZ",
        "TIMESTAMP_TZ",
        "BINARY",
        "VARIANT",
        "OBJECT",
        "ARRAY",
    ]
    columns = ", ".join(f"C_{kind} {kind}" for kind in [*kinds, "GEOGRAPHY", "GEOMETRY"])
    snowflake.sql(f"CREATE TABLE DB.S.K ({columns}); GRANT SELECT ON TABLE DB.S.K TO ROLE PUBLIC")
    snowflake.sql("INSERT INTO DB.S.K (C_VARCHAR, C_NUMBER, C_DATE, C_VARIANT) SELECT 'x', 1, '2020-01-01', PARSE_JSON('[1]')")
    for kind in [*kinds, "GEOGRAPHY", "GEOMETRY"]:
        lily.execute(f"CREATE MASKING POLICY GOV.LILY.N_{kind} AS (V {kind}) RETURNS {kind} -> NULL")
        lily.execute(f"ALTER TABLE DB.S.K MODIFY COLUMN C_{kind} SET MASKING POLICY GOV.LILY.N_{kind}")

    assert snowflake.reader("ANALYST").execute("SELECT * FROM DB.S.K").fetchall() == [(None,) * 15]


def test_what_a_user_may_not_select_a_mask_does_not_open(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql("CREATE TABLE DB.S.SECRET (A VARCHAR)")

    assert refusal(lily, "SELECT * FROM DB.S.SECRET") == (2003, "42S02")
    lily.execute(CREATE)
    lily.execute("ALTER TABLE DB.S.SECRET MODIFY COLUMN A SET MASKING POLICY GOV.LILY.M")
    assert refusal(lily, "SELECT * FROM DB.S.SECRET") == (2003, "42S02")


def test_policies_are_unknown_to_the_standard_edition(snowflake: Snowflake, lily: Any) -> None:
    snowflake.settings(edition="STANDARD")

    assert refusal(lily, CREATE) == (2, "0A000")
    lily.execute("CREATE TAG GOV.LILY.PLAIN")


def test_a_mapping_table_is_looked_up_with_the_owners_rights(snowflake: Snowflake, lily: Any) -> None:
    lily.execute("CREATE TABLE GOV.LILY.ALLOWED (ROLE VARCHAR, ID INT)")
    lily.execute("INSERT INTO GOV.LILY.ALLOWED VALUES ('ANALYST', 2)")
    lily.execute(
        """CREATE MASKING POLICY GOV.LILY.L AS (V VARCHAR, I INT) RETURNS VARCHAR -> CASE WHEN EXISTS
           (SELECT 1 FROM GOV.LILY.ALLOWED A WHERE A.ROLE = CURRENT_ROLE() AND A.ID = I) THEN V ELSE '-' END"""
    )
    lily.execute("ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.L USING (EMAIL, ID)")
    analyst = snowflake.reader("ANALYST")

    assert emails(analyst) == ["-", "bob@y.org"]
    assert refusal(analyst, "SELECT * FROM GOV.LILY.ALLOWED")[0] == 2003
