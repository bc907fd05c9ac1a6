"""Reading alerts from Monte Carlo's API, over HTTP, from a server that follows the vendor's schema."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from connectors import monte_carlo
from connectors.monte_carlo import client
from lily.domain.alerts import AlertDetails
from lily.domain.assets import TableRef
from lily.runtime import clock
from lily.runtime.errors import Permanent, Transient
from tests.connectors.monte_carlo_api import MCON, A, B, C, a_node, an_answer, answering_json

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_alert_is_read_in_lilys_words(api, fetch):
    api.alerts[A] = a_node()

    with clock.freeze(NOW):
        details = fetch(A)

    assert details == {
        A: AlertDetails(
            alert_id=A,
            status="work_in_progress",
            severity="SEV-2",
            owner="data-oncall@example.com",
            type="anomaly",
            sub_types=("volume_anomaly",),
            priority="P1",
            title="Volume anomaly",
            url=f"https://getmontecarlo.com/alerts/{A}",
            tables=(TableRef("zeus:ares.artemis", MCON, is_key_asset=True),),
            created_at=datetime(2026, 1, 1, 10, tzinfo=UTC),
            updated_at=datetime(2026, 1, 1, 11, 0, 0, 123456, tzinfo=UTC),
            read_at=NOW,
        )
    }


def test_an_alert_of_which_little_is_known_is_open_and_nobodys(api, fetch):
    api.alerts[A] = a_node(status=None, severity=None, owner=None, tables=None, priority=None, url=None, subTypes=[])

    found = fetch(A)[A]

    assert (found.status, found.severity, found.owner, found.tables, found.sub_types) == ("open", None, None, (), ())


def test_a_whole_batch_is_one_call_with_the_keys_of_the_source(api, fetch):
    ids = [str(uuid.UUID(int=number)) for number in range(100)]
    api.alerts = {each: a_node(each) for each in ids}

    assert fetch(*ids).keys() == set(ids)
    assert len(api.calls) == 1
    assert sorted(api.calls[0]["ids"]) == sorted(ids)
    assert api.calls[0]["path"] == "/graphql"
    assert (api.calls[0]["headers"]["x-mcd-id"], api.calls[0]["headers"]["x-mcd-token"]) == ("an-id", "a-token")


def test_an_answer_in_pages_is_read_to_its_end(api, fetch):
    api.page_max = 10
    ids = [str(uuid.UUID(int=number)) for number in range(35)]
    api.alerts = {each: a_node(each) for each in ids}

    assert fetch(*ids).keys() == set(ids)
    assert [call["after"] for call in api.calls] == [None, "10", "20", "30"]


def test_more_pages_than_can_be_is_no_answer_rather_than_half_of_one(api, fetch, monkeypatch):
    api.page_max = 1
    api.alerts = {each: a_node(each) for each in (A, B, C)}
    monkeypatch.setattr(client, "PAGES_MAX", 2)

    with pytest.raises(Transient, match="more than 2 pages"):
        fetch(A, B, C)


def test_alerts_that_are_not_known_are_left_out(api, fetch):
    api.alerts[A] = a_node()

    assert fetch(B, A, C).keys() == {A}
    assert fetch(B) == {}


def test_ids_that_are_no_uuids_are_left_out_of_the_call(api, fetch):
    api.alerts[A] = a_node()

    assert fetch("ALERT-7", A, "", A[:-1], A.replace("-", "")).keys() == {A}
    assert api.calls[0]["ids"] == [A]


def test_without_any_id_to_ask_for_there_is_no_call(api, fetch):
    assert fetch() == fetch("ALERT-7") == {}
    assert api.calls == []


def test_an_id_is_answered_as_it_was_asked_for(api, fetch):
    api.alerts[A] = a_node()

    found = fetch(A.upper(), A)

    assert found.keys() == {A.upper(), A}
    assert found[A.upper()].alert_id == A
    assert api.calls[0]["ids"] == [A]


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("2026-01-01T11:00:00", datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ("2026-01-01T11:00:00Z", datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ("2026-01-01T11:00:00+02:00", datetime(2026, 1, 1, 9, tzinfo=UTC)),
    ],
)
def test_times_are_aware_and_utc(api, fetch, word, at):
    api.alerts[A] = a_node(updatedTime=word)

    found = fetch(A)[A]

    assert found.updated_at == at
    assert found.updated_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ({"tableId": "Zeus:Ares.Artemis", "mcon": MCON}, "zeus:ares.artemis"),
        ({"tableId": "artemis", "mcon": MCON}, "zeus:ares.artemis"),
        ({"tableId": None, "mcon": MCON}, "zeus:ares.artemis"),
        ({"tableId": "artemis", "mcon": None}, "artemis"),
        ({"tableId": "artemis", "mcon": "MCON++broken"}, "artemis"),
        ({"tableId": "artemis", "mcon": f"MCON++{A}++{B}++table++artemis"}, "artemis"),
    ],
)
def test_a_table_has_its_full_name_wherever_the_answer_holds_it(api, fetch, table, name):
    api.alerts[A] = a_node(tables=[{"isKeyAsset": None, **table}])

    assert fetch(A)[A].tables == (TableRef(name, table["mcon"] or ""),)


def test_tables_without_a_name_are_left_out_and_of_very_many_the_key_assets_stay(api, fetch):
    plain = [{"mcon": None, "tableId": f"a:b.t{number:04}", "isKeyAsset": False} for number in range(300)]
    key = {"mcon": None, "tableId": "z:z.key", "isKeyAsset": True}
    api.alerts[A] = a_node(tables=[{"mcon": None, "tableId": None, "isKeyAsset": True}, None, *plain, key])

    tables = fetch(A)[A].tables

    assert len(tables) == 200
    assert tables[0] == TableRef("z:z.key", is_key_asset=True)


@pytest.mark.parametrize(
    "odd",
    [
        {"updatedTime": None},
        {"updatedTime": "yesterday"},
        {"updatedTime": 7},
        {"status": "SNOOZED"},
        {"status": 7},
        {"severity": "SEV_9"},
        {"owner": "someone"},
        {"id": None},
    ],
)
def test_an_alert_whose_state_cannot_be_understood_is_left_out_and_its_neighbours_are_not(api, fetch, odd):
    api.faults.append(answering_json(an_answer({"node": a_node(A, **odd)}, {"node": a_node(B)})))

    with capture_logs() as lines:
        assert fetch(A, B).keys() == {B}

    assert [line["event"] for line in lines] == ["alert.misunderstood"]


def test_a_field_that_is_missing_costs_that_alert_only(api, fetch):
    for name in ("id", "status", "severity", "owner", "updatedTime"):
        broken = a_node(A)
        del broken[name]
        api.faults.append(answering_json(an_answer({"node": broken}, {"node": a_node(B)}, None, {"node": None})))

        assert fetch(A, B).keys() == {B}


def test_a_word_that_is_new_to_lily_does_no_harm_where_it_says_no_state(api, fetch):
    odd = a_node(type="QUANTUM_ANOMALIES", subTypes=["X", None, 7], priority="P9", title=7, createdTime=None)
    api.faults.append(answering_json(an_answer({"node": odd})))

    found = fetch(A)[A]

    assert (found.type, found.priority, found.title, found.created_at) == ("unknown", "P9", None, None)


def test_an_alert_that_nobody_asked_for_is_not_returned(api, fetch):
    api.faults.append(answering_json(an_answer({"node": a_node(B)}, {"node": a_node(A)})))

    assert fetch(A).keys() == {A}


def test_a_source_without_an_api_says_which_setting_makes_one(configured):
    configured()

    with pytest.raises(Permanent, match="LILY_SOURCE_MONTE_CARLO_API_URL"):
        monte_carlo.fetch_details("monte-carlo", [A])


def test_what_is_read_is_dated_before_the_call(api, fetch):
    api.alerts[A] = a_node()
    before = clock.now()

    read_at = fetch(A)[A].read_at

    assert before <= read_at
    assert time.monotonic() - api.calls[0]["at"] <= (clock.now() - read_at).total_seconds()
