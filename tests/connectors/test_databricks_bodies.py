"""What somebody writes into one of Lily's functions is never run with Lily's rights."""

import pytest

from connectors import databricks as connector
from connectors.databricks.proof import EDITED, EVALUATED
from lily.domain.inventory import TableId
from tests.connectors.databricks_workspace import INSIDE, NAME, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

T = TableId("analytics", "crm", "customers")


@pytest.mark.parametrize(
    "words", ["V", "CASE WHEN 1 = 1 THEN V ELSE upper(V) END", "CASE WHEN is_account_group_member(V) THEN V END"]
)
def test_words_that_lily_did_not_write_are_not_evaluated_in_its_name(workspace: Workspace, words: str) -> None:
    plan = workspace.enforce([a_rule("r1", "redact", match={"columns": ["email"]}, exempt=[{"group": "data_stewards"}])], T)
    [thing] = plan.tables[0].expected.objects
    workspace.stand_in.post("groups", name="data_stewards", remove_groups=[INSIDE])  # nobody can be asked: it is evaluated
    assert EVALUATED in {one.why for one in connector.prove(NAME, [thing]).values()}

    workspace.sql(f"CREATE OR REPLACE FUNCTION gov.lily.{thing.name}(V STRING) RETURNS STRING RETURN {words}")
    seen = connector.prove(NAME, [thing])
    assert {one.shown for behaviour, one in seen.items() if behaviour.reader} == {None}
    assert {one.why for behaviour, one in seen.items() if behaviour.reader} == {EDITED}
