"""What may come between two steps, or long after: newer repeats, a second run, expiry, items that cannot be read."""

from collections.abc import Callable
from datetime import timedelta

from lily.domain.events import State
from lily.records import due, events
from lily.runtime import aws, clock, lanes, redis_pool
from tasks import doors, inbound, storing, work
from tests.builders import an_event
from tests.sandbox.conftest import MonteCarlo
from tests.tasks.conftest import Lily, an_alert

OTHER = "22222222-1111-4111-8111-111111111111"


def owed(kind: str) -> list[str]:
    later = clock.now() + timedelta(days=400)
    return [item.member for shard in range(due.SHARDS) for item in due.page(kind, shard, later)]


def test_repeats_that_arrive_while_one_is_told_do_not_tell_it_again(lily: Lily) -> None:
    first = lily.deliver(an_alert(alert_feedback="fixed"))
    lily.deliver(an_alert(alert_feedback="investigating"))
    lily.messages()
    key = lily.event(first).lane_key
    for _ in range(5):
        events.note_repeat(first.event_id, key, 1, clock.now())
        batch = lanes.push(lanes.lane_of(key), [f"r:{first.event_id}"])
        assert batch is not None
        form = inbound.store(inbound.enrich(inbound.ingest(lanes.form(batch))))
        events.note_repeat(first.event_id, key, 1, clock.now())
        inbound.publish(form)

    assert [message["id"] for message in lily.messages()] == [f"{first.event_id}.2"]


def test_an_expired_incident_that_is_still_there_starts_anew_and_holds_nobody_up(lily: Lily) -> None:
    lily.deliver(an_alert(alert_feedback="fixed"))
    lily.messages()
    with clock.freeze(clock.now() + timedelta(days=91)):
        again = an_event(body=an_alert(alert_feedback="investigating"), lane_key="00")
        other = an_event(body=an_alert(OTHER), lane_key="00")
        events.accept_many([again, other], 5)
        batch = lanes.push(0, [f"e:{again.id}", f"e:{other.id}"])
        assert batch is not None

        doors.start(batch)

        assert {event.state for event in events.load_many([again.id, other.id]).values()} == {State.PUBLISHED}
        assert lily.incident().status == "acknowledged"


def test_a_delivery_that_meets_its_expired_event_still_counts(lily: Lily) -> None:
    lily.deliver(an_alert(alert_feedback="fixed"))
    lily.deliver(an_alert(alert_feedback="investigating"))
    with clock.freeze(clock.now() + timedelta(days=91)):
        lily.deliver(an_alert(alert_feedback="fixed"))

        assert lily.incident().status == "fixed"
        assert owed("repeat") == []


def test_a_change_that_a_second_run_finds_is_told(lily: Lily, api: MonteCarlo) -> None:
    alert = api.alert(deliver="none")["id"]
    event = an_event(body=an_alert(alert), lane_key="00", due_at=clock.now() - timedelta(seconds=1))
    events.accept_many([event], 5)
    batch = lanes.push(0, [f"e:{event.id}"])
    assert batch is not None
    inbound.enrich(inbound.ingest(lanes.form(batch)))
    current = work.fetch(batch)
    assert current is not None
    storing.merge_incidents(current, [("monte-carlo", alert)])  # and there its worker dies
    redis_pool.client().delete("lily:{lane:0}:lock")
    api.patch(f"/sandbox/alerts/{alert}", {"status": "FIXED", "deliver": "none"})

    lily.sweep()

    assert {message["type"] for message in lily.messages()} == {"lily.incident.opened", "lily.incident.resolved"}
    assert lily.incident(alert).status == "fixed"


def test_a_source_that_lost_its_api_owes_no_reading(lily: Lily, api: MonteCarlo, configured: Callable[..., None]) -> None:
    alert = api.alert(deliver="none")["id"]
    api.post("/sandbox/faults", {"kind": "status", "status": 503, "count": None})
    lily.deliver(an_alert(alert))
    assert len(owed("incident")) == 1
    configured(**{f"LILY_SOURCE_MONTE_CARLO_API_{name}": "" for name in ("URL", "ID", "TOKEN", "TIMEOUT_S")})

    with clock.freeze(clock.now() + timedelta(minutes=30)):
        lily.sweep()

    assert owed("incident") == []


def test_an_item_that_cannot_be_read_stops_neither_the_sweep_nor_its_neighbours(lily: Lily) -> None:
    past = clock.now() - timedelta(seconds=1)
    odd, good = an_event("odd", lane_key="00", due_at=past), an_event(body=an_alert(), lane_key="00", due_at=past)
    events.accept_many([odd, good], 5)
    aws.dynamodb().update_item(
        TableName="lily",
        Key={"pk": {"S": f"E#{odd.id}"}, "sk": {"S": "E"}},
        UpdateExpression="SET sta = :s",
        ExpressionAttributeValues={":s": {"S": "a state of a version to come"}},
    )

    lily.sweep()

    assert [message["id"] for message in lily.messages()] == [good.id]


def test_what_still_waits_in_its_lane_is_left_there_and_what_the_lane_lost_is_brought_back(lily: Lily) -> None:
    event = an_event(body=an_alert(), lane_key="00", due_at=clock.now() - timedelta(seconds=1))
    events.accept_many([event], 5)
    assert lanes.push(0, ["e:another"])  # the lane is busy
    lanes.push(0, [f"e:{event.id}"])

    lily.sweep()
    waiting = events.get(event.id)
    redis_pool.client().flushall()
    lily.sweep()

    assert waiting is not None
    assert (waiting.swept, waiting.version) == (0, 1)
    assert [message["id"] for message in lily.messages()] == [event.id]


def test_while_the_lanes_are_full_the_sweep_asks_for_little_and_brings_nothing(
    lily: Lily, configured: Callable[..., None]
) -> None:
    configured(LILY_LANE_DEPTH_MAX="1")
    late = [an_event(str(number), lane_key="00", due_at=clock.now() - timedelta(seconds=1)) for number in range(40)]
    events.accept_many(late, 5)
    for lane in (0, 1):
        assert lanes.push(lane, ["e:first"])
        lanes.push(lane, ["e:second"])
    asked: list[str] = []
    aws.dynamodb().meta.events.register_first("before-send.dynamodb.Query", lambda **_: asked.append("event"))

    lily.sweep()

    assert (
        len(asked) <= due.SHARDS * 2 + due.SHARDS // 2
    )  # nothing is due of the two other kinds; of 40 events, one is soon found
    assert {event.swept for event in events.load_many([event.id for event in late]).values()} == {0}
