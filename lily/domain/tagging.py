"""What Lily knows of the tags of one asset of a catalog: what events told, what was read, and what is in force because of both.

An event can overtake the state that it tells of, come twice, late, out of order, or never, and one reading can be older than
another. So the state is the truth in the end, but nothing is taken away by a single reading that nothing explains: while it
disagrees with what is known, whatever either gives is in force, and the asset is read again. A reading that agrees confirms;
what no reading confirms is given up after a while. Order and repetition of events do not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lily.domain.assets import Asset
from lily.domain.catalog import AssetState, Attached, Hint

PAUSES_S = (0.2, 0.5, 1.5, 5.0)  # before each further reading; after the last one, reconciliation settles it
LONG_AGO = datetime.min.replace(tzinfo=UTC)
TOLD_MAX = 300  # attachments that are remembered of one asset; those that are gone for the longest are forgotten first


@dataclass(frozen=True, order=True)
class Told:
    """The latest that is known of one attachment. `at`: the catalog's time; `confirmed`: a reading has shown it since."""

    at: datetime
    is_there: bool
    confirmed: bool = False


@dataclass(frozen=True)
class Tagging:
    """One asset. `readings`: how often it was read since something new was told; `told_at`: when that was, by Lily's clock.

    `lost`: an event says "archived" or "purged", and no reading has shown it yet. `inherited`: tags of an asset that was purged,
    held for the one that has its name now, of which nobody has taken them.
    """

    catalog: str
    connection: str
    asset: Asset  # type and guid may be empty until it was read
    told: Mapping[Attached, Told] = field(default_factory=dict)
    lost: str = ""
    inherited: frozenset[str] = frozenset()
    told_at: datetime | None = None
    readings: int = 0

    @property
    def given(self) -> frozenset[str]:
        """The tags that are there by what was told and read before."""
        return frozenset(one.tag for one, known in self.told.items() if known.is_there)


@dataclass(frozen=True)
class Reading:
    """What follows from a reading. `tags` None: the asset is lost, and what it had stays; else the ids of all that is in force.

    `again_in_s` None: state and events agree, or the time for that is up.
    """

    tagging: Tagging
    tags: frozenset[str] | None
    again_in_s: float | None


def tell(tagging: Tagging, hints: Iterable[Hint], now: datetime) -> Tagging:
    """The asset after these events, or as it was if they tell nothing new."""
    told, lost, asset = dict(tagging.told), tagging.lost, tagging.asset
    inherited = tagging.inherited
    for hint in hints:
        for is_there, attachments in ((False, hint.removed), (True, hint.added)):
            for one in attachments:
                told[one] = _latest(told.get(one), Told(hint.at or LONG_AGO, is_there))
        for one in hint.stated or ():  # what else its sender saw: less than any event that is about it
            told[one] = _latest(told.get(one), Told(LONG_AGO, is_there=True))
        if hint.removed:
            inherited -= {one.tag for one in hint.removed}
        lost = hint.lost or lost
        asset = Asset(asset.qualified_name, hint.type or asset.type, asset.guid or hint.guid, asset.name)
    after = replace(tagging, told=_bounded(told), lost=lost, asset=asset, inherited=inherited)
    if after == tagging and tagging.told_at is not None:
        return tagging
    return replace(after, told_at=now, readings=0)


def read(tagging: Tagging, state: AssetState | None, now: datetime, settle_s: float) -> Reading:
    """The asset after a reading. `state` None: the store does not have it, or Lily may not see it.

    `settle_s`: how long what events told holds against what is read.
    """
    count = tagging.readings + 1
    pause_s = PAUSES_S[tagging.readings] if tagging.readings < len(PAUSES_S) else None
    if state is None or not state.is_active:
        waits = bool(_unconfirmed(tagging)) and not tagging.lost  # an asset that is told of and not there yet, or again
        again_in_s = pause_s if waits else None
        return Reading(replace(tagging, readings=0 if again_in_s is None else count, lost=""), None, again_in_s)
    tagging = _successor(tagging, state)
    odd = {one for one, known in tagging.told.items() if not _shows(state, one, known)}
    if not odd and not tagging.lost:
        return Reading(_confirmed(tagging, state), state.tags | tagging.inherited, None)
    strict = state.tags | tagging.given | tagging.inherited
    if pause_s is not None:
        return Reading(replace(tagging, readings=count, asset=state.asset), strict, pause_s)
    waited_s = (now - (tagging.told_at or now)).total_seconds()
    if any(not tagging.told[one].confirmed for one in odd) and waited_s < settle_s:
        return Reading(replace(tagging, readings=count, asset=state.asset, lost=""), strict, settle_s - waited_s)
    left = {one: known for one, known in tagging.told.items() if one not in odd}
    return Reading(_confirmed(replace(tagging, told=left, lost=""), state), state.tags | tagging.inherited, None)


def _latest(known: Told | None, new: Told) -> Told:
    """Of one time, that it is there."""
    if known is None or (new.at, new.is_there) > (known.at, known.is_there):
        return new
    return known


def _shows(state: AssetState, one: Attached, known: Told) -> bool:
    """Whether the state is as known. Where no source is named, any will do."""
    if known.is_there and not one.source:
        return one.tag in state.tags
    return (one in state.attached) == known.is_there


def _unconfirmed(tagging: Tagging) -> list[Attached]:
    return [one for one, known in tagging.told.items() if known.is_there and not known.confirmed]


def _confirmed(tagging: Tagging, state: AssetState) -> Tagging:
    """What was read and nobody told is remembered too: it goes when somebody tells so, or is missing for a while."""
    told = {one: replace(known, confirmed=True) for one, known in tagging.told.items()}
    for one in state.attached:
        told.setdefault(one, Told(LONG_AGO, is_there=True, confirmed=True))
    inherited = tagging.inherited - state.tags
    return replace(tagging, told=_bounded(told), asset=state.asset, readings=0, inherited=inherited)


def _successor(tagging: Tagging, state: AssetState) -> Tagging:
    """An asset that has the name of one that was purged says nothing about that one's tags: they are held."""
    before = tagging.asset.guid
    if not before or before == state.asset.guid:
        return replace(tagging, asset=state.asset)
    old = {one: known for one, known in tagging.told.items() if known.confirmed}
    held = frozenset(one.tag for one, known in old.items() if known.is_there)
    told = {one: known for one, known in tagging.told.items() if not known.confirmed}
    return replace(tagging, told=told, inherited=(tagging.inherited | held) - state.tags, asset=state.asset, lost="")


def _bounded(told: Mapping[Attached, Told]) -> dict[Attached, Told]:
    if len(told) <= TOLD_MAX:
        return dict(told)
    ordered: Sequence[Attached] = sorted(told, key=lambda one: (told[one].is_there, told[one].at), reverse=True)
    return {one: told[one] for one in ordered[:TOLD_MAX]}
