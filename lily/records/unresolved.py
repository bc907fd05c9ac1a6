"""Tables of sources that are no asset of a catalog as far as is known, each with the reason, listed for people.

Due in the index: each is looked for again from time to time, for the catalog may come to know it later than the source.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lily.domain.assets import Reason, TableRef, Unresolved
from lily.records import batch, due, items
from lily.records.batch import Item, packed, plain
from lily.records.forms import table_form, table_from, time_form, time_from
from lily.records.security_forms import deflated, inflated
from lily.records.streams import Found
from lily.runtime import clock, lanes, logs

log = logs.get(__name__)

PK = "UNRESOLVED"
INCIDENTS_MAX = 100  # that wait for one table; the latest
Key = tuple[str, str]  # source, incident id


@dataclass(frozen=True)
class Missing:
    """`incidents` wait for the table to be found. `due_at`: when it is looked for again."""

    catalog: str
    table: TableRef
    why: Unresolved
    since: datetime
    incidents: tuple[Key, ...] = ()
    looks: int = 0
    due_at: datetime | None = None
    version: int = field(default=0, compare=False)


def member(catalog: str, table: TableRef) -> str:
    """The name under which a table is due and travels through the lane."""
    digest = hashlib.sha256(f"{table.warehouse}\n{table.name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"n:{catalog}#{digest}"


def load(members: Iterable[str]) -> dict[str, Missing]:
    """By member; those that were found meanwhile are left out. Raises Transient and Permanent."""
    return _read_all(batch.read_many([(PK, name[2:]) for name in dict.fromkeys(members)]).values())


def page(limit: int, cursor: str | None, catalog: str | None = None) -> Found[Missing]:
    """Up to `limit` of them after the position `cursor`."""
    found = items.page(PK, limit, cursor, begins=f"{catalog}#" if catalog else "")
    return Found(tuple(_read(values) for values in found.items), found.next)


def make_due(catalog: str, at: datetime) -> list[str]:
    """Have all tables of a catalog looked for again, as its map has changed; the members to wake. Raises Transient, Permanent."""
    names = [f"n:{values['sk']}" for values in items.query(PK, begins=f"{catalog}#", attributes=("sk",))]
    known = load(names)
    save_many([replace(one, due_at=at, looks=0) for one in known.values()])  # one that is looked for just now is told the new map
    return list(known)


def save_many(missing: Sequence[Missing]) -> list[bool]:
    """Write each if it is stored as it was read; False where somebody else was first. Raises Transient and Permanent."""
    answers = batch.put_if([(_item(one), one.version) for one in missing])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [answer is True for answer in answers]


def delete_many(members: Collection[str]) -> None:
    """They were found. Raises Transient and Permanent."""
    if members:
        batch.delete_many([(PK, name[2:]) for name in members])


def _item(one: Missing) -> Item:
    name = member(one.catalog, one.table)
    form = {
        "catalog": one.catalog,
        "table": table_form(one.table),
        "reason": one.why.reason.value,
        "detail": one.why.detail,
        "since": time_form(one.since),
        "incidents": [list(key) for key in one.incidents[-INCIDENTS_MAX:]],
        "looks": one.looks,
        "due_at": time_form(one.due_at),
    }
    lane = lanes.of_incidents()
    keys = due.keys(name, lane, one.due_at)
    return packed({"pk": PK, "sk": name[2:], **keys, "ver": one.version + 1, "d": deflated(form)})


def _read_all(found: Iterable[Item]) -> dict[str, Missing]:
    read = {}
    for item in found:
        try:
            one = _read(plain(item))
        except (KeyError, TypeError, ValueError) as error:
            log.error("unresolved.unreadable", key=item["sk"], exc_info=error)
        else:
            read[member(one.catalog, one.table)] = one
    return read


def _read(values: Any) -> Missing:
    form = inflated(values["d"])
    table = table_from(form["table"])
    return Missing(
        form["catalog"],
        table,
        Unresolved(table.name, Reason(form["reason"]), form["detail"]),
        clock.from_iso(form["since"]),
        tuple((source, incident) for source, incident in form["incidents"]),
        form["looks"],
        time_from(form["due_at"]),
        values["ver"],
    )
