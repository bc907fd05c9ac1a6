"""A small warehouse that carries out steps one by one and refuses what a real one would: the plan's judge, not its kin."""

from dataclasses import dataclass, field
from typing import Any

from lily.domain.actual import Actual, ActualObject, ActualTable, ActualTag, Attached, ObjectKind
from lily.domain.inventory import Site, Table, TableId
from lily.domain.naming import owner, read
from lily.domain.steps import (
    AttachMasks,
    AttachRowPolicy,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    CreateTag,
    DetachMasks,
    DetachRowPolicy,
    DropMask,
    DropRowPolicy,
    DropTag,
    NoteMask,
    NoteRowPolicy,
    SetTags,
    Step,
    SwapRowPolicy,
    TagEntry,
    UnsetTags,
)
from lily.domain.targets import Target


class Refused(Exception):
    """The warehouse does not do it."""


def must(holds: object, why: str) -> None:
    if not holds:
        raise Refused(why)


@dataclass
class Thing:
    """A mask or row policy; `spec` is what its body really does (any object for somebody else's)."""

    kind: ObjectKind
    spec: Any
    body: str | None
    comment: str


@dataclass
class Held:
    table: Table
    masks: dict[str, str] = field(default_factory=dict)
    rows: tuple[str, tuple[str, ...]] | None = None
    tags: dict[tuple[str | None, str], str] = field(default_factory=dict)
    inherited: dict[str | None, str] = field(default_factory=dict)
    obstacle: str = ""


