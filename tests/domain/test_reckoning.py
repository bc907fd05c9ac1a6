"""A batch and its incident: effects in order of arrival, repeats, readings, and the same answer after a kill."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.incidents import STATUSES, Effect, Incident
from lily.domain.reckoning import Occurrence, Reckoned, may_read, read, reckon, unread
from tests.domain.test_incidents import NOON, a_claim, a_reading, at


def an_occurrence(name: str, when: float, status: str | None = None, *, is_repeat: bool = False) -> Occurrence:
    return Occurrence(name, a_claim(status), at(when), is_repeat)


def told(result: Reckoned) -> list[tuple[str, str]]:
    return [(occurrence.id, what.value) for occurrence, what, _ in result.effects]


def test_open_and_fixed_in_one_batch_are_both_told() -> None:
    batch = [an_occurrence("e2", 2, "fixed"), an_occurrence("e1", 1)]

    assert told(reckon(Incident("mc", "i"), batch, None, at(3))) == [("e1", "opened"), ("e2", "resolved")]


def test_swapped_open_and_fixed_end_as_the_source_says() -> None:
    details = a_reading("fixed", updated=1, read=3)
    first = reckon(Incident("mc", "i"), [an_occurrence("fixed", 1, "fixed")], details, at(3)).incident

    result = reckon(first, [an_occurrence("open", 4)], a_reading("fixed", updated=1, read=5), at(5))

    assert result.incident.status == "fixed"
    assert told(result) == [("open", "unchanged")]


def test_fixed_reopened_fixed_again_ends_fixed_and_tells_the_repeat_as_an_occurrence() -> None:
    incident = Incident("mc", "i")
    for occurrence in (an_occurrence("a", 1, "fixed"), an_occurrence("b", 2, "acknowledged")):
        incident = reckon(incident, [occurrence], None, occurrence.arrived_at).incident

    result = reckon(incident, [an_occurrence("a.2", 3, "fixed", is_repeat=True)], None, at(3))

    assert result.incident.status == "fixed"
    assert told(result) == [("a.2", "resolved")]


def test_a_repeat_that_claims_what_is_known_does_nothing_at_all() -> None:
    before = reckon(Incident("mc", "i"), [an_occurrence("a", 1, "fixed")], a_reading("fixed", read=2), at(2)).incident

    result = reckon(before, [an_occurrence("a.2", 3, "fixed", is_repeat=True)], None, at(3))

    assert result.incident == before
    assert told(result) == [("a.2", "unchanged")]


def test_a_change_that_only_a_reading_found_waits_in_the_outbox() -> None:
    before = reckon(Incident("mc", "i"), [an_occurrence("a", 1)], None, at(1)).incident

    incident = reckon(before, [], a_reading("fixed", updated=5, read=6), at(6)).incident

    assert incident.outbox == (("mc/i/v2", Effect.RESOLVED),)
    assert incident.changed_at == at(6)


statuses = st.none() | st.sampled_from(sorted(STATUSES))
batches = st.lists(st.tuples(st.integers(1, 9), statuses), min_size=1, max_size=6).map(
    lambda rows: [an_occurrence(f"e{number}", when, status) for number, (when, status) in enumerate(rows)]
)


@given(batches, st.none() | st.builds(a_reading, statuses.filter(bool), st.integers(0, 9), st.integers(0, 12)))
def test_a_batch_reckoned_again_after_a_kill_says_the_same(batch: list[Occurrence], details: object) -> None:
    first = reckon(Incident("mc", "i"), batch, details, at(20))  # type: ignore[arg-type]

    again = reckon(first.incident, batch, details, at(30))  # type: ignore[arg-type]

    assert told(again) == told(first)
    assert again.incident.status == first.incident.status
    assert again.incident.changed_at == first.incident.changed_at


def test_a_reading_settles_what_was_owed_and_a_missing_one_owes_more() -> None:
    owing = unread(Incident("mc", "i"), ["a", "b"], at(60))
    assert (owing.unenriched, owing.reread_due_at, owing.reread_attempts) == (("a", "b"), at(60), 1)

    settled = read(owing, at(61), by_repeat=False)
    assert (settled.unenriched, settled.reread_due_at, settled.reread_attempts, settled.reread_at) == ((), None, 0, None)


def test_a_repeat_may_cost_one_call_per_incident_and_interval() -> None:
    incident = read(Incident("mc", "i"), NOON, by_repeat=True)

    assert not may_read(incident, at(59), timedelta(seconds=60))
    assert may_read(incident, at(60), timedelta(seconds=60))
