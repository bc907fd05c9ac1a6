"""Events in DynamoDB: accepted once, worked on by the lane that holds them, replayed on request."""

import base64
import secrets
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from lily.domain.copies import changed
from lily.domain.events import MOVES, Event, IllegalMove, Repeat, State, noted
from lily.domain.incidents import Effect
from lily.records import batch, days, due, forms
from lily.records.batch import Inserted, Item, packed, plain
from lily.runtime import aws, clock, lanes, logs
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

log = logs.get(__name__)

RAW_INLINE_MAX = 250_000  # deflated bytes beside the rest of an item, of which DynamoDB takes 400 KB
RAW_PART = 350_000
DEFLATE_FROM = 1024  # smaller bodies cost more to deflate than they save


@dataclass(frozen=True)
class Accepted:
    """The event is in DynamoDB. `duplicate` says that it was there before."""

    duplicate: bool


def accept_many(events: Sequence[Event], timeout_s: float) -> list[Accepted | Transient | Permanent]:
    """Write new events, each with its own answer, in order. Ids must differ. What is there already stays as it is."""
    failed = {event.id: error for event in events if (error := _write_parts(event, timeout_s))}
    ready, token = [event for event in events if event.id not in failed], secrets.token_hex(8)
    answers = batch.insert_many([_item(event, {"token": token}) for event in ready], timeout_s)
    accepted = {event.id: _accepted(event, token, answer) for event, answer in zip(ready, answers, strict=True)}
    return [failed.get(event.id) or accepted[event.id] for event in events]


def sweep_at(at: datetime) -> datetime:
    """When the sweep takes up what was caused at `at`, if the lanes have not done it by then."""
    return at + timedelta(seconds=settings().sweep_after_s)


def get(event_id: str) -> Event | None:
    """The event as it stands now (strongly consistent), or None if there is none or its time is over."""
    return load_many([event_id]).get(event_id)


def load_many(event_ids: Sequence[str], even_expired: bool = False) -> dict[str, Event]:
    """Events by id, strongly consistent; unknown and expired ones are left out, and those that cannot be read are logged.

    `even_expired`: what is still to be done must be done, whether DynamoDB has deleted it yet or not.
    Raises Transient and Permanent.
    """
    items = batch.read_many([(f"E#{event_id}", "E") for event_id in event_ids])
    now, found = 0.0 if even_expired else clock.now().timestamp(), {}
    for (pk, _), item in items.items():
        try:
            if int(item.get("exp", {}).get("N", "0")) > now:
                found[pk[2:]] = _event(item)
        except (KeyError, TypeError, ValueError) as error:  # one item of a version to come must not stop its neighbours
            log.error("event.unreadable", event_id=pk[2:], exc_info=error)
    return found


def save_many(events: Sequence[Event]) -> list[Event]:
    """Write events that the caller's lane holds, whatever was there, and return them as stored. Safe to repeat.

    Raises Transient and Permanent; some may then be written.
    """
    entries = [item for event in events if event.state is State.STORED for item in _asset_items(event)]
    batch.write_many([*(_item(event) for event in events), *entries])
    return [changed(event, version=event.version + 1) for event in events]


def save_if_unchanged(events: Sequence[Event]) -> list[bool | Transient | Permanent]:
    """Write events that no lane holds; False where one has changed since it was read."""
    return batch.put_if([(_item(event), event.version) for event in events])


def replay(event: Event, at: datetime, note: str) -> Event | None:
    """Send a finished event on its way again, under the same id. None: somebody else changed it first; read it again.

    Raises IllegalMove for one that is still being worked on.
    """
    if State.RECEIVED not in MOVES[event.state]:
        raise IllegalMove(f"event {event.id} is {event.state}; only finished events can be replayed")
    again = replace(
        noted(event, at, "replayed", note),
        state=State.RECEIVED,
        attempts=0,
        swept=0,
        begun=0,
        reason="",
        replays=event.replays + 1,
        due_at=sweep_at(at),
    )
    (answer,) = save_if_unchanged([again])
    if isinstance(answer, Exception):
        raise answer
    return replace(again, version=again.version + 1) if answer else None


