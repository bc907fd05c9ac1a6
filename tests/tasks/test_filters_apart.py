"""Rows that several rules filter: what one of them cannot ask for any more takes nothing away from what all of them hid."""

from lily.domain.propagations import State
from tests.connectors.databricks_workspace import Workspace, workspace
from tests.sandbox.conftest import databricks, databricks_process
from tests.tasks.test_databricks import ROWS, T, create, propagation, states, world

__all__ = ["databricks", "databricks_process", "propagation", "workspace", "world"]


def names(world: Workspace) -> list[str]:
    return [row[0] for row in world.reads("SELECT name FROM analytics.crm.customers ORDER BY name", "ana@example.com")]


def test_a_filter_whose_column_is_masked_takes_no_other_filter_with_it(world: Workspace) -> None:
    few = {"column": "phone", "operator": "!=", "values": ["+39 06 12345678"]}
    create("f1", **ROWS)
    create("f2", "row_filter", parameters=few, match={"columns": ["country"]})
    assert (states("f1"), states("f2")) == ({T.name: State.ENFORCED}, {T.name: State.ENFORCED})
    assert names(world) == ["Ada Winter", "Bilal Osman"]

    create("m", match={"columns": ["phone"]})
    assert set(names(world)) <= {"Ada Winter", "Bilal Osman"}
    assert states("f2") == {T.name: State.FAILED}
