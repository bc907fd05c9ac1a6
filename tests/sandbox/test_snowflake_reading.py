"""Reading back in Snowflake's stand-in: POLICY_REFERENCES, DESCRIBE, SHOW, INFORMATION_SCHEMA; and the functions of queries."""

import datetime
import decimal
from typing import Any

import pytest

from tests.sandbox.conftest import Snowflake, refusal

MASK = (
    "CREATE MASKING POLICY GOV.LILY.M AS (V VARCHAR, N VARCHAR) RETURNS VARCHAR -> '*' COMMENT = 'c' EXEMPT_OTHER_POLICIES = TRUE"
)
ATTACH = "ALTER TABLE DB.S.T MODIFY COLUMN EMAIL SET MASKING POLICY GOV.LILY.M USING (EMAIL, NAME)"
COLUMNS = [
    "POLICY_DB", "POLICY_SCHEMA", "POLICY_NAME", "POLICY_KIND", "REF_DATABASE_NAME", "REF_SCHEMA_NAME", "REF_ENTITY_NAME",
    "REF_ENTITY_DOMAIN", "REF_COLUMN_NAME", "REF_ARG_COLUMN_NAMES", "TAG_DATABASE", "TAG_SCHEMA", "TAG_NAME", "POLICY_STATUS",
]  # fmt: skip


def references(**arguments: str) -> str:
    given = ", ".join(f"{name.upper()} => '{value}'" for name, value in arguments.items())
    return f"SELECT * FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES({given}))"


@pytest.fixture
def attached(lily: Any) -> Any:
    """A cursor of LILY after she put a mask and a row policy on DB.S.T."""
    lily.execute(MASK)
    lily.execute(ATTACH)
    lily.execute("CREATE ROW ACCESS POLICY GOV.LILY.R AS (I INT) RETURNS BOOLEAN -> TRUE")
    lily.execute("ALTER TABLE DB.S.T ADD ROW ACCESS POLICY GOV.LILY.R ON (ID)")
    return lily


MASK_ROW = ("GOV", "LILY", "M", "MASKING_POLICY", "DB", "S", "T", "TABLE", "EMAIL", '[ "NAME" ]', None, None, None, "ACTIVE")
ROW_ROW = ("GOV", "LILY", "R", "ROW_ACCESS_POLICY", "DB", "S", "T", "TABLE", None, '[ "ID" ]', None, None, None, "ACTIVE")


def test_references_by_table_and_by_policy(attached: Any) -> None:
    by_table = references(ref_entity_name='"DB"."S"."T"', ref_entity_domain="TABLE")
    assert sorted(attached.execute(by_table).fetchall(), key=str) == sorted([MASK_ROW, ROW_ROW], key=str)
    assert [column.name for column in attached.description] == COLUMNS
    assert attached.execute(references(policy_name="GOV.LILY.M")).fetchall() == [MASK_ROW]
    assert attached.execute(references(policy_name='"GOV"."LILY"."R"')).fetchall() == [ROW_ROW]
    filtered = by_table.replace("*", "POLICY_NAME AS P, COUNT(*)", 1) + " WHERE POLICY_KIND = 'MASKING_POLICY' GROUP BY 1"
    assert attached.execute(filtered).fetchall() == [("M", 1)]


def test_references_take_bound_names(snowflake: Snowflake, attached: Any) -> None:
    cursor = snowflake.connect(paramstyle="qmark").cursor()
    text = "SELECT POLICY_NAME FROM TABLE(DB.INFORMATION_SCHEMA.POLICY_REFERENCES(REF_ENTITY_NAME => ?, REF_ENTITY_DOMAIN => ?))"

    assert sorted(cursor.execute(text, ('"DB"."S"."T"', "TABLE")).fetchall()) == [("M",), ("R",)]
    assert sorted(cursor.execute(f"{text} WHERE POLICY_NAME = ?", ('"DB"."S"."T"', "TABLE", "R")).fetchall()) == [("R",)]


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ({"ref_entity_name": "DB.S.NOPE", "ref_entity_domain": "TABLE"}, 2003),
        ({"ref_entity_name": "DB.S.T", "ref_entity_domain": "VIEW"}, 2003),
        ({"ref_entity_name": 'db.s."t"', "ref_entity_domain": "TABLE"}, 2003),
        ({"ref_entity_name": "DB.S.T", "ref_entity_domain": "FISH"}, 1008),
        ({"ref_entity_name": "DB.S.T"}, 1008),
        ({"policy_name": "GOV.LILY.NOPE"}, 2003),
        ({"ref_entity_name": "DB.S.T; DROP TABLE T", "ref_entity_domain": "TABLE"}, 1003),
    ],
)
def test_references_of_what_is_not_there(lily: Any, arguments: dict[str, str], number: int) -> None:
    assert refusal(lily, references(**arguments))[0] == number


