"""Requests to look at a table: due until somebody has looked, and what comes in meanwhile stays due."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from lily.domain.inventory import TableId
from lily.records import batch, due, looks
from lily.records.looks import Look
from lily.records.security_forms import table_key
from lily.runtime.settings import settings

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ONE = TableId("CRM", "PUBLIC", "customers")
TWO = TableId("CRM", "public", "\U0001f600" * 255)  # longer than any key
MINUTE = timedelta(minutes=1)


def soon(at: datetime = NOON) -> datetime:
    """When the sweep takes up what was asked for at `at`."""
    return at + timedelta(seconds=settings().sweep_after_s)


def waiting() -> list[tuple[str, str, datetime]]:
    """What the sweep would find, ever."""
    found = [one for shard in range(due.SHARDS) for one in due.page("table", shard, NOON + timedelta(days=9))]
    return sorted((one.member, one.lane_key, one.due_at) for one in found)


def now(table: TableId = ONE) -> Look:
    return looks.get_many("snow", [table])[table]


def ask(at: datetime = NOON, due_at: datetime | None = None, table: TableId = ONE) -> Look:
    (asked,) = looks.ask_many("snow", [table], at, due_at)
    return asked


def finish(look: Look, outcome: str = "enforced", *reasons: str) -> None:
    looks.finish_many([look], {look.table: (outcome, reasons)}, NOON)


def test_a_table_that_was_asked_for_is_due_in_its_targets_lane() -> None:
    asked = looks.ask_many("snow", [ONE, TWO, ONE], NOON)

    assert [(look.table, look.number, look.due_at, look.asked_at) for look in asked] == [
        (ONE, 1, soon(), NOON),
        (TWO, 1, soon(), NOON),
    ]
    assert looks.get_many("snow", [TWO, ONE]) == {ONE: asked[0], TWO: asked[1]}
    assert waiting() == sorted((f"t:snow#{table_key(table)}", "@snow", soon()) for table in (ONE, TWO))
    assert sorted(looks.load([looks.member("snow", ONE), looks.member("snow", TWO)]), key=str) == sorted(asked, key=str)


def test_what_nobody_asked_for_is_not_there() -> None:
    ask()

    assert looks.get_many("bricks", [ONE]) == {}
    assert looks.load([looks.member("snow", TWO), looks.member("bricks", ONE)]) == []
    assert looks.ask_many("snow", [], NOON) == []
    looks.finish_many([], {}, NOON)


def test_a_finished_look_is_due_no_longer_and_says_how_it_ended() -> None:
    asked = ask()

    finish(asked, "conflict", "somebody else's", "and more")

    ended = now()
    assert (ended.number, ended.done, ended.outcome, ended.reasons) == (1, 1, "conflict", ("somebody else's", "and more"))
    assert (ended.due_at, ended.ended_at) == (None, NOON)
    assert waiting() == []
    assert looks.load([looks.member("snow", ONE)]) == []


def test_what_is_asked_for_while_somebody_looks_stays_due() -> None:
    began = ask()
    ask(NOON + MINUTE)

    finish(began)

    assert (now().number, now().done, now().outcome, now().due_at) == (2, 1, "enforced", soon())
    finish(now())
    assert (now().done, waiting()) == (2, [])


def test_a_look_that_ended_late_does_not_undo_a_later_one() -> None:
    first = ask()
    finish(ask(NOON + MINUTE), "enforced")

    finish(first, "failed", "overtaken")

    assert (now().done, now().outcome, now().due_at) == (2, "enforced", None)


def test_only_tables_with_an_outcome_are_finished() -> None:
    asked = looks.ask_many("snow", [ONE, TWO], NOON)

    looks.finish_many(asked, {TWO: ("enforced", ())}, NOON)

    assert [now(ONE).done, now(TWO).done] == [0, 1]
    assert [member for member, _, _ in waiting()] == [looks.member("snow", ONE)]


def test_the_earlier_of_two_times_counts() -> None:
    later = NOON + timedelta(days=2)
    assert ask(due_at=later).due_at == later
    assert ask().due_at == soon()  # at once, whatever there is later
    assert ask(NOON + MINUTE).due_at == soon()  # asking on and on puts nothing off
    assert ask(due_at=later).due_at == soon()
    assert [at for _, _, at in waiting()] == [soon()]


def test_a_failure_puts_a_look_off_and_is_counted() -> None:
    asked = ask()

    looks.postpone_many([asked], NOON + 5 * MINUTE, "away")
    again = now()
    looks.postpone_many([again], NOON + 9 * MINUTE, "still away")

    assert (again.attempts, again.reason, again.due_at) == (1, "away", NOON + 5 * MINUTE)
    assert (now().attempts, now().reason, now().number) == (2, "still away", 1)
    assert [at for _, _, at in waiting()] == [NOON + 9 * MINUTE]


def test_what_is_asked_for_anew_is_tried_at_once_and_as_often() -> None:
    began = ask()
    looks.postpone_many([began], NOON + 60 * MINUTE, "away")
    ask(NOON + MINUTE)

    looks.postpone_many([began], NOON + 90 * MINUTE, "away")

    assert (now().attempts, now().reason, now().due_at) == (0, "", soon(NOON + MINUTE))


def test_a_time_to_come_forgives_no_failures() -> None:
    looks.postpone_many([ask()], NOON + MINUTE, "away")

    assert ask(due_at=NOON + timedelta(days=1)).attempts == 1


def test_many_who_ask_at_once_are_all_counted() -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: ask(), range(12)))

    assert sorted(look.number for look in asked) == list(range(1, 13))
    assert now().number == 12


def test_more_tables_than_fit_one_call_are_asked_for_and_settled() -> None:
    tables = [TableId("CRM", "PUBLIC", f"t{number}") for number in range(60)]

    asked = looks.ask_many("snow", tables, NOON)
    looks.ask_many("snow", tables[:5], NOON)
    looks.finish_many(asked, dict.fromkeys(tables, ("enforced", ())), NOON)

    assert [look.table for look in asked] == tables
    assert len(waiting()) == 5


def test_one_that_cannot_be_read_hides_no_other() -> None:
    asked = looks.ask_many("snow", [ONE, TWO], NOON)
    pk, sk = looks.key("snow", ONE)
    batch.write_many([batch.packed({"pk": pk, "sk": sk, "ver": 1, "d": b"not deflated"})])

    assert looks.load([looks.member("snow", look.table) for look in asked]) == [asked[1]]