def postpone(event_ids: Sequence[str], until: datetime) -> list[Event]:
    """Claim overdue events for one more try: due again at `until`, counted in `swept`. Returns those that really were unfinished.

    A finished event that the lagging index still shows, and one that changed meanwhile, are left alone.
    """
    now = clock.now()
    unfinished = [event for event in load_many(event_ids).values() if event.due_at is not None and event.due_at <= now]
    claimed = [replace(event, due_at=until, swept=event.swept + 1) for event in unfinished]
    return [event for event, won in zip(claimed, save_if_unchanged(claimed), strict=True) if won is True]


def end_badges(event_ids: Sequence[str]) -> None:
    """These events' incidents were brought to their assets, or somebody else owes it now. An event that was replayed meanwhile
    stays as it is. Raises Transient and Permanent."""
    text = f'UPDATE "{settings().table}" REMOVE g2 REMOVE due WHERE pk=? AND sk=? AND g2=?'
    statements = [
        {"Statement": text, "Parameters": [{"S": f"E#{name}"}, {"S": "E"}, {"S": due.partition(f"b:{name}")}]}
        for name in event_ids
    ]
    for start in range(0, len(statements), batch.WRITE_MAX):
        codes = batch.execute_many(statements[start : start + batch.WRITE_MAX])
        for code in codes:
            if code not in (None, "ConditionalCheckFailed"):
                raise batch.failure(code)


def note_repeat(event_id: str, lane_key: str, count: int, at: datetime, timeout_s: float = 2.0) -> None:
    """Count a delivery that came again, beside its event, and owe it a look. Folded: one item however often it comes."""
    member = f"r:{event_id}"
    keys = due.keys(member, lane_key, sweep_at(at))
    aws.call(
        aws.client("dynamodb", timeout_s, attempts=1).update_item,
        TableName=settings().table,
        Key=batch.key_of(f"E#{event_id}", "R"),
        UpdateExpression="SET seen = :s, g2 = if_not_exists(g2, :g), due = if_not_exists(due, :u), lk = :l, #e = :e ADD n :n",
        ExpressionAttributeNames={"#e": "exp"},
        ExpressionAttributeValues=packed(
            {
                ":s": at.isoformat(),
                ":g": keys["g2"],
                ":u": keys["due"],
                ":l": lane_key,
                ":e": _expires(at),
                ":n": count,
            }
        ),
    )


def repeat_of(event_id: str) -> Repeat | None:
    """How often the delivery came again, or None if it came once."""
    return load_repeats([event_id]).get(event_id)


def load_repeats(event_ids: Sequence[str]) -> dict[str, Repeat]:
    items = batch.read_many([(f"E#{event_id}", "R") for event_id in event_ids])
    return {pk[2:]: _repeat(pk[2:], plain(item)) for (pk, _), item in items.items()}


def settle_repeat(repeat: Repeat) -> bool:
    """Store what became of a repeat, unless another one arrived meanwhile (False): then its look is still owed."""
    keys = due.keys(f"r:{repeat.event_id}", repeat.lane_key, repeat.due_at)
    removes = "" if repeat.due_at else " REMOVE g2, due"
    sets = ", g2 = :g, due = :u" if repeat.due_at else ""
    try:
        aws.call(
            aws.dynamodb().update_item,
            TableName=settings().table,
            Key=batch.key_of(f"E#{repeat.event_id}", "R"),
            UpdateExpression=f"SET occ = :o, att = :a{sets}{removes}",
            ConditionExpression="n = :n",
            ExpressionAttributeValues=packed(
                {":o": repeat.occurrence, ":a": repeat.attempts, ":n": repeat.count, ":g": keys["g2"], ":u": keys["due"]}
            ),
        )
    except aws.ConditionFailed:  # what was told stays told; only the look at the newer one is still owed
        with suppress(aws.ConditionFailed):
            aws.call(
                aws.dynamodb().update_item,
                TableName=settings().table,
                Key=batch.key_of(f"E#{repeat.event_id}", "R"),
                UpdateExpression="SET occ = :o",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=packed({":o": repeat.occurrence}),
            )
        return False
    return True


