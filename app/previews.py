"""What a rule would do, from what Lily has read before: no warehouse is asked. So it is as true as what it is based on is recent.

The actual state is put together from the tables as last proven; a table that was not looked at yet counts as bare. Planned with
the same functions as the real thing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors import registry
from lily.domain import brake, carriers, classifications, matching
from lily.domain.actual import Actual, ActualObject, ActualTable, ActualTag, Attached, ObjectKind
from lily.domain.brake import Limits, Protection
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site, Table, TableId
from lily.domain.matching import Wanted
from lily.domain.naming import Comment, Owner
from lily.domain.plan import Plan, diff
from lily.domain.propagations import State
from lily.domain.rules import Rule
from lily.domain.targets import Target
from lily.records import annotations, held, inventory, table_states
from lily.records.table_states import TableState
from lily.runtime import clock
from lily.runtime.settings import TargetSettings

TABLES_MAX = 500  # planned in one preview; `concerned` tells how many there are
OWNERS = {"foreign": Owner.FOREIGN, "other_installation": Owner.OTHER_INSTALLATION}
SOMEBODYS = "a policy"  # what stands where somebody else's has a name that was not kept


@dataclass
class _Memory:
    """What all tables of a target together tell of the objects and tags of ours, and where they are; grows as they are read."""

    objects: dict[str, ActualObject] = field(default_factory=dict)
    tags: dict[str, ActualTag] = field(default_factory=dict)
    enforced: set[Site] = field(default_factory=set)

    def note(self, state: TableState, installation: str) -> None:
        expected, table = state.expected, state.table.id
        sites: dict[str, set[Site]] = defaultdict(set)
        for column, name in expected.masks.items():
            sites[name].add(Site(table, column))
        if expected.rows:
            sites[expected.rows].add(Site(table))
        for thing in expected.objects:
            kind = ObjectKind.MASK if isinstance(thing.spec, MaskSpec) else ObjectKind.ROW_POLICY
            known = self.objects.get(thing.name)
            uses = frozenset(sites[thing.name]) | ((known.uses if known else None) or frozenset())
            comment = Comment(installation, (), thing.body)
            self.objects[thing.name] = ActualObject(thing.name, kind, Owner.OURS, comment, thing.body, uses)
        for entry in state.tags:
            tagged = self.tags.get(entry.key)
            uses = frozenset({Site(table, entry.column)}) | ((tagged.uses if tagged else None) or frozenset())
            self.tags[entry.key] = ActualTag(entry.key, Owner.OURS, uses)
        if state.outcome in {State.ENFORCED, State.ATTACHED}:
            self.enforced.update(site for some in sites.values() for site in some)


@dataclass(frozen=True)
class Preview:
    """What would happen in one target. `concerned`: the rule's tables, of which `plan` has the first TABLES_MAX.

    `unlisted` are annotated and not in the inventory. `observed_at`: when the oldest state that it is based on was read.
    """

    target: Target
    wanted: Wanted
    plan: Plan
    verdict: brake.Verdict
    limits: Limits
    classified: classifications.Classified
    states: Mapping[TableId, TableState]
    concerned: tuple[TableId, ...]
    unlisted: tuple[TableId, ...]
    inventory_read_at: datetime | None
    observed_at: datetime | None


def of_rule(config: TargetSettings, live: Sequence[Rule], rule: Rule) -> Preview:
    """What it comes to in a target if `rule` is what it says, with all other rules as they are. `live` may hold it already."""
    target = registry.described(config)
    others = [one for one in live if one.id != rule.id]
    tables, read_at = inventory.load(config.name)
    found: set[TableId] = set()
    if rule.aims_at(config.name):
        if rule.match.classifications:
            found |= annotations.tables_with(config.name, rule.match.classifications)
        if rule.match.columns or rule.match.patterns:
            ignores_case = target.can.ignores_case
            found |= {name for name, table in tables.items() if matching.concerns(rule, table, {}, ignores_case=ignores_case)}
    return _preview(config, target, [*others, rule], found, (tables, read_at), rule.id)


def of_tables(config: TargetSettings, live: Sequence[Rule], wished: Collection[TableId]) -> Preview:
    """What it comes to if these tables are looked at now."""
    return _preview(config, registry.described(config), live, set(wished), inventory.load(config.name), None)


def _preview(  # noqa: PLR0917
    config: TargetSettings,
    target: Target,
    rules: Sequence[Rule],
    found: set[TableId],
    listed: tuple[Mapping[TableId, Table], datetime | None],
    rule_id: str | None,
) -> Preview:
    tables, read_at = listed
    states: dict[TableId, TableState] = {}
    memory = _Memory()
    for state in table_states.every(config.name):  # one after the other: there may be many, and few matter
        memory.note(state, target.installation)
        if state.table.id in found or rule_id in state.rules:
            states[state.table.id] = state
    concerned = sorted(found | states.keys())
    planned = [name for name in concerned if name in tables or name in states][:TABLES_MAX]
    actual = _actual(planned, tables, states, memory)
    classified = _classified(config.name, planned)
    wanted = matching.wanted(rules, classified, [one.table for one in actual.tables.values()], target, clock.now())
    beside = carriers.bystanders([spec for one in wanted.tables.values() for spec in one.specs.values()], actual, target)
    if beside and len(beside) + len(planned) <= TABLES_MAX:  # as the real plan does: then one change in place serves all
        states |= table_states.load(config.name, beside)
        actual = _actual([*planned, *beside], tables, states, memory)
        classified = _classified(config.name, actual.tables)
        wanted = matching.wanted(rules, classified, [one.table for one in actual.tables.values()], target, clock.now())
    waiting = frozenset(site for state in states.values() for site in _sites(state, {"held"}))
    limits = Limits(config.brake_share, config.brake_places)
    before = _before(states.values())
    return Preview(
        target=target,
        wanted=wanted,
        plan=diff(wanted, actual, target, waiting | brake.kept(wanted, before)),
        verdict=_verdict(config.name, wanted, before, frozenset(memory.enforced), limits),
        limits=limits,
        classified=classified,
        states=states,
        concerned=tuple(concerned),
        unlisted=tuple(name for name in concerned if name not in tables and name not in states),
        inventory_read_at=read_at,
        observed_at=min((state.observed_at for state in states.values()), default=None),
    )


def _actual(
    names: Iterable[TableId],
    tables: Mapping[TableId, Table],
    states: Mapping[TableId, TableState],
    memory: _Memory,
) -> Actual:
    read = {name: _actual_table(tables.get(name) or states[name].table, states.get(name)) for name in names}
    return Actual(read, memory.objects, memory.tags)


def _actual_table(table: Table, state: TableState | None) -> ActualTable:
    """A table as it was last seen; what of somebody else's was in the way then is taken to be there still."""
    if state is None:
        return ActualTable(table)
    expected = state.expected
    masks = {column: Attached(name, Owner.OURS) for column, name in expected.masks.items()}
    rows = Attached(expected.rows, Owner.OURS, expected.row_columns) if expected.rows else None
    for unmet in expected.unmet:
        if unmet.code in OWNERS:
            theirs = Attached(SOMEBODYS, OWNERS[unmet.code])
            if unmet.column is None:
                rows = theirs
            else:
                masks[unmet.column] = theirs
    inherited = {unmet.column: SOMEBODYS for unmet in expected.unmet if unmet.code == "inherited"}
    obstacle = next((unmet.text for unmet in expected.unmet if unmet.code == "obstacle"), "")
    return ActualTable(table, masks, rows, state.tags, inherited, obstacle)


