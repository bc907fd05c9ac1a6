"""Hostile names and literals: Snowflake's stand-in takes a text for one statement, and acts on exactly the named object."""

import string
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.snowflake import errors, lexer, nodes
from sandbox.snowflake.statements import parse
from tests.sandbox.conftest import Snowflake, refusal

HOSTILE = [
    'quo"te', '""', "sing'le", "dot.ted", "semi;colon", "--comment", "//comment", "/*open",
    "*/close", "back\\slash", "\\", "$$", "$$x$$",
    "new\nline", "\r\n", "tab\t", " lead", "trail ", " ", "e\u0301", "\u00e9", "Customer", "customer", "CUSTOMER",
    "SELECT",
    "TABLE", "\U0001f469\u200d\U0001f4bb", "\u202eright", "x" * 255, "\U0001f600" * 255, "%s", "{}", "?", ":1", "a=b",
    "COMMENT = 'x'",     "'; DROP TABLE T; --", '"; DROP TABLE T; --', "\ufeff", "\u00a0", "\u2028", "ǅ", "ß", "İ", "ı", "K",
]  # fmt: skip
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=255),
    st.text(string.printable, min_size=1, max_size=20),
)
literals = st.one_of(st.sampled_from(["", *HOSTILE]), st.text(st.characters(blacklist_categories=["Cs"]), max_size=50))


def statements(text: str) -> list[list[lexer.Token]]:
    return lexer.split(lexer.tokenise(text))


@given(table=names, column=names, policy=names, tag=names, value=literals)
@example(table='a"."b', column="a", policy="p", tag="t", value="\\'")
def test_names_and_literals_come_back_as_they_were(table: str, column: str, policy: str, tag: str, value: str) -> None:
    quoted = lexer.quote
    text = f"ALTER TABLE {quoted(table)} MODIFY COLUMN {quoted(column)} SET MASKING POLICY {quoted(policy)}"
    only = statements(text)
    assert len(only) == 1
    assert parse(only[0], text) == nodes.AlterTable(
        "TABLE", (table,), False, (nodes.SetMask(column, nodes.MaskDefinition((policy,))),)
    )
    text = f"ALTER TABLE {quoted(table)} MODIFY COLUMN {quoted(column)} SET TAG {quoted(tag)} = {lexer.literal(value)}"
    found = parse(statements(text)[0], text)
    assert isinstance(found, nodes.AlterTable)
    assert found.actions == (nodes.SetTags(column, (((tag,), value),)),)


@given(name=names)
def test_a_policy_keeps_its_body_word_for_word(name: str) -> None:
    body = f"CASE WHEN IS_ROLE_IN_SESSION({lexer.literal(name)}) THEN {lexer.quote(name)} ELSE $$;$$ END"
    comment = lexer.literal(f"COMMENT = '{name}'")
    quoted = lexer.quote(name)
    text = f"CREATE MASKING POLICY {quoted} AS ({quoted} VARCHAR) RETURNS VARCHAR -> {body} COMMENT = {comment}"

    found = parse(statements(text)[0], text)

    assert isinstance(found, nodes.CreatePolicy)
    assert (found.creation.path, found.body, found.comment) == ((name,), body, f"COMMENT = '{name}'")


@given(text=st.text(st.sampled_from("\"'\\$;-/*.\n ()=,aA1?é"), max_size=30))
def test_any_text_is_read_or_refused_by_number(text: str) -> None:
    """And if it is read, it says the same again when its tokens are put together."""
    try:
        tokens = lexer.tokenise(text)
    except errors.Refused as refused:
        assert refused.code in ("001003", "000904")
        return
    again = " ".join(token.text for token in tokens[:-1])
    assert [(token.kind, token.value) for token in lexer.tokenise(again)[:-1]] == [
        (token.kind, token.value) for token in tokens[:-1]
    ]
    for statement in lexer.split(tokens):
        try:
            parse(statement, text)
        except errors.Refused as refused:
            assert refused.code.isdecimal()


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("''", ""),
        ("''''", "'"),
        (r"'\''", "'"),
        (r"'\\'", "\\"),
        (r"'\n\t\r'", "\n\t\r"),
        (r"'\x41'", "A"),
        (r"'\u00e9'", "é"),
        (r"'\101\0'", "A\0"),
        (r"'\q\"'", 'q"'),
        ("'a\nb'", "a\nb"),
        ("$$a'b\\n$$", "a'b\\n"),
        ("'a' -- 'b'", "a"),
    ],
)
def test_literals_mean_what_the_vendor_says(literal: str, value: str) -> None:
    assert lexer.tokenise(literal)[0].value == value


