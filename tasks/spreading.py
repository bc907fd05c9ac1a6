"""Assets that are made from one in trouble are told of it. What has time: lineage costs a call for each asset."""

from functools import partial

from connectors import registry
from lily.domain import showing
from lily.domain.assets import Asset
from lily.domain.showing import Shown
from lily.records import assets
from lily.runtime import clock
from lily.runtime.settings import CatalogSettings


def spread(config: CatalogSettings, shown: Shown) -> list[Shown]:
    """Tell the assets made from this one what it has open, and those told before if they no longer are made from it.

    All that have something to do now. Raises Transient and Permanent; safe to repeat.
    """
    now = clock.now()
    upstream, number = showing.upstream_of(shown, now), shown.own
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
    done = assets.change_many([(shown, partial(showing.told_on, number=number, to=tuple(wanted.values()), at=now))])
    return [one for one in (*warned, *done.values()) if one.due_at is not None and one.due_at <= now]


def _downstream(config: CatalogSettings, shown: Shown) -> dict[str, Asset]:
    if config.downstream_depth == 0:
        return {}
    found = registry.catalog(config.kind).downstream(config.name, shown.asset, config.downstream_depth)
    return {one.asset.qualified_name: one.asset for one in found if one.asset.qualified_name != shown.asset.qualified_name}
