"""What reconciliation found: tables that are not as they were proven, until they are again; newest first.

Repaired ones are kept as long as events are.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.drift import Drift, DriftKind
from lily.domain.inventory import TableId
from lily.records import batch, due, items, streams
from lily.records.batch import Item, Key, packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import deflated, inflated, site_form, site_from, table_key
from lily.runtime import clock, logs
from lily.runtime.settings import settings

log = logs.get(__name__)

TRIES = 5  # of a write that others keep overtaking
OPEN, REPAIRED = "open", "repaired"


@dataclass(frozen=True)
class Found:
    """One drift. `found_at`: for the first time since it was repaired last; `repaired_at` None: nothing says that it is."""

    target: str
    drift: Drift
    found_at: datetime
    repaired_at: datetime | None = None


DriftPage = streams.Found[Found]
_Stored = tuple[Found, int]  # with the version of the item


def save_many(found: Iterable[Found]) -> None:
    """Put drifts on record. One that is open already keeps the time at which it was found. Safe to repeat."""
    waiting = {_key(one): one for one in found}

    def change(key: Key, known: _Stored | None) -> Found | None:
        one = waiting[key]
        if known is None or known[0].repaired_at is not None:
            return one
        return replace(one, found_at=min(one.found_at, known[0].found_at))

    _change(list(waiting), change)


def settle(target: str, table: TableId, now: datetime) -> None:
    """The table is as it should be: all that was found by then is repaired."""
    keys = [(values["pk"], values["sk"]) for values in items.query(_pk(target), f"{table_key(table)}#")]

    def change(_: Key, known: _Stored | None) -> Found | None:
        if known is None or known[0].repaired_at is not None or known[0].found_at > now:
            return None
        return replace(known[0], repaired_at=now)

    _change(keys, change)


def find(target: str, open_only: bool, limit: int, cursor: str | None) -> DriftPage:
    """Up to `limit` drifts of a target below the position `cursor`, the latest first. The index lags a little behind."""
    query = streams.Query(filters={"sta": [OPEN]} if open_only else {})

    def load(entries: list[Item]) -> list[Found]:
        keys = [(entry["pk"]["S"], entry["sk"]["S"]) for entry in entries]
        found, now = _read(keys), clock.now()
        kept = [found[key][0] for key in keys if key in found]
        return [one for one in kept if one.repaired_at is None or (not open_only and _expires_at(one.repaired_at) > now)]

    return streams.find([streams.Group([streams.Stream("gs1", _pk(target))])], query, limit, cursor, load)


def _change(keys: Sequence[Key], change: Callable[[Key, _Stored | None], Found | None]) -> None:
    """Write what `change` makes of each, conditionally, and again on what is there where others were first."""
    waiting = list(keys)
    for _ in range(TRIES):
        if not waiting:
            return
        known = _read(waiting)
        wanted = {key: after for key in waiting if (after := change(key, known.get(key))) is not None}
        versions = {key: known[key][1] if key in known else 0 for key in wanted}
        answers = batch.put_if([(packed(_values(one, versions[key])), versions[key]) for key, one in wanted.items()])
        failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if failed is not None:
            raise failed
        waiting = [key for key, answer in zip(wanted, answers, strict=True) if not answer]
    if waiting:
        log.warning("drift.overtaken", keys=waiting[:5], count=len(waiting))  # whoever overtook has written what it saw since


def _read(keys: Sequence[Key]) -> dict[Key, _Stored]:
    found = {}
    for key, item in batch.read_many(keys).items():
        values = plain(item)
        found[key] = (_found(key[0].partition("#")[2], inflated(values["d"])), values["ver"])
    return found


def _key(found: Found) -> Key:
    site = found.drift.site
    column = "" if site.column is None else hashlib.sha256(site.column.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return _pk(found.target), f"{table_key(site.table)}#{found.drift.kind.value}#{column}"


def _pk(target: str) -> str:
    return f"D#{target}"


def _expires_at(repaired_at: datetime) -> datetime:
    return repaired_at + timedelta(days=settings().event_ttl_days)


def _values(found: Found, version: int) -> dict[str, Any]:
    pk, sk = _key(found)
    data = {
        "kind": found.drift.kind.value,
        "site": site_form(found.drift.site),
        "text": found.drift.text,
        "found_at": time_form(found.found_at),
        "repaired_at": time_form(found.repaired_at),
    }
    return {
        "pk": pk,
        "sk": sk,
        "g1": pk,
        "t": f"{due.millis(found.found_at):013d}#{sk}",
        "sta": REPAIRED if found.repaired_at else OPEN,
        "exp": int(_expires_at(found.repaired_at).timestamp()) if found.repaired_at else None,
        "ver": version + 1,
        "d": deflated(data),
    }


def _found(target: str, data: Mapping[str, Any]) -> Found:
    drift = Drift(DriftKind(data["kind"]), site_from(data["site"]), data["text"])
    return Found(target, drift, clock.from_iso(data["found_at"]), time_from(data["repaired_at"]))