def list_by_asset(events: Sequence[Event]) -> None:
    """Let stored events be found by all their assets, those that a later enrichment named included. Safe to repeat."""
    items = [item for event in events for item in _asset_items(event)]
    if items:
        batch.write_many(items)


def body(event: Event) -> bytes:
    """The body as it was sent."""
    if event.raw:
        return inflated(event.raw)
    answer = aws.call(
        aws.dynamodb().query,
        TableName=settings().table,
        KeyConditionExpression="pk = :p AND begins_with(sk, :b)",
        ExpressionAttributeValues={":p": {"S": f"E#{event.id}"}, ":b": {"S": "B#"}},
        ConsistentRead=True,
    )
    return inflated(b"".join(item["raw"]["B"] for item in answer["Items"]))


def deflated(raw: bytes) -> bytes:
    """A body in the form in which events hold it. No JSON object begins as a deflated one does, so no flag is needed."""
    return zlib.compress(raw, 1) if len(raw) >= DEFLATE_FROM else raw


def inflated(stored: bytes) -> bytes:
    return zlib.decompress(stored) if stored[:1] == b"x" else stored


def dump(event: Event) -> Mapping[str, Any]:
    """The event for a working set; `restore` reads it."""
    values = {"id": event.id, "src": event.source, "sta": event.state.value, "ver": event.version}
    return {**values, "raw": base64.b64encode(event.raw).decode(), "d": _data(event)}


def restore(values: Mapping[str, Any]) -> Event:
    return _made({**values, "raw": base64.b64decode(values["raw"])}, values["id"], values["d"])


def _accepted(event: Event, token: str, answer: Inserted | Transient | Permanent) -> Accepted | Transient | Permanent:
    if isinstance(answer, Transient | Permanent):
        return answer
    if answer is Inserted.MAYBE:  # an attempt of ours may have made it, although its answer was lost
        try:
            stored = batch.read_many([(f"E#{event.id}", "E")])
        except (Transient, Permanent) as error:
            return error
        data = orjson.loads(stored[f"E#{event.id}", "E"]["d"]["S"]) if stored else {}
        return Accepted(duplicate=data.get("token") != token)
    return Accepted(duplicate=answer is Inserted.EXISTS)


def _item(event: Event, extra: Mapping[str, Any] | None = None) -> Item:
    t = f"{due.millis(event.received_at):013d}#{event.id}"
    return packed(
        {
            "pk": f"E#{event.id}",
            "sk": "E",
            "g1": days.partition(f"{event.received_at:%Y%m%d}", event.id),
            "t": t,
            **_due_keys(event),
            "g3": f"A#{event.assets[0]}" if event.assets else None,
            "sta": event.state.value,
            "src": event.source,
            "typ": event.change.type if event.change else None,
            "sev": event.severity,
            "exp": _expires(event.received_at),
            "ver": event.version + 1,
            "raw": event.raw if 0 < len(event.raw) <= RAW_INLINE_MAX else None,
            "d": orjson.dumps({**_data(event), **(extra or {})}).decode(),
        }
    )


def _due_keys(event: Event) -> Mapping[str, str | None]:
    if event.state is State.PARKED:
        return due.parked_keys(f"e:{event.id}", event.received_at)
    if event.state is State.PUBLISHED and event.badge_due_at and lanes.of_incidents():
        return due.keys(f"b:{event.id}", lanes.of_incidents(), event.badge_due_at)
    return due.keys(f"e:{event.id}", event.lane_key, event.due_at)


