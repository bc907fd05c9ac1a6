"""Events in a real table: accepted once, found again, moved, swept, repeated, replayed."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from lily.domain.events import Event, IllegalMove, State, move
from lily.records import due, events
from lily.records.events import Accepted
from lily.runtime import clock
from tests.builders import a_change, an_event

pytestmark = pytest.mark.usefixtures("table")

NEW, KNOWN = Accepted(duplicate=False), Accepted(duplicate=True)


def stored(event: Event) -> Event:
    assert events.accept_many([event], 5) == [NEW]
    return replace(event, version=1)


def overdue(kind: str = "event") -> list[str]:
    later = clock.now() + timedelta(minutes=5)
    return [item.member for shard in range(due.SHARDS) for item in due.page(kind, shard, later)]


def test_the_second_acceptance_is_told_apart_alone_and_in_a_group() -> None:
    one, two, three = an_event("1"), an_event("2"), an_event("3")

    assert events.accept_many([one], 5) == [NEW]
    assert events.accept_many([one], 5) == [KNOWN]
    assert events.accept_many([two, one, three], 5) == [NEW, KNOWN, NEW]
    assert events.accept_many([three, two], 5) == [KNOWN, KNOWN]


def test_a_second_acceptance_leaves_the_first_as_it_was() -> None:
    first = an_event("1")
    stored(first)

    events.accept_many([replace(first, account="other"), an_event("2")], 5)

    assert events.get(first.id) == replace(first, version=1)


def test_an_event_comes_back_as_it_was_written() -> None:
    event = stored(an_event("1", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    done = replace(
        move(event, State.STORED, clock.now()),
        change=a_change("i", "fixed"),
        incident={"id": "i", "severity": "SEV-1"},
        enrichment={"state": "done"},
        assets=("zeus:ares.artemis", "zeus:ares.apollo"),
    )

    (saved,) = events.save_many([done])

    assert events.get(event.id) == saved
    assert saved == replace(done, version=2)


@pytest.mark.parametrize("size", [10, 5_000, 300_000, 900_000])
def test_a_body_of_any_size_comes_back_byte_for_byte(size: int) -> None:
    body = {"text": secrets.token_hex(size // 2)}
    event = stored(an_event(body=body))

    found = events.get(event.id)

    assert found is not None
    assert events.body(found) == events.inflated(event.raw)


def test_what_is_expired_but_not_yet_deleted_is_not_read() -> None:
    event = an_event("1", received_at=clock.now() - timedelta(days=91))
    stored(event)

    assert events.get(event.id) is None


def test_an_event_is_due_until_it_is_published() -> None:
    event = stored(an_event("1"))
    assert overdue() == [f"e:{event.id}"]

    (kept,) = events.save_many([move(event, State.STORED, clock.now())])
    assert overdue() == [f"e:{event.id}"]

    events.save_many([replace(move(kept, State.PUBLISHED, clock.now()), due_at=None)])
    assert overdue() == []


def test_the_sweep_claims_what_is_overdue_once_and_counts_it() -> None:
    late = stored(an_event("1", due_at=clock.now() - timedelta(seconds=1)))
    early = stored(an_event("2"))
    later = clock.now() + timedelta(seconds=30)

    claimed = events.postpone([late.id, early.id, "0" * 64], later)

    assert [(event.id, event.swept) for event in claimed] == [(late.id, 1)]
    assert events.postpone([late.id], later) == []


def test_repeats_fold_into_one_item_that_stays_due_until_the_last_one_was_looked_at() -> None:
    event = stored(an_event("1"))
    events.note_repeat(event.id, event.lane_key, 2, clock.now())
    first = events.repeat_of(event.id)
    events.note_repeat(event.id, event.lane_key, 1, clock.now())
    assert first is not None
    assert first.next_occurrence == f"{event.id}.2"

    assert not events.settle_repeat(replace(first, due_at=None)), "another repeat arrived meanwhile"
    assert overdue("repeat") == [f"r:{event.id}"]

    second = events.repeat_of(event.id)
    assert second is not None
    assert second.count == 3
    assert events.settle_repeat(replace(second, occurrence=2, due_at=None))
    assert overdue("repeat") == []
    settled = events.repeat_of(event.id)
    assert settled is not None
    assert settled.next_occurrence == f"{event.id}.3"


def test_a_finished_event_is_replayed_once_and_an_unfinished_one_never() -> None:
    event = stored(an_event("1"))
    with pytest.raises(IllegalMove, match="only finished events"):
        events.replay(event, clock.now(), "")
    (parked,) = events.save_many([replace(move(event, State.PARKED, clock.now(), "why"), due_at=None, reason="why")])

    again = events.replay(parked, clock.now(), "by ops")

    assert again is not None
    assert (again.state, again.replays, again.reason) == (State.RECEIVED, 1, "")
    assert [moment.what for moment in again.timeline] == ["parked", "replayed"]
    assert events.get(event.id) == again
    assert events.replay(parked, clock.now(), "by a slower one") is None


def test_a_working_set_holds_an_event_as_it_was_read() -> None:
    event = stored(an_event("1", assets=("a",), change=a_change()))

    assert events.restore(events.dump(event)) == event
