"""Databricks as a target, through the vendor's SDK: what is planned is done, seen and proven, in few requests."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors import databricks as connector
from connectors.contracts import Refused
from connectors.databricks import catalog
from connectors.databricks.proof import EVALUATED
from lily.domain.branches import Reader
from lily.domain.inventory import TableId
from lily.domain.plan import Plan
from lily.domain.proofs import Behaviour, Outcome, Seen, Verdict, compare
from lily.domain.rules import Principal
from lily.domain.steps import AttachMasks, ChangeMask, CreateMask, DetachMasks, Detachment, DropMask, SetTags, TableRef
from lily.runtime.errors import Transient
from tests.connectors.databricks_workspace import INSIDE, NAME, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

T = TableId("analytics", "crm", "customers")
COLUMNS = ["name", "email", "phone"]
STEWARDS = Principal("group", "data_stewards")
EMAIL = a_rule("r1", "email_domain", match={"columns": ["email"]}, exempt=[{"group": "data_stewards"}])
STATEMENTS = "POST /api/2.0/sql/statements"


def verdict(plan: Plan) -> Verdict:
    (table,) = plan.tables
    shown = connector.prove(NAME, table.expected.objects)
    return compare(table.expected, replace(connector.observe(NAME, [table.expected])[table.table.id], behaviours=shown))


def evidence(plan: Plan) -> dict[Reader, Seen]:
    return {behaviour.reader: seen for behaviour, seen in _prove(plan).items()}


def _prove(plan: Plan) -> dict[Behaviour, Seen]:
    return dict(connector.prove(NAME, plan.tables[0].expected.objects))


def test_a_rule_is_enforced_and_what_a_member_is_shown_was_seen_as_a_member(workspace: Workspace) -> None:
    plan = workspace.enforce([EMAIL], T)

    assert set(map(tuple, workspace.reads("SELECT email FROM analytics.crm.customers LIMIT 1", "ana@example.com"))) == {
        ("*@example.com",)
    }
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert {reader: (seen.shown, seen.why) for reader, seen in evidence(plan).items()} == {
        frozenset({STEWARDS}): ("clear", ""),
        frozenset(): ("email_domain", ""),
    }


def test_where_no_role_can_be_assumed_the_body_in_force_is_evaluated_and_the_evidence_says_so(workspace: Workspace) -> None:
    workspace.stand_in.settings(role_assumption=False)

    plan = workspace.enforce([EMAIL], T)

    assert connector.check(NAME).remarks
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert {reader: (seen.shown, seen.why) for reader, seen in evidence(plan).items()} == {
        frozenset({STEWARDS}): ("clear", EVALUATED),
        frozenset(): ("email_domain", ""),
    }


def test_a_group_that_is_not_there_leaves_what_its_members_see_untried(workspace: Workspace) -> None:
    plan = workspace.enforce([a_rule("r1", "redact", match={"columns": ["email"]}, exempt=[{"group": "nobody's"}])], T)

    (seen,) = [seen for reader, seen in evidence(plan).items() if reader]
    assert (seen.shown, "nobody's" in seen.why) == (None, True)
    assert verdict(plan).outcome is Outcome.ATTACHED


def test_where_lily_itself_is_exempt_another_shows_what_strangers_see(workspace: Workspace) -> None:
    workspace.stand_in.post("groups", name="data_stewards", add=["lily-svc"])

    plan = workspace.enforce([EMAIL], T)
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert evidence(plan)[frozenset()].why == ""  # the proof group outside of all

    workspace.stand_in.settings(role_assumption=False)
    connector.close(NAME)
    assert evidence(plan)[frozenset()].why == EVALUATED


def test_a_function_that_shows_members_too_little_is_found_out(workspace: Workspace) -> None:
    plan = workspace.enforce([EMAIL], T)
    workspace.stand_in.post("groups", name="data_stewards", remove_groups=[INSIDE])
    assert evidence(plan)[frozenset({STEWARDS})].why == EVALUATED

    name = plan.tables[0].expected.masks["email"]
    workspace.sql(f"CREATE OR REPLACE FUNCTION gov.lily.{name}(V STRING) RETURNS STRING RETURN V")

    assert evidence(plan)[frozenset()].shown == "clear"
    assert verdict(plan).outcome is Outcome.FAILED


def test_a_body_edited_by_hand_is_written_again_even_under_its_old_comment(workspace: Workspace) -> None:
    plan = workspace.enforce([EMAIL], T)
    name = plan.tables[0].expected.masks["email"]
    comment = next(iter(step.comment for step in plan.steps if isinstance(step, CreateMask)))
    quoted = comment.replace("\\", "\\\\").replace("'", "\\'")
    workspace.sql(f"CREATE OR REPLACE FUNCTION gov.lily.{name}(V STRING) RETURNS STRING COMMENT '{quoted}' RETURN V")

    again = workspace.enforce([EMAIL], T)

    assert [type(step) for step in again.steps] == [ChangeMask]
    assert verdict(again).outcome is Outcome.ENFORCED


def test_a_service_that_spells_bodies_anew_is_told_to_the_people_and_can_be_lived_with(
    workspace: Workspace, configured: Callable[..., None]
) -> None:
    workspace.stand_in.settings(reformat_bodies=True)
    ready = connector.check(NAME)
    assert (ready.proves, "KEEPS_BODIES" in ready.why_not) == (False, True)

    configured(LILY_TARGET_BRICKS_KEEPS_BODIES="false")
    connector.close(NAME)
    plan = workspace.enforce([EMAIL], T)

    assert verdict(plan).outcome is Outcome.ENFORCED
    assert workspace.plan([EMAIL], T).steps == ()


@pytest.mark.parametrize(("several", "count"), [("true", 1), ("false", 3)])
def test_one_function_serves_every_column_of_its_type_and_one_request_a_table(
    workspace: Workspace, configured: Callable[..., None], several: str, count: int
) -> None:
    configured(LILY_TARGET_BRICKS_SEVERAL_COLUMNS=several)
    workspace.stand_in.settings(scripts=several == "true")
    rule = a_rule("r1", "redact", match={"columns": COLUMNS})

    plan = workspace.plan([rule], T)
    workspace.forget()
    for step in plan.steps:
        connector.execute(NAME, step)

    assert sum(isinstance(step, CreateMask) for step in plan.steps) == 1
    assert sum(isinstance(step, AttachMasks) for step in plan.steps) == count
    assert workspace.requests() == {STATEMENTS: 1 + 2 * count}  # the function; masks and tags of the table
    assert workspace.reads("SELECT name, email, phone FROM analytics.crm.customers LIMIT 1", "ana@example.com") == [["***"] * 3]
    assert workspace.plan([rule], T).steps == ()


def test_a_wider_exemption_is_one_statement_for_all_tables(workspace: Workspace) -> None:
    other = TableId("analytics", "crm", "other")
    workspace.sql("CREATE TABLE analytics.crm.other (email STRING)", "INSERT INTO analytics.crm.other VALUES ('a@b.c')")
    rule = a_rule("r1", "redact", match={"columns": ["email"]})
    workspace.enforce([rule], T, other)

    plan = workspace.enforce([replace(EMAIL, action=rule.action)], T, other)

    assert [type(step) for step in plan.steps] == [ChangeMask]
    assert workspace.reads("SELECT email FROM analytics.crm.customers LIMIT 1", "dora@example.com") != [["***"]]
    assert workspace.reads("SELECT email FROM analytics.crm.customers LIMIT 1", "ana@example.com") == [["***"]]


def test_a_row_filter_and_masks_stand_together(workspace: Workspace) -> None:
    rows = a_rule(
        "r2",
        "row_filter",
        parameters={"column": "country", "operator": "in", "values": ["DE", "it's"]},
        match={"columns": ["email"]},
        exempt=[{"group": "data_stewards"}],
    )
    plan = workspace.enforce([EMAIL, rows], T)

    seen = workspace.reads("SELECT DISTINCT country FROM analytics.crm.customers", "ana@example.com")
    assert seen == [["DE"]]
    assert len(workspace.reads("SELECT DISTINCT country FROM analytics.crm.customers", "dora@example.com")) > 1
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert workspace.plan([EMAIL, rows], T).steps == ()

    changed = replace(rows, action=a_rule("r2", "row_filter", parameters={"column": "id", "operator": ">", "values": [2]},
        match={"columns": ["email"]}).action)  # fmt: skip
    plan = workspace.enforce([EMAIL, changed], T)
    assert verdict(plan).outcome is Outcome.ENFORCED
    assert all(int(str(row[0])) > 2 for row in workspace.reads("SELECT id FROM analytics.crm.customers", "ana@example.com"))


def test_tags_are_set_read_back_and_taken_away_and_others_are_left(workspace: Workspace) -> None:
    workspace.sql("ALTER TABLE analytics.crm.customers ALTER COLUMN email SET TAGS ('theirs' = 'x')")
    tagging = a_rule("r1", "tag_only", match={"columns": COLUMNS}, parameters={"tag": "team", "value": "crm"})

    plan = workspace.enforce([tagging], T)

    found = connector.tags(NAME, [T])[T]
    assert {(entry.column, entry.value) for entry in found} == {(column, "crm") for column in COLUMNS}
    assert len(plan.steps) == 1
    assert workspace.plan([tagging], T).steps == ()
    workspace.enforce([], T)
    assert connector.tags(NAME, [T])[T] == frozenset()
    assert "theirs" in str(workspace.stand_in.dump())


@pytest.mark.parametrize("wide", [True, False])
def test_tags_of_columns_that_rest_cannot_name_are_read_all_the_same(workspace: Workspace, wide: bool) -> None:
    odd, table = "a.b/c", TableId("analytics", "crm", "odd")
    more = ", ".join(f"c{n} INT" for n in range(40)) if wide else "c INT"
    workspace.sql(f"CREATE TABLE analytics.crm.odd (`{odd}` STRING, {more}) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    tagging = a_rule("r1", "tag_only", match={"columns": [f'"{odd}"', "c0", "c"]}, parameters={"tag": "team", "value": "crm"})

    workspace.enforce([tagging], table)

    found = {(entry.column, entry.value) for entry in connector.tags(NAME, [table])[table]}
    assert found == {(odd, "crm"), ("c0" if wide else "c", "crm")}
    assert workspace.plan([tagging], table).steps == ()


def test_a_policy_from_above_that_reaches_a_column_is_a_conflict_there_only(workspace: Workspace) -> None:
    workspace.sql(
        "CREATE GOVERNED TAG pii VALUES ('email')",
        "ALTER TABLE analytics.crm.customers ALTER COLUMN email SET TAGS ('pii' = 'email')",
        "CREATE FUNCTION gov.lily.theirs(V STRING) RETURNS STRING RETURN 'theirs'",
        "CREATE POLICY p ON SCHEMA analytics.crm COLUMN MASK gov.lily.theirs TO `account users` FOR TABLES "
        "MATCH COLUMNS has_tag_value('pii', 'email') AS c ON COLUMN c",
    )

    plan = workspace.plan([a_rule("r1", "redact", match={"columns": COLUMNS})], T)

    assert [(conflict.site.column, conflict.code) for conflict in plan.tables[0].conflicts] == [("email", "inherited")]
    assert set(plan.tables[0].expected.masks) == {"name", "phone"}


def test_what_somebody_else_attached_is_left_alone(workspace: Workspace) -> None:
    workspace.sql(
        "CREATE FUNCTION analytics.crm.theirs(V STRING) RETURNS STRING RETURN 'theirs'",
        "ALTER TABLE analytics.crm.customers ALTER COLUMN email SET MASK analytics.crm.theirs",
    )

    plan = workspace.plan([EMAIL], T)

    assert [type(step) for step in plan.steps] == [SetTags]
    assert [(conflict.code, conflict.holder) for conflict in plan.tables[0].conflicts] == [("foreign", "analytics.crm.theirs")]


def test_a_check_constraint_is_told_before_anything_is_tried(workspace: Workspace) -> None:
    table = TableId("analytics", "crm", "checked")
    workspace.sql("CREATE TABLE analytics.crm.checked (email STRING) TBLPROPERTIES ('delta.constraints.positive' = 'id > 0')")

    plan = workspace.plan([EMAIL], table)

    assert [type(step) for step in plan.steps] == [SetTags]
    (conflict,) = plan.tables[0].conflicts
    assert (conflict.code, "positive" in conflict.text) == ("obstacle", True)


def test_a_table_that_does_not_take_masks_is_refused_for_good(workspace: Workspace) -> None:
    workspace.sql("ALTER TABLE analytics.crm.customers ADD CONSTRAINT positive CHECK (id > 0)")

    with pytest.raises(Refused) as refused:
        workspace.enforce([EMAIL], T)

    assert refused.value.code == "unsupported"


def test_a_table_made_again_is_another_and_bare(workspace: Workspace) -> None:
    workspace.enforce([EMAIL], T)
    before = connector.read(NAME, [T]).tables[T]
    workspace.sql("DROP TABLE analytics.crm.customers", "CREATE TABLE analytics.crm.customers (id BIGINT, email STRING)")

    after = connector.read(NAME, [T]).tables[T]

    assert before.table.object_id != after.table.object_id
    assert (bool(before.masks), bool(after.masks)) == (True, False)


@pytest.mark.parametrize("kind", ["BINARY", "ARRAY<STRING>", "MAP<STRING,INT>", "VARIANT"])
def test_what_cannot_be_shown_in_part_is_hidden_as_a_whole(workspace: Workspace, kind: str) -> None:
    table = TableId("analytics", "crm", "whole")
    workspace.sql(f"CREATE TABLE analytics.crm.whole (v {kind})")

    plan = workspace.enforce([a_rule("r1", "partial", match={"columns": ["v"]}, exempt=[{"group": "data_stewards"}])], table)

    seen = _prove(plan)
    assert {behaviour.shown for behaviour in seen} == {"clear", "nullify"}
    assert all(one.shown == behaviour.shown or (one.shown is None and one.why) for behaviour, one in seen.items())
    assert verdict(plan).outcome is (Outcome.ENFORCED if all(one.shown for one in seen.values()) else Outcome.ATTACHED)
    assert kind != "BINARY" or verdict(plan).outcome is Outcome.ENFORCED


def test_who_has_a_group_is_told_through_groups_within_groups(workspace: Workspace) -> None:
    workspace.stand_in.post("groups", name="chiefs")
    workspace.stand_in.post("groups", name="support_leads", add_groups=["chiefs"])

    found = connector.holders(NAME, [Principal("group", "support"), Principal("group", 'no "such" \\ group')])

    held = found[Principal("group", "support")]
    assert ({principal.name for principal in held.through}, held.users) == ({"support_leads", "chiefs"}, 1)
    assert not found[Principal("group", 'no "such" \\ group')].exists


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_a_script_that_stops_halfway_goes_on_from_there(workspace: Workspace, failed: int) -> None:
    rule = a_rule("r1", "redact", match={"columns": COLUMNS})
    workspace.stand_in.fault(kind="failed", on="inner", match="(?i)set mask", skip=failed)
    with pytest.raises(Transient):
        workspace.enforce([rule], T)

    plan = workspace.plan([rule], T)

    (attach,) = [step for step in plan.steps if isinstance(step, AttachMasks)]
    assert len(attach.attachments) == len(COLUMNS) - failed
    workspace.enforce([rule], T)
    assert verdict(workspace.plan([rule], T)).outcome is Outcome.ENFORCED
    assert workspace.plan([rule], T).steps == ()


def test_many_columns_take_one_script_which_may_take_longer_than_one_statement(
    workspace: Workspace, configured: Callable[..., None]
) -> None:
    configured(LILY_TARGET_BRICKS_STATEMENT_TIMEOUT_S="1")
    workspace.stand_in.fault(kind="latency", delay_s=2, match="^BEGIN", count=1)
    workspace.sql(f"CREATE TABLE analytics.crm.many ({', '.join(f'c{n} STRING' for n in range(30))})")

    plan = workspace.enforce([a_rule("r1", "nullify", match={"patterns": ["many.*"]})], TableId("analytics", "crm", "many"))

    sizes = [len(step.attachments) for step in plan.steps if isinstance(step, AttachMasks)]
    assert sizes == [30]
    assert verdict(plan).outcome is Outcome.ENFORCED


@pytest.mark.parametrize(("kind", "column"), [("STREAMING TABLE", True), ("MATERIALIZED VIEW", True), ("VIEW", False)])
def test_streaming_tables_and_materialized_views_are_protected_and_views_are_said_not_to_be(
    workspace: Workspace, kind: str, column: bool
) -> None:
    table = TableId("analytics", "crm", "made")
    workspace.sql(f"CREATE {kind} analytics.crm.made AS SELECT id, email FROM analytics.crm.customers")

    plan = workspace.enforce([EMAIL], table)

    assert bool(plan.tables[0].expected.masks) is column
    assert verdict(plan).outcome is (Outcome.ENFORCED if column else Outcome.FAILED)


def test_a_function_that_somebody_else_attached_is_not_dropped(workspace: Workspace, configured: Callable[..., None]) -> None:
    """Every query of that table would fail; also where its catalog is not governed (any more)."""
    (made,) = [step for step in workspace.enforce([EMAIL], T).steps if isinstance(step, CreateMask)]
    connector.execute(NAME, DetachMasks(TableRef(T), (Detachment("email", made.name),)))
    workspace.sql(f"ALTER TABLE analytics.crm.customers ALTER COLUMN name SET MASK gov.lily.{made.name}")
    configured(LILY_TARGET_BRICKS_DATABASES="gov")

    with pytest.raises(Refused) as refused:
        connector.execute(NAME, DropMask(made.name))

    assert refused.value.code == "in_use"
    workspace.sql("ALTER TABLE analytics.crm.customers ALTER COLUMN name DROP MASK")
    connector.execute(NAME, DropMask(made.name))


def test_where_lists_show_no_masks_nothing_is_taken_for_unused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (made,) = [step for step in workspace.enforce([EMAIL], T).steps if isinstance(step, CreateMask)]
    listed = catalog.listed
    monkeypatch.setattr(catalog, "listed", lambda *of: ([replace(d, carried=()) for d in page] for page in listed(*of)))

    with pytest.raises(Transient):
        connector.execute(NAME, DropMask(made.name))


def test_a_schema_that_is_closed_to_lily_hides_no_other(workspace: Workspace) -> None:
    workspace.sql("CREATE SCHEMA analytics.closed", "CREATE TABLE analytics.closed.t (id INT)")

    assert {table.id for page in connector.tables(NAME) for table in page} == {T}


def test_side_effects_are_told_before_the_first_mask_only(workspace: Workspace) -> None:
    told = {effect.code for effect in workspace.plan([EMAIL], T).tables[0].side_effects}
    assert {"mask_time_travel", "mask_clone", "mask_check_constraints", "pipelines"} <= told

    workspace.enforce([EMAIL], T)

    assert workspace.plan([EMAIL], T).tables[0].side_effects == ()
