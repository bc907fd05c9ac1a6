"""What a target really holds, as a connector reads it back: tables with what protects them, and Lily's own objects there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lily.domain.inventory import Site, Table, TableId
from lily.domain.naming import Comment, Owner
from lily.domain.steps import TagEntry


class ObjectKind(StrEnum):
    MASK = "mask"
    ROW_POLICY = "row_policy"


@dataclass(frozen=True)
class Attached:
    """A mask on a column or a row policy on a table. `name` is plain for ours (see naming), whole for others'.

    `columns` are what a row policy is given as arguments, in order.
    """

    name: str
    owner: Owner
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ActualTable:
    """One table with its types and all that protects it.

    `tags` holds Lily's own keys only. `inherited` names somebody else's policy that reaches a column (None: the rows) from
    above, by a tag or a schema, and that a direct one would override or collide with. `obstacle` is why the target would
    refuse protection at all (a CHECK constraint, a materialized view on it), empty if nothing is known.
    """

    table: Table
    masks: Mapping[str, Attached] = field(default_factory=dict)
    rows: Attached | None = None
    tags: frozenset[TagEntry] = frozenset()
    inherited: Mapping[str | None, str] = field(default_factory=dict)
    obstacle: str = ""

    @property
    def attached(self) -> dict[Site, Attached]:
        found = {Site(self.table.id, column): mask for column, mask in self.masks.items()}
        return {**found, Site(self.table.id): self.rows} if self.rows else found


@dataclass(frozen=True)
class ActualObject:
    """A mask or row policy in the schema where Lily keeps its own, whoever made it.

    `body` is the naming.body_hash of the body in force, and only what the body itself proves: read from the mark that the
    dialect wrote into it, or from the comment where body and comment can only change in one statement. None if it cannot be
    told, or the text is not the one last seen: then somebody changed it by hand, and it is written again.
    `uses` are all places in the whole target where it is attached, those outside the tables that were read too; None: unknown.
    `mark`: the part of the text that proves the body, as the statement has it that writes this text and no other. Whoever knows
    how can make one for a text of their own; empty: the target does not tell.
    """

    name: str
    kind: ObjectKind
    owner: Owner
    comment: Comment | None = None
    body: str | None = None
    uses: frozenset[Site] | None = None
    mark: str = ""


@dataclass(frozen=True)
class ActualTag:
    """A tag object with one of Lily's keys; `uses` as for objects."""

    key: str
    owner: Owner
    uses: frozenset[Site] | None = None


@dataclass(frozen=True)
class Actual:
    """All that a plan needs to know. A table that was asked for and is not in `tables` is not there."""

    tables: Mapping[TableId, ActualTable]
    objects: Mapping[str, ActualObject] = field(default_factory=dict)
    tags: Mapping[str, ActualTag] = field(default_factory=dict)
