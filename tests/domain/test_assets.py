from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.assets import (
    Asset,
    Connection,
    ConnectionMap,
    Found,
    Reason,
    Search,
    TableRef,
    Unresolved,
    as_stored,
    place,
    qualified_name,
    table_name,
)
from lily.domain.classifications import Place
from lily.domain.inventory import TableId

SNOW = "default/snowflake/1732406400"
BRICKS = "default/databricks/1732406401"
MAP = ConnectionMap((Connection(SNOW, "snowflake", frozenset({"w-1"})), Connection(BRICKS, "databricks", frozenset({"w-2"}))))
ONE = ConnectionMap((Connection(SNOW, "snowflake"),))


def a_hit(*parts: str, connection: str = SNOW, kind: str = "Table") -> Found:
    database, schema, name = parts
    full = qualified_name(connection, *parts)
    asset = Asset(full, kind, f"guid of {full}", name)
    return Found(asset, connection, database, schema)


def in_warehouse(warehouse: str, name: str = "analytics:public.orders") -> TableRef:
    return TableRef(name, f"MCON++account++{warehouse}++table++{name}")


names = st.text(st.sampled_from("abAB._ /é"), min_size=1, max_size=5)
stored = st.tuples(names, names, names).filter(lambda parts: ":" not in parts[0])
spellings = st.lists(stored, min_size=1, max_size=6, unique=True)


@given(spellings, st.data())
def test_a_table_is_resolved_to_one_that_has_its_name_or_not_at_all(tables, data):
    """Whatever else the catalog holds, and however odd the names are, another table is never taken for it."""
    hits = [a_hit(*parts) for parts in tables]
    meant = data.draw(st.sampled_from(tables))

    answer = ONE.resolve(TableRef(table_name(*meant)), hits)

    if isinstance(answer, Asset):
        found = next(hit for hit in hits if hit.asset == answer)
        assert table_name(found.database, found.schema, found.asset.name) == table_name(*meant)
    else:
        alike = [parts for parts in tables if table_name(*parts) == table_name(*meant)]
        assert answer.reason is Reason.AMBIGUOUS
        assert len(alike) > 1


@given(spellings, st.data())
def test_order_and_repetition_of_hits_do_not_matter(tables, data):
    hits = [a_hit(*parts) for parts in tables]
    table = TableRef(table_name(*data.draw(st.sampled_from(tables))))
    arrived = data.draw(st.permutations(hits + hits[:2]))

    one, other = ONE.resolve(table, hits), ONE.resolve(table, arrived)

    assert replace(one, detail="") == replace(other, detail="") if isinstance(one, Unresolved) else one == other


@given(stored)
def test_a_table_that_is_alone_is_found_whatever_its_case(parts):
    assert ONE.resolve(TableRef(table_name(*parts)), [a_hit(*parts)]) == a_hit(*parts).asset


@given(st.tuples(*[st.text(st.sampled_from("AB_1"), min_size=1, max_size=4)] * 3))
def test_unquoted_names_are_found_by_the_first_search(parts):
    search = ONE.search(TableRef(table_name(*parts)))

    assert isinstance(search, Search)
    assert search.exact[0] == qualified_name(SNOW, *parts)
    assert ONE.is_settled(search.table, [a_hit(*parts)])


def test_an_exact_spelling_wins_over_one_that_only_ignores_case():
    exact, other = a_hit("ANALYTICS", "PUBLIC", "ORDERS"), a_hit("ANALYTICS", "PUBLIC", "Orders")

    assert ONE.resolve(TableRef("analytics:public.orders"), [other, exact]) == exact.asset


def test_two_that_differ_in_case_only_are_ambiguous():
    hits = [a_hit("ANALYTICS", "PUBLIC", name) for name in ("ORDERS", "orders")]

    answer = ONE.resolve(TableRef("analytics:public.orders"), hits)

    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.AMBIGUOUS
    assert "PUBLIC/orders" in answer.detail


