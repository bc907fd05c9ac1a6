"""Names and literals in the Databricks stand-in: hostile ones mean exactly themselves, and nothing half understood is done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot.dialects.databricks import Databricks as Dialect

from sandbox.databricks.errors import Refused
from sandbox.databricks.grammar import parse
from sandbox.databricks.lexer import literal, quote, tokenise
from sandbox.databricks.nodes import Script, SetMask, SetTags
from tests.sandbox.conftest import Databricks

ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
HOSTILE = st.one_of(
    ANY,
    st.text(st.sampled_from("`'\"\\;-/*$ \n\tné\u0301E.%_"), min_size=1, max_size=12),
    st.sampled_from(
        ["END", "a; DROP TABLE x", "a`; --", "/* x", "*/", "\\", "\\'", "''", "$$", "r'x'", "e\u0301", "\u00e9", "🦊"]
    ),
)


@given(name=HOSTILE, value=HOSTILE)
def test_quoted_names_and_literals_mean_what_they_were_made_from(name: str, value: str) -> None:
    text = f"ALTER TABLE a.b.c ALTER COLUMN {quote(name)} SET TAGS ({literal(value)} = {literal(name)})"

    assert parse(text) == SetTags("TABLE", ("a", "b", "c"), name, ((value, name),))
    assert parse(f"BEGIN {text}; {text}; END") == Script((parse(text),) * 2, (text,) * 2)


@given(name=HOSTILE.filter(lambda text: "\0" not in text), value=HOSTILE.filter(lambda text: "\0" not in text))
def test_sqlglot_reads_names_and_literals_alike(name: str, value: str) -> None:
    ours = [token.value for token in tokenise(f"{quote(name)} , {literal(value)}")[:-1]]
    theirs = [token.text for token in Dialect().tokenize(f"{quote(name)} , {literal(value)}")]

    assert ours == theirs == [name, ",", value]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("'a''b'", "ab"), ("'a' 'b'", "ab"), (r"'a\'b'", "a'b"), (r"'a\%b'", r"a\%b"), (r"'a\\%b'", r"a\%b"), (r"'\x'", "x"),
        ("r'a\\b'", "a\\b"), ('"a\'b"', "a'b"), (r"'\u00e9\n'", "é\n"), ("'a'/* x /* y */ z */'b'", "ab"),
        ("'a' -- c\n'b'", "ab"),
    ],
)  # fmt: skip
def test_strings_are_read_as_the_language_says(text: str, meaning: str) -> None:
    assert [token.value for token in tokenise(text)] == [meaning, ""]


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "SELECT 1; SELECT 2", "ALTER TABLE a.b.c", "ALTER TABLE a.b.c ALTER COLUMN d SET MASK", "DROP TABLE",
        "ALTER TABLE a.b.c ALTER COLUMN d SET MASK f extra", "ALTER TABLE a.b.c ALTER COLUMN d SET MASK f USING COLUMNS ()",
        "ALTER TABLE a.b.c.d DROP ROW FILTER", "ALTER TABLE a.b.c SET TAGS (k = 'v')",
        "ALTER TABLE a.b.c SET TAGS ('k' 'v' = 'x'",
        "CREATE FUNCTION a.b.f (v STRING) RETURNS STRING", "CREATE FUNCTION a.b.f (v STRING) RETURNS STRING RETURN",
        "CREATE OR REPLACE FUNCTION IF NOT EXISTS a.b.f () RETURNS INT RETURN 1", "BEGIN SELECT 1 END", "BEGIN SELECT 1;",
        "SELECT 'a", "SELECT `a", "SELECT ``", "DROP TABLE a.b.c; DROP TABLE a.b.d",
        "ALTER TABLE a-b.c.d DROP ROW FILTER",
        "GRANT SELEC ON TABLE a.b.c TO x", "GRANT SELECT ON TABLE a.b.c TO 'x'", "EXECUTE IMMEDIATE 'DROP TABLE x'", "SET x = 1",
        "ALTER TABLE a.b.c ALTER COLUMN d DROP MASK; --", "CREATE TABLE a.b.c (x STRING,)", "CREATE TABLE a.b.c", "USE CATALOG a",
    ],
)  # fmt: skip
def test_what_is_not_fully_understood_is_refused(text: str) -> None:
    if text.endswith("--"):
        parse(text)  # one semicolon and a comment may end it
        return
    with pytest.raises(Refused) as caught:
        parse(text)
    assert (caught.value.error_class, caught.value.sqlstate) == ("PARSE_SYNTAX_ERROR", "42601")


def test_an_open_comment_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        parse("DROP TABLE a.b.c /* /* */")
    assert caught.value.error_class == "UNCLOSED_BRACKETED_COMMENT"


@pytest.mark.parametrize("text", ["SELECT", "SELECT (1", "SELECT 1 FROM", "SELECT 1 UNION", "WITH x AS (SELECT 1)"])
def test_a_query_that_is_cut_off_is_refused(databricks: Databricks, text: str) -> None:
    assert databricks.refusal(databricks.client(), text) == ("PARSE_SYNTAX_ERROR", "42601")


@pytest.mark.parametrize("name", ["a.b", "a b", "a/b", "a\nb", "x" * 256])
def test_names_that_the_catalog_does_not_take_are_refused(databricks: Databricks, name: str) -> None:
    statement = f"CREATE FUNCTION gov.lily.{quote(name)} () RETURNS INT RETURN 1"

    assert databricks.refusal(databricks.client(), statement) == ("INVALID_PARAMETER_VALUE.INVALID_NAME", "22023")


def test_columns_need_column_mapping_for_some_characters(databricks: Databricks) -> None:
    create = "CREATE TABLE analytics.crm.odd (`a b` STRING, `É` STRING, é STRING)"
    client = databricks.client()
    databricks.sql("GRANT CREATE TABLE ON SCHEMA analytics.crm TO `lily-svc`")
    assert databricks.refusal(client, create.replace(", é STRING", ""))[0] == "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES"

    mapped = " TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    assert databricks.refusal(client, create.replace("é", "`é`") + mapped) == ("COLUMN_ALREADY_EXISTS", "42711")


@settings(max_examples=25, deadline=None)
@given(names=st.lists(HOSTILE.filter(lambda text: "\0" not in text), min_size=1, max_size=3, unique_by=str.lower), data=st.data())
def test_a_mask_is_on_the_named_column_and_no_other(
    databricks_process: Databricks, names: list[str], data: st.DataObject
) -> None:
    stand_in = databricks_process
    chosen = data.draw(st.sampled_from(names))
    columns = ", ".join(f"{quote(name)} STRING" for name in names)
    stand_in.sql(
        "CREATE CATALOG IF NOT EXISTS odd", "CREATE SCHEMA IF NOT EXISTS odd.s",
        "CREATE OR REPLACE FUNCTION odd.s.m (v STRING) RETURNS STRING RETURN '***'", "DROP TABLE IF EXISTS odd.s.t",
        f"CREATE TABLE odd.s.t ({columns}) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        f"INSERT INTO odd.s.t VALUES ({', '.join(literal(name) for name in names)})",
    )  # fmt: skip

    stand_in.sql(f"ALTER TABLE odd.s.t ALTER COLUMN {quote(chosen)} SET MASK odd.s.m")

    [row] = stand_in.sql(f"SELECT {', '.join(quote(name) for name in names)} FROM odd.s.t")
    assert row == ["***" if name == chosen else name for name in names]
    masked = [column["name"] for column in stand_in.dump()["tables"]["odd.s.t"]["columns"] if column["mask"]]
    assert masked == [chosen]
    assert isinstance(parse(f"ALTER TABLE odd.s.t ALTER COLUMN {quote(chosen)} DROP MASK"), SetMask)
