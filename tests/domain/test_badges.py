from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.badges import Act, Decision, Foreign, OpenIncident, Upstream, decide, of_incident, quality, wanted
from lily.domain.catalog import Announcement
from lily.domain.incidents import Incident

severities = st.sampled_from(["SEV-1", "SEV-2", "SEV-3", "SEV-4", "P0", None])
titles = st.text(max_size=200)
incidents = st.lists(
    st.builds(OpenIncident, st.sampled_from("abcdef"), titles, severities, st.sampled_from(["", "https://mc/1"]))
)
upstream = st.lists(st.builds(Upstream, st.sampled_from(["a:b.c", "a:b.d"]), st.integers(0, 9), severities))

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATE = OpenIncident("1", "Freshness of ORDERS", "SEV-3", "https://mc/1")
WRONG = OpenIncident("2", "Volume of ORDERS", "SEV-1", "https://mc/2")
ABOVE = Upstream("analytics:raw.orders", 2, "SEV-2", "https://mc/3")


@given(incidents, upstream, st.data())
def test_order_and_repetition_do_not_matter(own, above, data):
    shuffled = data.draw(st.permutations(own + own[:2]))
    others = data.draw(st.permutations(above + above[:2]))

    assert wanted(own, above) == wanted(shuffled, others)


@given(incidents, upstream)
def test_a_badge_is_there_while_anything_is_open_and_is_short(own, above):
    badge = wanted(own, above)

    assert (badge is None) == (not own and not any(one.open_incidents for one in above))
    if badge is not None:
        assert badge.type == ("issue" if own else "warning")
        assert badge.title.strip()
        assert len(badge.title) < 200
        assert len(badge.message) < 600


def test_one_incident_is_the_title_with_its_link():
    assert wanted([LATE]) == Announcement("issue", "SEV-3: Freshness of ORDERS", "https://mc/1")


def test_several_are_counted_and_the_worst_few_listed():
    many = [OpenIncident(str(n), f"Schema of T{n}", "SEV-4", f"https://mc/{n}") for n in range(3, 6)]

    badge = wanted([LATE, *many, WRONG])

    assert badge == Announcement(
        "issue",
        "SEV-1: 5 open incidents",
        "SEV-1: Volume of ORDERS https://mc/2\n"
        "SEV-3: Freshness of ORDERS https://mc/1\n"
        "SEV-4: Schema of T3 https://mc/3\n"
        "and 2 more",
    )


def test_an_issue_of_its_own_wins_over_warnings_from_upstream():
    assert wanted([LATE], [ABOVE]) == wanted([LATE])
    assert wanted([], [ABOVE]) == Announcement(
        "warning",
        "SEV-2: open incidents upstream in analytics:raw.orders",
        "SEV-2: analytics:raw.orders: 2 open incidents https://mc/3",
    )


def test_an_incident_of_which_little_is_known_is_still_shown():
    assert wanted([OpenIncident("1")]) == Announcement("issue", "1 open incident")


def test_fields_to_search_by_say_the_same():
    told = quality([LATE, WRONG, LATE], [ABOVE], NOW)

    assert (told.open_incidents, told.worst_severity, told.upstream_incidents) == (2, "SEV-1", 2)
    assert told.links == ("https://mc/2", "https://mc/1")
    assert quality([], [], NOW).worst_severity is None


OURS, NEWER, THEIRS = Announcement("issue", "ours"), Announcement("issue", "newer"), Announcement("information", "theirs")


@pytest.mark.parametrize(
    ("wish", "found", "decision"),
    [
        (NEWER, None, Decision(Act.WRITE, NEWER)),
        (NEWER, OURS, Decision(Act.WRITE, NEWER)),
        (OURS, Announcement("issue", " ours ", "\n"), Decision(Act.NOTHING)),
        (None, OURS, Decision(Act.CLEAR)),
        (None, None, Decision(Act.NOTHING)),
        (None, THEIRS, Decision(Act.NOTHING)),
        (NEWER, THEIRS, Decision(Act.KEEP)),
    ],
)
def test_only_what_is_lilys_is_replaced_or_cleared(wish, found, decision):
    assert decide(wish, found, [OURS], None, "keep") == decision


def test_somebody_elses_is_kept_aside_and_put_back_if_so_set():
    shown = decide(OURS, THEIRS, [], None, "put_back")
    assert shown == Decision(Act.WRITE, OURS, aside=THEIRS)
    assert decide(None, OURS, [OURS], shown.aside, "put_back") == Decision(Act.WRITE, THEIRS)
    assert decide(None, THEIRS, [OURS], THEIRS, "put_back") == Decision(Act.NOTHING)


@dataclass
class Page:
    """An asset's announcement in the catalog, and what Lily remembers of it."""

    found: Announcement | None = None
    ours: tuple[Announcement, ...] = ()
    aside: Announcement | None = None
    people: Announcement | None = None  # what somebody else wrote last and has not taken away

    def update(self, wish: Announcement | None, foreign: Foreign, crash: str) -> None:
        decision = decide(wish, self.found, self.ours, self.aside, foreign)
        if decision.act is Act.WRITE and decision.announcement == wish and wish is not None:
            self.ours += (wish,)
        if decision.aside is not None:
            self.aside = decision.aside  # what is still needed is written down before anything is done
        if crash == "before":
            return
        if decision.act is Act.WRITE:
            self.found = decision.announcement
        elif decision.act is Act.CLEAR:
            self.found = None
        if crash != "after":
            self.aside = decision.aside


texts = st.sampled_from("abc")
acts = st.one_of(
    st.tuples(st.just("lily"), st.none() | texts, st.sampled_from(["no", "before", "after"])),
    st.tuples(st.just("person"), texts, st.none()),
)


@given(st.lists(acts, max_size=12), st.sampled_from(["keep", "put_back"]))
def test_nobody_elses_announcement_is_ever_lost(history, foreign):
    """Whatever happens in whichever order, crashes between any two writes included: when all is resolved, theirs is there."""
    page = Page()
    for who, text, crash in history:
        if who == "person":
            page.found = page.people = Announcement("information", f"theirs {text}")
        else:
            before = page.found
            page.update(text and Announcement("issue", text), foreign, crash)
            if foreign == "keep" and before is not None and before == page.people:
                assert page.found == page.people
    page.update(None, foreign, "no")
    page.update(None, foreign, "no")

    assert page.found == page.people


def test_an_incident_says_what_its_source_last_said_of_it():
    assert of_incident(Incident("monte-carlo", "i")) == OpenIncident("i")