def test_the_warehouse_says_which_connection():
    snow, bricks = a_hit("ANALYTICS", "PUBLIC", "ORDERS"), a_hit("analytics", "public", "orders", connection=BRICKS)

    assert MAP.resolve(in_warehouse("w-1"), [snow, bricks]) == snow.asset
    assert MAP.resolve(in_warehouse("W-2"), [snow, bricks]) == bricks.asset


def test_a_warehouse_that_no_connection_serves_is_said_so():
    answer = MAP.resolve(in_warehouse("w-3"), [a_hit("ANALYTICS", "PUBLIC", "ORDERS")])

    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.UNKNOWN_CONNECTION
    assert "w-3" in answer.detail


def test_without_a_warehouse_a_name_in_two_connections_is_ambiguous():
    snow, bricks = a_hit("ANALYTICS", "PUBLIC", "ORDERS"), a_hit("analytics", "public", "orders", connection=BRICKS)
    table = TableRef("analytics:public.orders")

    assert not MAP.is_settled(table, [snow])
    assert MAP.resolve(table, [snow]) == snow.asset
    answer = MAP.resolve(table, [snow, bricks])
    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.AMBIGUOUS


@pytest.mark.parametrize("name", ["", "orders", "public.orders", "analytics:orders", "analytics:.orders", ":public.orders"])
def test_a_name_without_its_three_parts_is_malformed(name):
    answer = ONE.search(TableRef(name))

    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.MALFORMED


def test_a_function_of_that_name_is_no_table():
    """The type is taken as it is found: writing under another one would make a second, empty asset."""
    function = a_hit("ANALYTICS", "PUBLIC", "ORDERS", kind="Function")
    table = TableRef("analytics:public.orders")

    answer = ONE.resolve(table, [function])
    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.OTHER_TYPE
    view = a_hit("ANALYTICS", "PUBLIC", "ORDERS", kind="View")
    assert ONE.resolve(table, [function, view]) == view.asset


def test_what_is_not_there_is_not_found():
    answer = ONE.resolve(TableRef("analytics:public.orders"), [])

    assert isinstance(answer, Unresolved)
    assert answer.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "written", "stored"),
    [
        ("snowflake", "orders", "ORDERS"),
        ("snowflake", '"My ""own"""', 'My "own"'),
        ("snowflake", '"', '"'),
        ("databricks", "Orders", "orders"),
        ("databricks", "`My``Own`", "my`own"),
        ("other", "Orders", "Orders"),
    ],
)
def test_identifiers_are_stored_as_the_kind_of_warehouse_does(kind, written, stored):
    assert as_stored(kind, written) == stored


def test_a_quoted_name_is_found_in_the_case_it_was_quoted_in():
    found = a_hit("ANALYTICS", "PUBLIC", "My.Orders")

    assert ONE.resolve(TableRef('analytics:public."my.orders"'), [found]) == found.asset


def a_column(name: str, **more: str) -> Found:
    asset = Asset(qualified_name(SNOW, "A", "B", "T", name), "Column", "g", name.rpartition("/")[2])
    return Found(asset, SNOW, "A", "B", more.get("table", "T"), more.get("parent_column", ""))


def test_columns_and_tables_have_their_place_in_the_target_of_their_connection():
    targets = {SNOW: "snowflake-prod"}
    table = TableId("A", "B", "T")

    assert place(a_column("C"), targets) == Place("snowflake-prod", table, "C")
    assert place(a_hit("A", "B", "T", kind="View"), targets) == Place("snowflake-prod", table)
    assert place(a_column("C"), {}) is None
    assert place(a_column("C", table=""), targets) is None
    assert place(a_hit("A", "B", "T", kind="Process"), targets) is None


def test_a_nested_field_lies_in_its_column():
    nested = a_column("C/field", parent_column=qualified_name(SNOW, "A", "B", "T", "C"))

    assert place(nested, {SNOW: "s"}) == Place("s", TableId("A", "B", "T"), "C")
