from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.assets import Asset, Found
from lily.domain.catalog import AssetState, Attached, Hint
from lily.domain.tagging import TOLD_MAX, Reading, Tagging, read, tell

EMAIL = Asset("default/snowflake/1/DB/S/T/EMAIL", "Column", "email", "EMAIL")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
SETTLE_S = 300.0
HERE, THERE = Attached("pii", "email"), Attached("pii", "upstream")
NEW = Tagging("atlan", "default/snowflake/1", EMAIL)

sources = st.builds(Attached, st.sampled_from(["pii", "gdpr"]), st.sampled_from(["email", "upstream"]))
histories = st.lists(st.tuples(sources, st.booleans()), max_size=8)


def a_state(*attached: Attached, **more: object) -> AssetState:
    found = Found(EMAIL, "default/snowflake/1", "DB", "S", "T")
    return replace(AssetState(found, is_active=True, attached=frozenset(attached)), **more)


def a_hint(at: int, one: Attached, *, added: bool) -> Hint:
    some: frozenset[Attached] = frozenset({one})
    when = NOW + timedelta(milliseconds=at)
    if added:
        return Hint("tags_added", EMAIL.qualified_name, added=some, at=when)
    return Hint("tags_removed", EMAIL.qualified_name, removed=some, at=when)


def gone_through(history: Sequence[tuple[Attached, bool]]) -> tuple[list[AssetState], list[Hint]]:
    """The states of an asset, and the event of each change."""
    there: set[Attached] = set()
    states, hints = [a_state()], []
    for at, (one, added) in enumerate(history):
        if added == (one in there):
            continue
        (there.add if added else there.discard)(one)
        states.append(a_state(*there))
        hints.append(replace(a_hint(at, one, added=added), stated=frozenset(there)))
    return states, hints


def settled(tagging: Tagging, state: AssetState | None) -> Reading:
    """Read as often as it asks for, with time going by."""
    now = NOW
    for _ in range(20):
        done = read(tagging, state, now, SETTLE_S)
        if done.again_in_s is None:
            return done
        now += timedelta(seconds=done.again_in_s)
        tagging = done.tagging
    raise AssertionError("never settled")


@given(histories, st.data())
def test_whatever_comes_in_whatever_order_the_catalogs_last_state_counts_in_the_end(history, data):
    """Events are repeated, reordered, late and lost; in between, any state is read, however old."""
    states, hints = gone_through(history)
    arrived = data.draw(st.lists(st.sampled_from(hints), max_size=12)) if hints else []
    tagging = NEW
    for hint in arrived:
        tagging = tell(tagging, [hint], NOW)
        if data.draw(st.booleans()):
            tagging = read(tagging, data.draw(st.sampled_from(states)), NOW, SETTLE_S).tagging

    assert settled(tagging, states[-1]).tags == states[-1].tags


@given(histories, st.data())
def test_no_moment_is_less_strict_than_what_was_read_and_what_was_told(history, data):
    """Nor does a single reading take away what nobody was told to be gone."""
    states, hints = gone_through(history)
    tagging, before = NEW, frozenset[str]()
    arrived: list[Hint] = []
    for hint in data.draw(st.lists(st.sampled_from(hints), max_size=4)) if hints else []:
        arrived.append(hint)
        tagging = tell(tagging, [hint], NOW)
        state = data.draw(st.sampled_from(states))
        done = read(tagging, state, NOW, SETTLE_S)

        assert done.tags is not None
        assert done.tags >= state.tags
        latest = {one: hint for hint in sorted(arrived, key=lambda hint: hint.at) for one in hint.added | hint.removed}
        assert done.tags >= {one.tag for one, hint in latest.items() if hint.added}
        assert done.tags >= {one.tag for one in hint.stated if one not in latest}
        assert done.tags >= before - {one.tag for hint in arrived for one in hint.removed}
        tagging, before = done.tagging, done.tags


@given(histories, st.data())
def test_order_and_repetition_of_events_do_not_matter(history, data):
    _, hints = gone_through(history)

    assert tell(NEW, data.draw(st.permutations(hints + hints[:3])), NOW).told == tell(NEW, hints, NOW).told


