"""What Lily shows on assets: announcements, custom metadata and incidents of many assets in one request.

Source: developer.atlan.com, bulk upsert; the metastore's source. One request is one transaction, so one bad asset fails all: it
is found by halving. An asset is named by its guid too, so that one that was purged meanwhile is refused, not made anew as an
empty shell. Attributes that are not sent stay as they are, null clears them. `replaceBusinessAttributes` with
`overwriteBusinessAttributes` would wipe custom metadata of others: the second is never true.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from connectors.atlan import client, incidents, typedefs
from lily.domain.catalog import AssetWrite, IncidentAsset, Priority, Quality
from lily.runtime import logs
from lily.runtime.errors import Permanent, Transient

SPLITTING = frozenset({400, 403, 404, 409})  # what one bad asset of many can cause
SPLITS_MAX = 15  # of all requests of one writing: enough for two bad assets of fifty, and no flood where all are bad
UNDECIDED_S = 30.0

log = logs.get(__name__)


@dataclass(frozen=True)
class _Entity:
    """One entity of a request; `name` is its qualified name."""

    name: str
    body: Mapping[str, Any]


Failures = dict[str, Transient | Permanent]


def write_many(
    instance: str,
    writes: Sequence[AssetWrite],
    incident_assets: Sequence[IncidentAsset] = (),
    *,
    priority: Priority = Priority.BADGE,
) -> Failures:
    """Write all; what failed, by qualified name of the asset."""
    last = {write.asset.qualified_name: write for write in writes}
    try:
        own = _fields(instance, priority) if any(write.quality for write in last.values()) else None
        entities = [_Entity(name, _asset(write, own)) for name, write in last.items()]
        bulk_max = client.begin(instance, priority).api.bulk_max
    except (Transient, Permanent) as error:
        return dict.fromkeys(last, error)
    more = [_Entity(f"incident {name}", body) for name, body in incidents.entities(instance, incident_assets).items()]
    everything = [*entities, *more]
    failures = _write(instance, priority, [everything[at : at + bulk_max] for at in range(0, len(everything), bulk_max)])
    for entity in more:
        if entity.name in failures:
            reason = failures.pop(entity.name).reason
            log.warning("incident_asset.not_written", catalog=instance, incident=entity.name, reason=reason)
    return failures


def _write(instance: str, priority: Priority, requests: Sequence[Sequence[_Entity]]) -> Failures:
    """One request after the other; a bad one is halved until it is known what is bad in it, or too much is."""
    failures: Failures = {}
    waiting = deque(requests)
    splits = 0
    while waiting:
        entities = waiting.popleft()
        error = _failure(instance, priority, entities)
        if error is None:
            continue
        if len(entities) > 1 and error.status in SPLITTING and splits < SPLITS_MAX:
            splits += 1
            half = len(entities) // 2
            waiting.extendleft((entities[half:], entities[:half]))
        elif len(entities) > 1 and error.status in SPLITTING:
            undecided = Transient(f"among assets of which too many are refused: {error.reason}", UNDECIDED_S, error.status)
            failures |= {entity.name: undecided for entity in entities}
        else:
            failures |= {entity.name: error for entity in entities}
    return failures


def _failure(instance: str, priority: Priority, entities: Sequence[_Entity]) -> Transient | Permanent | None:
    try:
        call = client.begin(instance, priority)
        bodies = [{**_temporary(entity, at), **entity.body} for at, entity in enumerate(entities, 1)]
        client.post(call, f"entity/bulk?{_flags(entities)}", {"entities": bodies}, about=entities[0].name)
    except (Transient, Permanent) as error:
        return error
    return None


def _temporary(entity: _Entity, at: int) -> dict[str, Any]:
    return {} if "guid" in entity.body else {"guid": f"-{at}"}


def _flags(entities: Sequence[_Entity]) -> str:
    merges = any("businessAttributes" in entity.body for entity in entities)
    flags = {
        "replaceTags": False,
        "appendTags": False,
        "replaceBusinessAttributes": merges,
        "overwriteBusinessAttributes": False,
    }
    return urlencode({name: str(value).lower() for name, value in flags.items()})


def _asset(write: AssetWrite, own: tuple[str, Mapping[str, str]] | None) -> dict[str, Any]:
    asset, announcement = write.asset, write.announcement
    attributes: dict[str, Any] = {"qualifiedName": asset.qualified_name, "name": asset.name}
    if announcement is not None:
        attributes["announcementType"] = announcement.type
        attributes["announcementTitle"] = announcement.title
        attributes["announcementMessage"] = announcement.message
    elif write.clear:
        attributes |= dict.fromkeys(("announcementType", "announcementTitle", "announcementMessage"))
    body: dict[str, Any] = {"typeName": asset.type, "attributes": attributes}
    if asset.guid:
        body["guid"] = asset.guid
    if own is not None and write.quality is not None:
        set_id, ids = own
        values = _values(write.quality)
        body["businessAttributes"] = {set_id: {ids[name]: value for name, value in values.items() if name in ids}}
    return body


def _values(quality: Quality) -> dict[str, Any]:
    """By the names in `typedefs.FIELDS`; None clears."""
    return {
        "Open incidents": quality.open_incidents,
        "Worst severity": quality.worst_severity,
        "Incident links": list(quality.links),
        "Open incidents upstream": quality.upstream_incidents,
        "As of": _milliseconds(quality.as_of),
    }


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


def _fields(instance: str, priority: Priority) -> tuple[str, Mapping[str, str]] | None:
    """None, too, while they cannot be read: badges do not wait for them."""
    try:
        return typedefs.fields(client.begin(instance, priority))
    except (Transient, Permanent) as error:
        log.warning("custom_metadata.not_read", catalog=instance, reason=error.reason)
        return None
