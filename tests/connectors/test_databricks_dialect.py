"""What becomes of names, values and types in Databricks' SQL: one statement each, about exactly what was named."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.dialects import Databricks
from sqlglot.tokens import Token, TokenType

from connectors.databricks import bodies
from connectors.databricks.dialect import Home, render
from connectors.databricks.quoting import in_path, literal
from connectors.databricks.types import data_type
from lily.domain import marks
from lily.domain.branches import Branch, MaskSpec, chain
from lily.domain.inventory import Family, TableId, TableKind, Zone
from lily.domain.masking import MaskType, fitted, mask_type
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Operator, Principal
from lily.domain.steps import (
    AttachMasks,
    Attachment,
    AttachRowPolicy,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    DetachMasks,
    Detachment,
    DetachRowPolicy,
    DropMask,
    SetTags,
    Step,
    TableRef,
    TagEntry,
    UnsetTags,
)
from sandbox.databricks import grammar, nodes
from tests.connectors.hostile_names import HOSTILE, IMPOSSIBLE, twin

AWKWARD = "`'\"\\;.-/*#$ \n\r\t%_()ſéé😀Kk"
texts = st.text(
    st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), max_size=40
)
names = texts.filter(lambda name: len(name) > 0)
TEXT = MaskType(Family.TEXT, "string", 64)
SALT = "0123456789abcdef0123456789abcdef"


def _tokens(statement: str) -> list[Token]:
    return list(Databricks().tokenize(statement))


def _spec(group: str, shown: str) -> MaskSpec:
    return MaskSpec(("r1",), TEXT, chain([(frozenset({Principal("group", group)}), Action(ActionKind.REDACT, text=shown))]))


def _rows(group: str, value: str) -> RowSpec:
    condition = RowCondition(frozenset({Principal("group", group)}), 0, Operator.IN, (value, "x"))
    return RowSpec(("r1",), (Argument(Family.TEXT, "string"),), (condition,))


def _check(database: str, schema: str, name: str, column: str, other: str, value: str) -> None:  # noqa: PLR0917
    """Every step about these is one statement, by sqlglot's tokens, that holds each exactly as it is."""
    home = Home(database, schema, SALT)
    table = TableRef(TableId(database, schema, name))
    body = "a" * 32
    made: list[tuple[Step, list[str], list[str]]] = [
        (CreateMask(name, _spec(other, value), body, value), [database, schema, name], [other, value]),
        (ChangeMask(name, _spec(other, value), body, value), [database, schema, name], [other, value]),
        (CreateRowPolicy(name, _rows(other, value), body, value), [database, schema, name], [other, value]),
        (ChangeRowPolicy(name, _rows(other, value), body, value), [database, schema, name], [other, value]),
        (DropMask(name), [database, schema, name], []),
        (AttachMasks(table, (Attachment(column, other),)), [database, schema, name, column, database, schema, other], []),
        (AttachMasks(table, (Attachment(column, "m"), Attachment(other, "m"))), [column, other], []),
        (DetachMasks(table, (Detachment(column, "m"), Detachment(other, "m"))), [column, other], []),
        (AttachRowPolicy(table, other, (column,)), [database, schema, name, database, schema, other, column], []),
        (DetachRowPolicy(table, "p"), [database, schema, name], []),
        (SetTags(table, (TagEntry(column, "k", value), TagEntry(column, other, ""))), [column], ["k", value, other]),
        (UnsetTags(table, (TagEntry(None, other),)), [database, schema, name], [other]),
    ]
    for step, quoted, literals in made:
        statement = render(step, home)
        tokens = _tokens(statement)
        identifiers = [t.text for t in tokens if t.token_type is TokenType.IDENTIFIER]
        strings = [t.text for t in tokens if t.token_type is TokenType.STRING]
        scripted = statement.startswith("BEGIN ")

        assert all(word in identifiers for word in quoted), statement
        assert all(word in strings for word in literals), statement
        assert sum(t.token_type is TokenType.SEMICOLON for t in tokens) == (len(quoted) if scripted else 0)
        assert not [t for t in tokens if t.comments]


