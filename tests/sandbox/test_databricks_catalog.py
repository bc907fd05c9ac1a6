"""Tags, policies, privileges and scripts in the Databricks stand-in, by the vendor's SDK."""

from typing import Any

import pytest
from databricks.sdk.errors import AlreadyExists, NotFound, PermissionDenied
from databricks.sdk.service import catalog as uc

from tests.sandbox.conftest import Databricks

CUSTOMERS = "analytics.crm.customers"
EMAIL = f"{CUSTOMERS}.email"


@pytest.fixture
def client(databricks: Databricks) -> Any:
    return databricks.client()


def tags(client: Any, entity_type: str, name: str) -> dict[str, str]:
    return {each.tag_key: each.tag_value for each in client.entity_tag_assignments.list(entity_type, name)}


def done(databricks: Databricks, client: Any, *statements: str) -> None:
    for statement in statements:
        answer = databricks.run(client, statement).status
        assert answer.state.value == "SUCCEEDED", (statement, answer.error)


# Tags


def test_setting_one_tag_leaves_the_others_and_a_key_alone_reads_back_as_empty_text(databricks: Databricks, client: Any) -> None:
    done(
        databricks,
        client,
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii' = 'email', 'gdpr')",
        f"SET TAG ON COLUMN {EMAIL} `pii` = `mail`",
        f"ALTER TABLE {CUSTOMERS} SET TAGS ('owner' = 'crm')",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email UNSET TAGS ('nothing')",
    )

    assert tags(client, "columns", EMAIL) == {"pii": "mail", "gdpr": ""}
    assert tags(client, "tables", CUSTOMERS) == {"owner": "crm"}
    done(databricks, client, f"UNSET TAG ON COLUMN {EMAIL} pii", f"ALTER TABLE {CUSTOMERS} UNSET TAGS ('owner')")
    assert tags(client, "columns", EMAIL) == {"gdpr": ""}
    assert tags(client, "tables", CUSTOMERS) == {}
    seen = databricks.sql("SELECT * FROM system.information_schema.column_tags")
    assert seen == [["analytics", "crm", "customers", "email", "gdpr", ""]]


def test_tags_over_rest_and_by_statement_are_the_same(databricks: Databricks, client: Any) -> None:
    new = uc.EntityTagAssignment(entity_type="columns", entity_name=EMAIL, tag_key="pii", tag_value="email")
    client.entity_tag_assignments.create(new)
    with pytest.raises(AlreadyExists):
        client.entity_tag_assignments.create(new)

    assert databricks.dump()["tables"][CUSTOMERS]["columns"][2]["tags"] == {"pii": "email"}
    client.entity_tag_assignments.delete("columns", EMAIL, "pii")
    assert databricks.dump()["tables"][CUSTOMERS]["columns"][2]["tags"] == {}
    with pytest.raises(NotFound):
        client.entity_tag_assignments.get("columns", EMAIL, "pii")


@pytest.mark.parametrize("key", ["", " a", "a/b", "a.b", "a=b", "x" * 257])
def test_tags_that_the_catalog_does_not_take_are_refused(databricks: Databricks, client: Any, key: str) -> None:
    statement = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('{key}' = 'v')"

    assert databricks.refusal(client, statement) == ("INVALID_PARAMETER_VALUE.INVALID_TAG", "22023")


def test_a_tagged_column_cannot_be_dropped(databricks: Databricks, client: Any) -> None:
    done(
        databricks,
        client,
        f"ALTER TABLE {CUSTOMERS} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')",
    )

    refused = databricks.refusal(client, f"ALTER TABLE {CUSTOMERS} DROP COLUMN email")
    assert refused == ("INVALID_PARAMETER_VALUE.CANNOT_DROP_TAGGED_COLUMN", "22023")


def test_governed_tags_need_assign_and_know_their_values(databricks: Databricks, client: Any) -> None:
    databricks.sql("CREATE GOVERNED TAG pii VALUES ('email')")
    statement = f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii' = 'email')"
    assert databricks.refusal(client, statement) == ("INSUFFICIENT_PERMISSIONS", "42501")

    databricks.post("governed", key="pii", assigners=["lily-svc"])
    done(databricks, client, statement)
    other = databricks.refusal(client, statement.replace("= 'email'", "= 'phone'"))
    assert other == ("INVALID_PARAMETER_VALUE.TAG_VALUE_NOT_ALLOWED", "22023")


# Policies


