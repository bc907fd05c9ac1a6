"""Drift on record: open until the table is as it should be, found again without losing when it began, the latest first."""

from datetime import UTC, datetime, timedelta

import pytest

from lily.domain.drift import Drift, DriftKind
from lily.domain.inventory import Site, TableId
from lily.records import drifts
from lily.records.drifts import Found
from lily.runtime import clock

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUSTOMERS, ORDERS = TableId("CRM", "PUBLIC", "customers"), TableId("CRM", "PUBLIC", "\U0001f600" * 255)


@pytest.fixture(autouse=True)
def _today() -> object:
    with clock.freeze(NOON + 12 * HOUR):
        yield


def a_drift(
    column: str | None = "EMAIL",
    table: TableId = CUSTOMERS,
    *,
    kind: DriftKind = DriftKind.DETACHED,
    at: datetime = NOON,
    target: str = "snow",
    text: str = "bare",
) -> Found:
    return Found(target, Drift(kind, Site(table, column), text), at)


def walk(limit: int = 50, target: str = "snow", *, open_only: bool = False) -> list[Found]:
    found, cursor = list[Found](), None
    while True:
        page = drifts.find(target, open_only, limit, cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def test_what_was_found_is_listed_the_latest_first() -> None:
    found = [
        a_drift(),
        a_drift(None, at=NOON + HOUR),
        a_drift("EMAIL", kind=DriftKind.TAG_MOVED, at=NOON + 2 * HOUR),
        a_drift("\U0001f600" * 255, ORDERS, at=NOON + 3 * HOUR),
        a_drift("", at=NOON + 4 * HOUR),
    ]

    drifts.save_many([*found, a_drift(target="bricks")])

    for limit in (1, 2, 5, 50):
        assert walk(limit) == walk(limit, open_only=True) == found[::-1]
    assert walk(target="bricks") == [a_drift(target="bricks")]
    assert walk(target="none") == []


def test_what_is_found_again_keeps_the_time_at_which_it_began() -> None:
    drifts.save_many([a_drift()])

    drifts.save_many([a_drift(at=NOON + HOUR, text="still bare")])

    assert walk() == [a_drift(text="still bare")]


def test_a_table_that_is_as_it_should_be_has_no_open_drift() -> None:
    drifts.save_many([a_drift(), a_drift(None), a_drift(table=ORDERS)])

    drifts.settle("snow", CUSTOMERS, NOON + HOUR)
    drifts.settle("snow", TableId("D", "S", "t"), NOON + HOUR)

    assert walk(open_only=True) == [a_drift(table=ORDERS)]
    assert sorted(one.repaired_at or NOON for one in walk()) == [NOON, NOON + HOUR, NOON + HOUR]


def test_settling_again_keeps_the_time_of_the_repair() -> None:
    drifts.save_many([a_drift()])
    drifts.settle("snow", CUSTOMERS, NOON + HOUR)

    drifts.settle("snow", CUSTOMERS, NOON + 2 * HOUR)

    assert [one.repaired_at for one in walk()] == [NOON + HOUR]


def test_what_comes_back_after_a_repair_is_open_from_then_on() -> None:
    drifts.save_many([a_drift()])
    drifts.settle("snow", CUSTOMERS, NOON + HOUR)

    drifts.save_many([a_drift(at=NOON + 2 * HOUR)])

    assert walk() == walk(open_only=True) == [a_drift(at=NOON + 2 * HOUR)]


def test_what_was_found_after_the_table_was_seen_stays_open() -> None:
    drifts.save_many([a_drift(at=NOON + HOUR)])

    drifts.settle("snow", CUSTOMERS, NOON)

    assert walk(open_only=True) == [a_drift(at=NOON + HOUR)]


def test_a_repaired_drift_is_kept_its_time_and_an_open_one_for_ever() -> None:
    drifts.save_many([a_drift(), a_drift(table=ORDERS)])
    drifts.settle("snow", CUSTOMERS, NOON + HOUR)

    with clock.freeze(NOON + timedelta(days=1000)):
        assert walk() == [a_drift(table=ORDERS)]


def test_more_drifts_than_fit_one_call_are_kept() -> None:
    drifts.save_many([a_drift(f"c{number}") for number in range(70)])
    drifts.save_many([])

    assert len(walk(20)) == 70
    drifts.settle("snow", CUSTOMERS, NOON)
    assert walk(open_only=True) == []
