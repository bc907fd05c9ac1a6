"""Drift: what was proven once and is not so any more, told apart by what happened."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from lily.domain.actual import Actual, ActualTable, Attached
from lily.domain.inventory import Site, Table
from lily.domain.proofs import Expected
from lily.domain.rules import Principal
from lily.domain.steps import TagEntry


class DriftKind(StrEnum):
    TABLE_GONE = "table_gone"
    TABLE_RECREATED = "table_recreated"  # another table has its name, with or without its protection
    DETACHED = "detached"  # a column or table carries nothing any more
    REPLACED = "replaced"  # it carries something else
    COLUMN_GONE = "column_gone"
    BODY_CHANGED = "body_changed"
    OBJECT_GONE = "object_gone"
    TAG_MOVED = "tag_moved"  # a tag of ours is gone or says something else
    PRINCIPAL_GONE = "principal_gone"  # an exempt role or group does not exist, so it exempts nobody


@dataclass(frozen=True)
class Drift:
    """`site`: the place it is about, its table's rows for objects. `text` is for people."""

    kind: DriftKind
    site: Site
    text: str


def find(
    expected: Expected,
    proven_on: Table,
    tags: frozenset[TagEntry],
    actual: Actual,
    principals: Collection[Principal] | None = None,
) -> tuple[Drift, ...]:
    """What became of a table since it was proven. `tags` are those it was given; `principals` all that exist, None: unknown."""
    now, whole = actual.tables.get(expected.table), Site(expected.table)
    if now is None:
        return (Drift(DriftKind.TABLE_GONE, whole, f"{expected.table} is not there any more"),)
    found: list[Drift] = []
    if proven_on.object_id and now.table.object_id and proven_on.object_id != now.table.object_id:
        found.append(Drift(DriftKind.TABLE_RECREATED, whole, f"{expected.table} was dropped and made again"))
    found += [*_places(expected, now), *_objects(expected, actual, principals)]
    for tag in sorted(tags - now.tags, key=lambda tag: (tag.column or "", tag.key)):
        found.append(Drift(DriftKind.TAG_MOVED, Site(expected.table, tag.column), f"{tag.key} is not {tag.value!r} any more"))
    return tuple(found)


def _places(expected: Expected, now: ActualTable) -> Iterable[Drift]:
    for column, name in sorted(expected.masks.items()):
        site = Site(expected.table, column)
        if now.table.column(column) is None:
            yield Drift(DriftKind.COLUMN_GONE, site, f"{site} is not there any more")
        else:
            yield from _place(site, name, (), now.masks.get(column))
    if expected.rows:
        yield from _place(Site(expected.table), expected.rows, expected.row_columns, now.rows)


def _place(site: Site, name: str, columns: tuple[str, ...], now: Attached | None) -> Iterable[Drift]:
    if now is None:
        yield Drift(DriftKind.DETACHED, site, f"{site} carries {name} no longer, and nothing else")
    elif (now.name, now.columns) != (name, columns):
        yield Drift(DriftKind.REPLACED, site, f"{site} carries {now.name} instead of {name}")


def _objects(expected: Expected, actual: Actual, principals: Collection[Principal] | None) -> Iterable[Drift]:
    site = Site(expected.table)
    for thing in expected.objects:
        known = actual.objects.get(thing.name)
        if known is None:
            yield Drift(DriftKind.OBJECT_GONE, site, f"{thing.name} is not there any more")
        elif known.body != thing.body:
            yield Drift(DriftKind.BODY_CHANGED, site, f"{thing.name} has another body than was written")
        for principal in sorted(thing.spec.principals - set(principals)) if principals is not None else ():
            yield Drift(
                DriftKind.PRINCIPAL_GONE, site, f"{principal.kind} {principal.name!r}, exempt in {thing.name}, does not exist"
            )
