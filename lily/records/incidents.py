"""Incidents in DynamoDB: merged conditionally, listed by the time at which they were first heard of.

An open incident never expires; a closed one stays as long as events do, so that a late `open` finds it closed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from lily.domain import deliveries
from lily.domain.incidents import CLOSED_STATUSES, OPEN_STATUSES, Effect, Incident
from lily.records import batch, due, forms, streams
from lily.records.batch import Item, packed, plain
from lily.runtime import clock, logs
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

log = logs.get(__name__)

LIST_SHARDS = 4
ID_MAX = 400  # bytes of an incident's id in a key: the due index allows 1,024 for a whole sort key

Key = tuple[str, str]  # source, incident id
IncidentPage = streams.Found[Incident]


@dataclass(frozen=True)
class IncidentFilter:
    """What to look for; None means anything. `status` is `open`, `closed` or one status. Times bound the first arrival."""

    status: str | None = None
    severity: str | None = None
    source: str | None = None
    asset: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def statuses(self) -> Iterable[str] | None:
        groups = {"open": OPEN_STATUSES, "closed": CLOSED_STATUSES}
        return None if self.status is None else sorted(groups.get(self.status, {self.status}))

    def matches(self, incident: Incident) -> bool:
        return (
            (self.statuses is None or incident.status in self.statuses)
            and (self.severity is None or incident.severity == self.severity)
            and (self.source is None or incident.source == self.source)
            and (self.asset is None or any(table.name == self.asset for table in incident.affected))
        )


def get(source: str, incident_id: str) -> Incident | None:
    """The incident as it stands now (strongly consistent), or None."""
    return load_many([(source, incident_id)]).get((source, incident_id))


def load_many(keys: Sequence[Key]) -> dict[Key, Incident]:
    """Incidents by source and id, strongly consistent; unknown and expired ones are left out. Raises Transient, Permanent."""
    return _loaded([_pk(*key) for key in keys])


def load_for_merge(keys: Sequence[Key]) -> dict[Key, Incident]:
    """As `load_many`, but an expired incident that DynamoDB has not deleted yet is there, blank, to be overwritten."""
    found = _read([_pk(*key) for key in keys])
    kept = [incident if alive else Incident(*_key(incident), version=incident.version) for incident, alive in found]
    return {_key(incident): incident for incident in kept}


def load_members(members: Sequence[str]) -> list[Incident]:
    """Incidents by their names in the due index and the lanes (`i:...`)."""
    return list(_loaded([f"I#{member[2:]}" for member in members]).values())


def member(incident: Incident) -> str:
    return f"i:{_pk(incident.source, incident.id)[2:]}"


def save_if_unchanged(incidents: Sequence[Incident]) -> list[bool | Transient | Permanent]:
    """Write each incident if it is stored as it was read; False where somebody else was first: read, merge and write again."""
    return batch.put_if([(_item(incident), incident.version) for incident in incidents])


def find(wanted: IncidentFilter, limit: int, after: str | None = None) -> IncidentPage:
    """Up to `limit` incidents that match, the latest heard of first, below the position `after`."""
    pairs: dict[str, Sequence[str]] = {
        "sta": list(wanted.statuses or ()),
        "sev": [wanted.severity] if wanted.severity else [],
        "src": [wanted.source] if wanted.source else [],
    }
    query = streams.Query(wanted.since, wanted.until, {name: accepted for name, accepted in pairs.items() if accepted})

    def load(entries: list[Item]) -> list[Incident]:
        pks = [entry["pk"]["S"] for entry in entries]
        found = {_pk(*key): incident for key, incident in _loaded(pks).items()}
        return [incident for pk in pks if (incident := found.get(pk)) and wanted.matches(incident)]

    group = streams.Group([streams.Stream("gs1", f"I#{shard}") for shard in range(LIST_SHARDS)])
    return streams.find([group], query, limit, after, load)


def _loaded(pks: Sequence[str]) -> dict[Key, Incident]:
    return {_key(incident): incident for incident, alive in _read(pks) if alive}


def _read(pks: Sequence[str]) -> list[tuple[Incident, bool]]:
    """Incidents, and whether their time is not over. One that cannot be read is logged and left out, alone."""
    now, found = clock.now().timestamp(), []
    for (pk, _), item in batch.read_many([(pk, "S") for pk in pks]).items():
        try:
            values = plain(item)
            found.append((_incident(values), values.get("exp", now + 1) > now))
        except (KeyError, TypeError, ValueError) as error:
            log.error("incident.unreadable", key=pk, exc_info=error)
    return found


def _key(incident: Incident) -> Key:
    return incident.source, incident.id


def _pk(source: str, incident_id: str) -> str:
    encoded = incident_id.encode("utf-8", "surrogatepass")
    key = incident_id if len(encoded) <= ID_MAX else f"~{hashlib.sha256(encoded).hexdigest()}"
    return f"I#{source}#{key}"


def _item(incident: Incident) -> Item:
    opened_at = incident.opened_at or clock.now()
    name = member(incident)
    owed = clock.now() if incident.outbox else incident.reread_due_at
    closed = not incident.is_open and not incident.outbox
    expires = (incident.changed_at or opened_at) + timedelta(days=settings().event_ttl_days)
    return packed(
        {
            "pk": _pk(incident.source, incident.id),
            "sk": "S",
            "g1": f"I#{due.shard(name) % LIST_SHARDS}",
            "t": f"{due.millis(opened_at):013d}#{name[2:]}",
            **due.keys(name, deliveries.lane_key(incident.source, incident.id), owed),
            "sta": incident.status,
            "sev": incident.severity,
            "src": incident.source,
            "typ": incident.type,
            "exp": int(expires.timestamp()) if closed else None,
            "ver": incident.version + 1,
            "d": orjson.dumps(_data(incident)).decode(),
        }
    )


def _data(incident: Incident) -> dict[str, Any]:
    data = {
        "id": incident.id,
        "reading": forms.details_form(incident.reading) if incident.reading else None,
        "read_at": forms.time_form(incident.read_at),
        "claims": {name: forms.claim_form(claim) for name, claim in incident.claims.items()},
        "tables": [forms.table_form(table) for table in incident.tables],
        "effects": incident.effects,
        "sequence": incident.sequence,
        "opened_at": forms.time_form(incident.opened_at),
        "changed_at": forms.time_form(incident.changed_at),
        "reread_at": forms.time_form(incident.reread_at),
        "reread_due_at": forms.time_form(incident.reread_due_at),
        "reread_attempts": incident.reread_attempts,
        "unenriched": incident.unenriched,
        "outbox": incident.outbox,
    }
    return {name: value for name, value in data.items() if value}


def _incident(values: Mapping[str, Any]) -> Incident:
    data = orjson.loads(values["d"])
    return Incident(
        source=values["src"],
        id=data["id"],
        reading=forms.details_from(data["reading"]) if data.get("reading") else None,
        read_at=forms.time_from(data.get("read_at")),
        claims={name: forms.claim_from(form) for name, form in data.get("claims", {}).items()},
        type=values.get("typ", "unknown"),
        tables=tuple(forms.table_from(form) for form in data.get("tables", ())),
        effects=tuple((occurrence, Effect(what), place) for occurrence, what, place in data.get("effects", ())),
        sequence=data.get("sequence", 0),
        opened_at=forms.time_from(data.get("opened_at")),
        changed_at=forms.time_from(data.get("changed_at")),
        reread_at=forms.time_from(data.get("reread_at")),
        reread_due_at=forms.time_from(data.get("reread_due_at")),
        reread_attempts=data.get("reread_attempts", 0),
        unenriched=tuple(data.get("unenriched", ())),
        outbox=tuple((occurrence, Effect(what)) for occurrence, what in data.get("outbox", ())),
        version=values["ver"],
    )


def saved(incident: Incident) -> Incident:
    """The incident as it stands once `save_if_unchanged` has said True."""
    return replace(incident, version=incident.version + 1)
