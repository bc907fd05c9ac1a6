"""The audit trail: one chain of entries, each written in the same transaction as what it tells of.

Entries: pk `AUDIT`, sk the sequence in twelve digits; its head, sk `~`, holds the last one's sequence and hash.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lily.domain import audit as chain
from lily.domain.audit import AuditEntry, Break
from lily.records import batch, items
from lily.records.batch import Lost
from lily.records.items import Plain, Write
from lily.records.streams import Found
from lily.runtime import clock
from lily.runtime.errors import Transient

PK, HEAD = "AUDIT", "~"
LASTS_S = 5.0


@dataclass(frozen=True)
class Facts:
    """Who did what to whom; `details` is plain data without secrets and without values from any table."""

    actor: str
    action: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


def with_entry(writes: Callable[[], Sequence[Write]], facts: Facts, now: datetime) -> AuditEntry:
    """Do `writes` and append the entry that tells of them, or neither. Tried anew while others append entries meanwhile.

    Raises Lost where a condition of `writes` does not hold (its positions), Transient and Permanent.
    """
    ends_at, attempt = time.monotonic() + LASTS_S, 0
    while True:
        told = list(writes())
        entry = _next(facts, now)
        try:
            batch.transact([*told, *_appending(entry)])
        except Lost as lost:
            mine = [place for place in lost.positions if place < len(told)]
            if mine:
                raise Lost(mine) from None
            attempt += 1
            if time.monotonic() > ends_at:
                raise Transient("the audit trail is in great demand") from None
            time.sleep(random.uniform(0, min(0.2, 0.01 * 2**attempt)))
        else:
            return entry


def page(limit: int, cursor: str | None) -> Found[AuditEntry]:
    """Entries, the newest first."""
    found = items.page(PK, limit, cursor or HEAD, newest_first=True)
    return Found(tuple(_read(item) for item in found.items if item["sk"] != HEAD), found.next)


def verify(limit: int = 100_000) -> Break | None:
    """The first break in the chain, from its beginning, within its first `limit` entries; None if it holds."""
    entries = (_read(item) for item in items.query(PK) if item["sk"] != HEAD)
    return chain.verify(entry for _, entry in zip(range(limit), entries, strict=False))


def _next(facts: Facts, now: datetime) -> AuditEntry:
    head = items.get(PK, HEAD)
    last = _read(head) if head else None
    told = {"actor": facts.actor, "action": facts.action, "subject": facts.subject, "details": dict(facts.details)}
    return chain.follow(last, now, **told)  # type: ignore[arg-type] # a mapping of its keyword arguments


def _appending(entry: AuditEntry) -> list[Write]:
    """The entry, which must be new, and the head, which must be the entry's predecessor."""
    form: dict[str, str | int | bytes | None] = {"d": _form(entry), "ver": entry.sequence}
    known = {"before": entry.sequence - 1} if entry.sequence > 1 else {}
    condition = "#ver = :before" if known else "attribute_not_exists(pk)"
    return [
        items.putting({"pk": PK, "sk": f"{entry.sequence:012d}", **form}, "attribute_not_exists(pk)"),
        items.putting({"pk": PK, "sk": HEAD, **form}, condition, **known),
    ]


def _form(entry: AuditEntry) -> str:
    return items.dumps(
        [
            entry.sequence,
            entry.at.isoformat(),
            entry.actor,
            entry.action,
            entry.subject,
            dict(entry.details),
            entry.before,
            entry.hash,
        ]
    )


def _read(item: Plain) -> AuditEntry:
    sequence, at, actor, action, subject, details, before, sealed = items.loads(item["d"])
    return AuditEntry(sequence, clock.from_iso(at), actor, action, subject, details, before, sealed)
