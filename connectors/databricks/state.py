"""What a workspace holds, read back: tables with what protects them, Lily's own functions, groups.

Functions of the home schema whose first argument is V are masks, all others row policies. Names of catalogs, schemas, tables and
functions are stored in lower case; those of columns keep theirs.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from connectors.databricks import bodies, catalog, client, groups
from connectors.databricks.catalog import Carried, Described, Function, Tags
from connectors.databricks.dialect import ALTERED, Home
from lily.domain.actual import Actual, ActualObject, ActualTable, Attached, ObjectKind
from lily.domain.inventory import Table, TableId
from lily.domain.naming import Comment, Owner, is_own_tag, owner
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
    asks: list[Any] = [partial(catalog.functions, instance, home.database, home.schema)]
    asks += [partial(catalog.table, instance, name) for name in names]
    asks += [partial(catalog.policies, instance, name) for name in names]
    known, *answers = client.each(instance, asks, lambda ask: ask())
    there = [(one, reaching) for one, reaching in zip(answers[: len(names)], answers[len(names) :], strict=True) if one]
    tagged = client.each(instance, there, lambda found: catalog.tags(instance, found[0].table))
    objects = {one.name: _object(one) for one in known}
    read = [
        _table(described, own, policies, home, objects)
        for (described, policies), own in zip(there, tagged, strict=True)
        if own is not None
    ]
    return Actual({one.table.id: one for one in read}, objects)


def closer(instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    """See contracts.Target. Where functions are attached is not told: that would take the list of all tables of the metastore."""
    wanted = [actual.objects[name] for name in sorted(set(names) | set(used)) if name in actual.objects]
    home = home_of(instance)
    answers = client.each(instance, wanted, lambda one: catalog.function(instance, home.database, home.schema, one.name))
    known = {one.name: replace(one, **_proven(instance, answer)) for one, answer in zip(wanted, answers, strict=True)}
    return replace(actual, objects={**actual.objects, **known})


def _proven(instance: str, one: Function | None) -> dict[str, Any]:
    """The body of a function that there is, and the mark that proves it where texts are kept as they were written."""
    if one is None:
        return {"body": None, "mark": ""}
    keeps = settings().targets[instance].keeps_bodies
    return {"body": body_of(instance, one), "mark": bodies.mark_of(one.text) if keeps else ""}


def body(instance: str, home: Home, name: str, written: str | None = None) -> str | None:
    """Which body of ours is in force; None if the function is gone, or its text is not what Lily wrote.

    `written`: the text that is expected. Without it a body counts that somebody edited who knows how marks are made.
    """
    found = catalog.function(instance, home.database, home.schema, name)
    if found is None:
        return None
    keeps = settings().targets[instance].keeps_bodies
    return body_of(instance, found) if not keeps or written is None or bodies.is_written(found.text, written) else None


def body_of(instance: str, one: Function) -> str | None:
    comment = read_comment(one.comment)  # changes with the text only, in one statement
    if comment is None:
        return None
    if settings().targets[instance].keeps_bodies:
        return comment.body if bodies.body_of(one.text) == comment.body else None
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


def _object(one: Function) -> ActualObject:
    comment = read_comment(one.comment)
    kind = ObjectKind.MASK if one.arguments[:1] == ("v",) else ObjectKind.ROW_POLICY
    return ActualObject(one.name, kind, _owner(comment), comment)


def _owner(comment: Comment | None) -> Owner:
    return owner(comment, settings().installation)


def _own_tags(tagged: Tags) -> frozenset[TagEntry]:
    installation = settings().installation
    return frozenset(
        TagEntry(column, key, value)
        for column, found in tagged.by_column.items()
        for key, value in found.items()
        if is_own_tag(installation, key)
    )