def test_references_show_what_the_role_may_know(snowflake: Snowflake, attached: Any) -> None:
    analyst = snowflake.reader("ANALYST")
    by_table = references(ref_entity_name="DB.S.T", ref_entity_domain="TABLE")
    assert analyst.execute(by_table).fetchall() == []

    snowflake.sql("GRANT OWNERSHIP ON TABLE DB.S.T TO ROLE ANALYST COPY CURRENT GRANTS")
    assert len(analyst.execute(by_table).fetchall()) == 2
    snowflake.sql(
        "GRANT OWNERSHIP ON TABLE DB.S.T TO ROLE BOSS COPY CURRENT GRANTS; GRANT APPLY MASKING POLICY ON ACCOUNT TO ROLE ANALYST"
    )
    assert analyst.execute(by_table).fetchall() == [MASK_ROW]


def test_describe_table(snowflake: Snowflake, attached: Any) -> None:
    rows = attached.execute("DESCRIBE TABLE DB.S.T").fetchall()
    at = {column.name: place for place, column in enumerate(attached.description)}

    assert {row[at["name"]]: (row[at["type"]], row[at["policy name"]]) for row in rows} == {
        "ID": ("NUMBER(38,0)", None),
        "EMAIL": ("VARCHAR(40)", "GOV.LILY.M"),
        "NAME": ("VARCHAR(16777216)", None),
        "AMOUNT": ("NUMBER(10,2)", None),
        "BORN": ("DATE", None),
    }
    assert refusal(attached, "DESCRIBE TABLE DB.S.NOPE") == (2003, "42S02")
    assert refusal(attached, "DESCRIBE VIEW DB.S.T") == (2003, "42S02")
    snowflake.sql("CREATE ROLE STRANGER; REVOKE SELECT ON TABLE DB.S.T FROM ROLE PUBLIC")
    assert refusal(snowflake.reader("STRANGER"), "DESCRIBE TABLE DB.S.T") == (2003, "42S02")


def test_describe_policies(attached: Any) -> None:
    assert attached.execute("DESC ROW ACCESS POLICY GOV.LILY.R").fetchall() == [("R", "(I NUMBER(38,0))", "BOOLEAN", "TRUE")]
    row = attached.execute("DESCRIBE MASKING POLICY GOV.LILY.M").fetchone()
    assert row == ("M", "(V VARCHAR(16777216), N VARCHAR(16777216))", "VARCHAR(16777216)", "'*'")


def column(cursor: Any, statement: str, name: str) -> list[Any]:
    rows = cursor.execute(statement).fetchall()
    place = [each.name for each in cursor.description].index(name)
    return [row[place] for row in rows]


def test_show_lists_what_there_is(snowflake: Snowflake, attached: Any) -> None:
    assert {"LILY", "PII", "PUBLIC", "ACCOUNTADMIN"} <= set(column(attached, "SHOW ROLES", "name"))
    assert column(attached, "SHOW ROLES LIKE 'pi_'", "name") == ["PII"]
    assert column(attached, "SHOW MASKING POLICIES IN SCHEMA GOV.LILY", "comment") == ["c"]
    assert column(attached, "SHOW MASKING POLICIES IN ACCOUNT", "options") == ['{"EXEMPT_OTHER_POLICIES":true}']
    assert column(attached, "SHOW ROW ACCESS POLICIES IN DATABASE GOV", "name") == ["R"]
    assert column(attached, "SHOW TABLES IN SCHEMA DB.S", "owner") == ["ACCOUNTADMIN"]
    assert column(attached, "SHOW COLUMNS IN TABLE DB.S.T", "column_name") == ["ID", "EMAIL", "NAME", "AMOUNT", "BORN"]
    assert column(attached, "SHOW COLUMNS LIKE '%MA%' IN SCHEMA DB.S", "column_name") == ["EMAIL"]
    assert column(attached, "SHOW WAREHOUSES", "name") == ["WH"]
    assert column(attached, "SHOW DATABASES STARTS WITH 'G' LIMIT 5", "name") == ["GOV"]
    assert column(attached, "SHOW SCHEMAS IN DATABASE DB", "name") == ["S"]  # no privilege on DB.PUBLIC
    snowflake.sql("CREATE VIEW DB.S.W AS SELECT 1 AS A")
    assert column(attached, "SHOW VIEWS IN SCHEMA DB.S", "text") == ["SELECT 1 AS A"]
    assert column(attached, "SHOW TABLES IN SCHEMA DB.S", "name") == ["T"]


