"""Hostile names in Snowflake: one statement each, about exactly the named object, and a twin beside it stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import TokenType
from sqlglot.dialects import Snowflake as Sqlglot

from connectors import snowflake as connector
from connectors.snowflake.dialect import Home, render
from connectors.snowflake.quoting import identifier
from lily.domain.branches import Branch, MaskSpec
from lily.domain.inventory import Family, TableId, TableKind
from lily.domain.masking import MaskType
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
    CreateTag,
    DetachMasks,
    Detachment,
    DetachRowPolicy,
    DropMask,
    SetTags,
    Step,
    SwapRowPolicy,
    TableRef,
    TagEntry,
    UnsetTags,
)
from sandbox.snowflake import lexer, nodes
from sandbox.snowflake.statements import parse
from tests.connectors.hostile_names import HOSTILE, IMPOSSIBLE, NAME_MAX, twin
from tests.connectors.snowflake_account import NAME, SALT, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import Snowflake, snowflake, snowflake_process

__all__ = ["Snowflake", "account", "snowflake", "snowflake_process"]

BODY = "0123456789abcdef" * 2
TEXT = MaskType(Family.TEXT, "VARCHAR", 64)
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=NAME_MAX),
    st.text("\"'\\$;-/*.\n #`ä", min_size=1, max_size=12),
)


def read(statement: str) -> nodes.Statement:
    """What it says, by the stand-in's strict grammar. It must be one statement, by sqlglot's tokens too."""
    (only,) = lexer.split(lexer.tokenise(statement))
    tokens = Sqlglot().tokenize(statement)
    assert not [token for token in tokens if token.token_type is TokenType.SEMICOLON or token.comments], statement
    found = [t.text for t in tokens if t.token_type is TokenType.IDENTIFIER]
    assert found == [t.value for t in only if t.kind == lexer.NAME]
    return parse(only, statement)


def altered(step: Step, home: Home) -> nodes.AlterTable:
    found = read(render(step, home))
    assert isinstance(found, nodes.AlterTable)
    return found


def mask_of(role: str, shown: str) -> MaskSpec:
    exempt = frozenset({Principal("role", role)})
    return MaskSpec(("r1",), TEXT, (Branch((exempt,), None), Branch((), Action(ActionKind.REDACT, text=shown))))


def rows_of(role: str, value: str) -> RowSpec:
    condition = RowCondition(frozenset({Principal("role", role)}), 0, Operator.IN, (value, "x"))
    return RowSpec(("r1",), (Argument(Family.TEXT, "VARCHAR"),), (condition,))


def check_tables(name: str, other: str) -> None:
    """Databases, schemas, tables, columns, policies and tags with this name."""
    home = Home(name, other, SALT)
    table = TableRef(TableId(name, other, name), TableKind.TABLE)
    path, policy = (name, other, name), (name, other, "p")
    masks = (
        nodes.SetMask(name, nodes.MaskDefinition(policy)),
        nodes.SetMask(other, nodes.MaskDefinition((name, other, name), force=True)),
    )
    ours = (Attachment(name, "p"), Attachment(other, name, "q"))
    assert altered(AttachMasks(table, ours), home) == nodes.AlterTable("TABLE", path, False, masks)
    gone = tuple(map(nodes.UnsetMask, (name, other)))
    assert altered(DetachMasks(table, (Detachment(name, "p"), Detachment(other, "p"))), home).actions == gone
    added = nodes.AddRowPolicy(nodes.RowPolicyDefinition(policy, (name, other)))
    assert altered(AttachRowPolicy(table, "p", (name, other)), home).actions == (added,)
    dropped = nodes.DropRowPolicy(path)
    assert altered(SwapRowPolicy(table, "p", (name, other), name), home).actions == (dropped, added)
    assert altered(DetachRowPolicy(table, name), home).actions == (dropped,)
    told = nodes.SetTags(name, ((path, name),)), nodes.SetTags(other, ((path, other),))
    assert altered(SetTags(table, (TagEntry(name, name, name), TagEntry(other, name, other))), home).actions == told
    assert altered(UnsetTags(table, (TagEntry(None, name),)), home).actions == (nodes.UnsetTags(None, (path,)),)


def check_policies(name: str) -> None:
    """Roles in bodies, and values, with this name; they come back as they went in, each where it belongs."""
    home = Home(name, "S", SALT)
    for step in (
        CreateMask(name, mask_of(name, name), BODY, name),
        ChangeMask(name, mask_of(name, name), BODY, name),
        CreateRowPolicy(name, rows_of(name, name), BODY, name),
        ChangeRowPolicy(name, rows_of(name, name), BODY, name),
    ):
        found = read(render(step, home))
        assert isinstance(found, nodes.CreatePolicy | nodes.AlterPolicy)
        where, comment = (found.creation.path, name) if isinstance(found, nodes.CreatePolicy) else (found.path, None)
        assert (where, found.comment) == ((name, "S", name), comment)
        tokens = lexer.tokenise(found.body or "")
        literals = [token.value for token in tokens if token.kind == lexer.STRING]
        assert literals[0].startswith(f"lily:{BODY}:")
        assert literals[1:] == [name, name] + (["x"] if isinstance(step, CreateRowPolicy | ChangeRowPolicy) else [])
        asked = [n for n, token in enumerate(tokens) if token.value == "IS_ROLE_IN_SESSION" and token.kind == lexer.WORD]
        assert [tokens[n + 2].value for n in asked] == [name]
    made = read(render(CreateTag(name, name), home))
    assert made == nodes.CreateTag(nodes.Creation((name, "S", name)), comment=name)
    assert read(render(DropMask(name), home)) == nodes.Drop("MASKING POLICY", (name, "S", name), if_exists=False)


def test_the_list_holds_five_hundred_names_each_with_a_twin() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 500
    assert all(1 <= len(name) <= NAME_MAX and "\0" not in name and twin(name) != name for name in HOSTILE)
    assert all(1 <= len(twin(name)) <= NAME_MAX for name in HOSTILE)


def test_every_name_of_tables_and_columns_stays_one_name() -> None:
    for name in HOSTILE:
        check_tables(name, twin(name))


def test_every_name_of_roles_and_policies_stays_one_name() -> None:
    for name in HOSTILE:
        check_policies(name)


@given(name=names, other=names)
def test_any_name_stays_one_name(name: str, other: str) -> None:
    if name != other:
        check_tables(name, other)
    check_policies(name)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_a_name_is_no_statement(name: str) -> None:
    with pytest.raises(ValueError, match="a name has 1 to 255 characters"):
        render(DropMask(name), Home("GOV", "LILY", SALT))


SAMPLE = list(dict.fromkeys((*HOSTILE[:12], *HOSTILE[40:56:4], *HOSTILE[56:80:6], *HOSTILE[80::40])))
READS = "SELECT {}, {} FROM {} ORDER BY 1"


def test_only_the_named_object_is_protected_and_only_the_named_role_sees(account: Account) -> None:
    for name in SAMPLE:
        check_enforced(account, name)


def check_enforced(account: Account, name: str) -> None:
    """Database, schema, table, column and role have the name; beside each stands its twin, and none of them changes."""
    one, other = identifier(name), identifier(twin(name))
    table, reads = TableId(name, name, name), [(one, one, one), (one, one, other), (one, other, one), (other, one, one)]
    statements = []
    for database in (one, other):
        statements += [f"CREATE DATABASE {database}", f"GRANT USAGE ON DATABASE {database} TO ROLE LILY"]
        statements += [f"GRANT USAGE ON DATABASE {database} TO ROLE PUBLIC"]
    for schema in (f"{one}.{one}", f"{one}.{other}", f"{other}.{one}"):
        statements += [f"CREATE SCHEMA {schema}"] + [f"GRANT USAGE ON SCHEMA {schema} TO ROLE {to}" for to in ("LILY", "PUBLIC")]
    for path in map(".".join, reads):
        statements += [f"CREATE TABLE {path} ({one} VARCHAR, {other} VARCHAR)", f"INSERT INTO {path} VALUES ('a', 'b')"]
        statements += [f"GRANT SELECT ON TABLE {path} TO ROLE PUBLIC"]
    account.sql("; ".join(statements))
    account.sql(f"CREATE ROLE IF NOT EXISTS {one}; CREATE ROLE IF NOT EXISTS {other}")
    redact = {"text": name[:64]}
    where = ".".join([one] * 4)
    rule = a_rule("r1", "redact", parameters=redact, match={"columns": [where]}, exempt=[{"role": name}])

    account.enforce([rule], table)

    seen = {role: account.reads(READS.format(one, other, ".".join(reads[0])), role) for role in (name, twin(name), "ANALYST")}
    assert len(seen) == 3
    assert seen == {name: [["a", "b"]], twin(name): [[name[:64], "b"]], "ANALYST": [[name[:64], "b"]]}
    for path in map(".".join, reads[1:]):
        assert account.reads(READS.format(one, other, path), "ANALYST") == [["a", "b"]]
    shown = connector.prove(NAME, account.plan([rule], table).tables[0].expected.objects)
    assert {behaviour.shown for behaviour in shown} == {found.shown for found in shown.values()}
    assert account.plan([rule], table).steps == ()
    account.enforce([], table)
    assert account.reads(READS.format(one, other, ".".join(reads[0])), "ANALYST") == [["a", "b"]]
    account.sql(f"DROP DATABASE {one}; DROP DATABASE {other}")
