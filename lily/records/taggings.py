"""Assets of a catalog whose tags somebody told of: one item each, due in the index while it has to be read (again).

It is written before the event that tells of it ends, and is due until the annotation that follows from it is written, so that
at each moment one of them brings the tag into force. Each write is conditional on what was read.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lily.domain.assets import Asset
from lily.domain.catalog import Attached, Hint
from lily.domain.classifications import Place
from lily.domain.tagging import LONG_AGO, Tagging, Told, tell
from lily.records import batch, due
from lily.records.batch import Item, packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import deflated, inflated, table_id_form, table_id_from
from lily.runtime import clock, lanes, logs
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

log = logs.get(__name__)

SK = "Y"
PATIENCE_S = 4.0  # for races that are lost again and again
Name = tuple[str, str]  # catalog, qualified name


@dataclass(frozen=True)
class Kept:
    """A tagging as it is stored. `due_at` None: nobody has to read it. `failures` and `reason` are of the latest tries.

    `places`: where it lay when it was last seen, for it may be gone when it is read.
    """

    tagging: Tagging
    places: tuple[Place, ...] = ()
    due_at: datetime | None = None
    failures: int = 0
    reason: str = ""
    version: int = field(default=0, compare=False)

    @property
    def name(self) -> Name:
        return self.tagging.catalog, self.tagging.asset.qualified_name


@dataclass(frozen=True)
class Tip:
    """An asset of a target's connection that is to be read, and what an event said of it, if there was one."""

    catalog: str
    connection: str
    asset: Asset
    hint: Hint | None = None
    places: tuple[Place, ...] = ()


def member(catalog: str, qualified_name: str) -> str:
    """The name under which an asset is due and travels through its catalog's lane."""
    digest = hashlib.sha256(qualified_name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"y:{catalog}#{digest}"


def ask_many(tips: Iterable[Tip], now: datetime) -> list[Kept]:
    """Have assets read, and what is told of them remembered. Safe to repeat. Raises Transient and Permanent."""
    by_name: dict[Name, list[Tip]] = {}
    for tip in tips:
        by_name.setdefault((tip.catalog, tip.asset.qualified_name), []).append(tip)

    def asked(known: Kept | None, name: Name) -> Kept:
        first = by_name[name][0]
        kept = known or Kept(Tagging(first.catalog, first.connection, first.asset))
        tagging = tell(kept.tagging, [tip.hint for tip in by_name[name] if tip.hint is not None], now)
        wanted = now + timedelta(seconds=settings().sweep_after_s)
        times = [at for at in (kept.due_at, wanted) if at is not None]
        there = next((tip.places for tip in by_name[name] if tip.places), kept.places)
        return replace(kept, tagging=tagging, places=there, due_at=min(times), failures=0, reason="")

    return _change(list(by_name), get_many(by_name), asked)


def get_many(names: Iterable[Name]) -> dict[Name, Kept]:
    """Strongly consistent; those that nobody ever told of are left out."""
    return {kept.name: kept for kept in load(member(*name) for name in names)}


def load(members: Iterable[str]) -> list[Kept]:
    """By their names in the due index and the lanes (`y:...`)."""
    found = []
    for (pk, _), item in batch.read_many([(f"Y#{name[2:]}", SK) for name in dict.fromkeys(members)]).items():
        try:
            found.append(_read(item))
        except (KeyError, TypeError, ValueError) as error:
            log.error("tagging.unreadable", key=pk, exc_info=error)
    return found


def save_many(changed: Sequence[Kept]) -> list[bool]:
    """Write what became of taggings; False where something new was told meanwhile: that one stays due as it is.

    Raises Transient and Permanent.
    """
    answers = batch.put_if([(_item(kept), kept.version) for kept in changed])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [answer is True for answer in answers]


def _change(names: Sequence[Name], known: Mapping[Name, Kept], change: Callable[[Kept | None, Name], Kept]) -> list[Kept]:
    """Write what `change` makes of each until it wins; as they are then."""
    ends_at, made, waiting = time.monotonic() + PATIENCE_S, dict[Name, Kept](), list(names)
    while True:
        wanted = {name: change(known.get(name), name) for name in waiting}
        won = save_many(list(wanted.values()))
        for (name, kept), has_won in zip(wanted.items(), won, strict=True):
            if has_won:
                made[name] = replace(kept, version=kept.version + 1)
        waiting = [name for name in waiting if name not in made]
        if not waiting:
            return [made[name] for name in names]
        if time.monotonic() > ends_at:
            raise Transient(f"others keep changing {len(waiting)} assets that are to be read")
        time.sleep(random.uniform(0, 0.02))
        known = get_many(waiting)


def _item(kept: Kept) -> Item:
    tagging = kept.tagging
    name, asset = member(*kept.name), tagging.asset
    form = {
        "catalog": tagging.catalog,
        "connection": tagging.connection,
        "asset": [asset.qualified_name, asset.type, asset.guid, asset.name],
        "told": [_told_form(one, known) for one, known in sorted(tagging.told.items())],
        "lost": tagging.lost,
        "inherited": sorted(tagging.inherited),
        "told_at": time_form(tagging.told_at),
        "readings": tagging.readings,
        "places": [[place.target, table_id_form(place.table), place.column] for place in kept.places],
        "failures": kept.failures,
        "reason": kept.reason,
    }
    return packed(
        {
            "pk": f"Y#{name[2:]}",
            "sk": SK,
            **due.keys(name, lanes.of_tags(tagging.catalog), kept.due_at),
            "ver": kept.version + 1,
            "d": deflated({name: value for name, value in form.items() if value}),
        }
    )


def _told_form(one: Attached, known: Told) -> list[Any]:
    at = "" if known.at == LONG_AGO else known.at.isoformat()
    return [one.tag, one.source, at, known.is_there, known.confirmed]


def _read(item: Item) -> Kept:
    values = plain(item)
    form = inflated(values["d"])
    told = {
        Attached(tag, source): Told(clock.from_iso(at) if at else LONG_AGO, is_there, confirmed)
        for tag, source, at, is_there, confirmed in form.get("told", ())
    }
    tagging = Tagging(
        form["catalog"],
        form["connection"],
        Asset(*form["asset"]),
        told,
        form.get("lost", ""),
        frozenset(form.get("inherited", ())),
        time_from(form.get("told_at")),
        form.get("readings", 0),
    )
    due_at = due.time_of(values["due"]) if values.get("due") else None
    places = tuple(Place(target, table_id_from(table), column) for target, table, column in form.get("places", ()))
    return Kept(tagging, places, due_at, form.get("failures", 0), form.get("reason", ""), values["ver"])
