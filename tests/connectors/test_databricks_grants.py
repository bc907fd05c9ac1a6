"""What Lily asks an administrator for in Databricks is enough, and what is missing is named."""

from connectors import databricks as connector
from connectors.databricks import grants
from lily.domain.inventory import TableId
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

T = TableId("analytics", "crm", "customers")
RULE = a_rule("r1", "redact", match={"columns": ["email"]}, exempt=[{"group": "data_stewards"}])


def _needed() -> list[str]:
    """Without those on the catalog `system`, which the stand-in shows to everybody and knows no privileges of."""
    return [grant.sql for grant in grants.statements(NAME) if grant.sql.startswith("GRANT") and "`system`" not in grant.sql]


def _start_without_any(workspace: Workspace) -> None:
    for who in ("lily-svc", "account users"):
        for privileges, on in (
            ("USE CATALOG", "CATALOG gov"),
            ("USE SCHEMA, CREATE FUNCTION, EXECUTE", "SCHEMA gov.lily"),
            ("USE CATALOG", "CATALOG analytics"),
            ("USE SCHEMA, MANAGE, APPLY TAG, SELECT", "SCHEMA analytics.crm"),
        ):
            workspace.sql(f"REVOKE {privileges} ON {on} FROM `{who}`")


def test_nothing_is_held_before_and_everything_after_and_rules_then_work(workspace: Workspace) -> None:
    _start_without_any(workspace)
    before = {
        one.grant.sql: one.held for one in grants.check(NAME) if one.grant.sql.startswith("GRANT") and not one.grant.optional
    }
    assert before
    assert True not in before.values()

    workspace.sql(*_needed())

    assert {one.held for one in grants.check(NAME) if "`system`" not in one.grant.sql} == {True}
    plan = workspace.enforce([RULE], T)
    shown = connector.prove(NAME, plan.tables[0].expected.objects)
    assert all(seen.shown == behaviour.shown for behaviour, seen in shown.items())
    assert workspace.plan([RULE], T).steps == ()


def test_a_privilege_that_was_taken_away_is_named(workspace: Workspace) -> None:
    workspace.sql(*_needed())
    workspace.sql("REVOKE CREATE FUNCTION ON SCHEMA gov.lily FROM `lily-svc`")

    (lacking,) = [one for one in grants.check(NAME) if one.held is not True and not one.grant.optional]

    assert (lacking.held, "CREATE FUNCTION" in lacking.remark) == (False, True)


def test_what_is_asked_for_is_known_while_the_workspace_is_away(workspace: Workspace) -> None:
    workspace.forget()

    assert all(grant.why for grant in grants.statements(NAME))
    assert workspace.requests() == {}


def test_a_group_that_cannot_be_assumed_and_a_warehouse_that_is_closed_are_told(workspace: Workspace) -> None:
    workspace.stand_in.settings(role_assumption=False)
    workspace.stand_in.post("warehouses", id="abcdef0123456789", users=[])

    told = {one.grant.sql: one.held for one in grants.check(NAME) if one.grant.sql.startswith("--")}

    assert set(told.values()) == {False}
