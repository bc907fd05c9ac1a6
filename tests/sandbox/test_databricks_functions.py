"""Functions of the language in the Databricks stand-in, against what Databricks' documentation says of them."""

import hashlib

import pytest

from tests.sandbox.conftest import Databricks

A = hashlib.sha256(b"a").hexdigest()
SHA = hashlib.sha256(b"salt5.50").hexdigest()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("sha2(concat('salt', CAST(5.50 AS DECIMAL(10,2))), 256)", SHA),
        ("sha2(NULL, 256)", None),
        ("sha2('a', 0)", A),
        ("concat('a', NULL)", None),
        ("concat_ws('-', 'a', NULL, 'b')", "a-b"),
        ("substr('abc', 0, 2)", "ab"),
        ("substr('abc', -2)", "bc"),
        ("substring_index('a@b.c', '@', -1)", "b.c"),
        ("substring_index('a.b.c', '.', 2)", "a.b"),
        ("split_part('a@b', '@', 2)", "b"),
        ("split('a@b', '@')[0]", "a"),
        ("element_at(split('a@b', '@'), 2)", "b"),
        ("instr('abc', 'c')", "3"),
        ("locate('c', 'abc')", "3"),
        ("regexp_replace('a1b22', '[0-9]+', '#')", "a#b#"),
        ("regexp_replace('ab', '(a)(b)', '$2$1')", "ba"),
        ("regexp_extract('id-42', '([a-z]+)-([0-9]+)')", "id"),
        ("regexp_extract('id-42', '([a-z]+)-([0-9]+)', 2)", "42"),
        ("'a_c' LIKE 'a\\\\_c'", "true"),
        ("'abc' LIKE 'a\\\\_c'", "false"),
        ("'abc' RLIKE '^a.c$'", "true"),
        ("mask('Ab1-x')", "Xxn-x"),
        ("mask('Ab1-', 'Q', 'q', 'd', 'o')", "Qqdo"),
        ("mask('Ab1-', NULL, 'n', 'X')", "AnX-"),
        ("trunc(DATE'2020-03-04', 'MM')", "2020-03-01"),
        ("CAST(date_trunc('YEAR', DATE'2020-03-04') AS DATE)", "2020-01-01"),
        ("make_date(2020, 2, 29)", "2020-02-29"),
        ("date_add(DATE'2020-01-31', 1)", "2020-02-01"),
        ("base64('ab')", "YWI="),
        ("hex('ab')", "6162"),
        ("lower(hex('k'))", "6b"),
        ("lpad('x', 3, '*')", "**x"),
        ("3 / 2", "1.5"),
        ("1 <=> NULL", "false"),
        ("nvl2(NULL, 1, 2)", "2"),
        ("left('abc', 2) || right('abc', 1)", "abc"),
        ("translate('abc', 'ab', 'xy')", "xyc"),
    ],
)
def test_a_function_gives_what_is_documented(databricks_process: Databricks, expression: str, value: str | None) -> None:
    assert databricks_process.sql(f"SELECT {expression}") == [[value]]


@pytest.mark.parametrize(
    ("expression", "error_class", "sqlstate"),
    [
        ("1 / 0", "DIVIDE_BY_ZERO", "22012"),
        ("CAST('x' AS INT)", "CAST_INVALID_INPUT", "22018"),
        ("concat('a'", "PARSE_SYNTAX_ERROR", "42601"),
        ("make_date(1)", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605"),
        ("gov.lily.nope(1)", "UNRESOLVED_ROUTINE", "42883"),
        ("nope", "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703"),
        (":p", "UNBOUND_SQL_PARAMETER", "42P02"),
    ],
)
def test_what_cannot_be_computed_is_refused_as_documented(
    databricks: Databricks, expression: str, error_class: str, sqlstate: str
) -> None:
    answer = databricks.http.post("/sandbox/sql", json={"sql": f"SELECT {expression}"})

    assert answer.status_code == 422
    assert (answer.json()["error_class"], answer.json()["sqlstate"]) == (error_class, sqlstate)


def test_names_without_catalog_and_schema_are_those_of_the_request(databricks: Databricks) -> None:
    client = databricks.client()
    databricks.run(client, "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN concat(v, '!')")

    answer = databricks.run(client, "SELECT m('a'), current_schema()", catalog="gov", schema="lily")

    assert answer.result.data_array == [["a!", "lily"]]


def test_functions_of_functions_are_put_in_place_and_never_for_ever(databricks: Databricks) -> None:
    client = databricks.client()
    databricks.run(client, "CREATE FUNCTION gov.lily.a (v STRING) RETURNS STRING RETURN concat(v, 'a')")
    databricks.run(client, "CREATE FUNCTION gov.lily.b (v STRING) RETURNS STRING RETURN concat(gov.lily.a(a(v)), 'b')")
    assert databricks.sql("SELECT gov.lily.b('-')") == [["-aab"]]

    circle = "CREATE OR REPLACE FUNCTION gov.lily.a (v STRING) RETURNS STRING RETURN gov.lily.b(v)"
    databricks.run(client, circle)
    assert databricks.refusal(client, "SELECT gov.lily.a('x')") == ("UNSUPPORTED_FEATURE.STANDIN", "0A000")


def test_bodies_can_be_told_in_another_spelling_that_means_the_same(databricks: Databricks) -> None:
    client = databricks.client()
    body = "case when v is null then null else '***' end"
    databricks.run(client, f"CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN {body}")
    assert client.functions.get("gov.lily.m").routine_definition == body

    databricks.settings(reformat_bodies=True)
    told = client.functions.get("gov.lily.m").routine_definition
    assert told != body
    assert " ".join(told.split()).lower() == body
