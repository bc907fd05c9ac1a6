from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.assets import Asset, Found
from lily.domain.catalog import AssetState, Attached, Hint
from lily.domain.readback import agrees, expected, in_force

EMAIL = Asset("default/snowflake/1/DB/S/T/EMAIL", "Column", "email", "EMAIL")
BEGAN = datetime(2026, 11, 24, tzinfo=UTC)
HERE, THERE = Attached("pii", "email"), Attached("pii", "upstream")


def a_state(*attached: Attached) -> AssetState:
    return AssetState(Found(EMAIL, "default/snowflake/1", "DB", "S", "T"), is_active=True, attached=frozenset(attached))


def a_hint(at: int, attachment: Attached, *, added: bool) -> Hint:
    one = frozenset({attachment})
    operation = "tags_added" if added else "tags_removed"
    when = BEGAN + timedelta(milliseconds=at)
    return Hint(
        operation, EMAIL.qualified_name, added=one if added else frozenset(), removed=frozenset() if added else one, at=when
    )


def replayed(history: Sequence[tuple[Attached, bool]]) -> tuple[list[AssetState], list[Hint]]:
    """The states that a catalog goes through, and the event of each step."""
    there: set[Attached] = set()
    states, hints = [a_state()], []
    for at, (attachment, added) in enumerate(history):
        (there.add if added else there.discard)(attachment)
        states.append(a_state(*there))
        hints.append(a_hint(at, attachment, added=added))
    return states, hints


histories = st.lists(
    st.tuples(st.builds(Attached, st.sampled_from(["pii", "gdpr"]), st.sampled_from("ab")), st.booleans()), max_size=8
)


@given(histories, st.data())
def test_no_moment_is_less_strict_than_the_events_or_the_state(history, data):
    """Events come in any order, some of them twice or not yet, and what is read is stale or ahead of them."""
    states, hints = replayed(history)
    arrived = data.draw(st.lists(st.sampled_from(hints), max_size=12)) if hints else []
    read = data.draw(st.sampled_from(states))

    counted = in_force(read, arrived)

    assert counted >= read.tags
    latest = {one: hint for hint in sorted(arrived, key=lambda hint: hint.at) for one in hint.added | hint.removed}
    assert counted >= {one.tag for one, hint in latest.items() if hint.added}


@given(histories, st.data())
def test_once_all_events_have_come_the_last_state_is_agreed_with_and_is_what_counts(history, data):
    states, hints = replayed(history)
    arrived = data.draw(st.permutations(hints + hints[:3]))

    assert agrees(states[-1], arrived)
    assert in_force(states[-1], arrived) == states[-1].tags


@given(histories, st.data())
def test_order_and_repetition_of_events_do_not_matter(history, data):
    _, hints = replayed(history)

    assert expected(data.draw(st.permutations(hints + hints[:3]))) == expected(hints)


def test_a_stale_reading_disagrees_and_the_tag_counts_already():
    added = a_hint(1, HERE, added=True)

    assert not agrees(a_state(), [added])
    assert in_force(a_state(), [added]) == {"pii"}
    assert agrees(a_state(HERE), [added])


def test_a_tag_counts_until_its_last_source_is_gone():
    removed = a_hint(1, HERE, added=False)

    assert not agrees(a_state(HERE, THERE), [removed])
    assert agrees(a_state(THERE), [removed])
    assert in_force(a_state(THERE), [removed]) == {"pii"}
    assert in_force(a_state(), [removed]) == frozenset()


def test_of_two_events_of_one_time_the_stricter_counts():
    both = [a_hint(1, HERE, added=True), a_hint(1, HERE, added=False)]

    assert expected(both) == expected(both[::-1]) == {HERE: True}


def test_an_event_that_names_no_source_is_content_with_any():
    assert agrees(a_state(THERE), [a_hint(1, Attached("pii"), added=True)])
    assert not agrees(a_state(), [a_hint(1, Attached("pii"), added=True)])
