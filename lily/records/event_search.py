"""Events found, newest first, page by page: by day, by asset, by incident, or those that are parked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lily.domain.events import Event, State
from lily.records import days, due, events, incidents
from lily.records.batch import Item
from lily.records.streams import LAST, Found, Group, Query, Stream
from lily.records.streams import find as find_in
from lily.runtime.settings import settings

Page = Found[Event]


@dataclass(frozen=True)
class EventFilter:
    """What to look for; None means anything. `since` is inclusive, `until` exclusive, both by time of arrival."""

    status: str | None = None
    type: str | None = None
    severity: str | None = None
    source: str | None = None
    asset: str | None = None
    incident: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, event: Event) -> bool:
        pairs = (
            (self.status, event.state.value),
            (self.type, event.type),
            (self.severity, event.severity),
            (self.source, event.source),
            (self.incident, event.incident_id),
        )
        return (
            all(wanted is None or wanted == actual for wanted, actual in pairs)
            and (self.asset is None or self.asset in event.assets)
            and (self.since is None or event.received_at >= self.since)
            and (self.until is None or event.received_at < self.until)
        )


def find(wanted: EventFilter, limit: int, after: str | None = None) -> Page:
    """Up to `limit` events that match, newest first, below the position `after`. Raises Transient and Permanent."""
    if wanted.incident is not None:
        return _of_incident(wanted, wanted.incident, limit, after)
    pairs = {"sta": wanted.status, "typ": wanted.type, "sev": wanted.severity, "src": wanted.source}
    query = Query(wanted.since, wanted.until, {name: (value,) for name, value in pairs.items() if value is not None})

    def load(entries: list[Item]) -> list[Event]:
        ids = list(dict.fromkeys(entry["pk"]["S"][2:] for entry in entries))  # two of its assets may have changed places
        found = events.load_many(ids)
        return [event for event_id in ids if (event := found.get(event_id)) and wanted.matches(event)]

    return find_in(_groups(wanted, after), query, limit, after, load)


def _groups(wanted: EventFilter, after: str | None) -> Sequence[Group]:
    if wanted.asset is not None:
        return [Group([Stream("gs3", f"A#{wanted.asset}")])]
    if wanted.status == State.PARKED:
        return [Group([Stream("gs2", f"F#event#{shard}", "due") for shard in range(due.SHARDS)])]
    bounds = [_day(after)] if after else []
    bounds += [f"{wanted.until:%Y%m%d}"] if wanted.until else []
    newest, oldest = min(bounds, default=LAST), f"{wanted.since:%Y%m%d}" if wanted.since else ""
    return [
        Group([Stream("gs1", f"L#{day}#{shard}") for shard in range(shards)], _beginning(day))
        for day, shards in days.known().items()
        if oldest <= day <= newest
    ]


def _of_incident(wanted: EventFilter, incident_id: str, limit: int, after: str | None) -> Page:
    """An incident remembers its last events itself."""
    sources = [wanted.source] if wanted.source else list(settings().sources)
    found = [incident for source in sources if (incident := incidents.get(source, incident_id))]
    ids = {occurrence.partition(".")[0] for incident in found for occurrence, _, _ in incident.effects}
    keyed = {
        f"{due.millis(event.received_at):013d}#{event.id}": event
        for event in events.load_many(list(ids)).values()
        if wanted.matches(event)
    }
    keys = sorted((key for key in keyed if key < (after or LAST)), reverse=True)
    return Page(tuple(keyed[key] for key in keys[:limit]), keys[limit - 1] if len(keys) > limit else None)


def _beginning(day: str) -> str:
    return f"{due.millis(datetime.strptime(day, '%Y%m%d').replace(tzinfo=UTC)):013d}"


def _day(position: str) -> str:
    return f"{datetime.fromtimestamp(int(position[:13]) / 1000, UTC):%Y%m%d}"
