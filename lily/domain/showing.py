"""What is to be seen on one asset of a catalog, what was written there, and what is still to be done: all in numbers.

Every change of what should be seen gets the next number; what was written, and told to the assets made from this one, is known
by the number that it had then. So it does not matter how often and in which order things are told, written and read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lily.domain import badges
from lily.domain.assets import Asset
from lily.domain.badges import Act, Decision, Foreign, OpenIncident, Upstream
from lily.domain.catalog import Announcement, AssetWrite, Quality

BETWEEN_WRITES_S = 0.7  # to one asset: a thousand alerts within a second are two or three writes
CLOSED_MAX = 50  # closed incidents that are remembered, so that none is shown again by somebody who is late
GONE = "not in the catalog"
OURS_MAX = 8  # texts that may be there, since it is not known whether they were written


@dataclass(frozen=True)
class Entry:
    """An incident as it was told last. `incident` None: it is closed, or no longer about this asset."""

    version: int
    incident: OpenIncident | None
    status: str = ""
    number: int = 0  # of the change that this is


@dataclass(frozen=True)
class Shown:
    """Numbers: `asked` of the last change, `seen` and `own` of the last one of its own incidents, `own` if its badge shows it;
    `written` of the last change that is to be seen on the asset, `spread` of the last that others were told.
    """

    catalog: str
    asset: Asset
    incidents: Mapping[str, Entry] = field(default_factory=dict)  # by `<source>#<incident>`
    upstream: Mapping[str, Upstream] = field(default_factory=dict)  # by qualified name; only those with open incidents
    asked: int = 0
    seen: int = 0
    own: int = 0
    written: int = 0
    spread: int = 0
    spread_to: tuple[Asset, ...] = ()  # assets that warn of this one, or are to stop it
    ours: tuple[Announcement, ...] = ()  # texts that Lily wrote, or was about to write
    aside: Announcement | None = None  # somebody else's, to be put back
    kept: Announcement | None = None  # somebody else's, which stays where Lily's should be
    written_at: datetime | None = None
    due_at: datetime | None = None  # not to be touched before; None: there is nothing to do
    failures: int = 0  # in a row
    reason: str = ""  # why the last try failed
    version: int = field(default=0, compare=False)

    @property
    def open_incidents(self) -> list[OpenIncident]:
        return [entry.incident for entry in self.incidents.values() if entry.incident is not None]

    @property
    def wanted(self) -> Announcement | None:
        return badges.wanted(self.open_incidents, self.upstream.values())

    @property
    def owes_write(self) -> bool:
        return self.written < self.asked

    @property
    def is_urgent(self) -> bool:
        """What is to be written is about its own incidents, not only about those of others."""
        return self.written < self.own

    @property
    def owes_spread(self) -> bool:
        return self.spread < self.seen

    def quality(self, at: datetime) -> Quality:
        return badges.quality(self.open_incidents, self.upstream.values(), at)


def tell(shown: Shown, key: str, told: Entry, at: datetime) -> Shown:
    """With an incident as it is told now; an earlier version than the one known changes nothing."""
    known = shown.incidents.get(key) or Entry(0, None)
    if known.version > told.version:
        return shown
    if known.version == 0 and told.incident is None:  # nothing to show, but an opening that comes late must not be shown either
        return replace(shown, incidents=_forgetful({**shown.incidents, key: told}))
    is_seen = known.incident != told.incident
    is_new = is_seen or known.status != told.status
    number = shown.asked + 1 if is_new else known.number
    others = {name: entry for name, entry in shown.incidents.items() if name != key}
    entries = _forgetful({**others, key: replace(told, number=number)})
    if not is_new:
        return shown if known.version == told.version else replace(shown, incidents=entries)
    own = number if is_seen else shown.own
    after = replace(shown, incidents=entries, asked=number, seen=number, own=own)
    return _due(after, at, was_urgent=shown.is_urgent)


def warn(shown: Shown, name: str, upstream: Upstream | None, at: datetime) -> Shown:
    """With what an asset that it is made from, of that qualified name, has open: None for nothing."""
    if shown.upstream.get(name) == upstream:
        return shown
    others = {other: one for other, one in shown.upstream.items() if other != name}
    after = others if upstream is None else {**others, name: upstream}
    return _due(replace(shown, upstream=after, asked=shown.asked + 1), at, was_urgent=shown.is_urgent)


def decide(shown: Shown, found: Announcement | None, foreign: Foreign) -> Decision:
    """What to do with the announcement that was found on it."""
    return badges.decide(shown.wanted, found, shown.ours, shown.aside, foreign)


def write_of(shown: Shown, decision: Decision, at: datetime) -> AssetWrite:
    return AssetWrite(shown.asset, decision.announcement, decision.act is Act.CLEAR, shown.quality(at))


def prepare(shown: Shown, decision: Decision) -> Shown:
    """What has to be stored before a decision is carried out, so that a crash in between disowns and loses no text."""
    ours = shown.ours
    if decision.act is Act.WRITE and decision.announcement and decision.announcement not in (*ours, shown.aside):
        ours = (*ours, decision.announcement)[-OURS_MAX:]
    kept_aside = decision.aside or shown.aside
    return shown if (ours, kept_aside) == (shown.ours, shown.aside) else replace(shown, ours=ours, aside=kept_aside)


def written(shown: Shown, number: int, decision: Decision, found: Announcement | None, at: datetime) -> Shown:
    """After the write of what it was when it had that number. `found` is the announcement that was there before."""
    ours = shown.ours
    if decision.act is Act.CLEAR or (decision.act is Act.WRITE and decision.announcement == shown.aside):
        ours = ()
    elif decision.act is Act.WRITE and decision.announcement is not None:
        ours = (decision.announcement,)
    after = replace(
        shown,
        written=max(number, shown.written),
        ours=ours,
        aside=decision.aside,
        kept=found if decision.act is Act.KEEP else None,
        written_at=at,
        failures=0,
        reason="",
    )
    return replace(after, due_at=_next(after, at))


def remember(shown: Shown, to: tuple[Asset, ...]) -> Shown:
    """With all assets that may warn of it, before any of them is told."""
    return shown if shown.spread_to == to else replace(shown, spread_to=to)


def told_on(shown: Shown, number: int, to: tuple[Asset, ...], at: datetime) -> Shown:
    """After the assets made from it were told what it was when it had that number; `to`: those that warn of it now."""
    after = replace(shown, spread=max(number, shown.spread), spread_to=to, failures=0, reason="")
    return replace(after, due_at=_next(after, at))


def put_off(shown: Shown, until: datetime, reason: str) -> Shown:
    return replace(shown, due_at=until, failures=shown.failures + 1, reason=reason)


def lost(shown: Shown, at: datetime) -> Shown:
    """It is no longer there to be written to. Should it come back, its incidents are told anew."""
    blank = Shown(shown.catalog, shown.asset, upstream=shown.upstream, spread_to=shown.spread_to, version=shown.version)
    number = shown.asked
    return replace(blank, asked=number, seen=shown.seen, own=shown.own, written=number, spread=number, written_at=at, reason=GONE)


def upstream_of(shown: Shown, at: datetime) -> Upstream | None:
    """What the assets made from it are told."""
    quality = shown.quality(at)
    if not quality.open_incidents:
        return None
    return Upstream(shown.asset.name, quality.open_incidents, quality.worst_severity, next(iter(quality.links), ""))


def _due(shown: Shown, at: datetime, *, was_urgent: bool) -> Shown:
    """When it may be written: what failed waits for its next try, and no asset is written more often than it may be."""
    if shown.due_at is not None and (shown.failures or was_urgent):
        return shown
    return replace(shown, due_at=_next(shown, at))


def _next(shown: Shown, at: datetime) -> datetime | None:
    if shown.owes_write:
        return max(at, shown.written_at + timedelta(seconds=BETWEEN_WRITES_S)) if shown.written_at else at
    return at if shown.owes_spread else None


def _forgetful(entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
    closed = [name for name, entry in entries.items() if entry.incident is None]
    forgotten = set(closed[:-CLOSED_MAX])
    return {name: entry for name, entry in entries.items() if name not in forgotten}
