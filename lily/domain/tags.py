"""Lily's own tags in a plan: which may be set, which are stale, and the tag objects of targets that have them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lily.domain.actual import Actual
from lily.domain.inventory import TableId
from lily.domain.matching import Wanted
from lily.domain.naming import Comment, Owner
from lily.domain.steps import CreateTag, DropTag, TagEntry
from lily.domain.targets import Target

Tags = Mapping[TableId, frozenset[TagEntry]]


def settable(wanted: Wanted, actual: Actual, target: Target) -> Tags:
    """The tags that each table is to have; a key that somebody else's tag object holds is not Lily's to set."""
    theirs = _theirs(actual, target)
    return {
        name: frozenset(entry for entry in table.tags if entry.key not in theirs)
        for name, table in wanted.tables.items()
        if name in actual.tables
    }


def without_theirs(actual: Actual, target: Target) -> Actual:
    """The same, without tags whose objects somebody else made under a key of Lily's: what those are set to is theirs."""
    theirs = _theirs(actual, target)
    if not theirs:
        return actual
    kept = {
        name: replace(table, tags=frozenset(entry for entry in table.tags if entry.key not in theirs))
        for name, table in actual.tables.items()
    }
    return replace(actual, tables=kept)


def _theirs(actual: Actual, target: Target) -> set[str]:
    return {key for key, tag in actual.tags.items() if tag.owner is not Owner.OURS} if target.can.tags_are_objects else set()


def stale(now: frozenset[TagEntry], then: frozenset[TagEntry]) -> list[TagEntry]:
    """Tags whose keys are not wanted any more where they are; a key with a new value is set, not unset."""
    kept = {(entry.column, entry.key) for entry in then}
    return [entry for entry in now if (entry.column, entry.key) not in kept]


def creations(tags: Tags, actual: Actual, target: Target) -> list[CreateTag]:
    if not target.can.tags_are_objects:
        return []
    keys = {entry.key for entries in tags.values() for entry in entries}
    return [CreateTag(key, Comment(target.installation, ()).text) for key in sorted(keys - set(actual.tags))]


def drops(tags: Tags, actual: Actual) -> Iterable[tuple[DropTag, frozenset[TableId]]]:
    """Tag objects of ours that nothing carries once the tables, given beside each, are done."""
    wanted = {entry.key for entries in tags.values() for entry in entries}
    for key, tag in sorted(actual.tags.items()):
        if tag.owner is not Owner.OURS or tag.uses is None or key in wanted:
            continue
        tables = frozenset(site.table for site in tag.uses)
        if tables <= actual.tables.keys():
            yield DropTag(key), tables