def _data(event: Event) -> dict[str, Any]:
    """What no index needs. Empty values are left out: every byte is written three times on the way."""
    data = {
        "account": event.account,
        "at": event.received_at.isoformat(),
        "lane_key": event.lane_key,
        "traceparent": event.traceparent,
        "change": forms.change_form(event.change) if event.change else None,
        "enrichment": event.enrichment,
        "effect": event.effect,
        "incident": event.incident,
        "assets": event.assets,
        "attempts": event.attempts,
        "swept": event.swept,
        "begun": event.begun,
        "replays": event.replays,
        "reason": event.reason,
        "due_at": forms.time_form(event.due_at),
        "timeline": [forms.moment_form(moment) for moment in event.timeline],
    }
    return {name: value for name, value in data.items() if value}


def _event(item: Item) -> Event:
    values = plain(item)
    return _made(values, values["pk"][2:], orjson.loads(values["d"]))


def _made(values: Mapping[str, Any], event_id: str, data: Mapping[str, Any]) -> Event:
    return Event(
        id=event_id,
        source=values["src"],
        account=data.get("account", ""),
        received_at=datetime.fromisoformat(data["at"]),
        raw=values.get("raw", b""),
        lane_key=data["lane_key"],
        traceparent=data.get("traceparent", ""),
        state=State(values["sta"]),
        change=forms.change_from(data["change"]) if data.get("change") else None,
        enrichment=data.get("enrichment", {}),
        effect=Effect(data["effect"]) if data.get("effect") else None,
        incident=data.get("incident", {}),
        assets=tuple(data.get("assets", ())),
        attempts=data.get("attempts", 0),
        swept=data.get("swept", 0),
        begun=data.get("begun", 0),
        replays=data.get("replays", 0),
        reason=data.get("reason", ""),
        due_at=forms.time_from(data.get("due_at")),
        badge_due_at=due.time_of(values["due"]) if values.get("g2") == due.partition(f"b:{event_id}") else None,
        timeline=tuple(forms.moment_from(form) for form in data.get("timeline", ())),
        version=values.get("ver", 0),
    )


def _write_parts(event: Event, timeout_s: float) -> Transient | Permanent | None:
    """Before the event itself: an event never points to a body that is not there."""
    if len(event.raw) <= RAW_INLINE_MAX:
        return None
    try:
        batch.write_many(_parts(event), timeout_s, attempts=1)
    except (Transient, Permanent) as error:
        return error
    return None


def _parts(event: Event) -> list[Item]:
    stored = event.raw
    return [
        packed(
            {
                "pk": f"E#{event.id}",
                "sk": f"B#{start // RAW_PART:04d}",
                "raw": stored[start : start + RAW_PART],
                "exp": _expires(event.received_at),
            }
        )
        for start in range(0, len(stored), RAW_PART)
    ]


def _asset_items(event: Event) -> list[Item]:
    """Entries for further assets in the index by asset."""
    t = f"{due.millis(event.received_at):013d}#{event.id}"
    return [
        packed({"pk": f"E#{event.id}", "sk": f"A#{asset}", "g3": f"A#{asset}", "t": t, "exp": _expires(event.received_at)})
        for asset in event.assets[1:]
    ]


def _repeat(event_id: str, values: Mapping[str, Any]) -> Repeat:
    sort = values.get("due")
    return Repeat(
        event_id=event_id,
        count=values["n"],
        arrived_at=datetime.fromisoformat(values["seen"]),
        lane_key=values["lk"],
        occurrence=values.get("occ", 1),
        attempts=values.get("att", 0),
        due_at=due.time_of(sort) if sort else None,
    )


def _expires(at: datetime) -> int:
    return int((at + timedelta(days=settings().event_ttl_days)).timestamp())