def _classified(target: str, tables: Collection[TableId]) -> classifications.Classified:
    found = annotations.of_tables(target, tables)
    return classifications.by_table((one for some in found.values() for one in some), target)


def _before(states: Iterable[TableState]) -> dict[Site, Protection]:
    """What each place was last seen to have."""
    before: dict[Site, Protection] = {}
    for state in states:
        specs = {thing.name: thing.spec for thing in state.expected.objects}
        for column, name in state.expected.masks.items():
            before[Site(state.table.id, column)] = Protection(specs.get(name))
        if state.expected.rows:
            before[Site(state.table.id)] = Protection(specs.get(state.expected.rows), state.expected.row_columns)
    return before


def _verdict(
    target: str, wanted: Wanted, before: Mapping[Site, Protection], enforced: frozenset[Site], limits: Limits
) -> brake.Verdict:
    """What would be lost, and whether the brake would hold it."""
    lost = brake.weakenings(before, brake.planned(wanted, before))
    if not lost:
        return brake.Verdict((), frozenset(), brake.fingerprint(()), 0, len(enforced))
    now = clock.now()
    agreed = [one for plan in held.confirmed(target) for one in plan.weakenings]
    return brake.judge(lost, enforced, held.spent(target, now - limits.window), agreed, limits, now)


def _sites(state: TableState, codes: Collection[str]) -> set[Site]:
    return {Site(state.table.id, unmet.column) for unmet in state.expected.unmet if unmet.code in codes}


def statements(config: TargetSettings, plan: Plan, count_max: int) -> list[str]:
    """The SQL of a plan's first steps, in the order in which they would run."""
    connector = registry.target(config.kind)
    return [connector.render(config.name, step) for step in plan.steps[:count_max]]
