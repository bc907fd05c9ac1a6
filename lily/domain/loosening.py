"""Whether a rule's next version may protect less than the one before it, told from the two documents alone.

Narrower than the brake, which weighs what a change does to a real target: here a doubt counts as less protection, so that whoever
may only strengthen rules can never weaken one.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from lily.domain.faults import Fault
from lily.domain.inventory import Family
from lily.domain.masking import FITS, MaskType, covers, fitted
from lily.domain.rows import RowCondition, RowSpec, weaker_for
from lily.domain.rules import ALL_TARGETS, MASKS, Action, ActionKind, Exemption, Rule

TYPES = (
    *(MaskType(family, "") for family in Family if family not in {Family.TEXT, Family.OTHER}),
    *(MaskType(Family.TEXT, "", fit) for fit in (*FITS, 0)),
)


def loosened(before: Rule, after: Rule, now: datetime) -> tuple[Fault, ...]:
    """The fields in which `after` may protect less than `before`, each with how; empty if it protects as much or more."""
    if not before.is_active or before.action.kind is ActionKind.TAG_ONLY:
        return ()
    if not after.is_active:
        return (Fault("enabled", "is false, so nothing is protected by it any more"),)
    return (*_match(before, after), *_action(before.action, after.action), *_exempt(before, after, now), *_targets(before, after))


def _match(before: Rule, after: Rule) -> Iterator[Fault]:
    old, new = before.match, after.match
    if not _folded(old.classifications) <= _folded(new.classifications):
        yield Fault("match.classifications", "leaves out some that it had")
    if not {*old.columns, *old.patterns} <= {*new.columns, *new.patterns}:
        yield Fault("match.columns" if set(old.columns) - {*new.columns, *new.patterns} else "match.patterns", "leaves out some")
    if old.whole_tables and not new.whole_tables:
        yield Fault("match.whole_tables", "leaves out the columns of tables that are classified as a whole")
    for name, had, has in (("databases", old.databases, new.databases), ("schemas", old.schemas, new.schemas)):
        if has and not (had and set(had) <= set(has)):
            yield Fault(f"match.{name}", "reaches fewer than before")


def _action(old: Action, new: Action) -> Iterator[Fault]:
    if old.kind in MASKS and new.kind in MASKS:
        shown = dict.fromkeys(of.family for of in TYPES if not covers(fitted(new, of), fitted(old, of)))
        if shown:
            yield Fault("action", f"may show readers more than before in columns of {', '.join(shown)}")
    elif old.kind is not new.kind:
        yield Fault("action.kind", f"was {old.kind}, which {new.kind} does not make up for")
    elif old.filter and new.filter:
        one, other = ((RowCondition(frozenset(), 0, f.operator, f.values),) for f in (old.filter, new.filter))
        same = old.filter.column == new.filter.column
        if not same or weaker_for(RowSpec((), (), one), ("",), RowSpec((), (), other), ("",)) is not None:
            yield Fault("action.parameters", "may show rows that were hidden before")


def _exempt(before: Rule, after: Rule, now: datetime) -> Iterator[Fault]:
    had = {exemption.principal: exemption for exemption in before.exempt if exemption.holds(now)}
    for place, exemption in enumerate(after.exempt):
        if exemption.holds(now) and not _lasts(exemption, had.get(exemption.principal)):
            yield Fault(f"exempt[{place}]", f"exempts {exemption.principal.name!r}, or for longer than before")


def _lasts(new: Exemption, old: Exemption | None) -> bool:
    """Whether the new exemption holds no longer than the old one."""
    return old is not None and (old.until is None or (new.until is not None and new.until <= old.until))


def _targets(before: Rule, after: Rule) -> Iterator[Fault]:
    if ALL_TARGETS not in after.targets and not set(before.targets) <= set(after.targets):
        yield Fault("targets", "leaves out some that it had")


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}