@given(names, names, names, names, names, texts)
def test_a_step_is_one_statement_that_names_exactly_what_it_is_about(  # noqa: PLR0917
    database: str, schema: str, name: str, column: str, other: str, value: str
) -> None:
    _check(database, schema, name, column, other, value)


def test_no_hostile_name_becomes_more_than_a_name() -> None:
    for name in HOSTILE:
        other = twin(name)
        _check(name, other, name, name, other, name)


def test_the_strict_grammar_reads_hostile_columns_groups_and_values_as_what_they_are() -> None:
    home, table, where = Home("gov", "lily", SALT), TableRef(TableId("main", "crm", "t")), ("main", "crm", "t")
    for name in HOSTILE:
        other = twin(name)
        attached = grammar.parse(render(AttachMasks(table, (Attachment(name, "m"), Attachment(other, "m"))), home))
        tagged = grammar.parse(render(SetTags(table, (TagEntry(name, "k", other), TagEntry(name, other, name))), home))
        filtered = grammar.parse(render(AttachRowPolicy(table, "p", (name, other)), home))
        made = grammar.parse(render(CreateMask("m", _spec(name, other), "a" * 32, name), home))

        assert isinstance(attached, nodes.Script)
        assert [(one.table, one.column) for one in attached.statements if isinstance(one, nodes.SetMask)] == [
            (where, name),
            (where, other),
        ]
        assert tagged == nodes.SetTags("TABLE", where, name, (("k", other), (other, name)))
        assert isinstance(filtered, nodes.SetRowFilter)
        assert filtered.table == where
        assert isinstance(made, nodes.CreateFunction)


@given(texts)
def test_a_literal_comes_back_as_the_text_it_was_made_of(text: str) -> None:
    (token,) = _tokens(literal(text))

    assert (token.token_type, token.text) == (TokenType.STRING, text)


@given(st.lists(names, min_size=1, max_size=3))
def test_no_part_of_a_name_leaves_its_place_in_a_url(parts: list[str]) -> None:
    made = in_path(parts)

    assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", made)
    assert made.count(".") == len(parts) - 1 + sum(part.count(".") for part in parts)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_a_name_is_no_statement(name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        render(DropMask(name), Home("main", "lily", SALT))


@given(texts, texts)
def test_a_body_is_known_again_whatever_white_space_becomes_of_it_and_not_once_edited(group: str, value: str) -> None:
    body = "0123456789abcdef" * 2
    made = bodies.mask(_spec(group, value), body, SALT)

    assert marks.body_of(made, bodies.TOKENS) == body
    assert marks.body_of(re.sub(r"^CASE WHEN", "case\n  when", made), bodies.TOKENS) == body
    assert marks.body_of(made.replace(" ELSE ", " ELSE V -- ", 1), bodies.TOKENS) is None
    assert marks.body_of(made.replace("IS NULL THEN", "IS NOT NULL THEN", 1), bodies.TOKENS) is None
    assert marks.body_of("V", bodies.TOKENS) is None


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.data())
def test_a_body_evaluated_for_a_reader_asks_for_no_group_any_more(groups: list[str], data: st.DataObject) -> None:
    principals = [Principal("group", name) for name in groups]
    held = frozenset(data.draw(st.sets(st.sampled_from(principals))))
    spec = MaskSpec(
        ("r",), TEXT, (Branch(tuple(frozenset({p}) for p in principals), None), Branch((), Action(ActionKind.NULLIFY)))
    )

    made = bodies.evaluated(bodies.mask(spec, "0" * 32, SALT), held)

    words = [token.text.upper() for token in _tokens(made)]
    assert "IS_ACCOUNT_GROUP_MEMBER" not in words
    assert words.count("TRUE") == len(held)
    assert words.count("FALSE") == len(groups) - len(held)


