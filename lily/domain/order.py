"""The steps of one table in the order that never leaves it bare: attach and swap first, take away last; few statements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lily.domain.actual import Attached
from lily.domain.steps import (
    AttachMasks,
    Attachment,
    AttachRowPolicy,
    DetachMasks,
    Detachment,
    DetachRowPolicy,
    SetTags,
    SwapRowPolicy,
    TableRef,
    TableStep,
    TagEntry,
    UnsetTags,
)
from lily.domain.targets import Capabilities

T = TypeVar("T")


@dataclass(frozen=True)
class Onto:
    """A row policy and the columns that it is given."""

    policy: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Moves:
    """What is to happen to one table. `masks`: object by column, with what each column carries now in `carried`."""

    table: TableRef
    masks: Mapping[str, str]
    carried: Mapping[str, Attached]
    bared: Sequence[str]  # columns whose mask goes
    rows: Onto | None  # None: nothing changes, or see rows_bared
    carried_rows: Attached | None
    rows_bared: bool
    tags: Iterable[TagEntry]
    tags_gone: Iterable[TagEntry]


def steps(moves: Moves, can: Capabilities) -> tuple[TableStep, ...]:
    """The table's steps. At every point between two of them, each place has what it had or what it is to have."""
    return (*_onto(moves, can), *_off(moves, can))


def _onto(moves: Moves, can: Capabilities) -> Iterator[TableStep]:
    attachments = []
    for column, mask in sorted(moves.masks.items()):
        now = moves.carried.get(column)
        if now is None or now.name != mask:
            attachments.append(Attachment(column, mask, now.name if now else None))
    for some in _chunks(attachments, can.columns_per_statement):
        yield AttachMasks(moves.table, some)
    now, then = moves.carried_rows, moves.rows
    if then and not now:
        yield AttachRowPolicy(moves.table, then.policy, then.columns)
    elif then and now and (now.name, now.columns) != (then.policy, then.columns):
        yield SwapRowPolicy(moves.table, then.policy, then.columns, now.name)
    for entries in _tag_chunks(moves.tags, can):
        yield SetTags(moves.table, entries)


def _off(moves: Moves, can: Capabilities) -> Iterator[TableStep]:
    detachments = [Detachment(column, moves.carried[column].name) for column in sorted(moves.bared)]
    for some in _chunks(detachments, can.columns_per_statement):
        yield DetachMasks(moves.table, some)
    if moves.rows_bared and moves.carried_rows:
        yield DetachRowPolicy(moves.table, moves.carried_rows.name)
    for entries in _tag_chunks(moves.tags_gone, can):
        yield UnsetTags(moves.table, entries)


def _tag_chunks(entries: Iterable[TagEntry], can: Capabilities) -> Iterator[tuple[TagEntry, ...]]:
    """At most so many tags on so many columns at a time; the table's own tags are statements of their own."""
    ordered = sorted(entries, key=lambda entry: (entry.column or "", entry.key))
    yield from _chunks([entry for entry in ordered if entry.column is None], can.tags_per_statement)
    chunk: list[TagEntry] = []
    for entry in [entry for entry in ordered if entry.column is not None]:
        columns = {kept.column for kept in chunk} | {entry.column}
        if chunk and (len(chunk) == can.tags_per_statement or len(columns) > can.columns_per_statement):
            yield tuple(chunk)
            chunk = []
        chunk.append(entry)
    if chunk:
        yield tuple(chunk)


def _chunks(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
