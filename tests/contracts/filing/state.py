"""What filing really holds, now: tables, what they carry, and Lily's own objects."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lily.domain import naming
from lily.domain.actual import Actual, ActualObject, ActualTable, Attached, ObjectKind
from lily.domain.inventory import Column, Site, Table, TableId
from lily.domain.proofs import Expected, Observed
from lily.domain.rules import Principal
from lily.domain.steps import TagEntry
from lily.domain.targets import Holders
from lily.runtime import clock
from lily.runtime.settings import settings
from tests.contracts.filing import bodies
from tests.contracts.filing.client import Found, ask
from tests.contracts.filing.quoting import order, table
from tests.contracts.filing.types import data_type

PAGE = 100
KINDS = {"screen": ObjectKind.MASK, "sieve": ObjectKind.ROW_POLICY}


def tables(instance: str) -> Iterator[Sequence[Table]]:
    config = settings().targets[instance]
    for database in config.databases:
        after: list[str] | None = None
        while places := ask(instance, order("list tables", database=database, after=after, most=PAGE)).value:
            after = places[-1]
            others = [place for place in places if tuple(place[:2]) != config.home]
            yield [_table(told) for told in ask(instance, order("describe", tables=others)).value]


def read(instance: str, wanted: Collection[TableId]) -> Actual:
    described = _described(instance, wanted).value
    found = {told.table.id: told for told in (_actual(instance, told) for told in described)}
    return Actual(found, {known.name: replace(known, body=None) for known in _objects(instance)})


def closer(instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    known_bodies = {known.name: known.body for known in _objects(instance)} if names else {}
    uses = _uses(instance, [name for name in used if name in actual.objects])
    objects = {
        name: replace(known, body=known_bodies.get(name) if name in names else None, uses=uses.get(name))
        for name, known in actual.objects.items()
    }
    return replace(actual, objects=objects)


def holders(instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    """Filing's roles do not hold each other."""
    names = [principal.name for principal in principals if principal.kind == "role"]
    users = dict(ask(instance, order("roles", names=names)).value)
    there = {principal: principal.kind == "role" and principal.name in users for principal in principals}
    return {one: Holders(is_there, users=users[one.name] if is_there else 0) for one, is_there in there.items()}


def tags(instance: str, wanted: Collection[TableId]) -> Mapping[TableId, frozenset[TagEntry]]:
    return {_id(told): _tags(told) for told in _described(instance, wanted).value}


def observe(instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    at = clock.now()
    described = _described(instance, [one.table for one in expected])
    found = {_id(told): _actual(instance, told) for told in described.value}
    in_force = {known.name: known.body for known in _objects(instance)}
    return {
        one.table: _observed(found[one.table], one, in_force, described.id, at)
        if one.table in found
        else Observed(at, query_ids=(described.id,), exists=False)
        for one in expected
    }


def _observed(actual: ActualTable, expected: Expected, in_force: Mapping[str, str | None], query_id: str, at: Any) -> Observed:
    return Observed(
        at,
        masks={column: mask.name for column, mask in actual.masks.items()},
        rows=actual.rows.name if actual.rows else None,
        row_columns=actual.rows.columns if actual.rows else (),
        bodies={one.name: in_force.get(one.name) for one in expected.objects},
        query_ids=(query_id,),
    )


def _described(instance: str, wanted: Collection[TableId]) -> Found:
    return ask(instance, order("describe", tables=[table(one) for one in wanted]))


def _id(told: Mapping[str, Any]) -> TableId:
    return TableId(*told["table"])


def _table(told: Mapping[str, Any]) -> Table:
    columns = tuple(Column(name, data_type(text)) for name, text in told["columns"])
    return Table(_id(told), columns, object_id=str(told["id"]))


def _actual(instance: str, told: Mapping[str, Any]) -> ActualTable:
    masks = {one["column"]: _attached(instance, one) for one in told["carries"] if one["kind"] == "screen"}
    rows = next((_attached(instance, one) for one in told["carries"] if one["kind"] == "sieve"), None)
    return ActualTable(_table(told), masks, rows, _tags(told))


def _attached(instance: str, told: Mapping[str, Any]) -> Attached:
    """Whatever its comment says, only what is in Lily's own schema is hers."""
    *schema, name = told["name"]
    owner = _owner(told["comment"]) if tuple(schema) == settings().targets[instance].home else naming.Owner.FOREIGN
    columns = tuple(told["given"]) if told["kind"] == "sieve" else ()
    return Attached(name if owner is naming.Owner.OURS else ".".join(told["name"]), owner, columns)


def _tags(told: Mapping[str, Any]) -> frozenset[TagEntry]:
    own = settings().installation
    return frozenset(TagEntry(*entry) for entry in told["labels"] if naming.is_own_tag(own, entry[1]))


def _owner(comment: str | None) -> naming.Owner:
    return naming.owner(naming.read(comment), settings().installation)


def _objects(instance: str) -> list[ActualObject]:
    """Screens and sieves in Lily's schema, with the bodies that their texts prove."""
    listed = ask(instance, order("list", schema=settings().targets[instance].home)).value
    found = []
    for kind, name, body, comment in listed:
        found.append(ActualObject(name, KINDS[kind], _owner(comment), naming.read(comment), bodies.read_mark(body)))
    return found


def _uses(instance: str, names: Collection[str]) -> Mapping[str, frozenset[Site]]:
    """Canaries are no use: they go with their object."""
    home = settings().targets[instance].home
    places = [[*home, name] for name in names]
    sites: dict[str, set[Site]] = {name: set() for name in names}
    for kind in KINDS:
        for thing, carrier, column in ask(instance, order("used", kind=kind, names=places)).value:
            if tuple(carrier[:2]) != home:
                sites[thing[2]].add(Site(TableId(*carrier), column))
    return {name: frozenset(found) for name, found in sites.items()}