@pytest.mark.parametrize(
    ("text", "family", "signature"),
    [
        ("string", Family.TEXT, "string"),
        ("varchar(20)", Family.TEXT, "varchar(20)"),
        ("char(5)", Family.TEXT, "char(5)"),
        ("BIGINT", Family.INTEGER, "bigint"),
        ("long", Family.INTEGER, "bigint"),
        ("decimal(10,2)", Family.DECIMAL, "decimal(10,2)"),
        ("decimal(10,0)", Family.INTEGER, "decimal(10,0)"),
        ("timestamp", Family.TIMESTAMP, "timestamp"),
        ("timestamp_ntz", Family.TIMESTAMP, "timestamp_ntz"),
        ("array<string>", Family.SEMI_STRUCTURED, "array<string>"),
        ("map<string,array<decimal(3, 1)>>", Family.SEMI_STRUCTURED, "map<string,array<decimal(3,1)>>"),
        ("struct<a:int,b:struct<c:date>>", Family.SEMI_STRUCTURED, "struct<`a`:int,`b`:struct<`c`:date>>"),
        ("struct<`a ``b`:int>", Family.SEMI_STRUCTURED, "struct<`a ``b`:int>"),
        ("struct<a:int> RETURN 1", Family.OTHER, "struct<a:int> RETURN 1"),
        ("struct<a b:int>", Family.OTHER, "struct<a b:int>"),
        ("array<interval day>", Family.OTHER, "array<interval day>"),
        ("interval day to second", Family.OTHER, "interval day to second"),
        ("string collate UTF8_LCASE", Family.OTHER, "string collate UTF8_LCASE"),
        (f"struct<`{'a' * 256}`:int>", Family.OTHER, f"struct<`{'a' * 256}`:int>"),  # whoever may make a table may make this
        ("struct<`\x00`:int>", Family.OTHER, "struct<`\x00`:int>"),
        ("array<" * 40 + "int" + ">" * 40, Family.OTHER, "array<" * 40 + "int" + ">" * 40),
    ],
)
def test_a_type_is_what_it_says_or_not_known(text: str, family: Family, signature: str) -> None:
    found = data_type(text)

    assert (found.family, found.signature) == (family, signature)


def test_a_struct_with_an_odd_name_is_read_from_its_json() -> None:
    described = (
        '{"name": "s", "type": {"type": "struct", "fields": [{"name": "a>:int) b", "type": "long"}, '
        '{"name": "c", "type": {"type": "array", "elementType": "string", "containsNull": true}}]}}'
    )

    assert (
        data_type("struct<a>:int) b:bigint,c:array<string>>", described).signature
        == "struct<`a>:int) b`:bigint,`c`:array<string>>"
    )


@given(st.text(max_size=60) | st.text("structarymp<>:,`() int", max_size=60).map(lambda text: f"struct<{text}>"))
def test_no_type_text_ever_becomes_more_than_a_type(text: str) -> None:
    found = data_type(text)
    if found.family is Family.SEMI_STRUCTURED and found.signature != "variant":
        quoted_out = re.sub(r"`(?:[^`]|``)+`", "", found.signature)

        assert re.fullmatch(r"[a-z0-9_<>,:()]+", quoted_out)
        assert quoted_out.count("<") == quoted_out.count(">")


def test_what_is_an_instant_is_told_from_what_a_clock_shows() -> None:
    assert [data_type(text).zone for text in ("timestamp", "timestamp_ntz")] == [Zone.SESSION, Zone.NONE]


@pytest.mark.parametrize("kind", [TableKind.TABLE, TableKind.STREAMING_TABLE, TableKind.MATERIALIZED_VIEW])
def test_each_kind_of_table_is_altered_as_what_it_is(kind: TableKind) -> None:
    table = TableRef(TableId("main", "crm", "t"), kind)

    statement = render(DetachRowPolicy(table, "p"), Home("main", "lily", SALT))

    assert statement == f"ALTER {kind.value.replace('_', ' ').upper()} `main`.`crm`.`t` DROP ROW FILTER"


def test_every_branch_is_of_the_type_of_the_column() -> None:
    wanted: list[tuple[str, Any]] = [("varchar(20)", 3), ("decimal(10,2)", 2), ("date", 2), ("array<string>", 2)]
    for text, least in wanted:
        of = mask_type(data_type(text))
        assert of
        actions = [Action(ActionKind.PARTIAL, keep_last=4), Action(ActionKind.REDACT, text="***")]
        rules = [(frozenset({Principal("group", f"g{n}")}), fitted(action, of)) for n, action in enumerate(actions)]
        made = bodies.mask(MaskSpec(("r",), of, chain(rules)), "0" * 32, SALT)

        assert made.count(f" AS {of.signature})") >= least