@pytest.fixture
def abac(databricks: Databricks, client: Any) -> Any:
    """A policy on the catalog that masks columns tagged pii, but not for data stewards."""
    databricks.sql(
        "CREATE GOVERNED TAG pii", "CREATE FUNCTION gov.lily.abac (v STRING) RETURNS STRING RETURN 'policy'",
        "CREATE POLICY masks_pii ON CATALOG analytics COLUMN MASK gov.lily.abac TO `account users` EXCEPT data_stewards "
        "FOR TABLES MATCH COLUMNS has_tag('pii') AS c ON COLUMN c",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')",
    )  # fmt: skip
    return client


def test_an_inherited_policy_is_listed_and_masks_what_is_tagged(databricks: Databricks, abac: Any) -> None:
    assert databricks.sql(f"SELECT DISTINCT email FROM {CUSTOMERS}") == [["policy"]]
    assert databricks.sql(f"SELECT count(DISTINCT email) FROM {CUSTOMERS}", user="dora@example.com") == [["8"]]
    own = list(abac.policies.list_policies("TABLE", CUSTOMERS))
    inherited = list(abac.policies.list_policies("TABLE", CUSTOMERS, include_inherited=True))
    assert own == []
    assert [(each.name, each.on_securable_type, each.column_mask.function_name) for each in inherited] == [
        ("masks_pii", uc.SecurableType.CATALOG, "gov.lily.abac")
    ]
    assert abac.tables.get(CUSTOMERS).columns[2].mask is None


