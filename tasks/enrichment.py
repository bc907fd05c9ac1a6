"""What the sources' APIs know about a batch's incidents: one call per source, or the reason why there is none.

A source that is slow or away never holds a batch up: its incidents are marked, and asked for again later.
"""

from collections import defaultdict
from datetime import timedelta

from connectors import registry
from lily.domain.events import State
from lily.domain.reckoning import differs, may_read
from lily.records import incidents
from lily.runtime import clock
from lily.runtime.settings import settings
from tasks.base import reason_of
from tasks.work import Key, Work

IDS_MAX = 100  # of one call
UNKNOWN = "the source does not know this alert"


def enrich(work: Work) -> None:
    """Put details, or why there are none, beside every incident of the batch that needs them."""
    wanted = _wanted(work)
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, incident in sorted(wanted):
        by_source[source].append(incident)
    for source, ids in by_source.items():
        if settings().sources[source].api is None:
            continue
        for start in range(0, len(ids), IDS_MAX):
            _read(work, source, ids[start : start + IDS_MAX])
    work.enriched_at = clock.now()


def _wanted(work: Work) -> set[Key]:
    wanted = {
        (event.source, event.incident_id)
        for event in work.events.values()
        if event.incident_id is not None and event.state is State.RECEIVED
    }
    return {key for key in wanted | _of_repeats(work, wanted) | _of_rereads(work) if key[0] in settings().sources}


def _of_repeats(work: Work, wanted: set[Key]) -> set[Key]:
    """A repeat costs a call only if it claims another state, and then only once in a while: it may be a replayed capture."""
    claims = {}
    for event_id in work.repeats:
        event = work.events.get(event_id) or work.originals[event_id]
        if event.incident_id is not None and event.change is not None:
            claims[event_id] = ((event.source, event.incident_id), event.change)
    known = incidents.load_many([key for key, _ in claims.values() if key not in wanted])
    allowed = set()
    for key, change in claims.values():
        if key not in known or not differs(known[key], change):
            continue
        source = settings().sources.get(key[0])
        if source and may_read(known[key], clock.now(), timedelta(seconds=source.reread_interval_s)):
            allowed.add(key)
        else:
            work.unread[key] = "the source was asked a moment ago"
    return allowed


def _of_rereads(work: Work) -> set[Key]:
    now = clock.now()
    owing = incidents.load_many(sorted(work.rereads))
    return {key for key, incident in owing.items() if incident.reread_due_at and incident.reread_due_at <= now}


def _read(work: Work, source: str, ids: list[str]) -> None:
    connector = registry.source(settings().sources[source].kind)
    try:
        details = connector.fetch_details(source, ids)
    except Exception as error:  # whatever the trouble with a source's API is, it never holds its deliveries up
        work.unread |= {(source, incident): reason_of(error) for incident in ids}
        return
    work.details |= {(source, incident): found for incident, found in details.items()}
    work.unread |= {(source, incident): UNKNOWN for incident in ids if incident not in details}
