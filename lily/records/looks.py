"""Which tables are to be looked at again: one item each, due in the index until somebody has looked.

Asking counts up; whoever has looked settles only what was asked when it began, so that what came in between stays due.
Each write is conditional on what was read, and tried again on what is there where it lost.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lily.domain.inventory import TableId
from lily.records import batch, due, items
from lily.records.batch import Item, packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import deflated, inflated, table_id_form, table_id_from, table_key
from lily.runtime import clock, lanes, logs
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

log = logs.get(__name__)

PATIENCE_S = 4.0  # for races that are lost again and again


@dataclass(frozen=True)
class Look:
    """`number` counts the requests, `done` is the number that was finished last: done >= number n, n has been answered.

    `due_at` None: nobody is asked to look. `attempts` and `reason` are of the request that waits; `outcome`, `reasons` and
    `ended_at` tell how the last look ended.
    """

    target: str
    table: TableId
    number: int
    due_at: datetime | None
    asked_at: datetime
    attempts: int = 0
    reason: str = ""
    done: int = 0
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    ended_at: datetime | None = None
    version: int = field(default=0, compare=False)  # of the stored item


def member(target: str, table: TableId) -> str:
    """The name under which a table is due and travels through its target's lane."""
    return f"t:{target}#{table_key(table)}"


def asked(known: Look | None, target: str, table: TableId, now: datetime, due_at: datetime | None = None) -> Look:
    """The look once it is asked for (again). `due_at` None: as soon as possible, so the sweep takes it up if nobody else does.

    An earlier due time stays. Being asked for at once begins anew: earlier failures do not count.
    """
    wanted = due_at or now + timedelta(seconds=settings().sweep_after_s)
    if known is None:
        return Look(target, table, 1, wanted, now)
    times = [at for at in (known.due_at, wanted) if at is not None]
    again = replace(known, number=known.number + 1, due_at=min(times), asked_at=now)
    return again if due_at else replace(again, attempts=0, reason="")


def writing(look: Look) -> items.Write:
    """The write of a transaction; it loses if the stored item is not the one from which `look` was made."""
    if look.version == 0:
        return items.putting(_values(look), "attribute_not_exists(pk)")
    return items.putting(_values(look), "#ver = :known", known=look.version)


def ask_many(target: str, tables: Iterable[TableId], now: datetime, due_at: datetime | None = None) -> list[Look]:
    """Have tables looked at; as they are then, each once, in order. See `asked`. Raises Transient and Permanent."""
    wanted = list(dict.fromkeys(tables))
    made = _change(target, wanted, get_many(target, wanted), lambda known, table: asked(known, target, table, now, due_at))
    return [made[table] for table in wanted]


def load(members: Iterable[str]) -> list[Look]:
    """Looks by their names in the due index and the lanes (`t:...`), if they are still due, now or later."""
    found = _read([(f"T#{name[2:]}", "L") for name in dict.fromkeys(members)])
    return [look for look in found if look.due_at is not None]


def get_many(target: str, tables: Iterable[TableId]) -> dict[TableId, Look]:
    """Strongly consistent; those that nobody ever asked for are left out."""
    return {look.table: look for look in _read([key(target, table) for table in dict.fromkeys(tables)])}


def finish_many(looks: Sequence[Look], outcomes: Mapping[TableId, tuple[str, tuple[str, ...]]], now: datetime) -> None:
    """Somebody has looked: the outcome and its reasons by table. What was asked for since `looks` were read stays due."""

    def finish(began: Look, known: Look | None) -> Look | None:
        if known is None or began.table not in outcomes or known.done >= began.number:
            return None
        outcome, reasons = outcomes[began.table]
        ended = replace(known, done=began.number, outcome=outcome, reasons=reasons, ended_at=now)
        return ended if known.number > began.number else replace(ended, due_at=None, attempts=0, reason="")

    _follow(looks, finish)


