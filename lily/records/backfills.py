"""Backfills in DynamoDB: one item each with its progress, due in the index until it is done."""

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.backfills import Backfill, Phase, State
from lily.records import batch, due, items
from lily.records.batch import packed, plain
from lily.records.forms import time_form, time_from
from lily.records.streams import Found
from lily.runtime import lanes, logs
from lily.runtime.settings import settings

log = logs.get(__name__)

PK = "SYNCS"
TIMES = ("started_at", "progress_at", "due_at", "ended_at")
BackfillPage = Found[Backfill]


def member(backfill: Backfill) -> str:
    """The name under which it is due and travels through its catalog's lane."""
    return f"z:{backfill.catalog}#{backfill.id}"


def save(backfill: Backfill) -> Backfill | None:
    """Write it; None if somebody else has changed it since it was read. Raises Transient and Permanent."""
    (answer,) = batch.put_if([(_item(backfill), backfill.version)])
    if isinstance(answer, Exception):
        raise answer
    return replace(backfill, version=backfill.version + 1) if answer else None


def start(backfill: Backfill, now: datetime) -> Backfill | None:
    """Begin, or begin anew where one of that id has ended; None while it is still at work."""
    known = get(backfill.id)
    if known is not None and known.state is State.RUNNING:
        return None
    due_at = now + timedelta(seconds=settings().sweep_after_s)
    return save(replace(backfill, due_at=due_at, version=known.version if known else 0))


def get(backfill_id: str) -> Backfill | None:
    found = items.get(PK, backfill_id)
    return _read(found) if found else None


def load(members: Iterable[str]) -> list[Backfill]:
    """By their names in the due index and the lanes (`z:...`)."""
    found = batch.read_many([(PK, name.partition("#")[2]) for name in dict.fromkeys(members)])
    return [_read(plain(item)) for item in found.values()]


def page(limit: int, cursor: str | None) -> BackfillPage:
    """Up to `limit` backfills below the position `cursor`, the latest ids first."""
    found = items.page(PK, limit, cursor, newest_first=True)
    return Found(tuple(_read(item) for item in found.items), found.next)


def _item(backfill: Backfill) -> batch.Item:
    form: dict[str, Any] = asdict(backfill)
    form.pop("version")
    form |= {name: time_form(form[name]) for name in TIMES}
    ended_at, kept = backfill.ended_at, timedelta(days=settings().event_ttl_days)
    return packed(
        {
            "pk": PK,
            "sk": backfill.id,
            **due.keys(member(backfill), lanes.of_backfills(backfill.catalog), backfill.due_at),
            "exp": int((ended_at + kept).timestamp()) if ended_at else None,
            "ver": backfill.version + 1,
            "d": items.dumps({name: value for name, value in form.items() if value}),
        }
    )


def _read(item: items.Plain) -> Backfill:
    form = items.loads(item["d"])
    known = {one.name for one in fields(Backfill)}
    values = {name: value for name, value in form.items() if name in known}
    values |= {name: time_from(values.get(name)) for name in TIMES}
    values |= {"tags": tuple(values.get("tags", ())), "version": item["ver"]}
    values |= {"pattern": values.get("pattern", ""), "dry_run": values.get("dry_run", False)}
    return Backfill(**{**values, "state": State(values["state"]), "phase": Phase(values["phase"])})
