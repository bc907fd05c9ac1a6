"""What an asset shows and owes, whatever is told of its incidents, in any order, doubled, and written in between."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lily.domain import badges, showing
from lily.domain.assets import Asset
from lily.domain.badges import OpenIncident, Upstream
from lily.domain.catalog import Announcement
from lily.domain.showing import Entry, Shown

AT = datetime(2026, 11, 27, tzinfo=UTC)
BLANK = Shown("atlan", Asset("c/DB/S/T", "Table", "g", "T"))
PERSON = Announcement("information", "Moving on Monday")

versions = st.dictionaries(st.sampled_from("abc"), st.lists(st.booleans(), min_size=1, max_size=4), min_size=1)


def told(histories: dict[str, list[bool]]) -> list[tuple[str, Entry]]:
    """Each incident's versions, open or closed."""
    return [
        (name, Entry(version, OpenIncident(name, f"v{version}") if is_open else None, str(version)))
        for name, history in histories.items()
        for version, is_open in enumerate(history, 1)
    ]


def tell_all(shown: Shown, entries: list[tuple[str, Entry]]) -> Shown:
    for name, entry in entries:
        shown = showing.tell(shown, name, entry, AT)
    return shown


def written(shown: Shown, found: Announcement | None) -> tuple[Shown, Announcement | None]:
    """What a write leaves: the asset as it is then, and its announcement."""
    decision = showing.decide(shown, found, "keep")
    ready, write = showing.prepare(shown, decision), showing.write_of(shown, decision, AT)
    after = None if write.clear else write.announcement or found
    return showing.written(ready, shown.asked, decision, found, AT), after


@given(versions, st.data())
def test_the_latest_version_of_each_incident_counts_in_any_order(histories: dict[str, list[bool]], data: st.DataObject) -> None:
    entries = told(histories)
    shuffled = data.draw(st.permutations(entries + entries))

    shown = tell_all(BLANK, shuffled)

    still_open = {name for name, history in histories.items() if history[-1]}
    assert {one.id for one in shown.open_incidents} == still_open
    assert (shown.wanted is None) == (not still_open)


@given(versions, st.data())
def test_writing_in_between_ends_with_the_badge_that_should_be_seen(
    histories: dict[str, list[bool]], data: st.DataObject
) -> None:
    shown, seen = BLANK, None
    for name, entry in data.draw(st.permutations(told(histories))):
        shown = showing.tell(shown, name, entry, AT)
        if data.draw(st.booleans()):
            shown, seen = written(shown, seen)
    if shown.owes_write:
        shown, seen = written(shown, seen)

    assert seen == shown.wanted
    assert not shown.owes_write


@given(versions, st.data())
def test_a_persons_announcement_survives_everything(histories: dict[str, list[bool]], data: st.DataObject) -> None:
    shown, seen, person = BLANK, None, data.draw(st.integers(0, 5))
    for number, (name, entry) in enumerate(data.draw(st.permutations(told(histories)))):
        if number == person:
            seen = PERSON
        shown = showing.tell(shown, name, entry, AT)
        if data.draw(st.booleans()):
            shown, seen = written(shown, seen)

    if person < sum(map(len, histories.values())):
        assert seen == PERSON


def test_what_was_written_when_more_was_told_is_written_again_but_not_at_once() -> None:
    before = showing.tell(BLANK, "a", Entry(1, OpenIncident("a")), AT)
    decision = showing.decide(before, None, "keep")
    after = showing.tell(showing.prepare(before, decision), "b", Entry(1, OpenIncident("b")), AT)

    shown = showing.written(after, before.asked, decision, None, AT)

    assert shown.is_urgent
    assert shown.due_at == AT + timedelta(seconds=showing.BETWEEN_WRITES_S)


def test_what_failed_waits_for_its_next_try_whatever_is_told_meanwhile() -> None:
    later = AT + timedelta(seconds=30)
    failing = showing.put_off(showing.tell(BLANK, "a", Entry(1, OpenIncident("a")), AT), later, "answered 503")

    shown = showing.tell(failing, "b", Entry(1, OpenIncident("b")), AT)

    assert (shown.due_at, shown.failures) == (later, 1)


def test_a_change_that_no_badge_shows_is_not_urgent() -> None:
    shown = showing.tell(BLANK, "a", Entry(1, OpenIncident("a"), "open"), AT)
    done = showing.told_on(written(shown, None)[0], shown.seen, (), AT)

    after = showing.tell(done, "a", Entry(2, OpenIncident("a"), "acknowledged"), AT)

    assert (after.is_urgent, after.owes_spread) == (False, True)


def test_an_issue_of_its_own_wins_over_warnings_which_come_back_after_it() -> None:
    warned = showing.warn(BLANK, "c/DB/S/U", Upstream("U", 2, "SEV-1"), AT)
    both = showing.tell(warned, "a", Entry(1, OpenIncident("a")), AT)
    again = showing.tell(both, "a", Entry(2, None), AT)

    assert [one.wanted.type if one.wanted else None for one in (warned, both, again)] == ["warning", "issue", "warning"]
    assert showing.warn(again, "c/DB/S/U", None, AT).wanted is None
    assert badges.wanted([]) is None
