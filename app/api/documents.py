"""Events and incidents as the API shows them: plain data, times as text, links to what belongs to them."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lily.domain.events import FINAL, Event, Moment, Repeat, State
from lily.domain.incidents import Incident
from lily.runtime import clock
from lily.runtime.settings import settings

BEGINNINGS = frozenset({State.RECEIVED.value, "replayed"})


def links(event: Event) -> dict[str, str]:
    found = {"self": f"{settings().public_url}/events/{event.id}"}
    if event.incident_id is not None:
        found["incident"] = incident_url(event.source, event.incident_id)
    return found


def incident_url(source: str, incident_id: str) -> str:
    return f"{settings().public_url}/incidents/{quote(incident_id, safe='')}?source={source}"


def event_summary(event: Event) -> dict[str, Any]:
    left = event.incident
    incident = {"id": event.incident_id, "effect": event.effect and event.effect.value, "status": left.get("status")}
    return {
        "id": event.id,
        "source": event.source,
        "account": event.account,
        "received_at": clock.iso(event.received_at),
        "status": event.state.value,
        "type": event.type,
        "action": event.change.action if event.change else None,
        "severity": event.severity,
        "title": left.get("title"),
        "incident": incident if event.incident_id is not None else None,
        "assets": list(event.assets),
        "enrichment": event.enrichment.get("state", "none"),
        "reason": event.reason,
        "attempts": event.attempts,
        "replays": event.replays,
        "links": links(event),
    }


def event_detail(event: Event, raw: bytes, repeat: Repeat | None) -> dict[str, Any]:
    return event_summary(event) | {
        "timeline": timeline(event),
        "milliseconds": milliseconds(event),
        "enrichment_details": dict(event.enrichment),
        "payload": json.loads(raw),
        "repeats": repeat and {"count": repeat.count, "last_at": clock.iso(repeat.arrived_at), "occurrences": repeat.occurrence},
    }


def timeline(event: Event) -> list[dict[str, Any]]:
    lines, before = [], event.received_at
    for moment in event.timeline:
        lines.append(_line(moment, before))
        before = moment.at
    return lines


def milliseconds(event: Event) -> dict[str, float]:
    """How long each step of the latest run took, and `total`: from the arrival, or the last replay, until it was done.

    What was noted after that (a late enrichment) belongs to no step.
    """
    before, taken = event.received_at, dict[str, float]()
    for moment in event.timeline:
        if moment.what in BEGINNINGS:
            before, taken = moment.at, {}
        elif not taken.keys() & FINAL:
            taken[moment.what] = taken.get(moment.what, 0.0) + _ms(before, moment.at)
            before = moment.at
    return taken | ({"total": round(sum(taken.values()), 1)} if taken else {})


def incident_summary(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "source": incident.source,
        "status": incident.status,
        "open": incident.is_open,
        "type": incident.type,
        "severity": incident.severity,
        "owner": incident.owner,
        "title": incident.title,
        "url": incident.url,
        "assets": [table.name for table in incident.affected],
        "order": incident.order,
        "version": incident.sequence,
        "opened_at": time_or_none(incident.opened_at),
        "changed_at": time_or_none(incident.changed_at),
        "read_at": time_or_none(incident.read_at),
        "links": {"self": incident_url(incident.source, incident.id)},
    }


def _line(moment: Moment, before: datetime) -> dict[str, Any]:
    return {
        "at": clock.iso(moment.at),
        "what": moment.what,
        "attempt": moment.attempt,
        "note": moment.note,
        "ms": _ms(before, moment.at),
    }


def _ms(since: datetime, until: datetime) -> float:
    return round((until - since).total_seconds() * 1000, 1)


def time_or_none(at: datetime | None) -> str | None:
    return clock.iso(at) if at else None
