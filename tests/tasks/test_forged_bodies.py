"""A body that somebody has opened who also knows how Lily marks its bodies is found, reported and written again."""

import re

from connectors.databricks import bodies
from lily.domain import marks
from lily.domain.propagations import State
from lily.records import drifts
from tasks import reconcile
from tests.connectors.databricks_workspace import NAME, Workspace, workspace
from tests.sandbox.conftest import databricks, databricks_process
from tests.tasks.test_databricks import T, create, dump, emails, propagation, states, sweep_later, world

__all__ = ["databricks", "databricks_process", "propagation", "workspace", "world"]


def test_a_forged_body_is_not_taken_for_lilys_own(world: Workspace) -> None:
    clear, before = emails(world), dump(world)["functions"]
    create()
    (name,) = [one for one in dump(world)["functions"] if "text" in one and one not in before]
    known = dump(world)["functions"][name]
    body = str(marks.body_of(known["body"], bodies.TOKENS))
    opened = known["body"].replace("ELSE", "WHEN session_user() = 'ana@example.com' THEN V ELSE", 1)
    forged = re.sub(rf"{body}:[0-9a-f]{{32}}", f"{body}:{marks._digest(body, opened, bodies.TOKENS)}", opened)
    comment = known["comment"].replace("'", "\\'")
    world.sql(f"CREATE OR REPLACE FUNCTION {name}(V STRING) RETURNS STRING COMMENT '{comment}' RETURN {forged}")
    assert (emails(world), marks.body_of(forged, bodies.TOKENS)) == (clear, body)

    reconcile.reconcile(NAME)
    (found,) = drifts.find(NAME, False, 10, None).items
    assert found.drift.kind.value == "body_changed"
    sweep_later()
    assert emails(world) == ["***"] * len(clear)
    assert states() == {T.name: State.ENFORCED}
