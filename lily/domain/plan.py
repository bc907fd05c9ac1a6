"""diff(wanted, actual) -> Plan: what has to happen in a target, in which order, and what cannot.

Three promises, at every point between two steps and whoever stops there:

- Never bare: a place that is protected and is to stay so carries what it had or what it is to have; bodies change in place,
  objects are swapped in one statement, new ones are made before and old ones dropped after.
- Ours and theirs: only objects marked as this installation's own are changed, detached or dropped. What anybody else put on a
  column or table is a conflict, reported and left alone.
- Fail closed: what is wanted and cannot be done (see matching.Unprotected) keeps the protection that is there.

A plan follows from what was read alone. Stopped anywhere and made anew, it goes on; after it is done, a new one is empty.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter

from lily.domain import tags
from lily.domain.actual import Actual, ActualTable, Attached, ObjectKind
from lily.domain.branches import MaskSpec
from lily.domain.carriers import Carrier, Wish, Work, as_read, choose
from lily.domain.inventory import Site, TableId
from lily.domain.matching import Unprotected, Wanted, WantedTable
from lily.domain.naming import Comment, Owner, object_name, versions_of
from lily.domain.order import Moves, Onto, steps
from lily.domain.proofs import Expected, ExpectedObject, Unmet
from lily.domain.steps import (
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    DropMask,
    DropRowPolicy,
    NoteMask,
    NoteRowPolicy,
    SharedStep,
    Step,
    TableRef,
    TableStep,
    TagEntry,
)
from lily.domain.targets import Cause, SideEffect, Target


@dataclass(frozen=True)
class Conflict:
    """Somebody else's protection where ours is wanted. `code`: foreign | other_installation | inherited | obstacle."""

    site: Site
    code: str
    holder: str
    text: str


@dataclass(frozen=True)
class TablePlan:
    """All that concerns one table. `needs` names the objects that have to be there, with their new bodies, before its steps.

    `held`: places that were left as they are because the plan was told to keep them, and that it would have changed.
    """

    table: TableRef
    steps: tuple[TableStep, ...]
    needs: frozenset[str]
    expected: Expected
    conflicts: tuple[Conflict, ...] = ()
    unprotected: tuple[Unprotected, ...] = ()
    held: tuple[Site, ...] = ()
    side_effects: tuple[SideEffect, ...] = ()


@dataclass(frozen=True)
class After:
    """A step that may only be done once all steps of `tables` were, and every earlier step about the same object."""

    step: SharedStep
    tables: frozenset[TableId] = frozenset()


@dataclass(frozen=True)
class Plan:
    """First `before`, one after the other; then the tables, in any order or at once; then `after`.

    A failed step of `before` stops only the tables that need its object; a failed table only the steps after it.
    """

    before: tuple[SharedStep, ...]
    tables: tuple[TablePlan, ...]
    after: tuple[After, ...]
    missing: tuple[TableId, ...] = ()  # wanted, and not there

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*self.before, *(step for table in self.tables for step in table.steps), *(last.step for last in self.after))


@dataclass(frozen=True)
class _Decided:
    """What one table's places come to, before objects are chosen."""

    wishes: Mapping[Site, Wish]
    leaving: Mapping[Site, Attached]
    conflicts: tuple[Conflict, ...]
    held: tuple[Site, ...]


def diff(wanted: Wanted, actual: Actual, target: Target, keep: frozenset[Site] = frozenset()) -> Plan:
    """The plan that brings the tables of `actual` to what is wanted of them.

    A table that was read and is not in `wanted` is left with nothing of ours. Places in `keep` stay exactly as they are.
    """
    actual = tags.without_theirs(as_read(actual), target)
    read = sorted(actual.tables)
    decided = {name: _decide(wanted.tables.get(name), actual.tables[name], keep) for name in read}
    wishes = {site: wish for one in decided.values() for site, wish in one.wishes.items()}
    leaving = {site: what for one in decided.values() for site, what in one.leaving.items()}
    attached = {site: what for name in read for site, what in actual.tables[name].attached.items()}
    chosen = choose(wishes, leaving, attached, actual, target)
    carriers = {site: chosen[object_name(target.installation, wish.spec)] for site, wish in wishes.items()}
    own_tags = tags.settable(wanted, actual, target)
    tables = tuple(
        _table_plan(
            decided[name], actual.tables[name], wanted.tables.get(name), carriers, own_tags.get(name, frozenset()), target
        )
        for name in read
    )
    comments = {first: _comment(carrier, wanted, target) for first, carrier in chosen.items()}
    makes = [_make(chosen[first], comments[first]) for first in sorted(chosen) if chosen[first].work is not Work.KEEP]
    notes = [note for first, carrier in sorted(chosen.items()) for note in _note(carrier, comments[first], actual, target)]
    drops = _drops(attached, leaving, carriers, actual)
    tag_drops = (After(drop, names) for drop, names in tags.drops(own_tags, actual))
    missing = tuple(sorted(name for name in wanted.tables if name not in actual.tables))
    return Plan((*makes, *tags.creations(own_tags, actual, target)), tables, (*notes, *drops, *tag_drops), missing)


def _decide(want: WantedTable | None, table: ActualTable, keep: frozenset[Site]) -> _Decided:
    """Which places are to have what, which become bare, and which stay as they are."""
    specs = want.specs if want else {}
    open_ends = {entry.site for entry in want.unprotected} if want else set()
    wishes: dict[Site, Wish] = {}
    leaving: dict[Site, Attached] = {}
    conflicts: list[Conflict] = []
    held: list[Site] = []
    for site in sorted({*specs, *table.attached}, key=lambda site: (site.column is None, site.column or "")):
        spec, now = specs.get(site), table.attached.get(site)
        conflict = _conflict(site, now, table) if spec else None
        if site in keep:
            held.append(site)
        elif conflict:
            conflicts.append(conflict)
        elif spec:
            wishes[site] = Wish(spec, want.row_columns if want and site.column is None else ())
        elif now and now.owner is Owner.OURS and site not in open_ends:
            leaving[site] = now
    return _Decided(wishes, leaving, tuple(conflicts), tuple(held))


