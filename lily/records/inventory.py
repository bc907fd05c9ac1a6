"""What a target holds, as it was last read: its tables with their types, and who has the principals that rules exempt.

All tables of a target are kept in the process under the stamp of the inventory's head, which changes after the tables do.
"""

import hashlib
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.inventory import DataType, Table, TableId
from lily.domain.rules import Principal
from lily.domain.targets import Holders
from lily.records import batch, items
from lily.records.batch import packed, plain
from lily.records.forms import time_form
from lily.records.security_forms import (
    deflated,
    inflated,
    principal_form,
    principal_from,
    principals_form,
    principals_from,
    table_form,
    table_from,
    table_key,
)
from lily.records.streams import Found
from lily.runtime import clock, logs

log = logs.get(__name__)

HEAD = "~"  # after every table's key
LISTING = timedelta(minutes=2)  # how old a listing may be when it arrives: what others saw meanwhile is not missing
PART = 60  # characters of a name in a position, so that positions stay short; tables that share so many are told apart by key
NAME_MAX = 400  # bytes of a principal's name in a key
WRITTEN_S = 30.0  # a first inventory may have ten thousand tables
TablePage = Found[Table]
_Listed = Mapping[TableId, Table]
_kept: dict[str, tuple[str, _Listed]] = {}  # by target: one copy per process
_lock = threading.Lock()


@dataclass(frozen=True)
class Changes:
    """What a reading differs in from what was known. `changed`: other columns, types, kind or id of the table."""

    new: tuple[Table, ...]
    changed: tuple[Table, ...]
    gone: tuple[TableId, ...]


def compare(target: str, tables: Iterable[Table]) -> Changes:
    """What `save` would find, with nothing written: for whoever must act on it before it is known."""
    given = {table.id: table for table in tables}
    return _changes(given, _stored(target))


def save(target: str, tables: Iterable[Table], read_at: datetime) -> Changes:
    """Take a whole reading as what there is. Writes only what differs. Safe to repeat. Raises Transient and Permanent.

    A table that is missing in it stays if it was seen (`note_seen`) while the reading may have been under way.
    """
    given = {table.id: table for table in tables}
    stored, seen_from = _stored(target), (read_at - LISTING).timestamp()
    found = _changes(given, stored)
    gone = tuple(table for table in found.gone if stored[table][1] < seen_from)
    differing = [table for name, table in given.items() if name not in stored or stored[name][0] != table]
    batch.write_many([packed(_values(target, table)) for table in differing], WRITTEN_S)
    batch.delete_many([(_pk(target), table_key(table)) for table in gone], WRITTEN_S)
    count = len(given) + len(found.gone) - len(gone)
    head = {"pk": _pk(target), "sk": HEAD, "at": time_form(read_at), "n": count, "stamp": secrets.token_hex(8)}
    items.put(head)
    return Changes(found.new, found.changed, gone)


def load(target: str) -> tuple[Mapping[TableId, Table], datetime | None]:
    """All tables, and when they were read; None: never yet. A second call costs one GetItem while nothing changes."""
    head = items.get(_pk(target), HEAD)
    if head is None:
        return {table: known for table, (known, _) in _stored(target).items()}, None
    stamp, known = head["stamp"], _kept.get(target)
    if known is None or known[0] != stamp:
        known = stamp, {table: one for table, (one, _) in _stored(target).items()}
        with _lock:
            _kept[target] = known
    return known[1], _read_at(head)


def some(target: str, tables: Iterable[TableId]) -> dict[TableId, Table]:
    """These tables, strongly consistent; unknown ones are left out."""
    return {table: known for table, (known, _) in _some(target, tables).items()}


def page(target: str, limit: int, cursor: str | None, text: str | None = None) -> TablePage:
    """Up to `limit` tables after the position `cursor`, by name; with `text` in their path, whatever the case."""
    tables, _ = load(target)
    wanted = [table for table in tables.values() if text is None or text.casefold() in str(table.id).casefold()]
    after = items.loads(cursor) if cursor else None
    left = [(order, table) for order, table in _in_order(wanted) if after is None or order > after]
    found = tuple(table for _, table in left[:limit])
    return Found(found, items.dumps(left[limit - 1][0]) if len(left) > limit else None)


def read_at(target: str) -> datetime | None:
    """When the last whole reading was; None: never yet."""
    head = items.get(_pk(target), HEAD)
    return _read_at(head) if head else None


