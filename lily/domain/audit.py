"""The audit trail: who did what, each entry sealed with the hash of the one before, so that no change to it goes unseen.

The chain shows that entries were changed, left out or put in between; that its end was cut off shows only who has kept the
hash of a later entry.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

FIRST = "0" * 64  # what the first entry has before it


@dataclass(frozen=True)
class AuditEntry:
    """`details` is plain data as JSON holds it, without secrets and without values from any table."""

    sequence: int  # from 1, without gaps
    at: datetime
    actor: str
    action: str  # "rule.created", "plan.confirmed", ...
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)
    before: str = FIRST  # hash of the entry before
    hash: str = ""


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, and how."""

    sequence: int
    reason: str


def follow(
    last: AuditEntry | None, at: datetime, *, actor: str, action: str, subject: str, details: Mapping[str, Any]
) -> AuditEntry:
    """The next entry after `last`; None begins a chain."""
    sequence, before = (last.sequence + 1, last.hash) if last else (1, FIRST)
    entry = AuditEntry(sequence, at.astimezone(UTC), actor, action, subject, details, before)
    return replace(entry, hash=seal(entry))


def seal(entry: AuditEntry) -> str:
    """64 hex digits over everything in an entry but its own hash."""
    told = [
        entry.sequence,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.details,
        entry.before,
    ]
    canonical = json.dumps(told, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def verify(entries: Iterable[AuditEntry], after: AuditEntry | None = None) -> Break | None:
    """The first break in entries that follow `after` (None: from the beginning), in order; None if the chain holds."""
    sequence, before = (after.sequence, after.hash) if after else (0, FIRST)
    for entry in entries:
        if entry.sequence != sequence + 1:
            return Break(entry.sequence, f"follows entry {sequence}")
        if entry.before != before:
            return Break(entry.sequence, "does not name the hash of the entry before it")
        if entry.hash != seal(entry):
            return Break(entry.sequence, "was changed after it was sealed")
        sequence, before = entry.sequence, entry.hash
    return None