def test_a_tag_counts_from_its_event_on_although_the_store_is_behind():
    done = read(tell(NEW, [a_hint(1, HERE, added=True)], NOW), a_state(), NOW, SETTLE_S)

    assert (done.tags, done.again_in_s) == ({"pii"}, 0.2)


def test_a_tag_counts_until_its_last_source_is_gone():
    both = read(tell(NEW, [a_hint(1, HERE, added=True)], NOW), a_state(HERE, THERE), NOW, SETTLE_S).tagging
    one = read(tell(both, [a_hint(2, HERE, added=False)], NOW), a_state(THERE), NOW, SETTLE_S)
    none = read(tell(one.tagging, [a_hint(3, THERE, added=False)], NOW), a_state(), NOW, SETTLE_S)

    assert (one.tags, one.again_in_s) == ({"pii"}, None)
    assert (none.tags, none.again_in_s) == (frozenset(), None)


def test_a_tag_that_is_missing_without_an_event_counts_until_that_was_seen_some_times():
    known = read(NEW, a_state(HERE), NOW, SETTLE_S).tagging
    seen = [read(known, a_state(), NOW, SETTLE_S)]
    while seen[-1].again_in_s is not None:
        seen.append(read(seen[-1].tagging, a_state(), NOW, SETTLE_S))

    assert [one.again_in_s for one in seen] == [0.2, 0.5, 1.5, 5.0, None]
    assert [one.tags for one in seen] == [{"pii"}] * 4 + [frozenset()]


def test_an_event_that_the_store_never_shows_holds_until_it_is_given_up():
    told = tell(NEW, [a_hint(1, HERE, added=True)], NOW)
    for _ in range(4):
        told = read(told, a_state(), NOW, SETTLE_S).tagging

    waiting = read(told, a_state(), NOW + timedelta(seconds=100), SETTLE_S)
    given_up = read(waiting.tagging, a_state(), NOW + timedelta(seconds=300), SETTLE_S)

    assert (waiting.tags, waiting.again_in_s) == ({"pii"}, 200)
    assert (given_up.tags, given_up.again_in_s) == (frozenset(), None)


def test_an_archived_or_missing_asset_is_lost_and_says_nothing_of_its_tags():
    known = read(NEW, a_state(HERE), NOW, SETTLE_S).tagging
    told = tell(known, [Hint("lost", EMAIL.qualified_name, at=NOW, lost="archived")], NOW)

    assert read(told, a_state(is_active=False), NOW, SETTLE_S).tags is None
    assert read(told, None, NOW, SETTLE_S).tags is None


def test_an_asset_told_to_be_lost_loses_no_tag_while_the_store_still_shows_it():
    known = read(NEW, a_state(HERE), NOW, SETTLE_S).tagging
    told = tell(known, [Hint("lost", EMAIL.qualified_name, at=NOW, lost="archived")], NOW)

    done = read(told, a_state(), NOW, SETTLE_S)

    assert (done.tags, done.again_in_s) == ({"pii"}, 0.2)


def test_the_successor_of_a_purged_asset_keeps_its_tags_until_somebody_takes_them():
    known = read(NEW, a_state(HERE), NOW, SETTLE_S).tagging
    other = a_state(found=Found(replace(EMAIL, guid="new"), "default/snowflake/1", "DB", "S", "T"))
    done = settled(known, other)
    taken = tell(done.tagging, [a_hint(9, Attached("pii", "new"), added=False)], NOW)

    assert done.tags == {"pii"}
    assert settled(taken, other).tags == frozenset()


def test_an_event_that_came_before_counts_as_nothing_new():
    told = tell(NEW, [a_hint(1, HERE, added=True)], NOW)
    agreed = read(told, a_state(HERE), NOW, SETTLE_S).tagging

    assert tell(agreed, [a_hint(1, HERE, added=True)], NOW + timedelta(seconds=9)) == agreed


@given(st.integers(TOLD_MAX, TOLD_MAX + 50))
def test_what_is_remembered_of_an_asset_is_bounded(count):
    hints = [a_hint(at, Attached("pii", str(at)), added=at % 2 == 0) for at in range(count)]

    assert len(tell(NEW, hints, NOW).told) <= TOLD_MAX
