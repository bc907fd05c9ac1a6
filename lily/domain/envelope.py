"""What Lily tells the world: CloudEvents 1.0 in EventBridge entries, packed by count and size.

Sources: cloudevents.io, spec 1.0.2 (attribute names and types); EventBridge API reference, PutEvents (10 entries a call; an
entry's size is its Source, DetailType, Detail and Resources in UTF-8, and 14 bytes for its Time).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from lily.domain.brake import Weakening
from lily.domain.events import Event, Repeat
from lily.domain.incidents import Effect, Incident

SOURCE = "lily"  # of every entry on the bus
ENTRIES_MAX = 10
TYPES = {
    Effect.OPENED: "lily.incident.opened",
    Effect.UPDATED: "lily.incident.updated",
    Effect.RESOLVED: "lily.incident.resolved",
    Effect.REOPENED: "lily.incident.reopened",
    Effect.UNCHANGED: "lily.incident.unchanged",
}
UNKNOWN = "lily.event.unknown"  # a delivery that names no incident
WEAKENED = "lily.protection.weakened"


@dataclass(frozen=True)
class Message:
    """One CloudEvent. `id` and `source` together are unique; a repetition of the same message carries the same id."""

    id: str
    type: str
    source: str
    time: datetime
    data: Mapping[str, Any]
    path: str  # where the API shows it whole
    subject: str | None = None
    resources: tuple[str, ...] = ()
    extensions: Mapping[str, str | int] = field(default_factory=dict)  # names: lower-case letters and digits


@dataclass(frozen=True)
class Entry:
    """A message ready for EventBridge. `detail` is its JSON text; `size` counts as the service counts."""

    detail_type: str
    detail: str
    resources: tuple[str, ...]
    time: datetime
    size: int


def of_event(event: Event) -> Message:
    """The message of an event: what it did to its incident, and the incident as it left it."""
    return Message(
        id=event.id,
        type=TYPES[event.effect] if event.effect else UNKNOWN,
        source=f"/lily/{event.source}/{event.account}",
        time=event.received_at,
        path=f"/events/{event.id}",
        subject=event.assets[0] if event.assets else None,
        resources=event.assets[:10],
        extensions=_extensions(event.traceparent, event.replays),
        data=_event_data(event, event.effect, event.incident),
    )


def of_repeat(event: Event, repeat: Repeat, effect: Effect, incident: Mapping[str, Any]) -> Message:
    """The message of a delivery that came again and had an effect again: a new occurrence of the same event."""
    return Message(
        id=repeat.next_occurrence,
        type=TYPES[effect],
        source=f"/lily/{event.source}/{event.account}",
        time=repeat.arrived_at,
        path=f"/events/{event.id}",
        subject=event.assets[0] if event.assets else None,
        resources=event.assets[:10],
        extensions=_extensions(event.traceparent, 0),
        data={**_event_data(event, effect, incident), "occurrence": repeat.occurrence + 1},
    )


def of_incident(incident: Incident, occurrence: str, effect: Effect, time: datetime) -> Message:
    """The message of a change that no delivery told, but the source's API."""
    tables = tuple(table.name for table in incident.affected)
    return Message(
        id=occurrence,
        type=TYPES[effect],
        source=f"/lily/{incident.source}",
        time=time,
        path=f"/incidents/{quote(incident.id, safe='')}?source={incident.source}",
        subject=tables[0] if tables else None,
        resources=tables[:10],
        data={"effect": effect.value, "incident": incident_data(incident, occurrence), "assets": list(tables)},
    )


def of_weakening(target: str, one: Weakening, time: datetime) -> Message:
    """The message that a place lost protection. `time`, when that was decided, tells one loss from another of the same kind."""
    place = one.site.table
    told = [target, place.database, place.schema, place.name, one.site.column, one.before, one.after, time.isoformat()]
    return Message(
        id=hashlib.sha256(json.dumps(told).encode()).hexdigest(),
        type=WEAKENED,
        source=f"/lily/targets/{target}",
        time=time,
        path=f"/security/targets/{target}",
        subject=str(one.site),
        data={
            "target": target,
            "database": place.database,
            "schema": place.schema,
            "table": place.name,
            "column": one.site.column,
            "why": one.why.value,
            "reader": None if one.reader is None else [f"{held.kind} {held.name}" for held in sorted(one.reader)],
        },
    )


def incident_data(incident: Incident, occurrence: str) -> dict[str, Any]:
    """An incident in a consumer's words, as `occurrence` left it."""
    return {
        "id": incident.id,
        "source": incident.source,
        "status": incident.status,
        "open": incident.is_open,
        "severity": incident.severity,
        "owner": incident.owner,
        "title": incident.title,
        "url": incident.url,
        "type": incident.type,
        "order": incident.order,
        "version": incident.place_of(occurrence),
        "assets": [table.name for table in incident.affected],
    }


def entry(message: Message, detail_bytes_max: int, public_url: str) -> Entry:
    """The message as an entry. A larger one goes by reference: `dataref` says where to read what its `data` leaves out."""
    detail = _detail(message, message.data, public_url)
    if len(detail.encode()) > detail_bytes_max:
        kept = {
            name: message.data[name] for name in ("event_id", "effect", "action", "type", "occurrence") if name in message.data
        }
        incident = message.data.get("incident") or {}
        kept["incident"] = {name: incident.get(name) for name in ("id", "source", "status", "open", "severity", "version")}
        detail = _detail(
            replace(message, extensions={**message.extensions, "dataref": f"{public_url}{message.path}"}), kept, public_url
        )
    texts = (SOURCE, message.type, detail, *message.resources)
    size = 14 + sum(len(text.encode()) for text in texts)
    return Entry(message.type, detail, message.resources, message.time, size)


def pack(sizes: Sequence[int], bytes_max: int, entries_max: int = ENTRIES_MAX) -> Iterable[range]:
    """Consecutive ranges of entries for one call each, filled greedily; one that is too large by itself stands alone."""
    start, total = 0, 0
    for index, size in enumerate(sizes):
        if index > start and (index - start == entries_max or total + size > bytes_max):
            yield range(start, index)
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield range(start, len(sizes))


def _event_data(event: Event, effect: Effect | None, incident: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "type": event.type,
        "action": event.change.action if event.change else "unknown",
        "effect": effect.value if effect else None,
        "occurrence": 1,
        "account": event.account,
        "received_at": _time(event.received_at),
        "incident": incident or None,
        "assets": list(event.assets),
        "enrichment": event.enrichment,
    }


def _extensions(traceparent: str, replays: int) -> dict[str, str | int]:
    made: dict[str, str | int] = {}
    if traceparent:
        made["traceparent"] = traceparent
    if replays:
        made["replay"] = replays
    return made


def _detail(message: Message, data: Mapping[str, Any], public_url: str) -> str:
    attributes = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "time": _time(message.time),
        "datacontenttype": "application/json",
        "dataschema": f"{public_url}/schemas/{message.type}.v1.json",
        **({"subject": message.subject} if message.subject else {}),
        **message.extensions,
        "data": data,
    }
    return orjson.dumps(attributes).decode()


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
