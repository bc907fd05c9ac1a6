"""Events of catalogs: which assets they give a reason to read. Written down before the event ends; no catalog is asked here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from connectors import registry
from lily.domain import assets
from lily.domain.assets import Asset, Found
from lily.domain.catalog import ECHO, Hint
from lily.domain.classifications import Place
from lily.domain.events import Event, State, move
from lily.records import events, taggings
from lily.records.taggings import Tip
from lily.runtime import clock, lanes, logs
from lily.runtime.errors import Transient
from lily.runtime.settings import CatalogSettings, settings
from tasks import doors
from tasks.base import isolate
from tasks.work import Work

log = logs.get(__name__)

READ_AGAIN = frozenset({"tags_added", "tags_removed", "tags_changed", "created", "lost", "unknown"})


def end_echoes(work: Work) -> None:
    """Events by which Lily's own writes come back end at once, and nobody is told. Raises Transient and Permanent."""
    now = clock.now()
    echoes = [one for one in work.events.values() if one.change and one.change.type == ECHO and one.state is State.RECEIVED]
    if not echoes:
        return
    stored, why = [move(event, State.STORED, now) for event in echoes], "Lily's own write came back: nobody is told"
    events.save_many([move(event, State.PUBLISHED, now, why, due_at=None) for event in stored])
    for event in echoes:
        del work.events[event.id]


def note(work: Work) -> dict[str, Exception]:
    """Have the assets read of which the batch's events tell. Events for which that could not be written down, each with why."""
    sources = {config.source: config for config in settings().catalogs.values()}
    fresh = [event for event in work.events.values() if event.state is State.RECEIVED]
    again = [work.events.get(event_id) or work.originals[event_id] for event_id in work.repeats]
    mine = {event.id: event for event in (*fresh, *again) if event.source in sources}
    return dict(isolate(list(mine), lambda some: _ask(tips(sources[mine[one].source], mine[one]) for one in some)))


def tips(config: CatalogSettings, event: Event) -> list[Tip]:
    """What there is to read because of an event: nothing for assets of connections that no target is."""
    found = registry.catalog(config.kind).hints(orjson.loads(events.body(event)))
    return [tip for hint in found if (tip := _tip(config, hint)) is not None]


def connection_of(qualified_name: str) -> str | None:
    """The connection of a target in which that asset lies."""
    known = [config.catalog_connection for config in settings().targets.values() if config.catalog_connection]
    return next((name for name in known if qualified_name.startswith(f"{name}/")), None)


def places(found: Found) -> Iterator[Place]:
    """Where an asset lies in the targets that its connection is."""
    for config in settings().targets.values():
        if config.catalog_connection == found.connection and (there := assets.place(found, {found.connection: config.name})):
            yield there


def _tip(config: CatalogSettings, hint: Hint) -> Tip | None:
    if hint.operation not in READ_AGAIN or hint.is_echo:
        return None
    connection = connection_of(hint.qualified_name)
    if connection is None:  # without a name neither: what it was is found when all is read again
        return None
    there = () if hint.found is None else tuple(places(replace(hint.found, connection=connection)))
    name = hint.found.asset.name if hint.found else ""
    return Tip(config.name, connection, Asset(hint.qualified_name, hint.type, hint.guid, name), hint, there)


def _ask(found: Iterable[Sequence[Tip]]) -> None:
    """Write down and wake. Raises Transient and Permanent for what is not written down."""
    asked = taggings.ask_many([tip for some in found for tip in some], clock.now())
    members: dict[str, list[str]] = defaultdict(list)
    for kept in asked:
        members[kept.tagging.catalog].append(taggings.member(*kept.name))
    wake(members)


def wake(members_by_catalog: Mapping[str, Sequence[str]]) -> None:
    """Start the lanes in which assets wait to be read. They are due in the records, so Redis may be away."""
    try:
        doors.wake_many({lanes.of_tags(catalog): members for catalog, members in members_by_catalog.items() if members})
    except Transient as error:
        log.warning("lane.not_woken", reason=error.reason)