def test_show_grants(snowflake: Snowflake, lily: Any) -> None:
    rows = lily.execute("SHOW GRANTS TO ROLE LILY").fetchall()
    held = {(row[1], row[2], row[3]) for row in rows}

    assert held == {
        ("USAGE", "DATABASE", "GOV"),
        ("USAGE", "DATABASE", "DB"),
        ("USAGE", "SCHEMA", "DB.S"),
        *((privilege, "SCHEMA", "GOV.LILY") for privilege in ["USAGE", "CREATE TAG", "CREATE TABLE"]),
        *((privilege, "SCHEMA", "GOV.LILY") for privilege in ("CREATE MASKING POLICY", "CREATE ROW ACCESS POLICY")),
        *((privilege, "ACCOUNT", "SANDBOX") for privilege in ("APPLY MASKING POLICY", "APPLY ROW ACCESS POLICY", "APPLY TAG")),
    }
    assert column(lily, "SHOW GRANTS TO USER LILY_SVC", "name") == ["LILY"]
    assert column(lily, "SHOW GRANTS OF ROLE PII", "grantee_name") == ["BOSS"]
    assert column(lily, "SHOW GRANTS ON TABLE DB.S.T", "privilege") == ["OWNERSHIP", "SELECT"]
    assert refusal(lily, "SHOW GRANTS TO ROLE NOPE") == (2003, "02000")


def test_show_parameters_and_the_levels_they_come_from(snowflake: Snowflake, lily: Any) -> None:
    name = "QUOTED_IDENTIFIERS_IGNORE_CASE"

    def shown() -> tuple[str, str]:
        row = lily.execute(f"SHOW PARAMETERS LIKE '{name}' IN SESSION").fetchone()
        return row[1], row[3]

    assert shown() == ("false", "")
    snowflake.sql(f"ALTER USER LILY_SVC SET {name} = TRUE")
    assert shown() == ("true", "USER")
    lily.execute(f"ALTER SESSION SET {name} = FALSE")
    assert shown() == ("false", "SESSION")
    assert refusal(lily, "ALTER SESSION SET NONSENSE = 1")[0] == 1006
    assert refusal(lily, f"ALTER SESSION SET {name} = 5")[0] == 1008


def test_quoted_names_fold_if_the_parameter_says_so(snowflake: Snowflake, lily: Any) -> None:
    snowflake.sql('CREATE TABLE DB.S."t" (A INT)')
    assert len(lily.execute('DESCRIBE TABLE DB.S."t"').fetchall()) == 1

    lily.execute("ALTER SESSION SET QUOTED_IDENTIFIERS_IGNORE_CASE = TRUE")

    assert len(lily.execute('DESCRIBE TABLE DB.S."t"').fetchall()) == 5


def test_information_schema(snowflake: Snowflake, lily: Any) -> None:
    text = """SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE
              FROM DB.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'S' AND TABLE_NAME = 'T' ORDER BY ORDINAL_POSITION"""
    assert lily.execute(text).fetchall() == [
        ("ID", "NUMBER", None, 38, 0, "YES"),
        ("EMAIL", "TEXT", 40, None, None, "YES"),
        ("NAME", "TEXT", 16777216, None, None, "YES"),
        ("AMOUNT", "NUMBER", None, 10, 2, "YES"),
        ("BORN", "DATE", None, None, None, "YES"),
    ]
    tables = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM DB.INFORMATION_SCHEMA.TABLES"
    snowflake.sql("CREATE VIEW DB.S.W AS SELECT 1 AS A; CREATE TABLE DB.PUBLIC.HIDDEN (A INT)")
    assert sorted(lily.execute(tables).fetchall()) == [("S", "T", "BASE TABLE"), ("S", "W", "VIEW")]
    joined = """SELECT COUNT(*) FROM DB.INFORMATION_SCHEMA.COLUMNS C JOIN DB.INFORMATION_SCHEMA.TABLES T
                ON T.TABLE_NAME = C.TABLE_NAME AND T.TABLE_SCHEMA = C.TABLE_SCHEMA"""
    assert lily.execute(joined).fetchall() == [(6,)]
    assert refusal(lily, "SELECT * FROM DB.INFORMATION_SCHEMA.NOPE") == (2003, "42S02")
    assert refusal(lily, "SELECT NOPE FROM DB.INFORMATION_SCHEMA.TABLES") == (904, "42000")


# Functions that a policy or a query may use, as the vendor defines them.


