"""The inbound path: one delivery to one message, whatever arrives in which order, and nobody's trouble is another's."""

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from celery.signals import task_prerun

from lily.domain.events import State
from lily.records import events
from lily.runtime import clock, lanes, redis_pool
from tasks import doors, inbound
from tasks.celery import celery
from tasks.sweep import sweep
from tests.aws_answers import answering
from tests.builders import an_event
from tests.sandbox.conftest import MonteCarlo
from tests.tasks.conftest import Lily, an_alert


def test_a_delivery_becomes_a_stored_event_and_a_message(lily: Lily) -> None:
    receipt = lily.deliver(an_alert())

    event = lily.event(receipt)
    (message,) = lily.messages()
    assert event.state is State.PUBLISHED
    assert event.due_at is None
    assert [moment.what for moment in event.timeline] == ["ingested", "stored", "published"]
    assert (message["id"], message["type"]) == (receipt.event_id, "lily.incident.opened")
    assert message["data"]["assets"] == ["zeus:ares.artemis"]
    assert message["data"]["enrichment"]["state"] == "none"


def test_a_delivery_sent_three_times_is_told_once(lily: Lily) -> None:
    receipts = [
        lily.deliver(an_alert()),
        lily.deliver(an_alert()),
        lily.deliver(an_alert(), json.dumps(an_alert(), indent=4).encode()),
    ]

    assert [receipt.duplicate for receipt in receipts] == [False, True, True]
    assert [message["id"] for message in lily.messages()] == [receipts[0].event_id]
    repeat = events.repeat_of(receipts[0].event_id)
    assert repeat is not None
    assert (repeat.count, repeat.due_at) == (2, None)


def test_fixed_reopened_fixed_ends_fixed_without_the_api(lily: Lily) -> None:
    for status in ("fixed", "investigating", "fixed"):
        lily.deliver(an_alert(alert_feedback=status))

    first, reopened, again = lily.messages()
    assert lily.incident().status == "fixed"
    assert lily.incident().order == "arrival"
    assert [message["data"]["effect"] for message in (first, reopened, again)] == ["resolved", "reopened", "resolved"]
    assert again["id"] == f"{first['id']}.2"


