"""Properties of enforcement in the Databricks stand-in: who sees what, for any groups, masks and filters, at any moment."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.conftest import Databricks
from tests.waiting import eventually

CUSTOMERS = "analytics.crm.customers"
USERS = ("u0", "u1", "u2")
GROUPS = ("g0", "g1", "g2", "g3")
INSIDE = st.sets(st.tuples(st.sampled_from((*USERS, *GROUPS)), st.sampled_from(GROUPS)), max_size=8)


def holds(group: str, user: str, inside: set[tuple[str, str]]) -> bool:
    """Whether a chain of memberships leads from the user to the group."""
    reached = {user}
    while more := {outer for inner, outer in inside if inner in reached} - reached:
        reached |= more
    return group in reached


@settings(max_examples=20, deadline=None)
@given(
    inside=INSIDE,
    exempt=st.sets(st.sampled_from(GROUPS)),
    visible=st.sets(st.sampled_from(GROUPS)),
    values=st.lists(st.none() | st.text("ab'\\", max_size=3), min_size=1, max_size=4),
)
def test_each_reader_sees_what_group_membership_says(
    databricks_process: Databricks, inside: set[tuple[str, str]], exempt: set[str], visible: set[str], values: list[str | None]
) -> None:
    """The mask spares the exempt groups, the filter shows rows with a value to all and the others to some groups only."""
    stand_in = databricks_process
    stand_in.post("reset")
    for name in USERS:
        stand_in.post("principals", name=name)
    for name in GROUPS:
        users = [member for member, group in inside if group == name and member in USERS]
        stand_in.post(
            "groups", name=name, add=users, add_groups=[member for member, group in inside if group == name and member in GROUPS]
        )
    rows = ", ".join(f"({at}, {literal(value)})" for at, value in enumerate(values))
    stand_in.sql(
        "CREATE CATALOG c", "CREATE SCHEMA c.s", "CREATE TABLE c.s.t (id INT, v STRING)", f"INSERT INTO c.s.t VALUES {rows}",
        f"CREATE FUNCTION c.s.m (v STRING) RETURNS STRING RETURN CASE WHEN {any_of(exempt)} THEN v ELSE concat('#', v) END",
        f"CREATE FUNCTION c.s.f (v STRING) RETURNS BOOLEAN RETURN {any_of(visible)} OR v <> ''",
        "ALTER TABLE c.s.t ALTER COLUMN v SET MASK c.s.m", "ALTER TABLE c.s.t SET ROW FILTER c.s.f ON (v)",
        "GRANT USE CATALOG, USE SCHEMA, SELECT ON CATALOG c TO `account users`",
    )  # fmt: skip

    for user in USERS:
        seen = stand_in.sql("SELECT id, v FROM c.s.t ORDER BY id", user=user)

        spared = any(holds(group, user, inside) for group in exempt)
        shown = any(holds(group, user, inside) for group in visible)
        assert seen == [
            [str(at), value if spared or value is None else f"#{value}"] for at, value in enumerate(values) if shown or value
        ]


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def any_of(groups: set[str]) -> str:
    return " OR ".join([f"is_account_group_member('{group}')" for group in sorted(groups)] or ["false"])


def test_no_reader_ever_sees_a_bare_value_while_masks_are_swapped(databricks: Databricks) -> None:
    databricks.sql(
        "CREATE FUNCTION gov.lily.a (v STRING) RETURNS STRING RETURN 'a'",
        "CREATE FUNCTION gov.lily.b (v STRING) RETURNS STRING RETURN 'b'",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.a",
    )
    seen: set[str] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.update(row[0] for row in databricks.sql(f"SELECT email FROM {CUSTOMERS}", user="ana@example.com"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    eventually(lambda: seen)
    for at in range(20):
        databricks.sql(f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.{'ab'[at % 2]}")
        databricks.sql(f"CREATE OR REPLACE FUNCTION gov.lily.a (v STRING) RETURNS STRING RETURN 'a{at}'")
    over.set()
    for each in readers:
        each.join(timeout=10)

    assert not [value for value in seen if "@" in value]
