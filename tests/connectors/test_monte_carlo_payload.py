"""What Monte Carlo's webhooks say, in Lily's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contracts import BodyRejected
from connectors.monte_carlo.payload import account, check_shape, incident, normalise
from lily.domain.assets import TableRef
from lily.domain.incidents import Change, Incident, merge_claim
from tests.connectors.monte_carlo_payloads import NAMES, an_alert, payload

ALERT = "f83867b6-8f25-428b-807c-08518f63384c"
URL = f"https://getmontecarlo.com/incidents/{ALERT}"
ARTEMIS = TableRef("zeus:ares.artemis")
VOLUME = "Has 42 rows vs. 101 expected"
ON_CALL = "data-oncall@example.com"
START = datetime(2026, 1, 1, tzinfo=UTC)

# What each body says: kind of alert, action, claims about the state.
MEANINGS = {
    "open_anomaly_volume": ("anomaly", "opened", {}),
    "open_with_nulls": ("anomaly", "opened", {}),
    "open_custom_rule_anomaly": ("custom_rule_anomaly", "opened", {}),
    "open_custom_rule_beside_events": ("custom_rule_anomaly", "opened", {}),
    "open_unknown_type": ("unknown", "opened", {}),
    "update_acknowledged": ("anomaly", "acknowledged", {"status": "acknowledged"}),
    "update_status_no_status": ("anomaly", "status_updated", {"status": "open"}),
    "update_status_work_in_progress": ("anomaly", "status_updated", {"status": "work_in_progress"}),
    "update_marked_incident": ("anomaly", "marked", {"status": "acknowledged", "severity": "SEV-2"}),
    "update_marked_top_level": ("anomaly", "marked", {"status": "acknowledged", "severity": "SEV-1"}),
    "update_unmarked": ("anomaly", "unmarked", {"severity": None}),
    "update_unmarked_while_investigating": ("anomaly", "acknowledged", {"status": "acknowledged", "severity": None}),
    "update_owner_top_level": ("anomaly", "owner_changed", {"owner": ON_CALL}),
    "update_owner_inside": ("anomaly", "owner_changed", {"owner": ON_CALL}),
    "update_ticket_attached": ("anomaly", "opened", {}),
    "update_resolved": ("anomaly", "resolved", {"status": "fixed", "severity": "SEV-2", "owner": ON_CALL}),
    "update_resolved_top_level": ("anomaly", "resolved", {"status": "false_positive"}),
    "update_unknown_status": ("anomaly", "unknown", {"severity": "SEV-3"}),
    "unknown_action": ("unknown", "unknown", {}),
    "no_payload": ("unknown", "unknown", {}),
}


def claims(change: Change) -> dict[str, str | None]:
    return {name: value for name, value in change.values.items() if name not in ("title", "url")}


@pytest.mark.parametrize("name", NAMES)
def test_each_variant_is_understood(name):
    change = normalise(payload(name))

    assert (change.type, change.action, claims(change)) == MEANINGS[name]
    assert change.incident == (ALERT if name != "no_payload" else None)


def test_an_anomaly_names_its_table_its_title_and_its_page():
    change = normalise(payload("open_anomaly_volume"))

    assert change == Change(ALERT, "anomaly", "opened", {"title": VOLUME, "url": URL}, (ARTEMIS,))


def test_a_custom_rule_names_the_tables_of_its_comparisons_and_its_description():
    change = normalise(payload("open_custom_rule_beside_events"))

    assert change.tables == (ARTEMIS, TableRef("zeus:ares.apollo"))
    assert change.values["title"] == "test rule"


def test_a_custom_rule_inside_the_event_is_found_too():
    body = payload("open_custom_rule_anomaly")
    body["payload"]["event_list"][0]["rule"]["comparisons"][0]["full_table_id"] = "zeus:ares.artemis"

    assert normalise(body).tables == (ARTEMIS,)
    assert normalise(payload("open_custom_rule_anomaly")).tables == ()


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("investigating", "acknowledged"),
        ("no_status", "open"),
        ("work_in_progress", "work_in_progress"),
        ("fixed", "fixed"),
        ("expected", "expected"),
        ("no_action_needed", "no_action_needed"),
        ("false_positive", "false_positive"),
    ],
)
def test_every_documented_status_is_claimed_wherever_it_stands(status, ours):
    assert claims(normalise(an_alert(alert_feedback=status))) == {"status": ours}
    assert claims(normalise(an_alert({"alert_feedback": status}))) == {"status": ours}


@pytest.mark.parametrize("severity", ["SEV-1", "SEV-2", "SEV-3", "SEV-4"])
def test_every_documented_severity_is_claimed_wherever_it_stands(severity):
    assert claims(normalise(an_alert(declared_alert_severity=severity))) == {"severity": severity}
    assert claims(normalise(an_alert({"declared_alert_severity": severity}))) == {"severity": severity}


@pytest.mark.parametrize("word", ["SEV-0", "SEV-5", "high", "", 2, True, ["SEV-1"], {"level": "SEV-1"}])
def test_an_unknown_severity_claims_nothing(word):
    assert "severity" not in normalise(an_alert(declared_alert_severity=word, alert_feedback="fixed")).values


@pytest.mark.parametrize("word", ["snoozed", "", "open", 1, False, ["fixed"], {"status": "fixed"}])
def test_an_unknown_status_claims_nothing_and_is_no_known_action(word):
    change = normalise(an_alert(alert_feedback=word))

    assert (change.type, change.action, claims(change)) == ("anomaly", "unknown", {})


def test_inside_counts_before_beside_and_a_word_before_null():
    assert claims(normalise(an_alert({"alert_feedback": "fixed"}, alert_feedback="expected"))) == {"status": "expected"}
    assert claims(normalise(an_alert({"alert_feedback": "fixed"}, alert_feedback=None))) == {"status": "fixed"}
    assert claims(normalise(an_alert({"owner": None}, owner=ON_CALL))) == {"owner": ON_CALL}


def test_a_top_level_null_and_its_signed_text_say_the_same():
    for field in ("alert_feedback", "declared_alert_severity", "owner"):
        assert normalise(an_alert({field: "None"})) == normalise(an_alert({field: None}))


def test_an_owner_who_is_taken_away_is_a_claim():
    assert claims(normalise(an_alert(owner=None))) == {"owner": None}
    assert normalise(an_alert(owner=None)).action == "owner_changed"
    assert claims(normalise(an_alert(owner=None, alert_feedback="fixed"))) == {"owner": None, "status": "fixed"}


def test_nulls_that_a_new_alert_carries_are_no_claims():
    assert claims(normalise(an_alert(alert_feedback=None, declared_alert_severity=None, owner=None))) == {}
    assert claims(normalise(an_alert(alert_feedback=None))) == {}


def merged(names: tuple[str, ...], order: tuple[int, ...]) -> Incident:
    """The incident after the bodies have arrived in the order of `names` and were merged in `order`."""
    arrivals = [(normalise(payload(name)), START + timedelta(seconds=at), f"e{at}") for at, name in enumerate(names)]
    return reduce(lambda known, arrival: merge_claim(known, *arrival), [arrivals[at] for at in order], Incident("mc", ALERT))


@pytest.mark.parametrize("late", ["open_anomaly_volume", "open_with_nulls", "update_ticket_attached"])
def test_an_opening_that_arrives_late_revives_nothing_and_wipes_nothing(late):
    for order in permutations(range(3)):
        after = merged(("update_marked_incident", "update_resolved", late), order)

        assert (after.status, after.severity, after.owner) == ("fixed", "SEV-2", ON_CALL)


def test_marked_then_unmarked_leaves_no_severity():
    for last in ("update_unmarked", "update_unmarked_while_investigating"):
        for order in permutations(range(3)):
            after = merged(("open_with_nulls", "update_marked_incident", last), order)

            assert (after.status, after.severity) == ("acknowledged", None)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("open_anomaly_incident", "anomaly"),
        ("open_custom_rule_anomaly_incident", "custom_rule_anomaly"),
        ("open_schema_changes_incident", "schema_change"),
        ("open_schema_change_incident", "schema_change"),
        ("open_dbt_errors_incident", "dbt_error"),
        ("open_anomaly", "unknown"),
        ("anomaly", "unknown"),
        ("", "unknown"),
        ("OPEN_ANOMALY_INCIDENT", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_kind_of_alert_is_ours_if_it_is_known(word, kind):
    change = normalise(an_alert({"type": word}))

    assert (change.type, change.incident) == (kind, ALERT)


@pytest.mark.parametrize(
    ("given_id", "seen"),
    [
        (ALERT, ALERT),
        (ALERT.upper(), ALERT),  # the API answers with lower case
        (f"  {ALERT} ", ALERT),
        ("ALERT-7", "ALERT-7"),
        (7, "7"),
        ("", None),
        ("  ", None),
        (None, None),
        (True, None),
        (1.5, None),
        (["x"], None),
        ({}, None),
        ("x" * 257, None),
        (10**500, None),
    ],
)
def test_the_incident_is_the_alerts_id_if_it_could_be_one(given_id, seen):
    body = an_alert(incident_id=given_id)

    assert incident(body) == normalise(body).incident == seen


@pytest.mark.parametrize(
    ("group", "table", "name"),
    [
        ("Zeus:Ares", "Artemis", "zeus:ares.artemis"),
        ("zeus", "artemis", "zeus:artemis"),
        ("zeus:", "artemis", "zeus:artemis"),
        (":ares", "artemis", "ares.artemis"),
        (None, "artemis", "artemis"),
        (7, "artemis", "artemis"),
        ("zeus:ares", "hera:ares.artemis", "hera:ares.artemis"),
    ],
)
def test_a_table_has_the_spelling_by_which_lily_lists_it(group, table, name):
    body = an_alert(group_id=group, event_list=[{"table_name": table}])

    assert normalise(body).tables == (TableRef(name),)


@pytest.mark.parametrize(
    "events",
    [
        None,
        "artemis",
        7,
        {},
        {"table_name": "artemis"},
        [],
        [None, 7, "x", [], {}],
        [{"table_name": None}],
        [{"table_name": ["x"]}],
    ],
)
def test_an_odd_list_of_events_names_no_tables(events):
    assert normalise(an_alert(event_list=events)).tables == ()


def test_a_table_is_named_once_and_no_more_than_a_hundred_are():
    events = [{"table_name": f"t{number // 2}"} for number in range(1_000)]

    tables = normalise(an_alert(event_list=events)).tables

    assert [table.name for table in tables] == [f"zeus:ares.t{number}" for number in range(100)]


def test_a_table_whose_name_is_too_long_is_left_out_not_cut():
    events = [{"table_name": "x" * 1_025}, {"table_name": "x" * 1_020}, {"table_name": "artemis"}]

    assert normalise(an_alert(event_list=events)).tables == (ARTEMIS,)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x.example", "x" * 3_000, "https://x/" + "y" * 3_000, 7, None, ""])
def test_only_web_addresses_are_kept(url):
    assert "url" not in normalise(an_alert(url=url)).values


def test_a_long_title_is_cut():
    assert normalise(an_alert(event_list=[{"event_details": "word " * 1_000}])).values["title"] == ("word " * 100)


@given(st.dictionaries(st.sampled_from(["payload", "account", "action", "type", "version"]), st.none(), max_size=5))
def test_documented_fields_that_are_absent_or_null_are_no_fault(body):
    check_shape(body)

    assert account(body) == ""
    assert incident(body) is None
    assert replace(normalise(body), values={}) == Change(None, "unknown", "unknown", {}, ())


def test_a_refused_field_is_named_with_what_it_is_and_what_it_should_be():
    with pytest.raises(BodyRejected, match="payload: must be an object, not a string"):
        check_shape({"payload": "{}"})
