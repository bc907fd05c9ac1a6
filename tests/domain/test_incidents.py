"""Incidents from claims and readings: neither order nor repetition changes the result."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.alerts import AlertDetails
from lily.domain.assets import TableRef
from lily.domain.incidents import (
    CLOSED_STATUSES,
    REMEMBERED_EFFECTS,
    STATUSES,
    Change,
    Effect,
    Incident,
    effect,
    merge_claim,
    merge_reading,
    remember,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Move = Callable[[Incident], Incident]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_reading(status: str = "open", updated: float = 0, read: float = 0, **more: object) -> AlertDetails:
    plain = AlertDetails("i", status, None, None, None, (), None, None, None, (), None, at(updated), at(read))
    return replace(plain, **more)  # type: ignore[arg-type]


def a_claim(status: str | None = None, **values: str | None) -> Change:
    claimed = values if status is None else {"status": status, **values}
    return Change("i", "anomaly", "status_updated", claimed)


seconds = st.integers(0, 8)
claim_moves = st.builds(
    lambda values, when, name: lambda incident: merge_claim(incident, Change("i", "anomaly", "x", values), at(when), name),
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(sorted(STATUSES)),
            "severity": st.sampled_from(["SEV-1", "SEV-2", None]),
            "title": st.sampled_from(["a", "b"]),
        },
    ),
    seconds,
    st.uuids().map(str),
)
reading_moves = st.builds(
    lambda status, updated, read: lambda incident: merge_reading(incident, a_reading(status, updated, read)),
    st.sampled_from(sorted(STATUSES)),
    seconds,
    seconds,
)
moves: st.SearchStrategy[list[Move]] = st.lists(st.one_of(claim_moves, reading_moves), max_size=8)


@given(moves, st.data())
def test_order_and_repetition_do_not_matter(all_moves: list[Move], data: st.DataObject) -> None:
    again = data.draw(st.permutations(all_moves + all_moves[:2]))

    straight = reduce(lambda incident, move: move(incident), all_moves, Incident("mc", "i"))
    shuffled = reduce(lambda incident, move: move(incident), again, Incident("mc", "i"))

    assert straight == shuffled


def test_the_reading_with_the_later_source_time_counts_whichever_was_read_first() -> None:
    late, early = a_reading("fixed", updated=9, read=1), a_reading("open", updated=3, read=5)

    assert merge_reading(merge_reading(Incident("mc", "i"), late), early).status == "fixed"
    assert merge_reading(merge_reading(Incident("mc", "i"), early), late).status == "fixed"


def test_a_claim_counts_only_while_no_reading_began_after_it() -> None:
    read = merge_reading(Incident("mc", "i"), a_reading("open", read=5))

    assert merge_claim(read, a_claim("fixed"), at(4), "e").status == "open"
    assert merge_claim(read, a_claim("fixed"), at(6), "e").status == "fixed"
    assert merge_claim(read, a_claim("fixed"), at(6), "e").order == "arrival"


def test_a_late_opening_that_claims_no_status_does_not_revive_a_closed_incident() -> None:
    fixed = merge_claim(Incident("mc", "i"), a_claim("fixed"), at(1), "e1")

    revived = merge_claim(fixed, a_claim(), at(2), "e2")

    assert revived.status == "fixed"
    assert effect(fixed, revived) is Effect.UNCHANGED


def test_exact_tables_of_a_reading_win_over_names_that_a_webhook_guessed() -> None:
    guessed = Change("i", "anomaly", "opened", {}, (TableRef("zeus:ares.artemis"),))
    exact = a_reading(tables=(TableRef("zeus:ares.artemis_v2", "MCON++1"),))

    incident = merge_claim(merge_reading(Incident("mc", "i"), exact), guessed, at(9), "e")

    assert [table.name for table in incident.affected] == ["zeus:ares.artemis_v2"]


def test_each_effect_is_named_by_what_lies_between_two_states() -> None:
    unknown = Incident("mc", "i")
    opened = merge_claim(unknown, a_claim(), at(1), "e1")
    worse = merge_claim(opened, a_claim(severity="SEV-1"), at(2), "e2")
    fixed = merge_claim(worse, a_claim("fixed"), at(3), "e3")
    again = merge_claim(fixed, a_claim("open"), at(4), "e4")

    pairs = [(unknown, opened), (opened, worse), (worse, fixed), (fixed, again), (again, again)]

    assert [effect(*pair).value for pair in pairs] == ["opened", "updated", "resolved", "reopened", "unchanged"]
    assert effect(unknown, merge_claim(unknown, a_claim("fixed"), at(1), "e1")) is Effect.RESOLVED


def test_effects_of_the_last_occurrences_are_remembered_and_no_more() -> None:
    incident = Incident("mc", "i")
    for number in range(REMEMBERED_EFFECTS + 5):
        incident = remember(incident, f"e{number}", Effect.UPDATED)
    assert remember(incident, "e100", Effect.RESOLVED) == incident

    assert len(incident.effects) == REMEMBERED_EFFECTS
    assert incident.effect_of("e0") is None
    assert incident.place_of("e132") == REMEMBERED_EFFECTS + 5
    assert incident.effect_of("e100") is Effect.UPDATED


def test_every_status_is_either_open_or_closed() -> None:
    for status in STATUSES:
        assert merge_claim(Incident("mc", "i"), a_claim(status), at(1), "e").is_open == (status not in CLOSED_STATUSES)