def test_fixed_reopened_fixed_ends_fixed_with_the_api(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none")["id"]
    for word, status in (("fixed", "FIXED"), ("investigating", "ACKNOWLEDGED"), ("fixed", "FIXED")):
        api.patch(f"/sandbox/alerts/{alert}", {"status": status, "deliver": "none"})
        lily.deliver(an_alert(alert, alert_feedback=word))

    assert lily.incident(alert).status == "fixed"
    assert lily.incident(alert).order == "source"
    assert [message["data"]["effect"] for message in lily.messages()] == ["resolved", "reopened", "resolved"]


def test_open_and_fixed_arriving_swapped_end_as_the_api_says(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none")["id"]
    api.patch(f"/sandbox/alerts/{alert}", {"status": "FIXED", "deliver": "none"})

    lily.deliver(an_alert(alert, alert_feedback="fixed"))
    lily.deliver(an_alert(alert, alert_feedback="investigating"))

    assert lily.incident(alert).status == "fixed"
    assert [message["data"]["effect"] for message in lily.messages()] == ["resolved", "unchanged"]


def test_a_capture_replayed_against_the_state_costs_one_call_per_interval(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none")["id"]
    fixed = an_alert(alert, alert_feedback="fixed")
    api.patch(f"/sandbox/alerts/{alert}", {"status": "FIXED", "deliver": "none"})
    lily.deliver(fixed)
    api.patch(f"/sandbox/alerts/{alert}", {"status": None, "deliver": "none"})
    lily.deliver(an_alert(alert, alert_feedback="no_status"))
    api.http.delete("/sandbox/requests")

    for _ in range(5):
        lily.deliver(fixed)

    assert len(api.get("/sandbox/requests")) == 1
    incident = lily.incident(alert)
    assert incident.reread_due_at is not None
    assert incident.reread_at is not None
    assert incident.reread_due_at >= incident.reread_at + timedelta(seconds=60)


def test_details_of_the_api_enrich_the_event_and_name_the_exact_tables(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none", tables=["zeus:ares.artemis_exact"], owner="ann@example.com", severity="SEV_2")["id"]

    event = lily.event(lily.deliver(an_alert(alert)))

    (message,) = lily.messages()
    assert message["data"]["assets"] == ["zeus:ares.artemis_exact"]
    assert (message["data"]["incident"]["owner"], message["data"]["incident"]["severity"]) == ("ann@example.com", "SEV-2")
    assert event.enrichment["state"] == "done"
    assert "enriched" in [moment.what for moment in event.timeline]


def test_while_the_api_is_away_events_are_told_un_enriched_and_enriched_later(
    lily: Lily, api: MonteCarlo, configured: Callable[..., None]
) -> None:
    alert = api.alert(deliver="none", tables=["zeus:ares.artemis_exact"])["id"]
    api.post("/sandbox/faults", {"kind": "status", "status": 503, "count": None})
    receipt = lily.deliver(an_alert(alert))
    (told,) = lily.messages()
    assert told["data"]["enrichment"]["state"] == "pending"
    assert lily.event(receipt).state is State.PUBLISHED
    assert lily.incident(alert).unenriched == (receipt.event_id,)

    api.http.delete("/sandbox/faults")
    with clock.freeze(clock.now() + timedelta(minutes=30)):
        lily.sweep()

    (later,) = lily.messages()
    assert lily.event(receipt).enrichment["state"] == "done"
    assert lily.event(receipt).assets == ("zeus:ares.artemis_exact",)
    assert lily.incident(alert).unenriched == ()
    assert lily.incident(alert).outbox == ()
    assert (later["type"], later["data"]["assets"]) == ("lily.incident.updated", ["zeus:ares.artemis_exact"])


def test_an_unknown_variant_is_kept_and_told_as_unknown(lily: Lily) -> None:
    receipt = lily.deliver({"type": "brand_new", "something": ["else"]})

    (message,) = lily.messages()
    assert lily.event(receipt).type == "unknown"
    assert message["type"] == "lily.event.unknown"


def test_a_poisoned_event_is_parked_with_its_reason_and_its_neighbours_go_on(lily: Lily) -> None:
    """Three kinds of poison in one batch with two good events, which must not wait for them."""
    busy = lanes.push(lanes.lane_of("00"), ["e:nobody"])
    assert busy is not None
    good, bad, big, late = (an_alert(f"{n}1111111-1111-4111-8111-111111111111") for n in range(4))
    big["payload"]["event_list"][0]["event_details"] = secrets.token_hex(400_000)
    ids = [stored_and_waiting(body) for body in (good, bad, big, late)]
    following = lanes.done(busy)
    assert following is not None
    broken = events.get(ids[1])
    assert broken is not None
    events.save_many([replace(broken, raw=b"{not json")])

    doors.start(following)

    parked = events.get(ids[1])
    assert parked is not None
    assert (parked.state, parked.reason) == (State.PARKED, "bug: JSONDecodeError")
    told = {message["id"]: message for message in lily.messages()}
    assert set(told) == {ids[0], ids[2], ids[3]}

    events.save_many([replace(parked, raw=broken.raw)])
    mended = events.get(ids[1])
    assert mended is not None
    again = events.replay(mended, clock.now(), "mended")
    assert again is not None
    doors.wake(again.lane_key, [f"e:{again.id}"])
    assert [(message["id"], message["replay"]) for message in lily.messages()] == [(ids[1], 1)]


def stored_and_waiting(body: dict[str, object]) -> str:
    """Store an event in lane 0, which is busy."""
    event = an_event(body=body, lane_key="00")
    assert events.accept_many([event], 5)
    doors.wake("00", [f"e:{event.id}"])
    return event.id


def test_a_message_over_the_limit_goes_by_reference(lily: Lily, configured: Callable[..., None]) -> None:
    configured(LILY_DETAIL_BYTES_MAX="1000")

    receipt = lily.deliver(an_alert(owner=f"{'o' * 200}@example.com", url="https://example.com/" + "u" * 500))

    (message,) = lily.messages()
    assert message["dataref"].endswith(f"/events/{receipt.event_id}")
    assert lily.event(receipt).state is State.PUBLISHED


def test_an_event_that_could_not_be_told_is_told_later_and_stored_once(lily: Lily) -> None:
    with answering("events") as answers:
        for _ in range(20):
            answers.refuse("PutEvents", "ServiceUnavailable", 503)
        receipt = lily.deliver(an_alert())
        answers.waiting.clear()  # how often it is asked until the deadline is left to chance
    event = lily.event(receipt)
    assert event.state is State.STORED
    assert event.attempts == 1
    assert event.due_at is not None

    with clock.freeze(clock.now() + timedelta(minutes=5)):
        lily.sweep()

    event = lily.event(receipt)
    assert event.state is State.PUBLISHED
    assert [moment.what for moment in event.timeline] == ["ingested", "stored", "retried", "swept", "published"]
    assert [message["id"] for message in lily.messages()] == [receipt.event_id]


def test_an_event_that_is_refused_for_good_is_parked_with_what_the_service_said(lily: Lily) -> None:
    entry = {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}
    with answering("events") as answers:
        answers.add("PutEvents", {"FailedEntryCount": 1, "Entries": [entry]})
        receipt = lily.deliver(an_alert())

    event = lily.event(receipt)
    assert (event.state, event.reason) == (State.PARKED, "EventBridge: MalformedDetail: no")


def test_a_batch_whose_token_was_overtaken_writes_nothing(lily: Lily) -> None:
    event = an_event(body=an_alert(), lane_key="00")
    events.accept_many([event], 5)
    stale = lanes.Batch(0, "stale", (f"e:{event.id}",))

    doors.start(stale)

    stored = events.get(event.id)
    assert stored is not None
    assert stored.state is State.RECEIVED
    assert lily.messages() == []


@pytest.mark.parametrize("inline_max", ["0", "100"])
def test_the_steps_end_alike_as_four_tasks_and_as_one(lily: Lily, configured: Callable[..., None], inline_max: str) -> None:
    configured(LILY_INLINE_BATCH_MAX=inline_max)
    begun: list[str] = []
    note = lambda sender, **_: begun.append(sender.name)  # noqa: E731
    task_prerun.connect(note)

    receipt = lily.deliver(an_alert())

    task_prerun.disconnect(note)
    assert begun == (["ingest", "enrich", "store", "publish"] if inline_max == "0" else ["ingest"])
    assert [moment.what for moment in lily.event(receipt).timeline] == ["ingested", "stored", "published"]
    assert [message["id"] for message in lily.messages()] == [receipt.event_id]
    assert lanes.depths() == {0: 0, 1: 0}


@pytest.mark.parametrize("lost_after", ["ingest", "enrich", "store"])
def test_a_working_set_that_is_lost_between_two_steps_is_gathered_again(lily: Lily, lost_after: str) -> None:
    event = an_event(body=an_alert(), lane_key="00")
    events.accept_many([event], 5)
    batch = lanes.push(0, [f"e:{event.id}"])
    assert batch is not None
    form = lanes.form(batch)
    for step in (inbound.ingest, inbound.enrich, inbound.store, inbound.publish):
        form = step(form)
        if step.name == lost_after:
            lanes.drop_work(batch)

    (message,) = lily.messages()
    published = events.get(event.id)
    assert published is not None
    assert message["data"]["effect"] == "opened"
    assert [moment.what for moment in published.timeline].count("stored") == 1


def test_a_kill_between_publishing_and_marking_tells_it_again_under_the_same_id(lily: Lily) -> None:
    event = an_event(body=an_alert(), lane_key="00", due_at=clock.now() - timedelta(seconds=1))
    events.accept_many([event], 5)
    batch = lanes.push(0, [f"e:{event.id}"])
    assert batch is not None
    form = inbound.store(inbound.enrich(inbound.ingest(lanes.form(batch))))
    stored = events.get(event.id)
    inbound.publish(form)
    assert stored is not None
    events.save_many([stored])  # as if the mark was never written

    lily.sweep()

    first, second = lily.messages()
    assert first == second
    published = events.get(event.id)
    assert published is not None
    assert [moment.what for moment in published.timeline] == ["ingested", "stored", "swept", "published"]


def test_messages_about_one_incident_are_numbered_in_their_order(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none")["id"]
    api.post("/sandbox/faults", {"kind": "status", "status": 503, "count": None})
    for status in ("investigating", "fixed"):
        lily.deliver(an_alert(alert, alert_feedback=status))
    api.http.delete("/sandbox/faults")
    with clock.freeze(clock.now() + timedelta(minutes=30)):
        lily.sweep()

    messages = lily.messages()

    assert [message["data"]["incident"]["version"] for message in messages] == [1, 2, 3]
    assert messages[2]["id"] == f"monte-carlo/{alert}/v3"
    assert lily.incident(alert).status == "open"


def test_what_kills_its_workers_travels_alone_and_is_parked_in_the_end(lily: Lily) -> None:
    event = an_event(body=an_alert(), lane_key="00", due_at=clock.now() - timedelta(seconds=1))
    events.accept_many([event], 5)
    at, alone = clock.now(), []
    for _ in range(12):
        at += timedelta(minutes=1)
        with clock.freeze(at):
            busy = lanes.push(0, ["e:another"])
            assert busy is not None
            sweep()
            batch = lanes.done(busy)
            if batch is None:
                break
            inbound.ingest(lanes.form(batch))  # and there its worker dies
            alone.append(batch.members[0].startswith("!"))
            lanes.release(batch)

    parked = events.get(event.id)
    assert parked is not None
    assert parked.state is State.PARKED
    assert "cut short" in parked.reason
    assert alone == [False, False, True, True, True, True, True, True, True]


def test_an_event_that_only_waits_for_workers_is_never_parked(lily: Lily) -> None:
    event = an_event(body=an_alert(), lane_key="00", due_at=clock.now() - timedelta(seconds=1))
    events.accept_many([event], 5)
    at = clock.now()
    celery.conf.task_always_eager = False  # nobody reads the queue
    for _ in range(20):
        at += timedelta(minutes=1)
        with clock.freeze(at):
            sweep()
        redis_pool.client().delete("lily:{lane:0}:lock")
    celery.conf.task_always_eager = True
    with clock.freeze(at + timedelta(minutes=1)):
        sweep()

    assert [message["id"] for message in lily.messages()] == [event.id]
