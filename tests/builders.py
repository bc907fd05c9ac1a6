"""Values for tests, everything defaulted: a test names only what matters to it."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lily.domain.deliveries import lane_key
from lily.domain.events import Event
from lily.domain.incidents import Change, Incident, merge_claim
from lily.records import events
from lily.runtime import clock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(name: str = "", body: dict[str, Any] | None = None, **more: Any) -> Event:
    """An event as accept makes it, just now. `name` makes its body, and so its id, its own."""
    raw = json.dumps(body if body is not None else {"name": name}).encode()
    now = more.get("received_at") or clock.now()
    plain = Event(
        id=hashlib.sha256(raw).hexdigest(),
        source="monte-carlo",
        account="acme",
        received_at=now,
        raw=events.deflated(raw),
        lane_key=lane_key("monte-carlo", "i"),
        due_at=events.sweep_at(now),
    )
    return replace(plain, **more)


def a_change(incident: str | None = "i", status: str | None = None, **more: Any) -> Change:
    values = {} if status is None else {"status": status}
    return replace(Change(incident, "anomaly", "opened", values), **more)


def an_incident(name: str = "i", status: str | None = None, arrived_at: datetime | None = None, **more: Any) -> Incident:
    """An incident of one claim."""
    at = arrived_at or clock.now()
    return replace(merge_claim(Incident("monte-carlo", name), a_change(name, status), at, "e"), **more)