VALUE_OF: list[tuple[str, Any]] = [
    ("SHA2('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("SHA2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("SHA2_HEX('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("LEFT('häß😀x', 4)", "häß😀"),
    ("RIGHT('abc', 2)", "bc"),
    ("LEFT('abc', 0)", ""),
    ("LENGTH('häß😀')", 4),
    ("LEN('abc')", 3),
    ("CONCAT('a', NULL)", None),
    ("CONCAT('a', 'b', 'c')", "abc"),
    ("'a' || 'b' || 1", "ab1"),
    ("'a' || NULL", None),
    ("SPLIT_PART('a@b@c', '@', 2)", "b"),
    ("SPLIT_PART('a@b@c', '@', -1)", "c"),
    ("SPLIT_PART('abc', '@', 2)", ""),
    ("REGEXP_REPLACE('a1b22', '[0-9]', '*')", "a*b**"),
    ("REGEXP_REPLACE('a1b22', '[0-9]')", "ab"),
    ("REGEXP_REPLACE('ab', '(a)(b)', '\\\\2\\\\1')", "ba"),
    ("REPEAT('*', 3)", "***"),
    ("DATE_TRUNC('month', '2024-05-17'::DATE)", datetime.date(2024, 5, 1)),
    ("DATE_TRUNC(YEAR, '2024-05-17'::DATE)", datetime.date(2024, 1, 1)),
    ("TO_VARCHAR(12)", "12"),
    ("TO_VARCHAR('2024-05-17'::DATE, 'YYYY/MM')", "2024/05"),
    ("TO_CHAR('2024-05-17'::DATE)", "2024-05-17"),
    ("CASE WHEN NULL THEN 1 WHEN TRUE THEN 2 ELSE 3 END", 2),
    ("CASE 'x' WHEN 'x' THEN 'y' END", "y"),
    ("COALESCE(NULL, 'a', 'b')", "a"),
    ("NVL(NULL, 'a')", "a"),
    ("IFF(1 = 1, 'a', 'b')", "a"),
    ("IFF(NULL, 'a', 'b')", "b"),
    ("NULLIF('a', 'a')", None),
    ("TRY_CAST('x' AS INT)", None),
    ("TRY_CAST('12' AS NUMBER(10,0))", 12),
    ("POSITION('c', 'abc')", 3),
    ("POSITION('c' IN 'abc')", 3),
    ("CHARINDEX('z', 'abc')", 0),
    ("ENDSWITH('abc', 'bc')", True),
    ("STARTSWITH('abc', 'b')", False),
    ("CONTAINS('abc', 'b')", True),
    ("SUBSTR('abcdef', 2, 3)", "bcd"),
    ("REPLACE('aba', 'a', 'x')", "xbx"),
    ("UPPER('ä') || LOWER('Ä')", "Ää"),
    ("TRIM('  a ')", "a"),
    ("LPAD('7', 3, '0')", "007"),
    ("'abc' LIKE 'A%'", False),
    ("'abc' ILIKE 'A%'", True),
    ("'abc' IN ('x', 'abc')", True),
    ("1.5::NUMBER(10,1)", decimal.Decimal("1.5")),
    ("'abcdef'::VARCHAR(3)", "abc"),
    ("5 / 2", 2.5),
    ("NULL IS NULL", True),
    ("DATEADD(day, 1, '2024-02-28'::DATE)::DATE", datetime.date(2024, 2, 29)),
    ("DATE_FROM_PARTS(2024, 1, 1)", datetime.date(2024, 1, 1)),
    ("YEAR('2024-05-17'::DATE)", 2024),
    ("'\\x41\\u00e9\\q\\101'", "AéqA"),
    ("$$it's \\n$$", "it's \\n"),
]


def test_functions(lily: Any) -> None:
    found = [(expression, lily.execute(f"SELECT {expression}").fetchone()[0]) for expression, _ in VALUE_OF]

    assert found == VALUE_OF


def test_unknown_functions_and_names_are_errors(lily: Any) -> None:
    assert refusal(lily, "SELECT FROBNICATE(1)") == (2140, "42601")
    assert refusal(lily, "SELECT NOPE FROM DB.S.T") == (904, "42000")
    assert refusal(lily, "SELECT X.ID FROM DB.S.T") == (904, "42000")
    assert refusal(lily, "SELECT ID FROM DB.S.T A, DB.S.T B") == (2028, "42601")
    assert refusal(lily, 'SELECT "id" FROM DB.S.T') == (904, "42000")
    assert refusal(lily, "SELECT * FROM READ_CSV('/etc/passwd')")[0] != 0
    assert refusal(lily, "SELECT * FROM '/etc/passwd'")[0] != 0
    assert refusal(lily, "SELECT * FROM DUCKDB_TABLES()")[0] != 0
