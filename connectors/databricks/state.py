"""What a workspace holds, read back: tables with what protects them, Lily's own functions, groups.

Functions of the home schema whose first argument is V are masks, all others row policies. Names of catalogs, schemas, tables and
functions are stored in lower case; those of columns keep theirs.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from connectors.databricks import bodies, catalog, client, groups, listing
from connectors.databricks.catalog import Carried, Described, Function, Tags
from connectors.databricks.dialect import ALTERED, Home
from lily.domain import marks
from lily.domain.actual import Actual, ActualObject, ActualTable, Attached, ObjectKind
from lily.domain.inventory import Table, TableId
from lily.domain.naming import Owner, is_own_tag, owner
from lily.domain.naming import read as read_comment
from lily.domain.rules import Principal
from lily.domain.steps import TagEntry
from lily.domain.targets import Holders
from lily.runtime.settings import settings

CHECKED = "it has the CHECK constraint {names}, and a table has either masks and filters or such constraints"


def home_of(instance: str) -> Home:
    database, schema = settings().targets[instance].home
    return Home(database.lower(), schema.lower(), salt())


def salt() -> str:
    """The text that hashes are made with."""
    drawn = settings().hash_salt
    return drawn.reveal() if drawn else ""


def read(instance: str, tables: Collection[TableId]) -> Actual:
    """See contracts.Target."""
    home, names = home_of(instance), list(tables)
    asks: list[Any] = [partial(listing.functions, instance, home.database, home.schema)]
    asks += [partial(catalog.table, instance, name) for name in names]
    asks += [partial(catalog.policies, instance, name) for name in names]
    known, *answers = client.each(instance, asks, lambda ask: ask())
    there = [(one, reaching) for one, reaching in zip(answers[: len(names)], answers[len(names) :], strict=True) if one]
    tagged = client.each(instance, there, lambda found: catalog.tags(instance, found[0].table))
    ours = settings().installation
    objects = {name: _object(one, ours) for name, one in known.items()}
    read = [
        _table(described, own, policies, home, objects)
        for (described, policies), own in zip(there, tagged, strict=True)
        if own is not None
    ]
    return Actual({one.table.id: one for one in read}, objects)


def closer(instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    """See contracts.Target. Where functions are attached is not told: that would take the list of all tables of the metastore."""
    home, wanted = home_of(instance), sorted((set(names) | set(used)) & actual.objects.keys())
    found, ours = listing.named(instance, home.database, home.schema, wanted), settings().installation
    known = {name: replace(_object(one, ours), **_proven(instance, one)) for name, one in found.items() if one is not None}
    objects = {**{name: one for name, one in actual.objects.items() if name not in found}, **known}
    return Actual({name: _owned(table, objects) for name, table in actual.tables.items()}, objects, actual.tags)


def _owned(table: ActualTable, objects: Mapping[str, ActualObject]) -> ActualTable:
    """The table, with whose is what it carries by what is known now: the list that told it first may be some seconds old."""

    def now(what: Attached) -> Attached:
        if what.owner is Owner.FOREIGN:
            return what
        return replace(what, owner=objects[what.name].owner if what.name in objects else Owner.FOREIGN)

    masks = {column: now(mask) for column, mask in table.masks.items()}
    return replace(table, masks=masks, rows=now(table.rows) if table.rows else None)


def _proven(instance: str, one: Function) -> dict[str, Any]:
    """The body of a function, and the mark that proves it where texts are kept as they were written."""
    keeps = settings().targets[instance].keeps_bodies
    return {"body": body_of(instance, one), "mark": marks.mark_of(one.text) if keeps else ""}


def body(instance: str, home: Home, name: str, written: str | None = None) -> str | None:
    """Which body of ours is in force; None if the function is gone, or its text is not what Lily wrote.

    `written`: the text that is expected. Without it a body counts that somebody edited who knows how marks are made.
    """
    found = catalog.function(instance, home.database, home.schema, name)
    if found is None:
        return None
    keeps = settings().targets[instance].keeps_bodies
    is_own = not keeps or written is None or marks.is_written(found.text, written, bodies.TOKENS)
    return body_of(instance, found) if is_own else None


def body_of(instance: str, one: Function) -> str | None:
    comment = read_comment(one.comment)  # changes with the text only, in one statement
    if comment is None:
        return None
    if settings().targets[instance].keeps_bodies:
        return comment.body if marks.body_of(one.text, bodies.TOKENS) == comment.body else None
    return comment.body if f"'lily:{comment.body}:" in one.text else None


def tables(instance: str) -> Iterator[Sequence[Table]]:
    """See contracts.Target."""
    home = home_of(instance)
    for page in catalog.listed(instance, catalog.governed(instance)):
        some = [one.table for one in page if (one.table.id.database, one.table.id.schema) != (home.database, home.schema)]
        if some:
            yield some


def tags(instance: str, wanted: Collection[TableId]) -> dict[TableId, frozenset[TagEntry]]:
    """See contracts.Target."""

    def ask(name: TableId) -> Tags | None:
        described = catalog.table(instance, name)
        return catalog.tags(instance, described.table) if described else None

    some = list(wanted)
    answers = client.each(instance, some, ask)
    return {name: _own_tags(found) for name, found in zip(some, answers, strict=True) if found is not None}


def holders(instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    """See contracts.Target."""
    return groups.holders(instance, principals)


def plain_name(one: Carried, home: Home) -> str:
    """Of a function in the home schema its own name, of any other the whole one."""
    return one.function[-1] if one.function[:-1] == (home.database, home.schema) else one.text


def _table(
    described: Described, tagged: Tags, policies: Sequence[Mapping[str, Any]], home: Home, objects: Mapping[str, ActualObject]
) -> ActualTable:
    masks = {one.column: _attached(one, home, objects) for one in described.carried if one.column is not None}
    rows = next((_attached(one, home, objects) for one in described.carried if one.column is None), None)
    columns = [column.name for column in described.table.columns]
    return ActualTable(
        described.table,
        masks,
        rows,
        _own_tags(tagged),
        catalog.reached(policies, columns, tagged) if described.table.kind in ALTERED else {},
        CHECKED.format(names=", ".join(described.constraints)) if described.constraints else "",
    )


def _attached(one: Carried, home: Home, objects: Mapping[str, ActualObject]) -> Attached:
    """Ours by its plain name, others by their whole one: a function of the same name elsewhere is not ours."""
    kind = ObjectKind.ROW_POLICY if one.column is None else ObjectKind.MASK
    columns = one.columns if one.column is None else ()
    known = objects.get(one.function[-1]) if one.function[:-1] == (home.database, home.schema) else None
    if known is None or known.kind is not kind:
        return Attached(one.text, Owner.FOREIGN, columns)
    return Attached(known.name, known.owner, columns)


@lru_cache(maxsize=20_000)
def _object(one: Function, installation: str) -> ActualObject:
    comment = read_comment(one.comment)
    kind = ObjectKind.MASK if one.arguments[:1] == ("v",) else ObjectKind.ROW_POLICY
    return ActualObject(one.name, kind, owner(comment, installation), comment)


def _own_tags(tagged: Tags) -> frozenset[TagEntry]:
    installation = settings().installation
    return frozenset(
        TagEntry(column, key, value)
        for column, found in tagged.by_column.items()
        for key, value in found.items()
        if is_own_tag(installation, key)
    )
