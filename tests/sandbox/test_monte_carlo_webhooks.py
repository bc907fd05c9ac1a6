"""The stand-in's webhooks: the documented bodies, the documented signature, and every way to send them wrongly on purpose."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.monte_carlo.webhooks import FORMS, sign
from tests.sandbox.conftest import ROOT, SANDBOX_PYTHON, SECOND_SECRET, SECRET, MonteCarlo, Receiver
from tests.waiting import eventually

PAYLOADS = Path(__file__).parents[1] / "payloads" / "monte_carlo"
VECTORS = json.loads((PAYLOADS / "signatures.json").read_text())
ALERT_ID = "f83867b6-8f25-428b-807c-08518f63384c"
CUSTOM_RULE = {
    "uuid": "0c8e06aa-a44b-4f2d-8a37-5ed3f394431d",
    "description": "test rule",
    "metric": "custom_metric_1234",
    "operator": "GT",
    "threshold": 49.0,
    "value": 50,
    "warehouse_uuid": "custom_metric_1234",
}


def payload(name: str) -> str:
    """A payload file, with its keys in their order, since the signature covers it."""
    return json.dumps(json.loads((PAYLOADS / name).read_text()))


def sent(receiver: Receiver) -> list[str]:
    return [json.dumps(each.json) for each in receiver.got]


@pytest.fixture
def alert(monte_carlo: MonteCarlo, receiver: Receiver) -> str:
    """The path of an alert that is open, with its opening webhook out of the way."""
    monte_carlo.alert(id=ALERT_ID, tables=["zeus:ares.artemis"])
    receiver.got.clear()
    return f"/sandbox/alerts/{ALERT_ID}"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["file"])
def test_known_bodies_have_their_known_signatures(vector: dict[str, str]) -> None:
    assert sign((PAYLOADS / vector["file"]).read_bytes(), vector["secret"]) == vector["signature"]


def test_the_command_signs_what_it_reads() -> None:
    vector = VECTORS[0]
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.monte_carlo", "sign", "--secret", vector["secret"]]

    done = subprocess.run(command, cwd=ROOT, input=(PAYLOADS / vector["file"]).read_bytes(), capture_output=True)

    assert (done.returncode, done.stdout.decode()) == (0, vector["signature"] + "\n")


@pytest.mark.parametrize("body", [b"[1]", b"{", b"", b'{"a": "\\ud800"}', b"\xff"])
def test_the_command_says_so_if_there_is_nothing_to_sign(body: bytes) -> None:
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.monte_carlo", "sign", "--secret", "s"]

    done = subprocess.run(command, cwd=ROOT, input=body, capture_output=True)

    assert done.returncode == 1
    assert done.stderr.startswith(b"sign: standard input cannot be signed: ")
    assert b"Traceback" not in done.stderr


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts.filter(lambda key: key.isalnum()), values, min_size=1, max_size=4), st.sampled_from(sorted(FORMS)))
def test_every_form_is_other_bytes_with_the_same_meaning_and_signature(body: dict[str, Any], form: str) -> None:
    other = FORMS[form](body)

    assert json.loads(other) == body
    assert list(json.loads(other)) == list(body)
    assert sign(other.encode(), "s") == sign(json.dumps(body).encode(), "s")
    assert other != json.dumps(body) or form in ("plain", "letters", "escaped")  # which may find nothing to do


def test_a_new_anomaly_looks_as_documented(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.alert(id=ALERT_ID, tables=["zeus:ares.artemis"])

    assert sent(receiver) == [payload("open_anomaly_volume.json")]


def test_a_broken_custom_rule_looks_as_documented(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.alert(id=ALERT_ID, rule=CUSTOM_RULE, created_time="2026-01-15T18:10:00Z")

    assert sent(receiver) == [payload("open_custom_rule_anomaly.json")]


def test_an_acknowledgement_looks_as_documented(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch(alert, {"status": "ACKNOWLEDGED"})

    assert sent(receiver) == [payload("update_acknowledged.json")]


def test_marking_as_incident_acknowledges_too(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch(alert, {"severity": "SEV_2"})

    assert sent(receiver) == [payload("update_marked_incident.json")]


def test_an_owner_can_stand_at_the_top_level(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch("/sandbox/webhooks", {"state_at": "top_level"})
    monte_carlo.patch(alert, {"owner": "data-oncall@example.com"})

    assert sent(receiver) == [payload("update_owner_top_level.json")]


def test_a_resolution_carries_what_was_set_before(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    changes = {"severity": "SEV_2", "owner": "data-oncall@example.com", "status": "FIXED"}
    answer = monte_carlo.patch(alert, changes)

    variants = [delivery["variant"] for delivery in answer["deliveries"]]
    assert variants == ["marked as incident", "owner changed", "resolved"]
    assert sent(receiver)[-1] == payload("update_resolved.json")


def test_unmarking_and_clearing_say_so_explicitly(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch(alert, {"severity": "SEV_1", "status": "EXPECTED"})
    receiver.got.clear()

    monte_carlo.patch(alert, {"severity": None})
    monte_carlo.patch(alert, {"status": None})

    unmarked, cleared = [each.json["payload"] for each in receiver.got]
    assert (unmarked["declared_alert_severity"], unmarked["alert_feedback"]) == (None, "expected")
    assert cleared["alert_feedback"] == "no_status"
    assert "declared_alert_severity" not in cleared


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("ACKNOWLEDGED", "investigating"),
        ("WORK_IN_PROGRESS", "work_in_progress"),
        ("FIXED", "fixed"),
        ("EXPECTED", "expected"),
        ("NO_ACTION_NEEDED", "no_action_needed"),
        ("FALSE_POSITIVE", "false_positive"),
    ],
)
def test_webhooks_have_their_own_words_for_a_status(
    monte_carlo: MonteCarlo, receiver: Receiver, alert: str, status: str, word: str
) -> None:
    shown = monte_carlo.patch(alert, {"status": status})["alert"]

    assert (shown["status"], receiver.got[0].json["payload"]["alert_feedback"]) == (status, word)


def test_only_listed_changes_are_announced(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch(alert, {"comment": "looking", "title": "Fewer rows", "tables": [], "ticket": "DATA-12"})

    assert [set(each.json["payload"]) for each in receiver.got] == [{"event_list", "group_id", "incident_id", "url"}]


def test_updates_can_carry_everything_or_only_what_changed(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    state = ("alert_feedback", "declared_alert_severity", "owner")
    monte_carlo.patch(alert, {"owner": "a@example.com"})
    monte_carlo.patch("/sandbox/webhooks", {"unchanged": "all"})
    monte_carlo.patch(alert, {"ticket": "DATA-12"})
    monte_carlo.patch("/sandbox/webhooks", {"unchanged": "none"})
    monte_carlo.patch(alert, {"status": "FIXED"})

    _, everything, little = [each.json["payload"] for each in receiver.got]
    assert {key: everything.get(key, "absent") for key in state} == dict(zip(state, (None, None, "a@example.com"), strict=True))
    assert {key: little.get(key, "absent") for key in state} == dict(zip(state, ("fixed", "absent", "absent"), strict=True))


def test_the_rule_can_stand_beside_the_events(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.patch("/sandbox/webhooks", {"rule_at": "payload"})
    monte_carlo.alert(rule=CUSTOM_RULE)

    body = receiver.got[0].json["payload"]
    assert body["rule"]["uuid"] == CUSTOM_RULE["uuid"]
    assert "rule" not in body["event_list"][0]


def test_deliveries_are_signed_and_report_the_answer(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    receiver.status = 503
    [report] = monte_carlo.post("/sandbox/alerts", {"details": "größer als \N{GRINNING FACE}"})["deliveries"]

    assert receiver.got[0].signature == sign(receiver.got[0].body, SECRET)
    assert (report["state"], report["status"], report["answer"]) == ("answered", 503, {"duplicate": False})
    assert 0 < report["ms"] < 10_000


def test_a_receiver_that_is_away_is_reported(monte_carlo: MonteCarlo) -> None:
    monte_carlo.patch("/sandbox/webhooks", {"url": "http://127.0.0.1:9/"})

    [report] = monte_carlo.post("/sandbox/alerts", {})["deliveries"]

    assert (report["state"], report["status"]) == ("failed", None)
    assert "ConnectionRefusedError" in report["error"]


def test_held_webhooks_go_when_told_in_the_order_told(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.patch("/sandbox/webhooks", {"mode": "hold"})
    monte_carlo.patch(alert, {"status": "ACKNOWLEDGED"})
    monte_carlo.patch(alert, {"status": "FIXED"})
    assert receiver.got == []

    monte_carlo.post("/sandbox/webhooks/release", {"order": "reversed"})

    assert [each.json["payload"]["alert_feedback"] for each in receiver.got] == ["fixed", "investigating"]
    assert monte_carlo.get("/sandbox/webhooks")["held"] == []


def test_swapped_webhooks_go_in_pairs_the_later_one_first(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.post("/sandbox/alerts", {"id": ALERT_ID, "deliver": "swapped"})
    assert receiver.got == []

    monte_carlo.patch(f"/sandbox/alerts/{ALERT_ID}", {"status": "FIXED", "deliver": "swapped"})

    assert [each.json["payload"].get("alert_feedback") for each in receiver.got] == ["fixed", None]


def test_twice_is_other_bytes_and_the_same_signature(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.post("/sandbox/alerts", {"deliver": "twice"})

    first, second = receiver.got
    assert first.body != second.body
    assert (first.json, first.signature) == (second.json, second.signature)


def test_alerts_can_be_made_in_silence(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    made = monte_carlo.post("/sandbox/alerts", [{"deliver": "none"}, {"deliver": "none"}])

    assert [each["deliveries"] for each in made] == [[], []]
    assert receiver.got == []


def test_wrong_signatures_are_wrong_as_asked(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    for mode in ("unsigned", "forged", "second_secret"):
        monte_carlo.post("/sandbox/alerts", {"deliver": mode})

    unsigned, forged, second = receiver.got
    assert unsigned.signature is None
    assert forged.signature is not None
    assert len(forged.signature) == 128
    assert forged.signature not in (sign(forged.body, SECRET), sign(forged.body, SECOND_SECRET))
    assert second.signature == sign(second.body, SECOND_SECRET)


def test_a_delivery_can_be_repeated_in_any_form(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    [report] = monte_carlo.post("/sandbox/alerts", {})["deliveries"]
    again = f"/sandbox/deliveries/{report['number']}/again"
    monte_carlo.post(again)
    for form in FORMS:
        monte_carlo.post(again, {"form": form})

    assert receiver.got[0] == receiver.got[1]
    assert {each.signature for each in receiver.got} == {receiver.got[0].signature}
    assert len({each.body for each in receiver.got}) == len(FORMS) - 1  # without letters beyond ASCII, "letters" is plain


def test_what_was_sent_can_be_looked_at(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    [report] = monte_carlo.post("/sandbox/alerts", {})["deliveries"]

    shown = monte_carlo.get(f"/sandbox/deliveries/{report['number']}")

    assert shown["body"].encode() == receiver.got[0].body
    assert shown["headers"]["x-mcd-signature"] == receiver.got[0].signature


def test_any_body_can_be_sent(monte_carlo: MonteCarlo, receiver: Receiver) -> None:
    monte_carlo.post("/sandbox/deliveries", {"payload": {"type": "new_thing", "é": [None]}})
    monte_carlo.post("/sandbox/deliveries", {"body": "{not json", "deliver": "unsigned"})

    signed, broken = receiver.got
    assert signed.signature == sign(signed.body, SECRET)
    assert (broken.body, broken.signature) == (b"{not json", None)


def test_a_change_through_the_api_is_announced_as_well(monte_carlo: MonteCarlo, receiver: Receiver, alert: str) -> None:
    monte_carlo.ask("mutation ($id: UUID!) { updateAlert(uuid: $id, status: FIXED) { alert { status } } }", id=ALERT_ID)

    eventually(lambda: len(receiver.got) == 1)
    assert receiver.got[0].json["payload"]["alert_feedback"] == "fixed"
