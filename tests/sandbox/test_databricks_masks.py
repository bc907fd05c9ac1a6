"""What readers of the Databricks stand-in see: masks and row filters, by group and role, asked with the vendor's SDK."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.databricks_world import PROOF_INSIDE, PROOF_OUTSIDE
from sandbox.snowflake_world import PEOPLE
from tests.sandbox.conftest import Databricks
from tests.waiting import eventually

CUSTOMERS = "analytics.crm.customers"
STEWARDS_ONLY = "CASE WHEN is_account_group_member('data_stewards') THEN v ELSE '***' END"
EMAILS = [email for _, email, *_ in PEOPLE]


def mask_email(databricks: Databricks, client: Any, body: str = STEWARDS_ONLY) -> None:
    for statement in (
        f"CREATE OR REPLACE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN {body}",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m",
    ):
        assert databricks.run(client, statement).status.state.value == "SUCCEEDED"


def emails(databricks: Databricks, **who: str) -> list[str]:
    return [row[0] for row in databricks.sql(f"SELECT email FROM {CUSTOMERS} ORDER BY id", **who)]


def test_a_mask_holds_for_owner_and_admin_and_not_for_members_of_the_group(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)

    assert emails(databricks) == ["***"] * 8  # the admin door, who owns the table
    assert emails(databricks, user="ana@example.com") == ["***"] * 8
    assert emails(databricks, user="dora@example.com") == EMAILS
    assert databricks.run(client, f"SELECT count(*) FROM {CUSTOMERS} WHERE email <> '***'").result.data_array == [["0"]]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * EXCEPT (id, name, phone, born, country, balance) FROM {t}",
        "SELECT max(email) FROM {t}",
        "SELECT c.email FROM {t} a JOIN {t} c ON a.id = c.id",
        "WITH x AS (SELECT email AS e FROM {t}) SELECT e FROM x",
        "SELECT (SELECT min(email) FROM {t})",
        "SELECT id FROM {t} WHERE email LIKE '%@%'",
        "SELECT id FROM {t} ORDER BY email = 'ada.winter@example.com' DESC, id DESC LIMIT 1",
        "SELECT email FROM {t} UNION ALL SELECT upper(email) FROM {t}",
        "SELECT email FROM analytics.crm.seen",
        "SELECT gov.lily.through(email) FROM {t}",
    ],
)
def test_no_form_of_query_comes_past_a_mask(databricks: Databricks, query: str) -> None:
    mask_email(databricks, databricks.client())
    databricks.sql(f"CREATE VIEW analytics.crm.seen AS SELECT email FROM {CUSTOMERS}")
    databricks.sql("GRANT SELECT ON TABLE analytics.crm.seen TO `account users`")
    databricks.sql("CREATE FUNCTION gov.lily.through (v STRING) RETURNS STRING RETURN concat(v, '')")

    rows = databricks.sql(query.format(t=CUSTOMERS), user="ana@example.com")

    assert not any("@" in str(cell) for row in rows for cell in row)
    assert rows != [["1"]]  # the order by a masked value tells nothing


def test_nested_groups_and_assumed_roles_count(databricks: Databricks) -> None:
    client = databricks.client()
    body = STEWARDS_ONLY.replace("data_stewards", "support")
    mask_email(databricks, client, body)

    assert emails(databricks, user="lea@example.com") == EMAILS  # support_leads are in support
    assert emails(databricks, user="ana@example.com") == ["***"] * 8

    mask_email(databricks, client)
    ids = {group.display_name: group.id for group in client.groups.list()}
    for role, seen in ((PROOF_INSIDE, EMAILS), (PROOF_OUTSIDE, ["***"] * 8)):
        acting = databricks.client(group_id=ids[role])
        answer = databricks.run(acting, f"SELECT session_user(), email FROM {CUSTOMERS} ORDER BY id")
        assert answer.result.data_array == [[role, email] for email in seen]


def test_a_role_that_may_not_be_assumed_gets_no_token(databricks: Databricks) -> None:
    group_id = databricks.post("groups", name="data_stewards")["id"]

    form = {"grant_type": "client_credentials", "assume_group": group_id}
    answer = databricks.http.post("/oidc/v1/token", data=form, auth=("lily-svc", "s3cret"))

    assert answer.status_code == 400
    assert "access_token" not in answer.json()


def test_a_changed_membership_is_seen_later_if_so_set(databricks: Databricks) -> None:
    mask_email(databricks, databricks.client())
    databricks.settings(membership_lag_s=0.3)
    databricks.post("groups", name="data_stewards", add=["ana@example.com"])

    assert emails(databricks, user="ana@example.com") == ["***"] * 8
    eventually(lambda: emails(databricks, user="ana@example.com") == EMAILS)


def test_setting_a_mask_replaces_the_one_before_and_replacing_its_function_is_seen_at_once(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)
    databricks.run(client, "CREATE FUNCTION gov.lily.m2 (v STRING, c STRING) RETURNS STRING RETURN concat(c, '-', left(v, 1))")
    databricks.run(client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m2 USING COLUMNS (country)")

    assert emails(databricks)[:2] == ["DE-a", "DE-b"]
    told = {column.name: column.mask for column in client.tables.get(CUSTOMERS).columns}
    assert (told["email"].function_name, told["email"].using_column_names) == ("gov.lily.m2", ["country"])
    assert told["name"] is None

    replaced = "CREATE OR REPLACE FUNCTION gov.lily.m2 (v STRING, c STRING) RETURNS STRING RETURN NULL"
    databricks.run(client, replaced)
    assert emails(databricks) == [None] * 8
    for _ in range(2):  # dropping what is not there is no error
        assert databricks.run(client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email DROP MASK").status.state.value == "SUCCEEDED"
    assert emails(databricks) == EMAILS


def test_reads_fail_when_the_function_of_a_mask_is_gone_and_work_again_when_it_is_back(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)

    databricks.run(client, "DROP FUNCTION gov.lily.m")
    assert databricks.refusal(client, f"SELECT id FROM {CUSTOMERS}") == ("ROW_COLUMN_ACCESS.FUNCTION_NOT_FOUND", None)

    databricks.run(client, "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'")
    assert emails(databricks) == ["-"] * 8


def test_a_row_filter_hides_what_is_false_or_null(databricks: Databricks) -> None:
    client = databricks.client()
    body = "is_account_group_member('support') OR nullif(c, 'FR') IN ('DE', 'IT')"
    databricks.run(client, f"CREATE FUNCTION gov.lily.rf (c STRING) RETURNS BOOLEAN RETURN {body}")
    databricks.run(client, f"ALTER TABLE {CUSTOMERS} SET ROW FILTER gov.lily.rf ON (country)")

    assert databricks.sql(f"SELECT id FROM {CUSTOMERS} ORDER BY id") == [["1"], ["2"], ["3"]]
    assert databricks.sql(f"SELECT count(*) FROM {CUSTOMERS}", user="sam@example.com") == [["8"]]
    told = client.tables.get(CUSTOMERS).row_filter
    assert (told.function_name, told.input_column_names) == ("gov.lily.rf", ["country"])

    databricks.sql(f"UPDATE {CUSTOMERS} SET balance = 0", f"DELETE FROM {CUSTOMERS} WHERE id > 0")  # what is seen, no more
    databricks.run(client, f"ALTER TABLE {CUSTOMERS} DROP ROW FILTER")
    assert databricks.sql(f"SELECT count(*), min(balance) FROM {CUSTOMERS}") == [["5", "15.75"]]


def test_a_filter_without_arguments_can_hide_all(databricks: Databricks) -> None:
    client = databricks.client()
    databricks.run(client, "CREATE FUNCTION gov.lily.nobody () RETURNS BOOLEAN RETURN is_account_group_member('no such group')")
    databricks.run(client, f"ALTER TABLE {CUSTOMERS} SET ROW FILTER gov.lily.nobody ON ()")

    assert databricks.sql(f"SELECT * FROM {CUSTOMERS}") == []


def test_a_mask_takes_and_returns_exactly_the_type_of_its_column(databricks: Databricks) -> None:
    client = databricks.client()
    databricks.run(client, "CREATE FUNCTION gov.lily.d (v DATE) RETURNS DATE RETURN date_trunc('YEAR', v)")
    databricks.run(client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN born SET MASK gov.lily.d")
    answer = databricks.run(client, f"SELECT born FROM {CUSTOMERS} WHERE id = 1")
    assert (answer.result.data_array, answer.manifest.schema.columns[0].type_text) == ([["1984-01-01"]], "DATE")

    databricks.run(client, "CREATE FUNCTION gov.lily.n (v DECIMAL(10,2)) RETURNS DECIMAL(10,2) RETURN NULL")
    statement = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN balance SET MASK gov.lily.n"
    assert databricks.refusal(client, statement)[1] == "42K09"
    databricks.settings(mask_types="castable")
    assert databricks.run(client, statement).status.state.value == "SUCCEEDED"


def test_check_constraints_and_masks_exclude_each_other(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)
    add = f"ALTER TABLE {CUSTOMERS} ADD CONSTRAINT positive CHECK (id > 0)"
    assert databricks.refusal(client, add) == ("COLUMN_MASKS_CHECK_CONSTRAINT_UNSUPPORTED", "0A000")

    databricks.run(client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email DROP MASK")
    databricks.run(client, add)
    insert = f"INSERT INTO {CUSTOMERS} (id) VALUES ({{}})"
    databricks.sql("GRANT MODIFY ON SCHEMA analytics.crm TO `lily-svc`", insert.format(9))
    assert databricks.refusal(client, insert.format(-1)) == ("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", "23001")
    again = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m"
    assert databricks.refusal(client, again) == ("COLUMN_MASKS_FEATURE_NOT_SUPPORTED.CHECK_CONSTRAINT", "0A000")


def test_replacing_a_table_keeps_masks_and_id_dropping_it_loses_both(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)
    first = client.tables.get(CUSTOMERS).table_id

    databricks.sql(f"CREATE OR REPLACE TABLE {CUSTOMERS} (id BIGINT, email STRING)", f"INSERT INTO {CUSTOMERS} VALUES (1, 'a@b')")
    assert client.tables.get(CUSTOMERS).table_id == first
    assert emails(databricks) == ["***"]

    databricks.sql(f"DROP TABLE {CUSTOMERS}", f"CREATE TABLE {CUSTOMERS} (id BIGINT, email STRING)")
    databricks.sql(f"INSERT INTO {CUSTOMERS} VALUES (1, 'a@b')")
    assert client.tables.get(CUSTOMERS).table_id != first
    assert emails(databricks) == ["a@b"]


def test_a_copy_holds_what_its_maker_saw(databricks: Databricks) -> None:
    mask_email(databricks, databricks.client())

    databricks.sql(f"CREATE TABLE analytics.crm.copy AS SELECT id, email FROM {CUSTOMERS}")

    copied = databricks.dump()["tables"]["analytics.crm.copy"]
    assert [row[1] for row in copied["rows"]] == ["***"] * 8
    assert [column["mask"] for column in copied["columns"]] == [None, None]


def test_views_take_no_mask_and_materialized_views_only_by_their_own_statement(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)
    databricks.sql("CREATE VIEW analytics.crm.v AS SELECT 'a@b' AS email")
    databricks.sql("CREATE MATERIALIZED VIEW analytics.crm.mv AS SELECT 'a@b' AS email")

    refused = databricks.refusal(client, "ALTER TABLE analytics.crm.v ALTER COLUMN email SET MASK gov.lily.m")
    assert refused == ("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", "42809")
    set_mask = "ALTER COLUMN email SET MASK gov.lily.m"
    assert databricks.refusal(client, f"ALTER TABLE analytics.crm.mv {set_mask}")[0] == "WRONG_COMMAND_FOR_OBJECT_TYPE"
    databricks.run(client, f"ALTER MATERIALIZED VIEW analytics.crm.mv {set_mask}")
    assert databricks.sql("SELECT email FROM analytics.crm.mv") == [["***"]]


def test_time_travel_on_a_masked_table_is_refused(databricks: Databricks) -> None:
    client = databricks.client()
    mask_email(databricks, client)

    refused = databricks.refusal(client, f"SELECT * FROM {CUSTOMERS} VERSION AS OF 1")
    assert refused == ("COLUMN_MASKS_FEATURE_NOT_SUPPORTED.TIME_TRAVEL", "0A000")


@pytest.mark.parametrize("call", ["xxhash64(v)", "nosuch(v)", "sha2(v, 512)", "read_text(v)", "getvariable(v)", "v.x", "w"])
def test_a_body_may_only_use_what_is_known(databricks: Databricks, call: str) -> None:
    client = databricks.client()

    error_class, _ = databricks.refusal(client, f"CREATE FUNCTION gov.lily.f (v STRING) RETURNS STRING RETURN {call}")

    assert error_class.split(".")[0] in ("UNRESOLVED_ROUTINE", "UNSUPPORTED_FEATURE", "UNRESOLVED_COLUMN")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=40, deadline=None)
@given(value=TEXTS, other=st.none() | TEXTS)
def test_functions_do_what_the_language_says(databricks_process: Databricks, value: str, other: str | None) -> None:
    """concat and || give NULL for NULL, concat_ws leaves it out, a literal means what it was made from."""
    parameters = [{"name": "v", "value": value}, {"name": "o", "value": other}]
    written = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    query = f"SELECT concat(:v, :o), :v || :o, concat_ws('-', :v, :o), {written}, length(:v), substr(:v, 0, 2), right(:v, 1)"

    [row] = databricks_process.sql(query, parameters=parameters)

    joined = None if other is None else value + other
    assert row[:4] == [joined, joined, value if other is None else f"{value}-{other}", value]
    assert row[4] == str(len(value))
    assert row[5:] == [value[:2], value[-1:]]