@pytest.mark.parametrize(
    ("text", "line", "position"),
    [
        ("frobnicate", 1, 0),
        ("ALTER TABLE t FROB", 1, 14),
        ("ALTER TABLE t\n  MODIFY COLUMN", 2, 15),
        ("ALTER TABLE t MODIFY COLUMN a SET MASKING POLICY p;;x", 1, 52),
        ("CREATE TABLE t (a INT", 1, 21),
        ("DROP TABLE a.b.c.d", 1, 16),
        ("DROP TABLE a b", 1, 13),
        ("DROP TABLE select", 1, 11),
        ("DROP TABLE ''", 1, 11),
        ("CREATE OR REPLACE TABLE IF NOT EXISTS t (a INT)", 1, 24),
        ("SHOW FISH", 1, 5),
        ("DROP TABLE é", 1, 11),
        ('DROP TABLE ""', 1, 11),
        ('DROP TABLE "a\0b"', 1, 11),
        ("CREATE ROW ACCESS POLICY r AS (a INT) RETURNS VARCHAR -> TRUE", 1, 46),
    ],
)
def test_what_is_not_understood_is_refused_where_it_stands(text: str, line: int, position: int) -> None:
    with pytest.raises(errors.Refused) as caught:
        for tokens in statements(text):
            parse(tokens, text)

    assert (caught.value.code, caught.value.sqlstate) == ("001003", "42000")
    assert (caught.value.line, caught.value.position) == (line, position)
    assert caught.value.message.startswith(
        f"SQL compilation error:\nsyntax error line {line} at position {position} unexpected '"
    )


@pytest.mark.parametrize("text", ['DROP TABLE "a', "SELECT 'a", "SELECT $$a", "SELECT /* a"])
def test_what_is_never_closed_is_refused(text: str) -> None:
    with pytest.raises(errors.Refused, match="parse error line 1 at position"):
        lexer.tokenise(text)


def test_a_name_has_255_characters_at_most(lily: Any) -> None:
    lily.execute(f'CREATE TAG GOV.LILY."{"😀" * 255}"')

    assert refusal(lily, f'CREATE TAG GOV.LILY."{"x" * 256}"') == (904, "42000")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pair=st.lists(names, min_size=2, max_size=2, unique=True), role=names, value=literals.filter(lambda text: "\0" not in text)
)
@example(pair=["Customer", "customer"], role="r", value="")
@example(pair=["e\u0301", "\u00e9"], role="\u00e9", value="$$")
@example(pair=["a.b", 'a"."b'], role="'; DROP TABLE T; --", value="\\'")
@example(pair=["x;", "x"], role="x\\", value="\n")
def test_a_statement_acts_on_exactly_the_named_object(
    snowflake_process: Snowflake, pair: list[str], role: str, value: str
) -> None:
    """Database, schema, table, column, policy, tag and role of that name; the twin beside each stays as it was."""
    http = snowflake_process.http
    assert http.post("/sandbox/reset").is_success
    sql, quoted = snowflake_process.sql, lexer.quote
    one, twin = map(quoted, pair)
    for name in (one, twin):
        sql(f"CREATE DATABASE {name}; CREATE SCHEMA {name}.{name}")
        sql(f"CREATE TABLE {name}.{name}.{name} ({one} VARCHAR, {twin} VARCHAR)")
        sql(f"INSERT INTO {name}.{name}.{name} ({one}, {twin}) VALUES ('one', 'twin')")
    where = f"{one}.{one}"
    body = f"IFF(IS_ROLE_IN_SESSION({lexer.literal(role)}), {one}, {lexer.literal(value)})"
    for name in (one, twin):
        does = body if name == one else one
        sql(f"CREATE MASKING POLICY {where}.{name} AS ({one} VARCHAR) RETURNS VARCHAR -> {does}; CREATE TAG {where}.{name}")
    sql(f"CREATE ROLE {quoted(role)}") if role not in ("PUBLIC", "ACCOUNTADMIN") else None

    sql(f"ALTER TABLE {where}.{one} MODIFY COLUMN {one} SET MASKING POLICY {where}.{one}")
    sql(f"ALTER TABLE {where}.{one} MODIFY COLUMN {one} SET TAG {where}.{one} = {lexer.literal(value[:256])}")

    read = f"SELECT {one}, {twin} FROM"
    assert sql(f"{read} {where}.{one}") == [[value, "twin"]]
    assert sql(f"{read} {where}.{one} AS {twin} WHERE {twin}.{one} = {lexer.literal(value)}") == [[value, "twin"]]
    assert sql(f"{read} {where}.{one}", role=role) == [["one", "twin"]]
    assert sql(f"{read} {twin}.{twin}.{twin}") == [["one", "twin"]]
    entity = lexer.literal(f"{where}.{one}")
    arguments = f"REF_ENTITY_NAME => {entity}, REF_ENTITY_DOMAIN => 'TABLE'"
    found = sql(f"SELECT * FROM TABLE({one}.INFORMATION_SCHEMA.POLICY_REFERENCES({arguments}))")
    assert [(row[:3], row[4:7], row[8]) for row in found] == [([pair[0]] * 3, [pair[0]] * 3, pair[0])]
    tagged = sql(f"SELECT * FROM TABLE({one}.INFORMATION_SCHEMA.TAG_REFERENCES_ALL_COLUMNS({entity}, 'TABLE'))")
    assert [(row[:4], row[8], row[10]) for row in tagged] == [([*[pair[0]] * 3, value[:256]], pair[0], pair[0])]
    sql(f"DROP MASKING POLICY {where}.{twin}; DROP DATABASE {twin}")
    assert [row[1] for row in sql("SHOW DATABASES")] == [pair[0]]
