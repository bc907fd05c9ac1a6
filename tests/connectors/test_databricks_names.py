"""Names that mislead: rules act on exactly what they name, and a twin beside it stays as it was."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from connectors import databricks as connector
from lily.domain.inventory import TableId
from lily.domain.proofs import Outcome
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.connectors.hostile_names import HOSTILE, twin
from tests.connectors.test_databricks import verdict
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20),
)
TABLES = [name for name in HOSTILE if name == name.lower() and not re.search(r"[./ \x00-\x1f\x7f]", name)][::25]
TABLE = TableId("analytics", "crm", "odd")


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _exact(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


@given(st.lists(names, min_size=4, max_size=4), st.sampled_from(["", "x", "'"]))
@example(["email", "'", "b", "*"], "")  # sqlglot holds a column called * for "any"
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_column_of_any_name_is_masked_and_its_twin_is_not(workspace: Workspace, some: list[str], more: str) -> None:
    first, *others = some
    columns = dict.fromkeys([first, (first + more)[:255], twin(first), *others])
    assume(len({column.lower() for column in columns}) == len(columns) > 1)
    made = ", ".join(f"{quoted(column)} STRING" for column in columns)
    clear = ", ".join(f"'{n}'" for n in range(len(columns)))
    workspace.sql(
        f"CREATE OR REPLACE TABLE analytics.crm.odd ({made}) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        f"INSERT INTO analytics.crm.odd VALUES ({clear})",
        "GRANT SELECT ON TABLE analytics.crm.odd TO `account users`",
    )
    rule = a_rule("r1", "redact", match={"columns": [_exact("odd", first)]}, exempt=[{"group": "data_stewards"}])

    plan = workspace.enforce([rule], TABLE)

    assert _shown(workspace, "ana@example.com") == ["***", *(str(n) for n in range(1, len(columns)))]
    assert _shown(workspace, "dora@example.com") == [str(n) for n in range(len(columns))]
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert {(tag.column, tag.value) for tag in connector.tags(NAME, [TABLE])[TABLE]} == {(first, "redact")}
    assert workspace.plan([rule], TABLE).steps == ()
    workspace.enforce([], TABLE)
    assert _shown(workspace, "ana@example.com") == [str(n) for n in range(len(columns))]
    assert connector.tags(NAME, [TABLE])[TABLE] == frozenset()


def _shown(workspace: Workspace, user: str) -> list[Any]:
    (row,) = workspace.reads("SELECT * FROM analytics.crm.odd", user)
    return row


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_any_name_is_protected_and_the_one_beside_it_is_not(workspace: Workspace, name: str) -> None:
    table, beside = TableId("analytics", "crm", name), TableId("analytics", "crm", (name + "x")[:255] if len(name) < 255 else "x")
    for one in (table, beside):
        workspace.sql(f"CREATE TABLE analytics.crm.{quoted(one.name)} (email STRING)")
    rule = a_rule("r1", "redact", match={"columns": [_exact(name, "email")]})

    plan = workspace.enforce([rule], table, beside)

    read = connector.read(NAME, [table, beside]).tables
    assert ({table, beside}, bool(read[table].masks), bool(read[beside].masks)) == (set(read), True, False)
    observed = connector.observe(NAME, [part.expected for part in plan.tables])
    assert set(observed[table].masks) == {"email"}
    assert table in {one.id for page in connector.tables(NAME) for one in page}


@given(names)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_group_of_any_name_is_exempt_and_nobody_else(workspace: Workspace, name: str) -> None:
    assume(name.strip().casefold() not in {"", "account users", "users"})
    workspace.stand_in.post("groups", name=name, add=["lea@example.com"])
    rule = a_rule("r1", "redact", match={"columns": ["email"]}, exempt=[{"group": name}])
    table = TableId("analytics", "crm", "customers")

    plan = workspace.enforce([rule], table)

    query = "SELECT DISTINCT email = '***' FROM analytics.crm.customers"
    assert [workspace.reads(query, f"{who}@example.com") for who in ("lea", "ana")] == [[["false"]], [["true"]]]
    assert verdict(plan).outcome is Outcome.ENFORCED
