"""Annotations in DynamoDB: all of one table in one item, and its look is asked for in the transaction that changes them.

An index item per table and classification says where a classification is in force: one that is in force is always indexed.
"""

import hashlib
import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from lily.domain.classifications import Annotation, Place, changes_anything, merge
from lily.domain.inventory import TableId
from lily.records import batch, items, looks
from lily.records.audit import Facts
from lily.records.batch import Item, packed, plain
from lily.records.looks import Look
from lily.records.security_forms import (
    annotation_form,
    annotation_from,
    deflated,
    inflated,
    table_id_form,
    table_id_from,
    table_key,
)
from lily.records.streams import Found
from lily.runtime import logs
from lily.runtime.errors import Permanent, Transient

log = logs.get(__name__)

THREADS = 8
PATIENCE_S = 4.0  # for races that are lost again and again
INDEXED_MAX = 97  # index items of one transaction, beside the annotations, the look and the list of annotated tables
CLASS_MAX = 400  # bytes of a classification in a key
Subject = tuple[str | None, str]  # column, source
AnnotationPage = Found[Annotation]


@dataclass(frozen=True)
class Stated:
    """What became of a statement: the annotation as it is now. `changed`: rules can see a difference from `before`."""

    annotation: Annotation
    before: frozenset[str]
    changed: bool


@dataclass(frozen=True)
class _Kept:
    """The annotations of one table as they are stored, by column and source, and the table's look."""

    target: str
    table: TableId
    annotations: Mapping[Subject, Annotation] = field(default_factory=dict)
    version: int = 0
    look: Look | None = None

    @property
    def classes(self) -> set[str]:
        return {name.casefold() for one in self.annotations.values() for name in one.classifications}


def put_many(annotations: Sequence[Annotation], facts: Facts | None, now: datetime) -> list[Stated]:
    """Put each together with what its source stated before; what became of each, in order. Safe to repeat.

    Subjects are places. A table for which something changes is to be looked at from then on: one transaction. Raises Transient
    or Permanent where one table could not be written; others then may be.
    """
    by_table: dict[tuple[str, TableId], list[int]] = {}
    for number, subject in enumerate(map(_place, annotations)):
        by_table.setdefault((subject.target, subject.table), []).append(number)
    kept = _read(by_table)
    work = [partial(_put, kept[key], [annotations[number] for number in numbers], now) for key, numbers in by_table.items()]
    if len(work) <= 1:
        done = [one() for one in work]
    else:
        with ThreadPoolExecutor(THREADS, "annotations") as pool:
            running = [pool.submit(one) for one in work]
        done = [one.result() for one in running]
    answers = dict(zip(chain.from_iterable(by_table.values()), chain.from_iterable(done), strict=True))
    if facts is not None:
        changed = sum(one.changed for one in answers.values())
        log.info("annotations.stated", actor=facts.actor, stated=len(annotations), changed=changed)
    return [answers[number] for number in range(len(annotations))]


def of_tables(target: str, tables: Collection[TableId]) -> dict[TableId, list[Annotation]]:
    """All annotations of tables and their columns, by column and source, tombstones too. Tables without any are left out."""
    found = _read([(target, table) for table in tables], with_looks=False)
    return {table: _sorted(kept) for (_, table), kept in found.items() if kept.annotations}


def tables_with(target: str, classifications: Collection[str]) -> set[TableId]:
    """The tables of which a column, or the table itself, has one of the classifications, whatever their case."""
    wanted = {name.casefold() for name in classifications}
    if len(wanted) <= 1:
        return {table for name in wanted for table in _indexed(target, name)}
    with ThreadPoolExecutor(min(THREADS, len(wanted)), "annotations") as pool:
        return {table for some in pool.map(partial(_indexed, target), wanted) for table in some}


def page(
    target: str, limit: int, cursor: str | None, classification: str | None = None, table: TableId | None = None
) -> AnnotationPage:
    """Up to `limit` annotations after the position `cursor`, table by table; without a `classification`, tombstones too.

    A position is a table and how many of its annotations, which never become fewer, were looked at.
    """
    found: list[Annotation] = []
    at, _, passed = (cursor or "").partition("#")
    while True:
        tables, following = _tables_from(target, limit, at, classification, table)
        kept = _read([(target, name) for name in tables], with_looks=False)
        for name in tables:
            key, all_of_it = table_key(name), _sorted(kept[target, name])
            skipped = int(passed) if key == at else 0
            for place, one in enumerate(all_of_it[skipped:], skipped):
                if len(found) == limit:
                    return Found(tuple(found), f"{key}#{place}")
                if _has(one, classification):
                    found.append(one)
        if following is None:
            return Found(tuple(found), None)
        at, passed = following, "0"
        if len(found) == limit:
            return Found(tuple(found), f"{at}#{passed}")


def _tables_from(
    target: str, limit: int, at: str, classification: str | None, table: TableId | None
) -> tuple[list[TableId], str | None]:
    """Some tables from the key `at` on, and the key of the next one if there are more."""
    if table is not None:
        return ([table] if table_key(table) >= at else []), None
    pk = _list(target) if classification is None else _class(target, classification.casefold())
    just_before = f"{int(at, 16) - 1:032x}" if at and int(at, 16) else None
    listed = items.page(pk, limit + 1, just_before)
    rows = listed.items
    following = str(rows[-1]["sk"]) if listed.next is not None or len(rows) > limit else None
    return [_named(row) for row in rows if row["sk"] != following], following


def _has(annotation: Annotation, classification: str | None) -> bool:
    return classification is None or classification.casefold() in {name.casefold() for name in annotation.classifications}


