"""What a target holds: only differences are written, what is kept in the process is never older than the head says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lily.domain.inventory import Table, TableId, TableKind
from lily.domain.rules import Principal
from lily.domain.targets import Holders
from lily.records import batch, inventory
from lily.records.inventory import Changes
from lily.records.security_forms import table_key
from lily.runtime import aws_json, clock
from tests.domain.security import a_table

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
CUSTOMERS, ORDERS = a_table("customers", EMAIL="text", AMOUNT="number"), a_table("orders", REGION="short")
NOTHING = Changes((), (), ())


@pytest.fixture(autouse=True)
def other_process() -> Iterator[None]:
    """Each test begins as a process that has nothing in memory."""
    inventory.forget()
    yield
    inventory.forget()


def save(*tables: Table, at: datetime = NOON) -> Changes:
    return inventory.save("snow", tables, at)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The calls to DynamoDB from here on, by operation."""
    counted, once = Counter[str](), aws_json._once

    def counting(service: str, operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        counted[operation] += 1
        return once(service, operation, body, timeout_s)

    monkeypatch.setattr(aws_json, "_once", counting)
    return counted


def test_what_was_read_is_there_with_its_age() -> None:
    assert inventory.load("snow") == ({}, None)
    assert inventory.read_at("snow") is None

    assert save(CUSTOMERS, ORDERS) == Changes((CUSTOMERS, ORDERS), (), ())

    assert inventory.load("snow") == ({CUSTOMERS.id: CUSTOMERS, ORDERS.id: ORDERS}, NOON)
    assert inventory.read_at("snow") == NOON
    assert inventory.load("bricks") == ({}, None)
    assert inventory.some("snow", [ORDERS.id, TableId("D", "S", "t")]) == {ORDERS.id: ORDERS}


def test_a_reading_tells_what_is_new_changed_and_gone() -> None:
    gone = a_table("gone")
    save(CUSTOMERS, ORDERS, gone)
    wider, view = a_table("customers", EMAIL="text", AMOUNT="number", BORN="date"), replace(ORDERS, kind=TableKind.VIEW)
    new = a_table("new", X="json")
    wanted = Changes((new,), (wider, view), (gone.id,))

    assert inventory.compare("snow", [wider, view, new]) == wanted
    assert save(wider, view, new, at=NOON + timedelta(hours=1)) == wanted

    assert inventory.load("snow") == ({one.id: one for one in (wider, view, new)}, NOON + timedelta(hours=1))
    assert save(wider, view, new) == NOTHING


def test_what_is_the_same_is_not_written_again(calls: Counter[str]) -> None:
    many = [a_table(f"t{number}", A="text") for number in range(60)]
    save(*many)
    calls.clear()

    save(*many[1:], replace(many[0], object_id="made anew"))

    assert calls == {"Query": 1, "BatchWriteItem": 1, "PutItem": 1}


def test_nothing_is_read_twice_while_nothing_changes(calls: Counter[str]) -> None:
    save(CUSTOMERS)
    inventory.load("snow")
    calls.clear()

    assert inventory.load("snow") == ({CUSTOMERS.id: CUSTOMERS}, NOON)
    assert calls == {"GetItem": 1}


def test_a_process_that_keeps_tables_sees_what_was_written_since() -> None:
    save(CUSTOMERS)
    assert set(inventory.load("snow")[0]) == {CUSTOMERS.id}

    save(CUSTOMERS, ORDERS)
    assert set(inventory.load("snow")[0]) == {CUSTOMERS.id, ORDERS.id}
    inventory.note_seen("snow", [a_table("seen")])

    assert {table.name for table in inventory.load("snow")[0]} == {"customers", "orders", "seen"}


def test_a_table_seen_on_its_own_is_put_in_and_the_age_stays() -> None:
    save(CUSTOMERS)
    wider = a_table("customers", EMAIL="text", AMOUNT="number", BORN="date")

    inventory.note_seen("snow", [wider, ORDERS])

    assert inventory.load("snow") == ({wider.id: wider, ORDERS.id: ORDERS}, NOON)


def test_a_table_seen_before_any_reading_is_there_but_no_reading_is() -> None:
    inventory.note_seen("snow", [CUSTOMERS])

    assert inventory.load("snow") == ({CUSTOMERS.id: CUSTOMERS}, None)
    assert inventory.read_at("snow") is None


def test_a_table_seen_as_it_is_known_costs_one_read(calls: Counter[str]) -> None:
    save(CUSTOMERS)
    calls.clear()

    inventory.note_seen("snow", [CUSTOMERS])
    inventory.note_seen("snow", [])

    assert calls == {"BatchGetItem": 1}


def test_a_listing_that_began_before_a_table_was_made_does_not_take_it_away() -> None:
    with clock.freeze(NOON):
        inventory.note_seen("snow", [ORDERS])

    assert save(CUSTOMERS, at=NOON + timedelta(seconds=30)) == Changes((CUSTOMERS,), (), ())
    assert set(inventory.load("snow")[0]) == {CUSTOMERS.id, ORDERS.id}
    assert save(CUSTOMERS, at=NOON + timedelta(minutes=10)) == Changes((), (), (ORDERS.id,))
    assert set(inventory.load("snow")[0]) == {CUSTOMERS.id}


def test_a_table_that_cannot_be_read_hides_no_other_and_is_written_again() -> None:
    save(CUSTOMERS, ORDERS)
    batch.write_many([batch.packed({"pk": "V#snow", "sk": table_key(CUSTOMERS.id), "d": b"not deflated"})])

    assert inventory.load("snow")[0] == {ORDERS.id: ORDERS}
    assert save(CUSTOMERS, ORDERS) == Changes((CUSTOMERS,), (), ())


def test_tables_are_listed_by_name_in_pages() -> None:
    long = [a_table("x" * 100 + end) for end in "abc"]  # told apart by what no position holds
    tables = [a_table(name) for name in ("Orders", "customers", "z\U0001f600" * 100, "a.b")] + long
    save(*tables)

    for limit in (1, 2, 3, 50):
        found, cursor = list[Table](), None
        while True:
            page = inventory.page("snow", limit, cursor)
            found += page.items
            cursor = page.next
            if cursor is None:
                break
            assert len(cursor.encode()) < 1000
        assert [table.id.name[:9] for table in found] == ["Orders", "a.b", "customers", *["x" * 9] * 3, ("z\U0001f600" * 100)[:9]]
        assert set(found) == set(tables)


def test_a_list_goes_on_although_its_last_table_is_gone() -> None:
    save(*(a_table(name) for name in "abcd"))
    position = inventory.page("snow", 2, None).next

    save(*(a_table(name) for name in "acd"))

    assert [table.id.name for table in inventory.page("snow", 2, position).items] == ["c", "d"]


def test_tables_are_found_by_a_part_of_their_path() -> None:
    save(CUSTOMERS, ORDERS)

    assert inventory.page("snow", 9, None, text="public.CUST").items == (CUSTOMERS,)
    assert inventory.page("snow", 9, None, text="crm").items == (CUSTOMERS, ORDERS)
    assert inventory.page("snow", 9, None, text="nothing").items == ()


def test_who_has_a_principal_is_remembered_as_it_was_read_last() -> None:
    analyst, odd = Principal("role", "ANALYST"), Principal("group", "\U0001f600" * 255)
    first = {analyst: Holders(True, frozenset({odd, Principal("role", "BOSS")}), 3), odd: Holders(False)}

    inventory.save_holders("snow", first)
    assert inventory.holders("snow") == first
    inventory.save_holders("snow", {odd: Holders(True, users=1)})

    assert inventory.holders("snow") == {odd: Holders(True, users=1)}
    assert inventory.holders("bricks") == {}
