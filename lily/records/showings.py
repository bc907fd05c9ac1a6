"""Incidents and the assets on which they are shown: one item each, so that an incident can be taken from an asset again.

It is written before the assets are. Due in the index while its incident has still to be brought to some of them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.incidents import Incident
from lily.records import batch, due, incidents
from lily.records.batch import Item, packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import deflated, inflated
from lily.runtime import clock, lanes, logs
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

log = logs.get(__name__)

SK = "U"
TRIES_MAX = 8
Key = tuple[str, str]  # source, incident id
On = tuple[str, str]  # catalog, qualified name


@dataclass(frozen=True)
class Showing:
    """`on`: assets that may show it. `due_at` None: nothing is left to do. `failures` and `reason` are of the latest tries."""

    key: Key
    on: frozenset[On] = frozenset()
    due_at: datetime | None = None
    failures: int = 0
    reason: str = ""
    version: int = field(default=0, compare=False)


def member(key: Key) -> str:
    """The name under which an incident is due to be brought to its assets, and travels through the lane."""
    return f"s:{incidents.member(Incident(*key))[2:]}"


def get_many(keys: Iterable[Key]) -> dict[Key, Showing]:
    """Strongly consistent; a blank one for an incident that was never shown. Raises Transient and Permanent."""
    wanted = list(dict.fromkeys(keys))
    found = {showing.key: showing for showing in load(map(member, wanted))}
    return {key: found.get(key) or Showing(key) for key in wanted}


def load(members: Iterable[str]) -> list[Showing]:
    """By their names in the due index and the lanes (`s:...`)."""
    found = []
    for (pk, _), item in batch.read_many([(f"U#{name[2:]}", SK) for name in dict.fromkeys(members)]).items():
        try:
            found.append(_read(plain(item)))
        except (KeyError, TypeError, ValueError) as error:
            log.error("showing.unreadable", key=pk, exc_info=error)
    return found


def save_many(showings: Sequence[Showing]) -> dict[Key, Showing]:
    """Write each if it is stored as it was read; those that were, as they are now. Raises Transient and Permanent."""
    answers = batch.put_if([(_item(showing), showing.version) for showing in showings])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    written = [showing for showing, answer in zip(showings, answers, strict=True) if answer is True]
    return {showing.key: replace(showing, version=showing.version + 1) for showing in written}


def ask_many(keys: Collection[Key], at: datetime | None = None) -> list[str]:
    """Have incidents brought to their assets; the members to wake. Safe to repeat. Raises Transient and Permanent."""
    waiting, due_at = list(dict.fromkeys(keys)), at or clock.now() + timedelta(seconds=settings().sweep_after_s)
    for _ in range(TRIES_MAX):
        if not waiting:
            return [member(key) for key in dict.fromkeys(keys)]
        known = get_many(waiting)
        asked = [replace(one, due_at=min(filter(None, (one.due_at, due_at))), failures=0) for one in known.values()]
        won = save_many(asked)
        waiting = [key for key in waiting if key not in won]
    raise Transient(f"others keep changing where {len(waiting)} incidents are shown")


def _item(showing: Showing) -> Item:
    name = member(showing.key)
    form = {
        "key": list(showing.key),
        "on": sorted(showing.on),
        "due_at": time_form(showing.due_at),
        "failures": showing.failures,
        "reason": showing.reason,
    }
    forgotten = clock.now() + timedelta(days=settings().event_ttl_days)
    return packed(
        {
            "pk": f"U#{name[2:]}",
            "sk": SK,
            **due.keys(name, lanes.of_incidents(), showing.due_at),
            "exp": None if showing.on or showing.due_at else int(forgotten.timestamp()),
            "ver": showing.version + 1,
            "d": deflated({key: value for key, value in form.items() if value}),
        }
    )


def _read(values: Mapping[str, Any]) -> Showing:
    form = inflated(values["d"])
    source, incident = form["key"]
    return Showing(
        (source, incident),
        frozenset((catalog, name) for catalog, name in form.get("on", ())),
        time_from(form.get("due_at")),
        form.get("failures", 0),
        form.get("reason", ""),
        values["ver"],
    )
