"""The vocabulary of change: what Lily ever does to a warehouse, one step each, every step exactly one statement.

A target's dialect renders each step; it decides nothing. Names of masks, row policies and tags are plain names of Lily's own
making (see naming), all in the schema that the installation has in the target; the dialect puts the schema before them and
may store them in its own case, so long as it reads them back in ours. Tables and columns are named exactly as stored.
Every step is safe to repeat once it has happened; where a target would refuse the repetition (`already exists`, `does not
exist`), the connector reads back and the next plan goes on from there.
"""

from dataclasses import dataclass, replace

from lily.domain.branches import MaskSpec
from lily.domain.inventory import TableId, TableKind
from lily.domain.rows import RowSpec


@dataclass(frozen=True)
class TableRef:
    """A table with its kind, which decides between ALTER TABLE, ALTER VIEW and their like."""

    id: TableId
    kind: TableKind = TableKind.TABLE


@dataclass(frozen=True)
class CreateMask:
    """A new mask that nothing uses yet. Must fail, not replace, if somebody else's object has the name.

    `body`, also told in the comment, is to be written into the body itself where the comment of an object is a statement of
    its own (a harmless literal): only so does what is read back prove which body is in force. See plan.ActualObject.
    """

    name: str
    spec: MaskSpec
    body: str  # naming.body_hash
    comment: str


@dataclass(frozen=True)
class ChangeMask:
    """The body in place: every column that carries the mask changes in one moment, none is bare in between.

    The comment goes with it where the target can; else a NoteMask follows. Type and name stay. Fails if the mask is not there.
    """

    name: str
    spec: MaskSpec
    body: str
    comment: str


@dataclass(frozen=True)
class NoteMask:
    """The comment alone, for targets whose change of a body leaves it as it was."""

    name: str
    comment: str


@dataclass(frozen=True)
class Attachment:
    """`replaces`: the mask that the column carries now, one of ours; None: it carries none, and if it does by now, fail."""

    column: str
    mask: str
    replaces: str | None = None


@dataclass(frozen=True)
class AttachMasks:
    """Masks onto columns of one table, each in one moment: a column that has one changes straight to the other.

    At most `columns_per_statement` attachments. Without `replaces` nothing may be overwritten, where the target can tell.
    """

    table: TableRef
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Detachment:
    column: str
    mask: str  # what it carries, one of ours


@dataclass(frozen=True)
class DetachMasks:
    """Columns of one table become bare. At most `columns_per_statement`."""

    table: TableRef
    detachments: tuple[Detachment, ...]


@dataclass(frozen=True)
class DropMask:
    """A mask of ours that no column carries any more."""

    name: str


@dataclass(frozen=True)
class CreateRowPolicy:
    """As CreateMask."""

    name: str
    spec: RowSpec
    body: str
    comment: str


@dataclass(frozen=True)
class ChangeRowPolicy:
    """As ChangeMask: the same arguments, another body, in one moment for all its tables."""

    name: str
    spec: RowSpec
    body: str
    comment: str


@dataclass(frozen=True)
class NoteRowPolicy:
    """As NoteMask."""

    name: str
    comment: str


@dataclass(frozen=True)
class AttachRowPolicy:
    """A row policy onto a table that has none; fails if it has one by now, where the target can tell."""

    table: TableRef
    policy: str
    columns: tuple[str, ...]  # in the order of the policy's arguments


@dataclass(frozen=True)
class SwapRowPolicy:
    """One of ours for another (or the same on other columns) in one statement, with no moment in which all rows show."""

    table: TableRef
    policy: str
    columns: tuple[str, ...]
    replaces: str


@dataclass(frozen=True)
class DetachRowPolicy:
    """The table shows all its rows again."""

    table: TableRef
    policy: str  # what it carries, one of ours


@dataclass(frozen=True)
class DropRowPolicy:
    """A row policy of ours that no table carries any more."""

    name: str


@dataclass(frozen=True)
class CreateTag:
    """A tag, for targets in which tags are objects. Must fail, not replace, if somebody else's has the name."""

    key: str
    comment: str


@dataclass(frozen=True, order=True)
class TagEntry:
    """One tag of a column, or with `column` None of the table itself."""

    column: str | None
    key: str
    value: str = ""  # means nothing in UnsetTags


@dataclass(frozen=True)
class SetTags:
    """Tags of one table: all of columns, or all of the table itself, never mixed. Setting a key overwrites its value only.

    At most `tags_per_statement` entries on at most `columns_per_statement` columns.
    """

    table: TableRef
    entries: tuple[TagEntry, ...]


@dataclass(frozen=True)
class UnsetTags:
    """As SetTags; only keys of ours."""

    table: TableRef
    entries: tuple[TagEntry, ...]


@dataclass(frozen=True)
class DropTag:
    """A tag of ours that nothing carries any more, for targets in which tags are objects."""

    key: str


MaskStep = CreateMask | ChangeMask | NoteMask | AttachMasks | DetachMasks | DropMask
RowStep = CreateRowPolicy | ChangeRowPolicy | NoteRowPolicy | AttachRowPolicy | SwapRowPolicy | DetachRowPolicy | DropRowPolicy
TagStep = CreateTag | SetTags | UnsetTags | DropTag
Step = MaskStep | RowStep | TagStep
TableStep = AttachMasks | DetachMasks | AttachRowPolicy | SwapRowPolicy | DetachRowPolicy | SetTags | UnsetTags
SharedStep = (
    CreateMask | ChangeMask | NoteMask | DropMask
    | CreateRowPolicy | ChangeRowPolicy | NoteRowPolicy | DropRowPolicy
    | CreateTag | DropTag
)  # fmt: skip


def apart(step: Step) -> tuple[Step, ...]:
    """The same as one step per column, for when a target refuses a step on several: then only the culprit is left out."""
    if isinstance(step, AttachMasks):
        return tuple(replace(step, attachments=(one,)) for one in step.attachments)
    if isinstance(step, DetachMasks):
        return tuple(replace(step, detachments=(one,)) for one in step.detachments)
    if isinstance(step, SetTags | UnsetTags):
        columns = dict.fromkeys(entry.column for entry in step.entries)
        return tuple(replace(step, entries=tuple(e for e in step.entries if e.column == column)) for column in columns)
    return (step,)
