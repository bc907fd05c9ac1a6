"""Weakenings that the world still has to be told of: one item each, due in the index until its message is on the bus.

Written before the weakening is carried out, so that no death in between keeps it quiet. One that is noted twice before it was
told stays as it was first, and so has one message id.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lily.domain.brake import Weakening
from lily.records import batch, due
from lily.records.batch import Key, packed, plain
from lily.records.forms import time_form
from lily.records.security_forms import deflated, inflated, weakening_form, weakening_from
from lily.runtime import clock, lanes
from lily.runtime.settings import settings

SK = "W"


@dataclass(frozen=True)
class Notice:
    """`noted_at`: before the weakening was carried out, if it was."""

    target: str
    weakening: Weakening
    noted_at: datetime
    due_at: datetime
    attempts: int = 0


def member(notice: Notice) -> str:
    """The name under which it is due and travels through its target's lane."""
    return f"w:{notice.target}#{_digest(notice.weakening)}"


def note_many(target: str, lost: Iterable[Weakening], now: datetime) -> list[Notice]:
    """Have the world told of these, unless the target proves not to have lost them. Raises Transient and Permanent."""
    due_at = now + timedelta(seconds=settings().sweep_after_s)
    wanted = {_key(notice): notice for notice in (Notice(target, one, now, due_at) for one in lost)}
    there = {key: _read(plain(item)) for key, item in batch.read_many(list(wanted)).items()}
    batch.write_many([_item(notice) for key, notice in wanted.items() if key not in there])
    return [there.get(key, notice) for key, notice in wanted.items()]


def load(members: Iterable[str]) -> list[Notice]:
    """By their names in the due index and the lanes (`w:...`); those that were told are left out."""
    keys = [(f"W#{name[2:]}", SK) for name in dict.fromkeys(members)]
    return [_read(plain(item)) for item in batch.read_many(keys).values()]


def postpone_many(notices: Sequence[Notice], due_at: datetime) -> None:
    """Try again at `due_at`. Only the target's lane writes notices, so nobody else's change is lost."""
    batch.write_many([_item(replace(notice, due_at=due_at, attempts=notice.attempts + 1)) for notice in notices])


def forget_many(notices: Sequence[Notice]) -> None:
    """They were told, or there was nothing to tell."""
    batch.delete_many([_key(notice) for notice in notices])


def _key(notice: Notice) -> Key:
    return f"W#{member(notice)[2:]}", SK


def _digest(one: Weakening) -> str:
    return hashlib.sha256(json.dumps(weakening_form(one)).encode()).hexdigest()[:32]


def _item(notice: Notice) -> batch.Item:
    times = [time_form(notice.noted_at), notice.attempts, time_form(notice.due_at)]
    form = [notice.target, weakening_form(notice.weakening), *times]
    pk, sk = _key(notice)
    keys = due.keys(member(notice), lanes.of_target(notice.target), notice.due_at)
    return packed({"pk": pk, "sk": sk, "d": deflated(form), **keys})


def _read(item: dict[str, object]) -> Notice:
    target, one, noted_at, attempts, due_at = inflated(item["d"])  # type: ignore[arg-type]
    return Notice(target, weakening_from(one), clock.from_iso(noted_at), clock.from_iso(due_at), attempts)
