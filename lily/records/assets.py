"""Assets of a catalog on which something is, was or should be shown: one item each, due in the index while it has to be touched.

Each write is conditional on what was read: two lanes may work on one asset, one for its own badge, one for what it is made from.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lily.domain.assets import Asset
from lily.domain.badges import OpenIncident, Upstream
from lily.domain.catalog import Announcement
from lily.domain.showing import Entry, Shown
from lily.records import batch, due
from lily.records.batch import Item, packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import deflated, inflated
from lily.runtime import lanes, logs
from lily.runtime.errors import Transient

log = logs.get(__name__)

SK = "A"
PATIENCE_S = 4.0  # for races that are lost again and again


def member(catalog: str, qualified_name: str) -> str:
    """The name under which an asset is due and travels through its catalog's lanes."""
    digest = hashlib.sha256(qualified_name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"a:{catalog}#{digest}"


def member_of(shown: Shown) -> str:
    return member(shown.catalog, shown.asset.qualified_name)


def waits_as(shown: Shown) -> tuple[str, str]:
    """Lane key and member under which it waits. A badge has a lane of its own; what has time waits in another, as `d:...`."""
    if shown.is_urgent:
        return lanes.of_badges(shown.catalog), member_of(shown)
    return lanes.of_downstream(shown.catalog), f"d{member_of(shown)[1:]}"


def get(catalog: str, qualified_name: str) -> Shown | None:
    """Strongly consistent; None where nothing was ever shown."""
    return load([member(catalog, qualified_name)]).get(member(catalog, qualified_name))


def load(members: Iterable[str]) -> dict[str, Shown]:
    """By their names in the due index and the lanes (`a:...`, `d:...`), as `a:...`. Raises Transient and Permanent."""
    found = {}
    for (pk, _), item in batch.read_many([(f"A#{name[2:]}", SK) for name in dict.fromkeys(members)]).items():
        try:
            found[f"a:{pk[2:]}"] = _read(item)
        except (KeyError, TypeError, ValueError) as error:
            log.error("asset.unreadable", key=pk, exc_info=error)
    return found


Change = Callable[[Shown], Shown]


def change_many(changes: Sequence[tuple[Shown, Change]]) -> dict[str, Shown]:
    """Apply changes to assets, each to what is stored by now; as they are then, by member.

    The `Shown` is where to begin; one with version 0 that is stored already is read first. Several changes of one asset follow
    each other. Raises Transient and Permanent; some may then be written.
    """
    ends_at = time.monotonic() + PATIENCE_S
    by_name: dict[str, list[Change]] = {}
    known: dict[str, Shown] = {}
    for shown, change in changes:
        by_name.setdefault(member_of(shown), []).append(change)
        known[member_of(shown)] = shown
    made: dict[str, Shown] = {}
    while True:
        before = {name: known[name] for name in by_name if name not in made}
        after = {name: _changed(shown, by_name[name]) for name, shown in before.items()}
        made |= {name: shown for name, shown in after.items() if shown == before[name]}
        writing = {name: shown for name, shown in after.items() if name not in made}
        answers = batch.put_if([(_item(shown), shown.version) for shown in writing.values()])
        for (name, shown), answer in zip(writing.items(), answers, strict=True):
            if isinstance(answer, Exception):
                raise answer
            if answer:
                made[name] = replace(shown, version=shown.version + 1)
        lost = [name for name in by_name if name not in made]
        if not lost:
            return made
        if time.monotonic() > ends_at:
            raise Transient(f"others keep changing {len(lost)} assets that are to be shown")
        time.sleep(random.uniform(0, 0.02))
        known |= load(lost)


def _changed(shown: Shown, changes: Sequence[Change]) -> Shown:
    for change in changes:
        shown = change(shown)
    return shown


def _item(shown: Shown) -> Item:
    lane_key, name = waits_as(shown)
    form = {
        "catalog": shown.catalog,
        "asset": _asset_form(shown.asset),
        "incidents": [_entry_form(key, entry) for key, entry in shown.incidents.items()],
        "upstream": [
            [key, one.name, one.open_incidents, one.worst_severity, one.url] for key, one in sorted(shown.upstream.items())
        ],
        "numbers": [shown.asked, shown.seen, shown.own, shown.written, shown.spread],
        "spread_to": [_asset_form(asset) for asset in shown.spread_to],
        "ours": [_announcement_form(one) for one in shown.ours],
        "aside": _announcement_form(shown.aside) if shown.aside else None,
        "kept": _announcement_form(shown.kept) if shown.kept else None,
        "written_at": time_form(shown.written_at),
        "due_at": time_form(shown.due_at),
        "failures": shown.failures,
        "reason": shown.reason,
    }
    return packed(
        {
            "pk": f"A#{name[2:]}",
            "sk": SK,
            **due.keys(name, lane_key, shown.due_at),
            "ver": shown.version + 1,
            "d": deflated({key: value for key, value in form.items() if value}),
        }
    )


def _read(item: Item) -> Shown:
    values = plain(item)
    form = inflated(values["d"])
    asked, seen, own, written, spread = form["numbers"]
    return Shown(
        catalog=form["catalog"],
        asset=Asset(*form["asset"]),
        incidents=_entries(form.get("incidents", ())),
        upstream={key: Upstream(*fields) for key, *fields in form.get("upstream", ())},
        asked=asked,
        seen=seen,
        own=own,
        written=written,
        spread=spread,
        spread_to=tuple(Asset(*fields) for fields in form.get("spread_to", ())),
        ours=tuple(Announcement(*fields) for fields in form.get("ours", ())),
        aside=Announcement(*form["aside"]) if form.get("aside") else None,
        kept=Announcement(*form["kept"]) if form.get("kept") else None,
        written_at=time_from(form.get("written_at")),
        due_at=time_from(form.get("due_at")),
        failures=form.get("failures", 0),
        reason=form.get("reason", ""),
        version=values["ver"],
    )


def _entries(forms: Iterable[Sequence[Any]]) -> Mapping[str, Entry]:
    return {
        key: Entry(version, OpenIncident(*fields) if fields else None, status, number)
        for key, version, fields, status, number in forms
    }


def _entry_form(key: str, entry: Entry) -> list[Any]:
    one = entry.incident
    fields = [one.id, one.title, one.severity, one.url] if one else None
    return [key, entry.version, fields, entry.status, entry.number]


def _asset_form(asset: Asset) -> list[str]:
    return [asset.qualified_name, asset.type, asset.guid, asset.name]


def _announcement_form(one: Announcement) -> list[str]:
    return [one.type, one.title, one.message]
