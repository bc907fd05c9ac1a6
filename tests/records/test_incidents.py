"""Incidents in a real table: conditional writes, due keys, lists, and what never expires."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lily.domain.assets import TableRef
from lily.domain.incidents import Effect, Incident, merge_reading, remember
from lily.records import due, incidents
from lily.records.incidents import IncidentFilter
from lily.runtime import clock
from tests.builders import an_incident
from tests.domain.test_incidents import a_reading

pytestmark = pytest.mark.usefixtures("table")


def saved(incident: Incident) -> Incident:
    assert incidents.save_if_unchanged([incident]) == [True]
    return replace(incident, version=incident.version + 1)


def test_an_incident_comes_back_as_it_was_written() -> None:
    full = merge_reading(
        an_incident("i", "fixed"), a_reading("fixed", tables=(TableRef("a:b.c", "MCON", True),), owner="o@x.com")
    )
    full = remember(
        replace(full, unenriched=("e",), outbox=(("o", Effect.UPDATED),), reread_due_at=clock.now()), "e", Effect.OPENED
    )

    written = saved(full)

    assert incidents.get("monte-carlo", "i") == written
    assert incidents.get("monte-carlo", "another") is None


def test_of_two_writers_who_read_the_same_one_wins_whether_it_is_new_or_not() -> None:
    new = an_incident("i")
    assert incidents.save_if_unchanged([new]) == [True]
    assert incidents.save_if_unchanged([new, an_incident("j")]) == [False, True]
    read = incidents.get("monte-carlo", "i")
    assert read is not None

    assert incidents.save_if_unchanged([read]) == [True]
    assert incidents.save_if_unchanged([read]) == [False]


def test_what_an_incident_owes_is_due_until_it_is_settled() -> None:
    def owing() -> list[str]:
        later = clock.now() + timedelta(hours=1)
        return [item.member for shard in range(due.SHARDS) for item in due.page("incident", shard, later)]

    owed = saved(an_incident("i/1#2", reread_due_at=clock.now() + timedelta(minutes=10)))
    assert owing() == ["i:monte-carlo#i/1#2"]
    assert incidents.load_members(owing()) == [owed]

    told = saved(replace(owed, reread_due_at=None, outbox=(("o", Effect.UPDATED),)))
    assert owing() == ["i:monte-carlo#i/1#2"]

    saved(replace(told, outbox=()))
    assert owing() == []


def test_an_open_incident_never_expires_and_a_closed_one_stays_its_time() -> None:
    long_ago = clock.now() - timedelta(days=1000)
    saved(an_incident("open", arrived_at=long_ago, changed_at=long_ago))
    saved(an_incident("closed", "fixed", arrived_at=long_ago, changed_at=long_ago))
    saved(an_incident("lately", "fixed", arrived_at=long_ago, changed_at=clock.now()))

    found = incidents.load_many([("monte-carlo", name) for name in ("open", "closed", "lately")])

    assert {name for _, name in found} == {"open", "lately"}


def test_the_list_is_newest_first_filtered_and_complete_over_pages() -> None:
    now = clock.now()
    for number in range(12):
        status = "fixed" if number % 3 == 0 else None
        saved(an_incident(f"i{number:02d}", status, arrived_at=now - timedelta(minutes=number)))

    def pages(wanted: IncidentFilter, limit: int) -> list[str]:
        found, after = [], None
        while True:
            page = incidents.find(wanted, limit, after)
            found += [incident.id for incident in page.items]
            after = page.next
            if after is None:
                return found

    assert pages(IncidentFilter(), 5) == [f"i{number:02d}" for number in range(12)]
    assert pages(IncidentFilter(status="closed"), 3) == ["i00", "i03", "i06", "i09"]
    assert pages(IncidentFilter(status="open", since=now - timedelta(minutes=4, seconds=1)), 50) == ["i01", "i02", "i04"]
    assert pages(IncidentFilter(severity="SEV-1"), 50) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(name=st.text(min_size=1, max_size=600))
def test_an_incident_may_have_any_name(name: str) -> None:
    known = incidents.get("monte-carlo", name)
    incident = saved(known or an_incident(name))

    assert incidents.get("monte-carlo", name) == incident
    assert incidents.load_members([incidents.member(incident)]) == [incident]