def postpone_many(looks: Sequence[Look], due_at: datetime, reason: str) -> None:
    """Try again at `due_at`, after one more failure. What was asked for since `looks` were read stays due as it is."""

    def postpone(began: Look, known: Look | None) -> Look | None:
        if known is None or known.number != began.number or known.due_at is None:
            return None
        return replace(known, due_at=due_at, attempts=began.attempts + 1, reason=reason)

    _follow(looks, postpone)


def key(target: str, table: TableId) -> batch.Key:
    return f"T#{target}#{table_key(table)}", "L"


def read(item: Item) -> Look:
    """The look that an item holds."""
    return _look(plain(item))


def _follow(looks: Sequence[Look], change: Callable[[Look, Look | None], Look | None]) -> None:
    """Write what `change` makes of looks as they were when work began, and as they are; None: leave it."""
    began: dict[str, dict[TableId, Look]] = {}
    for look in looks:
        began.setdefault(look.target, {})[look.table] = look
    for target, known in began.items():
        _change(target, list(known), known, partial(_changed, change, known))


def _changed(
    change: Callable[[Look, Look | None], Look | None], began: Mapping[TableId, Look], known: Look | None, table: TableId
) -> Look | None:
    return change(began[table], known)


def _change(
    target: str,
    tables: Sequence[TableId],
    known: Mapping[TableId, Look],
    change: Callable[[Look | None, TableId], Look | None],
) -> dict[TableId, Look]:
    """Write what `change` makes of each look until it wins; as they are then. `known` may be stale."""
    ends_at, made, waiting = time.monotonic() + PATIENCE_S, dict[TableId, Look](), list(tables)
    while True:
        wanted = {table: after for table in waiting if (after := change(known.get(table), table)) is not None}
        answers = batch.put_if([(packed(_values(look)), look.version) for look in wanted.values()])
        failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if failed is not None:
            raise failed
        won = [look for look, answer in zip(wanted.values(), answers, strict=True) if answer]
        made |= {look.table: replace(look, version=look.version + 1) for look in won}
        waiting = [table for table in wanted if table not in made]
        if not waiting:
            return made
        if time.monotonic() > ends_at:
            raise Transient(f"others keep changing {len(waiting)} tables of {target} that are to be looked at")
        time.sleep(random.uniform(0, 0.02))
        known = get_many(target, waiting)


def _read(keys: Sequence[batch.Key]) -> list[Look]:
    found = []
    for (pk, _), item in batch.read_many(keys).items():
        try:
            found.append(read(item))
        except (KeyError, TypeError, ValueError) as error:
            log.error("look.unreadable", key=pk, exc_info=error)
    return found


def _values(look: Look) -> dict[str, Any]:
    pk, sk = key(look.target, look.table)
    data: dict[str, Any] = {
        "target": look.target,
        "table": table_id_form(look.table),
        "number": look.number,
        "due_at": time_form(look.due_at),
        "asked_at": time_form(look.asked_at),
        "attempts": look.attempts,
        "reason": look.reason,
        "done": look.done,
        "outcome": look.outcome,
        "reasons": list(look.reasons),
        "ended_at": time_form(look.ended_at),
    }
    return {
        "pk": pk,
        "sk": sk,
        **due.keys(member(look.target, look.table), lanes.of_target(look.target), look.due_at),
        "ver": look.version + 1,
        "d": deflated({name: value for name, value in data.items() if value}),
    }


def _look(values: Mapping[str, Any]) -> Look:
    data = inflated(values["d"])
    return Look(
        target=data["target"],
        table=table_id_from(data["table"]),
        number=data["number"],
        due_at=time_from(data.get("due_at")),
        asked_at=clock.from_iso(data["asked_at"]),
        attempts=data.get("attempts", 0),
        reason=data.get("reason", ""),
        done=data.get("done", 0),
        outcome=data.get("outcome", ""),
        reasons=tuple(data.get("reasons", ())),
        ended_at=time_from(data.get("ended_at")),
        version=values["ver"],
    )
