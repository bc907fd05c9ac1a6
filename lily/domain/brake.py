"""The brake: a change that takes protection away from much of a target at once waits for a person; adding never does.

What counts is places (columns, and the rows of tables) from whom some reader would see more than before, or something that
cannot be compared. They are summed over a day, so that many small steps are one large one.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lily.domain import branches, rows
from lily.domain.branches import MaskSpec, Reader
from lily.domain.inventory import Site
from lily.domain.matching import Wanted, WantedTable
from lily.domain.naming import Spec
from lily.domain.rows import RowSpec


@dataclass(frozen=True)
class Protection:
    """What one place has or is to have. `spec` None: something of ours whose meaning is not known. `columns`: of row policies."""

    spec: Spec | None
    columns: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return f"{self.spec.fingerprint if self.spec else 'unknown'}({','.join(map(json.dumps, self.columns))})"


class Why(StrEnum):
    REMOVED = "removed"
    WEAKER = "weaker"  # some reader sees more: wider exemption, weaker action, more rows, or what cannot be compared
    UNKNOWN = "unknown"  # what is there now is not known, so it counts as weaker


@dataclass(frozen=True)
class Weakening:
    """One place that loses protection. `reader`: whose view becomes weaker, if one can be named; nobody's roles: everybody."""

    site: Site
    why: Why
    before: str  # fingerprints
    after: str  # empty: bare
    reader: Reader | None = None


@dataclass(frozen=True)
class Limits:
    """Held is what goes over both `share` of what the target enforces and `places`, within `window`."""

    share: float = 0.2
    places: int = 10
    window: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Spent:
    """Places that were weakened without a confirmation; confirmed ones are not to be given here."""

    at: datetime
    sites: frozenset[Site]


@dataclass(frozen=True)
class Verdict:
    """`held`: the places that must stay as they are until a person confirms exactly this set (`fingerprint`); empty: go on."""

    weakenings: tuple[Weakening, ...]
    held: frozenset[Site]
    fingerprint: str
    counted: int  # places weakened within the window, these included
    enforced: int  # places enforced before any of them was

    @property
    def is_held(self) -> bool:
        return bool(self.held)


def kept(wanted: Wanted, before: Mapping[Site, Protection]) -> frozenset[Site]:
    """Places of which not all that is wanted can be stated, and what can is weaker than what is there: that stays.

    Such are rows that several rules filter, once one of them cannot find its column any more, or finds it masked.
    """
    return frozenset(
        site
        for table in wanted.tables.values()
        for site in {entry.site for entry in table.unprotected} & table.specs.keys() & before.keys()
        if before[site].spec is not None and _weakening(site, before[site], _wished(table, site)) is not None
    )


def planned(wanted: Wanted, before: Mapping[Site, Protection]) -> dict[Site, Protection]:
    """What each place will have if a plan is made for `wanted`: what cannot be done keeps what there is (see plan, `kept`)."""
    made: dict[Site, Protection] = {}
    for table in wanted.tables.values():
        open_ends = {entry.site: before[entry.site] for entry in table.unprotected if entry.site in before}
        made |= {**open_ends, **{site: _wished(table, site) for site in table.specs}}
    return made | {site: before[site] for site in kept(wanted, before)}


def _wished(table: WantedTable, site: Site) -> Protection:
    return Protection(table.specs[site], table.row_columns if site.column is None else ())


def weakenings(before: Mapping[Site, Protection], after: Mapping[Site, Protection]) -> tuple[Weakening, ...]:
    """The places that lose protection, sorted. Both maps are of the planned tables alone; a place only in `after` gains."""
    found = (_weakening(site, old, after.get(site)) for site, old in before.items())
    return tuple(sorted((one for one in found if one), key=lambda one: (one.site.table, one.site.column or "")))


def judge(  # noqa: PLR0917
    lost: Collection[Weakening],
    enforced: Collection[Site],
    spent: Iterable[Spent],
    confirmed: Collection[Weakening],
    limits: Limits,
    now: datetime,
) -> Verdict:
    """Whether `lost` may happen now. All of it is held or none.

    `enforced` is all that the target enforces now. `confirmed` is what a person agreed to: if `lost` holds nothing beyond it,
    each place with the same protection before and after, it goes on; a grown or changed set asks again.
    """
    recent = frozenset(site for one in spent if now - one.at < limits.window for site in one.sites)
    counted = recent | {one.site for one in lost}
    base = len(recent | set(enforced) | {one.site for one in lost})
    is_over = len(counted) > limits.places and len(counted) > limits.share * base
    agreed = {_identity(one) for one in confirmed}
    is_agreed = all(_identity(one) in agreed for one in lost)
    held = frozenset(one.site for one in lost) if is_over and not is_agreed else frozenset()
    return Verdict(tuple(lost), held, fingerprint(lost), len(counted), base)


def fingerprint(lost: Iterable[Weakening]) -> str:
    """64 hex digits over the exact set: every place with what it has and what it would have."""
    told = sorted(map(_identity, lost))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _weakening(site: Site, old: Protection, new: Protection | None) -> Weakening | None:
    if new is None:
        return Weakening(site, Why.REMOVED, old.fingerprint, "")
    if new == old and new.spec is not None:
        return None
    if old.spec is None or new.spec is None:
        return Weakening(site, Why.UNKNOWN, old.fingerprint, new.fingerprint)
    if isinstance(old.spec, MaskSpec) and isinstance(new.spec, MaskSpec):
        reader = branches.weaker_for(old.spec.branches, new.spec.branches)
        return None if reader is None else Weakening(site, Why.WEAKER, old.fingerprint, new.fingerprint, reader)
    if isinstance(old.spec, RowSpec) and isinstance(new.spec, RowSpec):
        loosened = rows.weaker_for(old.spec, old.columns, new.spec, new.columns)
        return Weakening(site, Why.WEAKER, old.fingerprint, new.fingerprint) if loosened else None
    raise AssertionError(f"{site}: a mask and a row policy cannot be compared")


def _identity(one: Weakening) -> tuple[str, ...]:
    table = one.site.table
    return (table.database, table.schema, table.name, one.site.column or "", str(one.site.column is None), one.before, one.after)
