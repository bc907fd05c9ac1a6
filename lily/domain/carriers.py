"""Which object carries each wanted spec: one that is as it should be, one whose body changes in place, or a new one.

Changing a body in place moves every place that uses the object in one moment. That is right only if all of them want the new
body: a place that is on its way to another object, is held back, or lies outside the tables that were read would see a body
in between that nobody wanted for it. Then the object stays as it is, a new one beside it (its next generation) takes over
place by place, and the old one is dropped when nothing uses it any more.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from lily.domain.actual import Actual, ActualObject, Attached
from lily.domain.inventory import Site, TableId
from lily.domain.naming import Owner, Spec, body_hash, generation, object_name
from lily.domain.targets import Target


class Work(StrEnum):
    """What has to be done before an object can carry its spec."""

    KEEP = "keep"
    CHANGE = "change"
    CREATE = "create"


@dataclass(frozen=True)
class Carrier:
    name: str
    spec: Spec
    body: str
    work: Work


@dataclass(frozen=True)
class Wish:
    """What one place is to have: `columns` are a row policy's arguments."""

    spec: Spec
    columns: tuple[str, ...] = ()


def choose(
    wishes: Mapping[Site, Wish], leaving: Iterable[Site], attached: Mapping[Site, Attached], actual: Actual, target: Target
) -> dict[str, Carrier]:
    """The carrier of each wish, by the first name of its spec.

    `leaving` are places that become bare: whatever they see until then is no weaker. `attached` is what each place of the
    planned tables carries now.
    """
    sites: dict[str, set[Site]] = {}
    specs: dict[str, Spec] = {}
    for site, wish in wishes.items():
        first = object_name(target.installation, wish.spec)
        specs[first] = wish.spec
        sites.setdefault(first, set()).add(site)
    gone = frozenset(leaving)
    chosen = {}
    for first, spec in specs.items():
        follows = {site for site in sites[first] if _same_columns(site, wishes[site], attached)} | gone
        chosen[first] = _carrier(first, spec, follows, actual, target)
    return chosen


def as_read(actual: Actual) -> Actual:
    """The same, with the uses of each object as the tables that were read tell them; elsewhere as the object's own list does."""
    here: dict[str, set[Site]] = {}
    for table in actual.tables.values():
        for site, what in table.attached.items():
            if what.owner is Owner.OURS:
                here.setdefault(what.name, set()).add(site)
    objects = {}
    for name, known in actual.objects.items():
        if known.uses is not None:
            elsewhere = {site for site in known.uses if site.table not in actual.tables}
            objects[name] = replace(known, uses=frozenset(elsewhere | here.get(name, set())))
        else:
            objects[name] = known
    return replace(actual, objects=objects)


def bystanders(specs: Iterable[Spec], actual: Actual, target: Target) -> frozenset[TableId]:
    """Tables that were not read and use an object which could change in place if they were planned too.

    With them, one statement serves all; without them a new object takes over. Both are safe.
    """
    found = set()
    for spec in specs:
        body = body_hash(spec, target.can.revision)
        ours = [o for o in generations(object_name(target.installation, spec), actual) if o.owner is Owner.OURS]
        if not any(known.body == body for known in ours):
            found |= {site.table for known in ours for site in known.uses or () if site.table not in actual.tables}
    return frozenset(found)


def generations(first: str, actual: Actual) -> list[ActualObject]:
    """Objects that have this name or a later generation's, the earliest first, whoever made them."""
    pattern = re.compile(re.escape(first) + r"(?:_([2-9]|[1-9][0-9]+))?")
    found = [(int(match[1] or 1), known) for name, known in actual.objects.items() if (match := pattern.fullmatch(name))]
    return [known for _, known in sorted(found, key=lambda pair: pair[0])]


def _carrier(first: str, spec: Spec, follows: set[Site], actual: Actual, target: Target) -> Carrier:
    body = body_hash(spec, target.can.revision)
    ours = [known for known in generations(first, actual) if known.owner is Owner.OURS]
    for fit, work in (
        ([known for known in ours if known.body == body], Work.KEEP),
        ([known for known in ours if known.uses is not None and known.uses <= follows], Work.CHANGE),
    ):
        if fit:  # the one that most use already, the earliest of equals
            return Carrier(max(fit, key=lambda known: len(known.uses or ())).name, spec, body, work)
    number = next(n for n in range(1, len(actual.objects) + 2) if generation(first, n) not in actual.objects)
    return Carrier(generation(first, number), spec, body, Work.CREATE)


def _same_columns(site: Site, wish: Wish, attached: Mapping[Site, Attached]) -> bool:
    return site not in attached or attached[site].columns == wish.columns
