"""Annotations: the full set of classifications that one source gives a column or table, put together in any order.

What a source states replaces all it stated before about the same subject; the time is the source's own, so what arrives late
loses. Two sources do not overrule each other: what either gives is in force. A source that loses sight of a subject (archived,
purged, half down) has stated nothing: what it said last stays in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lily.domain.inventory import TableId


@dataclass(frozen=True, order=True)
class Place:
    """A column of a target instance, or with `column` None the table itself; names as stored there."""

    target: str
    table: TableId
    column: str | None = None


@dataclass(frozen=True, order=True)
class CatalogAsset:
    """A column or table by its qualified name in a catalog; which places it is, others know."""

    qualified_name: str


Subject = Place | CatalogAsset


@dataclass(frozen=True)
class Annotation:
    """What `source` says about `subject`. `stated_at` and `lost_at` are the source's times.

    `withdrawn`: the source says that it annotates the subject no longer; kept, so that an older statement cannot come back.
    """

    subject: Subject
    source: str
    classifications: frozenset[str]
    stated_at: datetime
    withdrawn: bool = False
    lost_at: datetime | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the source has lost sight of the subject since it stated something. Its classifications hold on."""
        return self.lost_at is not None and self.lost_at > self.stated_at


def stated(subject: Subject, source: str, classifications: Iterable[str], at: datetime) -> Annotation:
    return Annotation(subject, source, frozenset(classifications), at)


def withdrawn(subject: Subject, source: str, at: datetime) -> Annotation:
    """The tombstone of an annotation."""
    return Annotation(subject, source, frozenset(), at, withdrawn=True)


def merge(one: Annotation, other: Annotation) -> Annotation:
    """Both put together; order and repetition do not matter. Of statements with one time all classifications count.

    Raises ValueError for annotations of two subjects or sources: a bug.
    """
    if (one.subject, one.source) != (other.subject, other.source):
        raise ValueError(f"annotations of {one.subject} by {one.source} and {other.subject} by {other.source} do not merge")
    latest = one if one.stated_at >= other.stated_at else other
    if one.stated_at == other.stated_at:
        both = one.classifications | other.classifications
        latest = replace(one, classifications=both, withdrawn=one.withdrawn and other.withdrawn)
    lost = [at for at in (one.lost_at, other.lost_at) if at is not None]
    return replace(latest, lost_at=max(lost, default=None))


def lost(known: Annotation, at: datetime) -> Annotation:
    """The annotation once its source cannot tell any more; nothing else about it changes."""
    return merge(known, replace(known, lost_at=at))


def changes_anything(before: Annotation | None, after: Annotation) -> bool:
    """Whether rules can see the difference, so that tables have to be looked at again."""
    return after.classifications != (before.classifications if before else frozenset())


Classified = Mapping[TableId, Mapping[str | None, frozenset[str]]]


def by_table(
    annotations: Iterable[Annotation], target: str, places: Mapping[CatalogAsset, Sequence[Place]] | None = None
) -> Classified:
    """All that is in force in one target: per table and column (None: the table itself) the classifications of all sources.

    `places` says where catalog assets lie; those it does not know are left out.
    """
    found: dict[TableId, dict[str | None, frozenset[str]]] = {}
    for annotation in annotations:
        subject = annotation.subject
        for place in [subject] if isinstance(subject, Place) else (places or {}).get(subject, ()):
            if place.target == target and annotation.classifications:
                columns = found.setdefault(place.table, {})
                columns[place.column] = columns.get(place.column, frozenset()) | annotation.classifications
    return found
