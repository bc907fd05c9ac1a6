"""Rules x annotations x inventory -> what is wanted of each table: who sees what of each column, which rows, which tags."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lily.domain.branches import MaskSpec, chain
from lily.domain.classifications import Classified
from lily.domain.inventory import Column, Site, Table, TableId
from lily.domain.masking import RANKS, MaskType, fitted, mask_type
from lily.domain.naming import tag_key
from lily.domain.patterns import Part, fits
from lily.domain.rows import Argument, RowCondition, RowSpec, unfit
from lily.domain.rules import MASKS, ActionKind, RowFilter, Rule
from lily.domain.steps import TagEntry
from lily.domain.targets import Target

TAG_RANKS = {**RANKS, ActionKind.ROW_FILTER: 0, ActionKind.TAG_ONLY: -1}


@dataclass(frozen=True)
class Unprotected:
    """What rules ask for and no object can give: readable in clear, so its table never counts as enforced.

    `code`: unsupported_type | unsupported_kind | missing_column | ambiguous_column | unsupported_filter | masked_argument
    """

    site: Site
    rules: tuple[str, ...]
    code: str
    text: str


@dataclass(frozen=True)
class Remark:
    """What an author should know and nothing is wrong with. `code`: falls_back | whole_table"""

    site: Site
    rule: str
    code: str
    text: str


@dataclass(frozen=True)
class WantedTable:
    """What the rules ask of one table. A column that is neither in `masks` nor unprotected is to be left alone.

    `rows` takes the columns `row_columns` as arguments. `rules` are all that concern the table.
    """

    table: Table
    masks: Mapping[str, MaskSpec] = field(default_factory=dict)
    rows: RowSpec | None = None
    row_columns: tuple[str, ...] = ()
    tags: frozenset[TagEntry] = frozenset()
    unprotected: tuple[Unprotected, ...] = ()
    remarks: tuple[Remark, ...] = ()
    rules: frozenset[str] = frozenset()

    @property
    def specs(self) -> dict[Site, MaskSpec | RowSpec]:
        made: dict[Site, MaskSpec | RowSpec] = {Site(self.table.id, column): spec for column, spec in self.masks.items()}
        return {**made, Site(self.table.id): self.rows} if self.rows else made


@dataclass(frozen=True)
class Wanted:
    """`versions`: of the rules that concern the tables. `next_change_at`: when the first of their exemptions ends by itself."""

    tables: Mapping[TableId, WantedTable]
    versions: Mapping[str, int] = field(default_factory=dict)
    next_change_at: datetime | None = None


@dataclass(frozen=True)
class _Index:
    """Rules by the classification that finds them, and those that look at names, with the paths that they compare."""

    by_class: Mapping[str, Sequence[Rule]]
    by_name: Sequence[tuple[Rule, Sequence[Sequence[Part]]]]


@dataclass(frozen=True)
class _Question:
    """What is the same for all tables of one call; `masks` grows, so that columns of one kind share their spec."""

    index: _Index
    target: Target
    now: datetime
    masks: dict[tuple[tuple[str, ...], MaskType], MaskSpec]


def wanted(rules: Iterable[Rule], classified: Classified, tables: Iterable[Table], target: Target, now: datetime) -> Wanted:
    """What `rules` ask of `tables` at `now`. Every given table is in the answer, with nothing in it if no rule concerns it.

    Rules that do not aim at the target are passed over; all that do must be given, or their protection is not wanted.
    """
    active = sorted((rule for rule in rules if rule.aims_at(target.name)), key=lambda rule: rule.id)
    asked = _Question(_indexed(active), target, now, {})
    made = {table.id: _table(table, classified.get(table.id, {}), asked) for table in tables}
    concerned = [rule for rule in active if any(rule.id in table.rules for table in made.values())]
    ends = [end for rule in concerned if (end := rule.next_change_at(now))]
    return Wanted(made, {rule.id: rule.version for rule in concerned}, min(ends, default=None))


def concerns(rule: Rule, table: Table, classes: Mapping[str | None, frozenset[str]], *, ignores_case: bool) -> bool:
    """Whether a rule is about a table at all. `classes`: its classifications by column, None for its own."""
    hits, whole = _hits(table, classes, _indexed([rule]), ignores_case=ignores_case)
    return bool(whole) or any(hits.values())


def _indexed(rules: Sequence[Rule]) -> _Index:
    by_class: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        for name in {name.casefold() for name in rule.match.classifications}:
            by_class[name].append(rule)
    named = [(rule, (*rule.match.columns, *rule.match.patterns)) for rule in rules]
    return _Index(by_class, [(rule, paths) for rule, paths in named if paths])


def _hits(
    table: Table, classes: Mapping[str | None, frozenset[str]], index: _Index, *, ignores_case: bool
) -> tuple[dict[str, list[Rule]], list[Rule]]:
    """The rules about each column, and those about the table by its own classifications; each by id."""
    names = (table.id.database, table.id.schema, table.id.name)
    scoped: dict[str, bool] = {}

    def in_scope(rule: Rule) -> bool:
        if rule.id not in scoped:
            match = rule.match
            in_database = not match.databases or any(fits(p, names[:1], ignores_case=ignores_case) for p in match.databases)
            in_schema = not match.schemas or any(fits(p, names[:2], ignores_case=ignores_case) for p in match.schemas)
            scoped[rule.id] = in_database and in_schema
        return scoped[rule.id]

    def classed(given: Iterable[str]) -> dict[str, Rule]:
        found = (rule for name in given for rule in index.by_class.get(name.casefold(), ()))
        return {rule.id: rule for rule in found if in_scope(rule)}

    spelled = _folded(classes) if ignores_case else classes
    whole = classed(classes.get(None, ()))
    for_all = {rule_id: rule for rule_id, rule in whole.items() if rule.match.whole_tables}
    hits = {}
    for column in table.columns:
        about = for_all | classed(spelled.get(column.name.lower() if ignores_case else column.name, ()))
        path = (*names, column.name)
        for rule, paths in index.by_name:
            if rule.id not in about and in_scope(rule) and any(fits(p, path, ignores_case=ignores_case) for p in paths):
                about[rule.id] = rule
        hits[column.name] = [about[rule_id] for rule_id in sorted(about)]
    return hits, [whole[rule_id] for rule_id in sorted(whole)]


def _folded(classes: Mapping[str | None, frozenset[str]]) -> dict[str, frozenset[str]]:
    """By columns in lower case: what sources say of one column in several spellings counts together."""
    found: dict[str, frozenset[str]] = {}
    for column, given in classes.items():
        if column is not None:
            found[column.lower()] = found.get(column.lower(), frozenset()) | given
    return found


def _table(table: Table, classes: Mapping[str | None, frozenset[str]], asked: _Question) -> WantedTable:
    hits, whole = _hits(table, classes, asked.index, ignores_case=asked.target.can.ignores_case)
    masks, bare, remarks = _masks(table, hits, asked)
    every = {rule.id: rule for rules in (*hits.values(), whole) for rule in rules}
    filtering = [every[rule_id] for rule_id in sorted(every) if every[rule_id].action.kind is ActionKind.ROW_FILTER]
    rows, row_columns, missing = _rows(table, filtering, masks, asked)
    return WantedTable(
        table=table,
        masks=masks,
        rows=rows,
        row_columns=row_columns,
        tags=_tags(table, hits, [*whole, *filtering], asked.target),
        unprotected=(*bare, *missing),
        remarks=(*remarks, *_whole_tables(table, hits, whole)),
        rules=frozenset(every),
    )


def _masks(
    table: Table, hits: Mapping[str, Sequence[Rule]], asked: _Question
) -> tuple[dict[str, MaskSpec], list[Unprotected], list[Remark]]:
    masks: dict[str, MaskSpec] = {}
    bare: list[Unprotected] = []
    remarks: list[Remark] = []
    for column in table.columns:
        covering = [rule for rule in hits[column.name] if rule.action.kind in MASKS]
        site, ids = Site(table.id, column.name), tuple(rule.id for rule in covering)
        of = mask_type(column.type)
        if not covering:
            continue
        if table.kind not in asked.target.can.maskable:
            bare.append(Unprotected(site, ids, "unsupported_kind", f"{site}: a {table.kind} cannot be masked here"))
        elif of is None:
            bare.append(Unprotected(site, ids, "unsupported_type", f"{site}: {column.type.text} cannot be masked"))
        else:
            if (ids, of) not in asked.masks:
                asked.masks[ids, of] = _mask(covering, of, asked.target, asked.now)
            masks[column.name] = asked.masks[ids, of]
            remarks += _fallbacks(site, covering, column, of)
    return masks, bare, remarks


def _whole_tables(table: Table, hits: Mapping[str, Sequence[Rule]], whole: Sequence[Rule]) -> Iterable[Remark]:
    found = {rule.id for rules in hits.values() for rule in rules}
    for rule in whole:
        if rule.action.kind in MASKS and rule.id not in found:
            text = f"{table.id} carries a classification of the rule and none of its columns does, so none is masked by it"
            yield Remark(Site(table.id), rule.id, "whole_table", text)


def _mask(rules: Sequence[Rule], of: MaskType, target: Target, now: datetime) -> MaskSpec:
    branches = chain((rule.exempts(target.can.principal, now), fitted(rule.action, of)) for rule in rules)
    hashes = any(branch.action is not None and branch.action.kind is ActionKind.HASH for branch in branches)
    return MaskSpec(tuple(rule.id for rule in rules), of, branches, target.salt if hashes else "")


def _fallbacks(site: Site, rules: Sequence[Rule], column: Column, of: MaskType) -> Iterable[Remark]:
    for rule in rules:
        given = fitted(rule.action, of).kind
        if given is not rule.action.kind:
            text = f"{site}: {rule.action.kind} does not fit {column.type.text}, so readers see NULL"
            yield Remark(site, rule.id, "falls_back", text)


def _rows(
    table: Table, rules: Sequence[Rule], masks: Mapping[str, MaskSpec], asked: _Question
) -> tuple[RowSpec | None, tuple[str, ...], list[Unprotected]]:
    """The row policy of all filters that can be stated, its columns, and those that cannot."""
    site, target = Site(table.id), asked.target
    stated: list[tuple[Rule, RowFilter, Column]] = []
    missing: list[Unprotected] = []
    for rule in rules:
        wish = rule.action.filter
        if wish is None:
            raise AssertionError(f"rule {rule.id} filters rows without a filter")
        found = [c for c in table.columns if wish.column.fits(c.name, ignores_case=target.can.ignores_case)]
        if reason := _no_filter(table, wish, found, masks, target):
            missing.append(Unprotected(site, (rule.id,), *reason))
        else:
            stated.append((rule, wish, found[0]))
    columns = {column.name: column for _, _, column in stated}
    places = {name: place for place, name in enumerate(columns)}
    if not stated:
        return None, (), missing
    arguments = tuple(Argument(c.type.family, c.type.signature, c.type.zone) for c in columns.values())
    conditions = tuple(
        RowCondition(rule.exempts(target.can.principal, asked.now), places[column.name], wish.operator, wish.values)
        for rule, wish, column in stated
    )
    return RowSpec(tuple(rule.id for rule, _, _ in stated), arguments, conditions), tuple(columns), missing


def _no_filter(
    table: Table, wish: RowFilter, found: Sequence[Column], masks: Mapping[str, MaskSpec], target: Target
) -> tuple[str, str] | None:
    """Why a filter cannot be stated for a table: code and text."""
    if table.kind not in target.can.filterable:
        return "unsupported_kind", f"{table.id}: a {table.kind} cannot have a row policy here"
    if not found:
        return "missing_column", f"{table.id}: there is no column {wish.column.text} to filter by"
    if len(found) > 1:
        names = ", ".join(repr(column.name) for column in found)
        return "ambiguous_column", f"{table.id}: {wish.column.text} may be any of {names}; put the one that is meant into quotes"
    if reason := unfit(wish, found[0].type):
        return "unsupported_filter", f"{Site(table.id, found[0].name)} {reason}"
    if found[0].name in masks and not target.can.filters_read_masked_columns:
        return "masked_argument", f"{Site(table.id, found[0].name)} is masked, and here no row policy can read a masked column"
    return None


def _tags(table: Table, hits: Mapping[str, Sequence[Rule]], whole: Sequence[Rule], target: Target) -> frozenset[TagEntry]:
    """Lily's own tags: per regulation the strictest action asked for, and those of tag_only rules. For discovery only."""
    if table.kind not in target.can.taggable:
        return frozenset()
    columns: dict[str | None, Sequence[Rule]] = {
        name: [r for r in rules if r.action.kind is not ActionKind.ROW_FILTER] for name, rules in hits.items()
    }
    columns[None] = [rule for rule in whole if rule.action.kind not in MASKS]
    entries = set()
    for column, rules in columns.items():
        values: dict[str, str] = {}
        for rule in sorted(rules, key=lambda rule: (-TAG_RANKS[rule.action.kind], rule.id)):
            own = rule.action.tag
            name, value = (own.name, own.value) if own else (rule.regulation.lower(), rule.action.kind.value)
            values.setdefault(name, value)
        entries |= {TagEntry(column, tag_key(target.installation, name), value) for name, value in values.items()}
    return frozenset(entries)