@dataclass
class Warehouse:
    target: Target
    tables: dict[TableId, Held]
    things: dict[str, Thing] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)  # comment by key

    def do(self, step: Step) -> None:
        """Carry out one step. Raises Refused and changes nothing if a real warehouse would refuse."""
        match step:
            case CreateMask() | CreateRowPolicy():
                must(step.name not in self.things, f"{step.name} already exists")
                kind = ObjectKind.MASK if isinstance(step, CreateMask) else ObjectKind.ROW_POLICY
                self.things[step.name] = Thing(kind, step.spec, step.body, step.comment)
            case ChangeMask() | ChangeRowPolicy():
                thing = self._thing(step.name)
                must(
                    type(thing.spec) is not type(step.spec) or self._signature(thing.spec) == self._signature(step.spec),
                    "signature",
                )
                thing.spec, thing.body = step.spec, step.body
                if self.target.can.comment_with_body:
                    thing.comment = step.comment
            case NoteMask() | NoteRowPolicy():
                must(not self.target.can.comment_with_body, "here is no such statement")
                self._thing(step.name).comment = step.comment
            case DropMask() | DropRowPolicy():
                self._thing(step.name)
                must(not self.uses(step.name), f"{step.name} is in use")
                del self.things[step.name]
            case _:
                self._do_to_table(step)

    def _do_to_table(self, step: Step) -> None:
        match step:
            case AttachMasks():
                table = self.tables[step.table.id]
                must(0 < len(step.attachments) <= self.target.can.columns_per_statement, "too many columns")
                for one in step.attachments:
                    must(table.table.column(one.column), "no such column")
                    must(table.masks.get(one.column) == one.replaces, f"{one.column} carries {table.masks.get(one.column)}")
                    must(self._thing(one.mask).kind is ObjectKind.MASK, "no mask")
                    must(self._thing(one.mask).spec.type.signature == table.table.column(one.column).type.signature, "type")
                table.masks.update({one.column: one.mask for one in step.attachments})
            case DetachMasks():
                table = self.tables[step.table.id]
                must(0 < len(step.detachments) <= self.target.can.columns_per_statement, "too many columns")
                for one in step.detachments:
                    must(table.masks.get(one.column) == one.mask, f"{one.column} does not carry {one.mask}")
                for one in step.detachments:
                    del table.masks[one.column]
            case AttachRowPolicy() | SwapRowPolicy():
                table = self.tables[step.table.id]
                now = table.rows[0] if table.rows else None
                must(now == getattr(step, "replaces", None), f"the table carries {now}")
                must(self._thing(step.policy).kind is ObjectKind.ROW_POLICY, "no row policy")
                types = [table.table.column(column).type.signature for column in step.columns]
                must([a.signature for a in self._thing(step.policy).spec.arguments] == types, "argument types")
                table.rows = (step.policy, step.columns)
            case DetachRowPolicy():
                table = self.tables[step.table.id]
                must(table.rows and table.rows[0] == step.policy, "another row policy")
                table.rows = None
            case _:
                self._do_to_tags(step)

    def _do_to_tags(self, step: Step) -> None:
        match step:
            case CreateTag():
                must(self.target.can.tags_are_objects, "tags are no objects here")
                must(step.key not in self.tags, "the tag exists")
                self.tags[step.key] = step.comment
            case DropTag():
                must(not any(key == step.key for table in self.tables.values() for _, key in table.tags), "the tag is in use")
                del self.tags[step.key]
            case SetTags() | UnsetTags():
                table = self.tables[step.table.id]
                columns = {entry.column for entry in step.entries}
                must(0 < len(step.entries) <= self.target.can.tags_per_statement, "too many tags")
                must(
                    columns == {None} or (None not in columns and len(columns) <= self.target.can.columns_per_statement),
                    "columns",
                )
                for entry in step.entries:
                    must(not self.target.can.tags_are_objects or entry.key in self.tags, f"no tag {entry.key}")
                    if isinstance(step, SetTags):
                        table.tags[entry.column, entry.key] = entry.value
                    else:
                        must((entry.column, entry.key) in table.tags, "not tagged")
                        del table.tags[entry.column, entry.key]
            case _:
                raise AssertionError(step)

    def uses(self, name: str) -> frozenset[Site]:
        masked = {Site(key, column) for key, table in self.tables.items() for column, mask in table.masks.items() if mask == name}
        return frozenset(masked | {Site(key) for key, table in self.tables.items() if table.rows and table.rows[0] == name})

    def in_force(self) -> dict[Site, Any]:
        """What each protected place really does: the spec, for rows with the columns that it reads."""
        masked = {
            Site(key, column): self.things[name].spec
            for key, table in self.tables.items()
            for column, name in table.masks.items()
        }
        rows = {Site(key): (self.things[table.rows[0]].spec, table.rows[1]) for key, table in self.tables.items() if table.rows}
        return {**masked, **rows}

    def read(self, names: set[TableId]) -> Actual:
        """What a connector reads back of some tables, and of all objects."""
        objects = {
            name: ActualObject(name, thing.kind, self._owner(name), read(thing.comment), thing.body, self.uses(name))
            for name, thing in self.things.items()
        }
        tags = {
            key: ActualTag(
                key,
                owner(read(comment), self.target.installation),
                frozenset(Site(name, column) for name, table in self.tables.items() for column, k in table.tags if k == key),
            )
            for key, comment in self.tags.items()
        }
        return Actual({name: self._table(self.tables[name]) for name in names if name in self.tables}, objects, tags)

    def _table(self, held: Held) -> ActualTable:
        masks = {column: Attached(name, self._owner(name)) for column, name in held.masks.items()}
        rows = Attached(held.rows[0], self._owner(held.rows[0]), held.rows[1]) if held.rows else None
        tags = frozenset(TagEntry(column, key, value) for (column, key), value in held.tags.items())
        return ActualTable(held.table, masks, rows, tags, held.inherited, held.obstacle)

    def _owner(self, name: str) -> Any:
        return owner(read(self.things[name].comment), self.target.installation)

    def _thing(self, name: str) -> Thing:
        must(name in self.things, f"{name} does not exist")
        return self.things[name]

    @staticmethod
    def _signature(spec: Any) -> object:
        return getattr(spec, "type", None) or getattr(spec, "arguments", None)