def note_seen(target: str, tables: Iterable[Table]) -> None:
    """Put tables in that were read one by one, outside of a whole reading. Writes only what differs."""
    given = {table.id: table for table in tables}
    known = _some(target, given)
    differing = [table for name, table in given.items() if name not in known or known[name][0] != table]
    if not differing:
        return
    batch.write_many([packed(_values(target, table, clock.now())) for table in differing])
    if items.get(_pk(target), HEAD) is not None:
        items.update(_pk(target), HEAD, {"stamp": secrets.token_hex(8)})


def save_holders(target: str, holders: Mapping[Principal, Holders]) -> None:
    """Take this as all that is known of the principals of a target. Raises Transient and Permanent."""
    written = {_holder_key(principal): _holder_values(target, principal, known) for principal, known in holders.items()}
    before = {values["sk"] for values in items.query(_holders_pk(target))}
    batch.write_many([packed(values) for values in written.values()])
    batch.delete_many([(_holders_pk(target), sk) for sk in sorted(before - written.keys())])


def holders(target: str) -> dict[Principal, Holders]:
    """Who has which principal, as far as it was read."""
    found = {}
    for values in items.query(_holders_pk(target)):
        data = inflated(values["d"])
        known = Holders(data["exists"], principals_from(data["through"]), data["users"])
        found[principal_from(data["principal"])] = known
    return found


def forget() -> None:
    """Drop what this process has kept, for whoever has to be another one from here on."""
    _kept.clear()


def _changes(given: _Listed, stored: Mapping[TableId, tuple[Table, float]]) -> Changes:
    return Changes(
        new=tuple(table for name, table in given.items() if name not in stored),
        changed=tuple(table for name, table in given.items() if name in stored and _is_another(stored[name][0], table)),
        gone=tuple(name for name in stored if name not in given),
    )


def _is_another(known: Table, table: Table) -> bool:
    """Whether a table changed, not only the way in which it was read: one way knows its id, the other its types' full texts."""
    ids = {known.object_id, table.object_id} - {""}
    return len(ids) > 1 or known.kind is not table.kind or _columns(known) != _columns(table)


def _columns(table: Table) -> list[tuple[str, DataType]]:
    return [(column.name, replace(column.type, text="")) for column in table.columns]


def _stored(target: str) -> dict[TableId, tuple[Table, float]]:
    """All tables, each with when it was seen outside of a whole reading (seconds since 1970; 0: it was not)."""
    found = (_readable(values) for values in items.query(_pk(target)) if values["sk"] != HEAD)
    return {known[0].id: known for known in found if known is not None}


def _some(target: str, tables: Iterable[TableId]) -> dict[TableId, tuple[Table, float]]:
    items_found = batch.read_many([(_pk(target), table_key(table)) for table in tables])
    found = (_readable(plain(item)) for item in items_found.values())
    return {known[0].id: known for known in found if known is not None}


def _readable(values: Mapping[str, Any]) -> tuple[Table, float] | None:
    try:
        return table_from(inflated(values["d"])), float(values.get("seen", 0))
    except (KeyError, TypeError, ValueError) as error:
        log.error("inventory.unreadable", pk=values.get("pk"), key=values.get("sk"), exc_info=error)
        return None


def _values(target: str, table: Table, seen_at: datetime | None = None) -> dict[str, Any]:
    seen = int(seen_at.timestamp()) if seen_at else None
    return {"pk": _pk(target), "sk": table_key(table.id), "seen": seen, "d": deflated(table_form(table))}


def _holder_values(target: str, principal: Principal, known: Holders) -> dict[str, Any]:
    form = {
        "principal": principal_form(principal),
        "exists": known.exists,
        "through": principals_form(known.through),
        "users": known.users,
    }
    return {"pk": _holders_pk(target), "sk": _holder_key(principal), "d": deflated(form)}


def _holder_key(principal: Principal) -> str:
    encoded = principal.name.encode("utf-8", "surrogatepass")
    name = principal.name if len(encoded) <= NAME_MAX else f"~{hashlib.sha256(encoded).hexdigest()}"
    return f"{principal.kind}#{name}"


def _in_order(tables: Iterable[Table]) -> list[tuple[list[str], Table]]:
    return sorted(((_order(table.id), table) for table in tables), key=lambda pair: pair[0])


def _order(table: TableId) -> list[str]:
    return [table.database[:PART], table.schema[:PART], table.name[:PART], table_key(table)]


def _read_at(head: Mapping[str, Any]) -> datetime:
    return clock.from_iso(head["at"])


def _pk(target: str) -> str:
    return f"V#{target}"


def _holders_pk(target: str) -> str:
    return f"VH#{target}"
