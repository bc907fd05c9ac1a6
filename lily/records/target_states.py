"""Targets as they are run: the mode that was set over the API, and what the last look at each found.

pk `TARGETS`, sk the name. Mode and check are attributes of their own, so that neither overwrites the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from lily.domain.targets import Mode
from lily.records import audit, items
from lily.records.audit import Facts
from lily.records.items import Plain
from lily.runtime import clock
from lily.runtime.settings import settings

PK = "TARGETS"


@dataclass(frozen=True)
class TargetState:
    """`mode` None: as configured. `proves`: whether behaviour can be proven there; `trouble`: why not, or what went wrong."""

    name: str
    mode: Mode | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
    proves: bool | None = None
    remarks: tuple[str, ...] = ()
    trouble: str = ""
    checked_at: datetime | None = None


def get(name: str) -> TargetState:
    """Raises Transient and Permanent, as all here."""
    return _read(items.get(PK, name) or {"sk": name})


def every() -> dict[str, TargetState]:
    """Of all that was ever noted, by name."""
    return {item["sk"]: _read(item) for item in items.query(PK)}


def mode(name: str) -> Mode:
    """What holds now: what was set, else what is configured."""
    return get(name).mode or Mode(settings().targets[name].mode)


def set_mode(names: Collection[str], wanted: Mode, facts: Facts, now: datetime) -> None:
    """All of them, with the audit entry, or none."""
    form = items.dumps([wanted.value, now.isoformat(), facts.actor])
    audit.with_entry(lambda: [items.updating(PK, name, {"mode": form}) for name in sorted(set(names))], facts, now)


def note_check(name: str, proves: bool | None, remarks: Sequence[str], trouble: str, now: datetime) -> None:
    """What a look at the target found. `proves` None: it was not to be found out this time, and what was known stays."""
    if proves is None:
        known = get(name)
        proves, remarks = known.proves, known.remarks
    items.update(PK, name, {"checked": items.dumps([proves, list(remarks), trouble, now.isoformat()])})


def _read(item: Plain) -> TargetState:
    told, changed_at, changed_by = items.loads(item["mode"]) if "mode" in item else (None, None, "")
    proves, remarks, trouble, checked_at = items.loads(item["checked"]) if "checked" in item else (None, [], "", None)
    return TargetState(
        name=item["sk"],
        mode=Mode(told) if told else None,
        changed_at=clock.from_iso(changed_at) if changed_at else None,
        changed_by=changed_by,
        proves=proves,
        remarks=tuple(remarks),
        trouble=trouble,
        checked_at=clock.from_iso(checked_at) if checked_at else None,
    )
