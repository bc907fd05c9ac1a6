"""What has time after an asset's badge: the assets made from it are told, and its incidents become assets of their own.

Lineage costs a call for each asset, of which a catalog allows few.
"""

from collections.abc import Sequence
from functools import partial

from connectors import registry
from lily.domain import showing
from lily.domain.assets import Asset
from lily.domain.catalog import IncidentAsset
from lily.domain.incidents import Incident
from lily.domain.showing import Shown
from lily.records import assets, incidents, showings
from lily.runtime import clock
from lily.runtime.settings import CatalogSettings


def spread(config: CatalogSettings, shown: Shown) -> list[Shown]:
    """Tell the assets made from this one what it has open, and those told before if they no longer are made from it.

    All that have something to do now. Raises Transient and Permanent; safe to repeat.
    """
    now = clock.now()
    number = shown.seen
    if shown.spread >= shown.own:  # only what no badge shows has changed
        return _ended(shown, number, shown.spread_to)
    upstream = showing.upstream_of(shown, now)
    wanted = _downstream(config, shown) if upstream is not None else {}
    told = {asset.qualified_name: asset for asset in shown.spread_to}
    both = told | wanted
    remembered = partial(showing.remember, to=tuple(both.values()))
    (shown,) = assets.change_many([(shown, remembered)]).values()  # first, so that none is left with a warning for ever
    known = assets.load(assets.member(config.name, name) for name in both)
    changes: list[tuple[Shown, assets.Change]] = [
        (
            known.get(assets.member(config.name, name)) or Shown(config.name, asset),
            partial(showing.warn, name=shown.asset.qualified_name, upstream=upstream if name in wanted else None, at=now),
        )
        for name, asset in both.items()
    ]
    warned = list(assets.change_many(changes).values())
    return [one for one in warned if one.due_at is not None and one.due_at <= now] + _ended(shown, number, tuple(wanted.values()))


def incidents_of(config: CatalogSettings, waiting: Sequence[Shown]) -> list[IncidentAsset]:
    """The incidents of which these assets have not told yet, with all assets that show them. Raises Transient and Permanent."""
    told = {key.partition("#") for shown in waiting for key, one in shown.incidents.items() if one.number > shown.spread}
    keys = sorted({(source, name) for source, _, name in told})
    if not keys:
        return []
    found, on = incidents.load_many(keys), showings.get_many(keys)
    names = {assets.member(*place) for key in keys for place in on[key].on if place[0] == config.name}
    known = assets.load(names) | {assets.member_of(shown): shown for shown in waiting}
    made = []
    for key, incident in found.items():
        there = [known.get(assets.member(*place)) for place in sorted(on[key].on)]
        made.append(_incident_asset(incident, [shown.asset for shown in there if shown is not None]))
    return made


def _incident_asset(incident: Incident, tables: Sequence[Asset]) -> IncidentAsset:
    reading = incident.reading
    return IncidentAsset(
        id=incident.id,
        status=incident.status,
        title=incident.title or "",
        url=incident.url or "",
        type=incident.type,
        sub_types=reading.sub_types if reading else (),
        severity=incident.severity,
        priority=reading.priority if reading else None,
        warehouse=next((table.warehouse for table in incident.affected if table.warehouse), ""),
        tables=tuple(tables),
    )


def _ended(shown: Shown, number: int, to: tuple[Asset, ...]) -> list[Shown]:
    done = assets.change_many([(shown, partial(showing.told_on, number=number, to=to, at=clock.now()))])
    return [one for one in done.values() if one.due_at is not None]


def _downstream(config: CatalogSettings, shown: Shown) -> dict[str, Asset]:
    if config.downstream_depth == 0:
        return {}
    found = registry.catalog(config.kind).downstream(config.name, shown.asset, config.downstream_depth)
    return {one.asset.qualified_name: one.asset for one in found if one.asset.qualified_name != shown.asset.qualified_name}