def test_a_direct_mask_beside_a_policy_makes_queries_fail_for_whom_both_apply(databricks: Databricks, abac: Any) -> None:
    done(
        databricks,
        abac,
        "CREATE FUNCTION gov.lily.direct (v STRING) RETURNS STRING RETURN 'direct'",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.direct",
    )

    refused = databricks.refusal(abac, f"SELECT id FROM {CUSTOMERS}")
    assert refused == ("COLUMN_MASKS_FEATURE_NOT_SUPPORTED.MULTIPLE_MASKS", "0A000")
    assert databricks.sql(f"SELECT DISTINCT email FROM {CUSTOMERS}", user="dora@example.com") == [["direct"]]

    databricks.sql(f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.abac")  # the same function twice is one
    assert databricks.sql(f"SELECT DISTINCT email FROM {CUSTOMERS}") == [["policy"]]


def test_dropping_what_a_policy_needs_breaks_queries_until_the_policy_goes(databricks: Databricks, abac: Any) -> None:
    query = f"SELECT id FROM {CUSTOMERS}"
    databricks.sql("DROP GOVERNED TAG pii")
    assert databricks.refusal(abac, query) == ("INVALID_PARAMETER_VALUE.UC_ABAC_UNKNOWN_TAG_POLICY", "22023")

    databricks.sql("CREATE GOVERNED TAG pii", "DROP FUNCTION gov.lily.abac")
    assert databricks.refusal(abac, query) == ("INVALID_PARAMETER_VALUE.UC_DEPENDENCY_DOES_NOT_EXIST", "22023")

    databricks.sql("DROP POLICY masks_pii ON CATALOG analytics")
    assert databricks.sql(f"SELECT count(*) FROM {CUSTOMERS}") == [["8"]]


def test_two_row_filters_by_policy_and_by_hand_are_too_many(databricks: Databricks, abac: Any) -> None:
    databricks.sql(
        "CREATE FUNCTION gov.lily.rf () RETURNS BOOLEAN RETURN true",
        "CREATE FUNCTION gov.lily.rf2 () RETURNS BOOLEAN RETURN true",
        "CREATE POLICY rows ON SCHEMA analytics.crm ROW FILTER gov.lily.rf TO `account users` FOR TABLES",
        f"ALTER TABLE {CUSTOMERS} SET ROW FILTER gov.lily.rf2 ON ()",
    )  # fmt: skip

    refused = databricks.refusal(abac, f"SELECT id FROM {CUSTOMERS}")
    assert refused == ("INVALID_PARAMETER_VALUE.UC_ABAC_MULTIPLE_ROW_FILTERS", "22023")


# Privileges


@pytest.mark.parametrize(
    ("revoked", "statement"),
    [
        ("MANAGE ON SCHEMA analytics.crm", f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m"),
        ("MANAGE ON SCHEMA analytics.crm", f"ALTER TABLE {CUSTOMERS} DROP ROW FILTER"),
        ("USE SCHEMA ON SCHEMA analytics.crm", f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m"),
        ("USE CATALOG ON CATALOG gov", "CREATE OR REPLACE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN v"),
        ("CREATE FUNCTION ON SCHEMA gov.lily", "CREATE FUNCTION gov.lily.n (v STRING) RETURNS STRING RETURN v"),
        ("SELECT ON SCHEMA analytics.crm", f"SELECT * FROM {CUSTOMERS}"),
        ("EXECUTE ON SCHEMA gov.lily", "SELECT gov.lily.theirs(1)"),
    ],
)
def test_each_privilege_that_lily_needs_is_asked_for(databricks: Databricks, client: Any, revoked: str, statement: str) -> None:
    done(databricks, client, "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'")
    databricks.sql("CREATE FUNCTION gov.lily.theirs (v INT) RETURNS INT RETURN v")
    answer = databricks.run(client, statement).status
    assert answer.state.value == "SUCCEEDED", answer.error

    databricks.sql("DROP FUNCTION IF EXISTS gov.lily.n")
    for name in ("lily-svc", "account users"):
        databricks.sql(f"REVOKE {revoked} FROM `{name}`")
    databricks.sql(f"REVOKE SELECT ON TABLE {CUSTOMERS} FROM `account users`")
    assert databricks.refusal(client, statement) == ("INSUFFICIENT_PERMISSIONS", "42501")


def test_apply_tag_is_enough_for_tags_and_not_for_masks(databricks: Databricks, client: Any) -> None:
    databricks.sql("REVOKE MANAGE ON SCHEMA analytics.crm FROM `lily-svc`")

    done(databricks, client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')")
    databricks.sql("REVOKE APPLY TAG ON SCHEMA analytics.crm FROM `lily-svc`")
    refused = databricks.refusal(client, f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')")
    assert refused == ("INSUFFICIENT_PERMISSIONS", "42501")


def test_a_warehouse_needs_can_use_and_a_hidden_table_is_403(databricks: Databricks, client: Any) -> None:
    stranger = databricks.client("stranger")
    with pytest.raises(PermissionDenied):
        databricks.run(stranger, "SELECT 1")
    databricks.sql("REVOKE USE SCHEMA ON SCHEMA analytics.crm FROM `account users`")
    with pytest.raises(PermissionDenied):
        stranger.tables.get(CUSTOMERS)
    with pytest.raises(NotFound):
        client.tables.get("analytics.crm.nope")


def test_replacing_a_function_discards_the_grants_on_it(databricks: Databricks, client: Any) -> None:
    create = "CREATE OR REPLACE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN v"
    done(databricks, client, create, "GRANT EXECUTE ON FUNCTION gov.lily.m TO analysts")
    assert databricks.dump()["functions"]["gov.lily.m"]["grants"] == {"analysts": ["EXECUTE"]}

    done(databricks, client, create)

    assert databricks.dump()["functions"]["gov.lily.m"]["grants"] == {}


# Scripts


def test_a_script_is_one_request_and_what_it_did_before_it_failed_stays(databricks: Databricks, client: Any) -> None:
    script = f"""BEGIN
        CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN 'a;b';
        ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m;
        ALTER TABLE {CUSTOMERS} ALTER COLUMN nope SET MASK gov.lily.m;
        ALTER TABLE {CUSTOMERS} ALTER COLUMN phone SET MASK gov.lily.m;
    END"""

    assert databricks.refusal(client, script) == ("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703")

    assert databricks.sql(f"SELECT DISTINCT email FROM {CUSTOMERS}") == [["a;b"]]
    assert databricks.sql(f"SELECT count(DISTINCT phone) FROM {CUSTOMERS}") == [["8"]]
    [entry] = databricks.statements("BEGIN")
    assert (entry["inner_done"], entry["state"]) == (2, "FAILED")


def test_scripts_can_be_switched_off_and_do_nothing_then(databricks: Databricks, client: Any) -> None:
    databricks.settings(scripts=False)
    before = databricks.dump()

    refused = databricks.refusal(client, "BEGIN CREATE FUNCTION gov.lily.m () RETURNS INT RETURN 1; END")

    assert refused == ("PARSE_SYNTAX_ERROR", "42601")
    assert databricks.dump() == before


def test_taking_everything_back_leaves_the_state_of_before(databricks: Databricks, client: Any) -> None:
    before = databricks.dump()
    done(
        databricks,
        client,
        "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET TAGS ('pii')",
    )
    assert databricks.dump() != before

    done(
        databricks,
        client,
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email UNSET TAGS ('pii')",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email DROP MASK",
        "DROP FUNCTION gov.lily.m",
    )
    assert databricks.dump() == before


# Tables that change


def test_comments_are_set_and_taken_away(databricks: Databricks, client: Any) -> None:
    done(
        databricks,
        client,
        "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN v",
        "COMMENT ON FUNCTION gov.lily.m IS 'it\\'s; --'",
        f"COMMENT ON COLUMN {EMAIL} IS 'mail'",
        f"COMMENT ON TABLE {CUSTOMERS} IS 'people'",
    )
    assert client.functions.get("gov.lily.m").comment == "it's; --"
    table = client.tables.get(CUSTOMERS)
    assert (table.comment, table.columns[2].comment) == ("people", "mail")

    done(databricks, client, f"COMMENT ON TABLE {CUSTOMERS} IS NULL")
    assert client.tables.get(CUSTOMERS).comment is None


def test_a_renamed_table_keeps_its_id_and_its_mask(databricks: Databricks, client: Any) -> None:
    done(
        databricks,
        client,
        "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'",
        f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m",
    )
    first = client.tables.get(CUSTOMERS).table_id

    databricks.sql(f"ALTER TABLE {CUSTOMERS} RENAME TO analytics.crm.people")

    assert client.tables.get("analytics.crm.people").table_id == first
    assert databricks.sql("SELECT DISTINCT email FROM analytics.crm.people") == [["-"]]
    with pytest.raises(NotFound):
        client.tables.get(CUSTOMERS)


def test_reads_fail_when_a_column_that_protection_needs_is_gone(databricks: Databricks, client: Any) -> None:
    done(
        databricks,
        client,
        "CREATE FUNCTION gov.lily.rf (c STRING) RETURNS BOOLEAN RETURN c = 'DE'",
        f"ALTER TABLE {CUSTOMERS} SET ROW FILTER gov.lily.rf ON (country)",
        f"ALTER TABLE {CUSTOMERS} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        f"ALTER TABLE {CUSTOMERS} RENAME COLUMN country TO land",
    )

    refused = databricks.refusal(client, f"SELECT id FROM {CUSTOMERS}")
    assert refused[0] == "QUERIED_TABLE_INCOMPATIBLE_WITH_ROW_LEVEL_SECURITY_POLICY"
    done(databricks, client, f"ALTER TABLE {CUSTOMERS} SET ROW FILTER gov.lily.rf ON (land)")
    assert databricks.sql(f"SELECT count(*) FROM {CUSTOMERS}") == [["2"]]


def test_tables_are_listed_in_pages_with_their_masks(databricks: Databricks, client: Any) -> None:
    databricks.sql(*(f"CREATE TABLE analytics.crm.t{at} (a STRING)" for at in range(5)))
    done(
        databricks,
        client,
        "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'",
        "ALTER TABLE analytics.crm.t3 ALTER COLUMN a SET MASK gov.lily.m",
    )

    listed = {each.name: each for each in client.tables.list("analytics", "crm", max_results=2)}

    assert sorted(listed) == ["customers", "t0", "t1", "t2", "t3", "t4"]
    assert [name for name, each in listed.items() if any(column.mask for column in each.columns)] == ["t3"]
    assert [each.name for each in client.functions.list("gov", "lily")] == ["m"]
    assert {each.name for each in client.catalogs.list()} == {"gov", "analytics"}
    assert [each.name for each in client.schemas.list("analytics")] == ["crm"]


def test_privileges_are_granted_over_rest_and_told_with_where_they_come_from(databricks: Databricks, client: Any) -> None:
    change = uc.PermissionsChange(principal="analysts", add=[uc.Privilege.EXECUTE])
    done(databricks, client, "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN v")
    client.grants.update("function", "gov.lily.m", changes=[change])

    told = client.grants.get_effective("function", "gov.lily.m", principal="ana@example.com").privilege_assignments
    [assignment] = told
    found = {(each.privilege.value, each.inherited_from_name) for each in assignment.privileges}
    assert found == {("EXECUTE", None), ("EXECUTE", "gov.lily"), ("USE_SCHEMA", "gov.lily"), ("USE_CATALOG", "gov")}

    with pytest.raises(PermissionDenied):
        client.grants.update("catalog", "gov", changes=[change])
