"""What a target's tables are to have, what they have, and the plan between the two: read here, decided in the domain."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from connectors import registry
from connectors.contracts import Target as Connector
from lily.domain import brake, carriers, classifications, matching
from lily.domain.actual import Actual
from lily.domain.brake import Limits, Protection, Verdict
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site, TableId
from lily.domain.matching import Wanted
from lily.domain.naming import Owner, Spec, body_hash, object_name
from lily.domain.plan import Plan, diff
from lily.domain.proofs import ExpectedObject
from lily.domain.rules import Rule
from lily.domain.steps import ChangeMask, ChangeRowPolicy, Step
from lily.domain.targets import Target
from lily.records import annotations, held, inventory, rules, table_states
from lily.records.held import HeldPlan
from lily.records.table_states import TableState
from lily.runtime import clock
from lily.runtime.settings import TargetSettings

ID_DIGITS = 16  # of a fingerprint, which make the id of a plan that is held
TABLES_MAX = 300  # planned at once; bystanders beyond get a new object instead of a change in place


@dataclass(frozen=True)
class Picture:
    """What is, what is to be, and how to get there. `states`: the tables as last proven; `gone`: asked for and not there."""

    wanted: Wanted
    actual: Actual
    plan: Plan
    verdict: Verdict
    states: Mapping[TableId, TableState]
    live: frozenset[str]  # rules that there are
    gone: tuple[TableId, ...] = ()
    confirmed: tuple[HeldPlan, ...] = ()
    covering: HeldPlan | None = None  # what a person was asked about already, of which all that is held is a part
    kept: frozenset[Site] = frozenset()  # see brake.kept

    @property
    def rejected_by(self) -> str:
        """Who said no to what is held."""
        return self.covering.decided_by if self.covering and self.covering.state == "rejected" else ""


def connector(config: TargetSettings) -> Connector:
    return registry.target(config.kind)


def target_of(config: TargetSettings) -> Target:
    """The instance as the domain sees it."""
    return registry.described(config)


def tables_of(rule: Rule, config: TargetSettings) -> set[TableId]:
    """The tables that a rule may concern: by the classifications they carry, by the names in the inventory."""
    found: set[TableId] = set()
    if rule.match.classifications:
        found |= annotations.tables_with(config.name, rule.match.classifications)
    if rule.match.columns or rule.match.patterns:
        ignores_case = target_of(config).can.ignores_case
        tables, _ = inventory.load(config.name)
        found |= {name for name, table in tables.items() if matching.concerns(rule, table, {}, ignores_case=ignores_case)}
    return found


def make(config: TargetSettings, tables: Collection[TableId], *, thorough: bool = False) -> Picture:
    """Read everything about `tables` anew and plan. Raises Transient and Permanent.

    `thorough`: look closer at every object of Lily's, so that none is left that nothing uses.
    """
    target, warehouse, live = target_of(config), connector(config), rules.every()
    actual = warehouse.read(config.name, tables)
    wanted = _wanted(live, actual, target)
    actual = _closer(config, target, actual, *_relevant(wanted, actual, target, live, thorough=thorough))
    beside = carriers.bystanders(_specs(wanted), actual, target)
    if beside and len(beside) + len(actual.tables) <= TABLES_MAX:
        actual = replace(actual, tables={**warehouse.read(config.name, beside).tables, **actual.tables})
        wanted = _wanted(live, actual, target)
        actual = _closer(config, target, actual, *_relevant(wanted, actual, target, live, thorough=thorough))
    actual = genuine(config, _with_uses_of_tags(wanted, actual, target), _wished(wanted, actual, target))
    states = table_states.load(config.name, [*actual.tables, *tables])
    agreed = tuple(held.confirmed(config.name))
    asked = held.undone(config.name)
    before = _before(wanted, actual, states, target)
    verdict, covering = _standing(_verdict(config, wanted, before, agreed), asked, agreed)
    kept = brake.kept(wanted, before)
    plan = diff(wanted, actual, target, verdict.held | kept)
    gone = tuple(sorted(set(tables) - actual.tables.keys()))
    return Picture(wanted, actual, plan, verdict, states, frozenset(rule.id for rule in live), gone, agreed, covering, kept)


def _closer(config: TargetSettings, target: Target, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    """The target's closer look. Where it cannot tell what carries an object, what was proven of each table does: nobody else
    attaches Lily's objects, and the tables that were read tell themselves.
    """
    seen = connector(config).closer(config.name, actual, names, used)
    asked = {name for name in used if name in seen.objects and seen.objects[name].uses is None}
    if target.can.tells_uses or not asked:
        return seen
    uses: dict[str, set[Site]] = {name: set() for name in asked}
    for site, name in _carried(config, actual):
        if name in uses:
            uses[name].add(site)
    known = {name: replace(seen.objects[name], uses=frozenset(sites)) for name, sites in uses.items()}
    return replace(seen, objects={**seen.objects, **known})


def genuine(config: TargetSettings, actual: Actual, written: Iterable[ExpectedObject]) -> Actual:
    """The same, but for bodies with a mark that is not that of what Lily writes: somebody made it, so they are not known.

    What an earlier revision of the dialect has written cannot be written again to be compared.
    """
    revision = target_of(config).can.revision
    forged = {
        thing.name: replace(known, body=None)
        for thing in written
        if (known := actual.objects.get(thing.name)) and known.mark
        if known.body == thing.body == body_hash(thing.spec, revision)
        if known.mark not in connector(config).render(config.name, _writing(thing))
    }
    return replace(actual, objects={**actual.objects, **forged}) if forged else actual


def _writing(thing: ExpectedObject) -> Step:
    if isinstance(thing.spec, MaskSpec):
        return ChangeMask(thing.name, thing.spec, thing.body, "")
    return ChangeRowPolicy(thing.name, thing.spec, thing.body, "")


def _wished(wanted: Wanted, actual: Actual, target: Target) -> Iterator[ExpectedObject]:
    """All objects that may carry what is wanted, with the bodies that they are to have."""
    for spec in dict.fromkeys(_specs(wanted)):
        body = body_hash(spec, target.can.revision)
        for known in carriers.generations(object_name(target.installation, spec), actual):
            yield ExpectedObject(known.name, spec, body)


def _carried(config: TargetSettings, actual: Actual) -> Iterator[tuple[Site, str]]:
    """Every place with the object that it carries: of the tables that were read as they are, of the others as last proven."""
    for table in actual.tables.values():
        yield from ((site, what.name) for site, what in table.attached.items() if what.owner is Owner.OURS)
    for state in table_states.every(config.name):
        if state.table.id not in actual.tables:
            yield from ((Site(state.table.id, column), name) for column, name in state.expected.masks.items())
            if state.expected.rows:
                yield Site(state.table.id), state.expected.rows


def _wanted(live: Iterable[Rule], actual: Actual, target: Target) -> Wanted:
    classified = classifications.by_table(
        (one for some in annotations.of_tables(target.name, actual.tables).values() for one in some), target.name
    )
    return matching.wanted(live, classified, [table.table for table in actual.tables.values()], target, clock.now())


def _specs(wanted: Wanted) -> list[Spec]:
    return [spec for table in wanted.tables.values() for spec in table.specs.values()]


def _relevant(
    wanted: Wanted, actual: Actual, target: Target, live: Iterable[Rule], *, thorough: bool
) -> tuple[set[str], set[str]]:
    """Objects whose bodies the plan has to know, those that carry or may carry what is wanted; and those whose uses as well.

    An object whose comment says that it is as it should be costs no more than the proof of that. What may change in place, or
    go, must tell where else it is used.
    """
    bodies = {object_name(target.installation, spec): body_hash(spec, target.can.revision) for spec in _specs(wanted)}
    carried = {what.name for table in actual.tables.values() for what in table.attached.values() if what.owner is Owner.OURS}
    alive = {rule.id for rule in live}
    names, used = set(carried), set[str]()
    for name, known in actual.objects.items():
        if known.owner is not Owner.OURS:
            continue
        first = next((first for first in bodies if name == first or name.startswith(f"{first}_")), None)
        is_orphan = known.comment is not None and not alive.issuperset(rule for rule, _ in known.comment.versions)
        is_right = first is not None and known.comment is not None and known.comment.body == bodies[first]
        if first is not None or name in carried or is_orphan or thorough:
            names.add(name)
            used |= set() if is_right and not thorough else {name}
    return names, used


def _with_uses_of_tags(wanted: Wanted, actual: Actual, target: Target) -> Actual:
    """The same, with where tags of ours are that nothing of this plan wants any more.

    No target tells that at once for all of its tables, but nobody else sets Lily's tags: what was proven of other tables does.
    """
    kept = {entry.key for table in wanted.tables.values() for entry in table.tags}
    asked = {key for key, tag in actual.tags.items() if tag.owner is Owner.OURS and tag.uses is None} - kept
    if not asked or not target.can.tags_are_objects:
        return actual
    elsewhere = ((state.table.id, state.tags) for state in table_states.every(target.name) if state.table.id not in actual.tables)
    here = ((name, table.tags) for name, table in actual.tables.items())
    uses: dict[str, set[Site]] = {key: set() for key in asked}
    for name, entries in (*elsewhere, *here):
        for entry in entries:
            if entry.key in uses:
                uses[entry.key].add(Site(name, entry.column))
    known = {key: replace(actual.tags[key], uses=frozenset(sites)) for key, sites in uses.items()}
    return replace(actual, tags={**actual.tags, **known})


def _verdict(config: TargetSettings, wanted: Wanted, before: Mapping[Site, Protection], agreed: Iterable[HeldPlan]) -> Verdict:
    """Whether what the tables would lose may go now, given what the target has lost today and what people agreed to."""
    lost = brake.weakenings(before, brake.planned(wanted, before))
    limits = Limits(config.brake_share, config.brake_places)
    if not lost:
        return Verdict((), frozenset(), brake.fingerprint(()), 0, 0)
    now = clock.now()
    return brake.judge(
        lost,
        table_states.enforced_sites(config.name),
        held.spent(config.name, now - limits.window),
        [one for plan in agreed for one in plan.weakenings],
        limits,
        now,
    )


def _standing(verdict: Verdict, asked: Iterable[HeldPlan], agreed: Iterable[HeldPlan]) -> tuple[Verdict, HeldPlan | None]:
    """The verdict, held where a person was asked about any of it and has not agreed: in small parts it is the same.

    And the plan that this person was asked about, if it is about all of it: then nobody has to be asked again.
    """
    lost = set(verdict.weakenings) - {one for plan in agreed for one in plan.weakenings}
    plans = [plan for plan in asked if lost & set(plan.weakenings)]
    if not plans:
        return verdict, None
    covering = next((plan for plan in plans if lost <= set(plan.weakenings)), None)
    return replace(verdict, held=frozenset(one.site for one in verdict.weakenings)), covering


def _before(wanted: Wanted, actual: Actual, states: Mapping[TableId, TableState], target: Target) -> dict[Site, Protection]:
    """What each place has now. Its meaning is known only where the body in force is one that was proven, or that is wanted."""
    proven: dict[tuple[str, str], Spec] = {
        (thing.name, thing.body): thing.spec for state in states.values() for thing in state.expected.objects
    }
    proven |= {(object_name(target.installation, spec), body_hash(spec, target.can.revision)): spec for spec in _specs(wanted)}
    found: dict[Site, Protection] = {}
    for table in actual.tables.values():
        for site, what in table.attached.items():
            if what.owner is Owner.OURS:
                there = actual.objects.get(what.name)
                spec = proven.get((what.name, there.body)) if there and there.body else None
                found[site] = Protection(spec, what.columns)
    return found