def _conflict(site: Site, now: Attached | None, table: ActualTable) -> Conflict | None:
    if now and now.owner is not Owner.OURS:
        whose = "another installation of Lily" if now.owner is Owner.OTHER_INSTALLATION else "somebody else"
        return Conflict(
            site, now.owner.value, now.name, f"{site} already carries {now.name}, which {whose} made; it was left alone"
        )
    if policy := table.inherited.get(site.column):
        text = f"{site} is reached by {policy}, which Lily did not make; both together would collide"
        return Conflict(site, "inherited", policy, text)
    if table.obstacle and not now:
        return Conflict(site, "obstacle", "", f"{site} cannot be protected: {table.obstacle}")
    return None


def _table_plan(  # noqa: PLR0917
    decided: _Decided,
    table: ActualTable,
    want: WantedTable | None,
    carriers: Mapping[Site, Carrier],
    own_tags: frozenset[TagEntry],
    target: Target,
) -> TablePlan:
    ref = TableRef(table.table.id, table.table.kind)
    mine = {site: carriers[site] for site in decided.wishes}
    rows = Site(ref.id)
    onto = Onto(mine[rows].name, decided.wishes[rows].columns) if rows in mine else None
    masks = {site.column: carrier.name for site, carrier in mine.items() if site.column is not None}
    bared = [site.column for site in decided.leaving if site.column is not None]
    gone = tags.stale(table.tags, own_tags)
    moves = Moves(ref, masks, table.masks, bared, onto, table.rows, rows in decided.leaving, own_tags - table.tags, gone)
    unprotected = want.unprotected if want else ()
    return TablePlan(
        table=ref,
        steps=steps(moves, target.can),
        needs=frozenset(carrier.name for carrier in mine.values() if carrier.work is not Work.KEEP),
        expected=Expected(
            table=ref.id,
            masks=masks,
            rows=onto.policy if onto else None,
            row_columns=onto.columns if onto else (),
            objects=tuple(
                ExpectedObject(*told) for told in sorted({(c.name, c.spec, c.body) for c in mine.values()}, key=itemgetter(0))
            ),
            absent={site.column: what.name for site, what in decided.leaving.items()},
            unmet=_unmet(decided, unprotected),
        ),
        conflicts=decided.conflicts,
        unprotected=unprotected,
        held=decided.held,
        side_effects=_side_effects(table, masks, onto, target),
    )


def _unmet(decided: _Decided, unprotected: Collection[Unprotected]) -> tuple[Unmet, ...]:
    return (
        *(Unmet(entry.site.column, entry.code, entry.text) for entry in unprotected),
        *(Unmet(entry.site.column, entry.code, entry.text) for entry in decided.conflicts),
        *(
            Unmet(site.column, "held", f"{site} waits for a confirmation and is as it was")
            for site in decided.held
            if all(entry.site != site for entry in unprotected)  # that is then why it was kept
        ),
    )


def _side_effects(table: ActualTable, masks: Mapping[str, str], onto: Onto | None, target: Target) -> tuple[SideEffect, ...]:
    first = {Cause.MASK: bool(masks) and not table.masks, Cause.ROW_POLICY: bool(onto) and not table.rows}
    return tuple(effect for effect in target.can.side_effects if first[effect.cause] and table.table.kind in effect.kinds)


def _comment(carrier: Carrier, wanted: Wanted, target: Target) -> Comment:
    return Comment(target.installation, versions_of(carrier.spec, wanted.versions), carrier.body)


def _make(carrier: Carrier, comment: Comment) -> SharedStep:
    name, spec, body, text = carrier.name, carrier.spec, carrier.body, comment.text
    if isinstance(spec, MaskSpec):
        return (CreateMask if carrier.work is Work.CREATE else ChangeMask)(name, spec, body, text)
    return (CreateRowPolicy if carrier.work is Work.CREATE else ChangeRowPolicy)(name, spec, body, text)


def _note(carrier: Carrier, comment: Comment, actual: Actual, target: Target) -> Iterable[After]:
    """The comment where it tells of another body than the one in force. Versions alone are not worth a statement."""
    known = actual.objects.get(carrier.name)
    if known is None or carrier.work is Work.CREATE or target.can.comment_with_body:
        return
    if known.comment is None or known.comment.body != carrier.body:
        note = NoteMask if isinstance(carrier.spec, MaskSpec) else NoteRowPolicy
        yield After(note(carrier.name, comment.text))


def _drops(
    attached: Mapping[Site, Attached], leaving: Iterable[Site], carriers: Mapping[Site, Carrier], actual: Actual
) -> Iterable[After]:
    """Objects of ours that nothing uses once the tables are done, and those that nothing ever used."""
    gone = set(leaving)
    kept = {carrier.name for carrier in carriers.values()}
    for name, known in sorted(actual.objects.items()):
        if known.owner is not Owner.OURS or known.uses is None or name in kept:
            continue
        moved = {site for site in known.uses if site in gone or (site in carriers and carriers[site].name != name)}
        if moved == known.uses:
            drop = DropMask(name) if known.kind is ObjectKind.MASK else DropRowPolicy(name)
            yield After(drop, frozenset(site.table for site in moved if site in attached))
