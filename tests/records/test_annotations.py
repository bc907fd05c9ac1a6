"""Annotations in a real table: put together in any order, found by table and by classification, and never without a look."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lily.domain.classifications import Annotation, CatalogAsset, Place, lost, merge, stated, withdrawn
from lily.domain.inventory import TableId
from lily.records import annotations, batch, looks
from lily.records.annotations import Stated
from lily.records.audit import Facts
from lily.records.security_forms import table_key
from lily.runtime.errors import Transient
from tests.aws_answers import answering

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ONE = TableId("CRM", "PUBLIC", "customers")
TWO = TableId("CRM", "PUBLIC", "\U0001f600" * 255)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def place(column: str | None = "EMAIL", table: TableId = ONE, target: str = "snow") -> Place:
    return Place(target, table, column)


def says(
    *classes: str,
    column: str | None = "EMAIL",
    table: TableId = ONE,
    target: str = "snow",
    source: str = "atlan",
    when: float = 0,
) -> Annotation:
    return stated(place(column, table, target), source, classes, at(when))


def put(*given: Annotation) -> list[Stated]:
    return annotations.put_many(given, None, NOON)


def walk(limit: int, target: str = "snow", **filters: object) -> list[Annotation]:
    found, cursor = list[Annotation](), None
    while True:
        page = annotations.page(target, limit, cursor, **filters)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def asked(table: TableId = ONE, target: str = "snow") -> int:
    """How often somebody was asked to look at a table."""
    found = looks.get_many(target, [table])
    return found[table].number if found else 0


def indexed(names: Iterable[str], target: str = "snow") -> dict[str, set[TableId]]:
    return {name: annotations.tables_with(target, [name]) for name in names}


def test_what_is_stated_is_kept_indexed_and_asks_for_a_look() -> None:
    email, whole = says("Email", "PII"), says("Customer", column=None, source="contracts")

    done = put(email, whole)

    assert done == [Stated(email, frozenset(), changed=True), Stated(whole, frozenset(), changed=True)]
    assert annotations.of_tables("snow", [ONE, TWO]) == {ONE: [whole, email]}
    assert annotations.of_tables("bricks", [ONE]) == {}
    assert indexed(["email", "EMAIL", "customer", "other"]) == {"email": {ONE}, "EMAIL": {ONE}, "customer": {ONE}, "other": set()}
    assert looks.load([looks.member("snow", ONE)])[0].number == 1


def test_what_says_nothing_new_asks_nobody() -> None:
    put(says("Email"))

    (again,), (newer,) = put(says("Email")), put(says("Email", when=5))

    assert not again.changed
    assert (newer.changed, newer.before, newer.annotation.stated_at) == (False, frozenset({"Email"}), at(5))
    assert asked() == 1


def test_what_arrives_late_loses_to_what_holds() -> None:
    put(says("Phone", when=9))

    (late,) = put(says("Email", when=3))

    assert (late.annotation, late.changed) == (says("Phone", when=9), False)
    assert indexed(["email", "phone"]) == {"email": set(), "phone": {ONE}}


def test_an_index_entry_goes_with_the_last_who_said_so() -> None:
    put(says("Email"), says("email", column="MAIL"), says("EMAIL", source="other"))

    put(says(when=1), withdrawn(place(), "other", at(1)))
    assert indexed(["Email"]) == {"Email": {ONE}}
    put(says(column="MAIL", when=1))

    assert indexed(["Email"]) == {"Email": set()}
    assert asked() == 3
    assert len(annotations.of_tables("snow", [ONE])[ONE]) == 3  # tombstones stay, so nothing old comes back


def test_a_source_that_lost_sight_takes_nothing_away() -> None:
    put(says("Email"))

    (gone,) = put(lost(says("Email"), at(5)))

    assert (gone.annotation.is_lost, gone.annotation.classifications, gone.changed) == (True, frozenset({"Email"}), False)
    assert indexed(["Email"]) == {"Email": {ONE}}


def test_many_tables_and_targets_go_in_one_call_and_come_back_in_order() -> None:
    given = [
        says("Email", table=TableId("D", "S", f"t{n % 9}"), target=("snow", "bricks")[n % 2], column=f"c{n}") for n in range(40)
    ]

    done = annotations.put_many(given, Facts("ann", "annotations.stated", "snow"), NOON)

    assert [one.annotation for one in done] == given
    assert len(annotations.tables_with("snow", ["EMAIL", "other"])) == 9
    assert [asked(TableId("D", "S", "t3"), target) for target in ("snow", "bricks")] == [1, 1]
    assert put() == []


def test_statements_of_one_place_in_one_call_follow_each_other() -> None:
    first, second = put(says("Email", when=1), says("Phone", when=2))

    assert (first.annotation, first.before) == (says("Email", when=1), frozenset())
    assert (second.annotation, second.before) == (says("Phone", when=2), frozenset({"Email"}))
    assert indexed(["email", "phone"]) == {"email": set(), "phone": {ONE}}


def test_what_has_no_place_is_refused_before_anything_is_written() -> None:
    with pytest.raises(TypeError, match="has to be resolved before"):
        put(says("Email"), stated(CatalogAsset("default/x"), "atlan", ["Email"], NOON))
    assert annotations.of_tables("snow", [ONE]) == {}


def test_writers_at_once_lose_nothing_of_each_other() -> None:
    given = [says("Email", f"own {n}", column=f"c{n % 4}", source=f"source {n}") for n in range(12)]

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(put, given))

    assert sum(one.changed for some in done for one in some) == 12
    assert set(annotations.of_tables("snow", [ONE])[ONE]) == set(given)
    for name in ("email", *(f"own {n}" for n in range(12))):
        assert annotations.tables_with("snow", [name]) == {ONE}
    assert asked() == 12


def test_writers_at_once_whom_no_rule_can_tell_apart_lose_nothing_either() -> None:
    put(*(says("Email", source=f"source {n}") for n in range(12)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, [says("Email", source=f"source {n}", when=1) for n in range(12)]))

    assert {one.stated_at for one in annotations.of_tables("snow", [ONE])[ONE]} == {at(1)}
    assert asked() == 1


def test_a_look_that_changes_meanwhile_is_asked_for_all_the_same() -> None:
    put(says("Email"))
    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(lambda: [looks.ask_many("snow", [ONE], NOON) for _ in range(10)])
        for n in range(10):
            put(says(f"c{n}", when=n + 1))
        looking.result()

    assert asked() == 21


def test_more_classifications_than_one_transaction_holds_come_and_go() -> None:
    many = [f"class {n}" for n in range(150)]
    columns = {f"c{n}": many[n * 50 : n * 50 + 50] for n in range(3)}

    put(*(says(*names, column=column) for column, names in columns.items()))
    assert indexed(many) == {name: {ONE} for name in many}
    put(*(says("kept", column=column, when=1) for column in columns))

    assert indexed([*many, "kept"]) == {name: set() for name in many} | {"kept": {ONE}}


def test_a_long_classification_is_indexed_too() -> None:
    name = "\U0001f600" * 300
    put(says(name))

    assert indexed([name, name[:-1]]) == {name: {ONE}, name[:-1]: set()}


def test_an_answer_that_got_lost_counts_as_a_change() -> None:
    """Otherwise nobody would be told at once; the second try finds what the first has written."""
    put(says("Email"))
    (kept,) = batch.read_many([(f"T#snow#{table_key(ONE)}", "N")]).values()
    with answering("dynamodb") as answers:
        answers.add("BatchGetItem", {"Responses": {"lily": []}, "UnprocessedKeys": {}})
        for _ in range(3):
            answers.refuse("TransactWriteItems", "InternalServerError", 500)
        answers.add("BatchGetItem", {"Responses": {"lily": [kept]}, "UnprocessedKeys": {}})

        (one,) = put(says("Email"))
    assert one == Stated(says("Email"), frozenset(), changed=True)


def test_dynamodb_away_is_transient_and_the_same_call_can_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "PATIENCE_S", 0.0)
    with answering("dynamodb") as answers:
        answers.add("BatchGetItem", {"Responses": {"lily": []}, "UnprocessedKeys": {}})
        for _ in range(3):
            answers.refuse("TransactWriteItems", "InternalServerError", 500)
        with pytest.raises(Transient):
            put(says("Email"))

    assert put(says("Email"))[0].changed


def test_pages_hold_everything_once_whatever_their_size() -> None:
    tables = [TableId("D", "S", f"t{n}") for n in range(5)]
    given = [says("Email" if n % 2 else "Phone", table=table, column=f"c{n}") for table in tables for n in range(4)]
    put(*given, says("Email", target="bricks"))

    for limit in (1, 3, 4, 7, 200):
        assert (len(walk(limit)), set(walk(limit))) == (len(given), set(given))
        assert len(walk(limit, classification="EMAIL")) == 10
        assert set(walk(limit, classification="EMAIL")) == {one for one in given if "Email" in one.classifications}
        assert walk(limit, table=tables[2]) == given[8:12]
        assert walk(limit, table=tables[2], classification="phone") == [given[8], given[10]]
    assert walk(5, table=ONE) == walk(5, target="none") == walk(5, classification="other") == []


def test_a_page_goes_on_where_the_last_one_ended_though_a_table_left_the_index() -> None:
    tables = [TableId("D", "S", f"t{n}") for n in range(6)]
    put(*(says("Email", table=table) for table in tables))
    first = annotations.page("snow", 3, None, classification="Email")
    (next_up, *rest) = annotations.page("snow", 3, first.next, classification="Email").items

    assert isinstance(next_up.subject, Place)
    put(says(table=next_up.subject.table, when=1))

    assert list(annotations.page("snow", 3, first.next, classification="Email").items) == rest


numbers = count()
names = st.sampled_from(["a", "A", "b", "\u0130x", "\U0001f600"])
statements = st.builds(
    lambda column, source, classes, when, is_withdrawn: (
        withdrawn(place(column), source, at(when)) if is_withdrawn else stated(place(column), source, classes, at(when))
    ),
    st.sampled_from([None, "", "c", "\U0001f600"]),
    st.sampled_from(["s", "t"]),
    st.frozensets(names, max_size=2),
    st.integers(0, 3),
    st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(arrived=st.lists(st.lists(statements, max_size=4), min_size=1, max_size=4))
def test_what_is_kept_and_indexed_is_what_all_statements_come_to(arrived: list[list[Annotation]]) -> None:
    target = f"snow-{next(numbers)}"
    moved = [[with_target(one, target) for one in some] for some in arrived]

    for some in moved:
        annotations.put_many(some, None, NOON)

    by_subject: dict[tuple[object, str], list[Annotation]] = {}
    for one in (one for some in moved for one in some):
        by_subject.setdefault((one.subject, one.source), []).append(one)
    wanted = {reduce(merge, some) for some in by_subject.values()}
    assert set(annotations.of_tables(target, [ONE]).get(ONE, [])) == wanted
    for name in ("a", "b", "\u0130x", "\U0001f600"):
        is_there = any(name.casefold() == known.casefold() for one in wanted for known in one.classifications)
        assert annotations.tables_with(target, [name]) == ({ONE} if is_there else set())


def with_target(one: Annotation, target: str) -> Annotation:
    assert isinstance(one.subject, Place)
    subject = Place(target, one.subject.table, one.subject.column)
    return Annotation(subject, one.source, one.classifications, one.stated_at, one.withdrawn, one.lost_at)