def _put(kept: _Kept, annotations: Sequence[Annotation], now: datetime) -> list[Stated]:
    """One table's annotations: merged and written until it is done, each time with what is there."""
    ends_at = time.monotonic() + PATIENCE_S
    in_doubt: list[Stated] | None = None
    while True:
        after, stated = _merged(kept, annotations)
        if after == kept.annotations:
            return in_doubt or stated  # an answer got lost on the way, and what it was about is there
        gone = kept.classes - _Kept(kept.target, kept.table, after).classes
        if len(gone) > INDEXED_MAX and len(annotations) > 1:
            half = len(annotations) // 2
            first = _put(kept, annotations[:half], now)
            return first + _put(_read([(kept.target, kept.table)])[kept.target, kept.table], annotations[half:], now)
        try:
            _write(kept, after, now, ask=any(one.changed for one in stated))
        except batch.Lost:
            failure = Transient(f"others keep changing the annotations of {kept.table}")
        except Transient as error:
            failure, in_doubt = error, stated
        else:
            return stated
        if time.monotonic() > ends_at:
            raise failure
        time.sleep(random.uniform(0, 0.05))
        kept = _read([(kept.target, kept.table)])[kept.target, kept.table]


def _merged(kept: _Kept, annotations: Sequence[Annotation]) -> tuple[dict[Subject, Annotation], list[Stated]]:
    after, stated = dict(kept.annotations), []
    for annotation in annotations:
        subject = _subject(annotation)
        known = after.get(subject)
        after[subject] = annotation if known is None else merge(known, annotation)
        before = known.classifications if known else frozenset()
        stated.append(Stated(after[subject], before, changes_anything(known, after[subject])))
    return after, stated


def _write(kept: _Kept, after: Mapping[Subject, Annotation], now: datetime, *, ask: bool) -> None:
    """One transaction; it loses if the annotations or the look are not as they were read. Raises Lost, Transient, Permanent.

    Index items that do not fit are written before: they are taken away only in a transaction that changes the annotations, so
    that this one loses then. Those that do not go away lead to a table in vain and hide nothing.
    """
    target, table = kept.target, kept.table
    changed = _Kept(target, table, after, kept.version, kept.look)
    condition, known = ("#ver = :known", {"known": kept.version}) if kept.version else ("attribute_not_exists(pk)", {})
    writes = [items.putting(_values(changed), condition, **known)]
    if ask:
        writes.append(looks.writing(looks.asked(kept.look, target, table, now)))
    if not kept.version:
        writes.append(items.putting(_index(_list(target), table)))
    gone = sorted(kept.classes - changed.classes)[:INDEXED_MAX]
    come = [_index(_class(target, name), table) for name in sorted(changed.classes - kept.classes)]
    room = INDEXED_MAX - len(gone)
    if len(come) > room:
        batch.write_many([packed(entry) for entry in come[room:]])
    writes += [items.deleting(_class(target, name), table_key(table)) for name in gone]
    batch.transact([*writes, *(items.putting(entry) for entry in come[:room])])


def _read(keys: Iterable[tuple[str, TableId]], *, with_looks: bool = True) -> dict[tuple[str, TableId], _Kept]:
    """What is stored of tables, blank where nothing is. Raises Permanent for what cannot be read: it must not be lost."""
    pks = {key: _pk(*key) for key in keys}
    found = batch.read_many([(pk, sk) for pk in pks.values() for sk in (("N", "L") if with_looks else ("N",))])
    return {key: _kept(*key, found.get((pk, "N")), found.get((pk, "L"))) for key, pk in pks.items()}


def _kept(target: str, table: TableId, item: Item | None, look: Item | None) -> _Kept:
    try:
        wanted = looks.read(look) if look else None
        if item is None:
            return _Kept(target, table, look=wanted)
        values = plain(item)
        annotations = [annotation_from(form, target, table) for form in inflated(values["d"])["annotations"]]
        return _Kept(target, table, {_subject(one): one for one in annotations}, values["ver"], wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise Permanent(f"the annotations of {table} in {target} cannot be read: {type(error).__name__}") from error


def _values(kept: _Kept) -> dict[str, Any]:
    form = {"table": table_id_form(kept.table), "annotations": [annotation_form(one) for one in _sorted(kept)]}
    return {"pk": _pk(kept.target, kept.table), "sk": "N", "ver": kept.version + 1, "d": deflated(form)}


def _sorted(kept: _Kept) -> list[Annotation]:
    ordered = sorted(kept.annotations, key=lambda subject: (subject[0] is not None, subject[0] or "", subject[1]))
    return [kept.annotations[subject] for subject in ordered]


def _subject(annotation: Annotation) -> Subject:
    return _place(annotation).column, annotation.source


def _place(annotation: Annotation) -> Place:
    if not isinstance(annotation.subject, Place):
        raise TypeError(f"annotations are kept by their place in a target; {annotation.subject} has to be resolved before")
    return annotation.subject


def _indexed(target: str, classification: str) -> list[TableId]:
    return [_named(values) for values in items.query(_class(target, classification))]


def _index(pk: str, table: TableId) -> dict[str, Any]:
    return {"pk": pk, "sk": table_key(table), "d": items.dumps(table_id_form(table))}


def _named(values: Mapping[str, Any]) -> TableId:
    return table_id_from(items.loads(values["d"]))


def _pk(target: str, table: TableId) -> str:
    return f"T#{target}#{table_key(table)}"


def _list(target: str) -> str:
    """The partition of all annotated tables of a target."""
    return f"N#{target}"


def _class(target: str, classification: str) -> str:
    encoded = classification.encode("utf-8", "surrogatepass")
    name = classification if len(encoded) <= CLASS_MAX else f"~{hashlib.sha256(encoded).hexdigest()}"
    return f"K#{target}#{name}"
