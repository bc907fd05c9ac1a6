"""Changes of rules on their way to targets: one item for each rule and target, due until all its tables were dealt with."""

import secrets
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from lily.domain.rules import Rule
from lily.records import batch, due, items
from lily.records.forms import time_form, time_from
from lily.records.items import Plain, Write
from lily.runtime import aws, clock, lanes
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

TRIES = 5  # while others write


@dataclass(frozen=True)
class Asked:
    """`attempts` are failures since it was asked for. `item` is the version of the stored item."""

    rule_id: str
    target: str
    version: int
    asked_at: datetime
    due_at: datetime | None
    attempts: int = 0
    reason: str = ""
    done_at: datetime | None = None
    item: int = 0

    @property
    def member(self) -> str:
        return member(self.target, self.rule_id)


def member(target: str, rule_id: str) -> str:
    """The name under which a rule waits in a target's lane."""
    return f"q:{target}#{rule_id}"


def writes(rule: Rule, targets: Collection[str], now: datetime) -> list[Write]:
    """For the transaction that changes the rule: it is asked for anew, whatever an older version left."""
    due_at = now + timedelta(seconds=settings().sweep_after_s)
    return [_asking(rule.id, target, rule.version, now, due_at) for target in sorted(targets)]


def of_rule(rule_id: str) -> list[Asked]:
    """For each target that any version of the rule was asked for at."""
    return [_read(item) for item in items.query(f"R#{rule_id}", "Q#")]


def load(members: Iterable[str]) -> list[Asked]:
    """Those of these members that are not done. Raises Transient and Permanent, as everything here."""
    keys = []
    for name in dict.fromkeys(members):
        target, _, rule_id = name.removeprefix("q:").partition("#")
        keys.append((f"R#{rule_id}", f"Q#{target}"))
    found = batch.read_many(keys)
    asked = [_read(batch.plain(found[key])) for key in keys if key in found]
    return [one for one in asked if one.due_at is not None]


def finish(asked: Asked, now: datetime) -> bool:
    """Done. False: it was asked for again meanwhile, and stays due."""
    return _change(asked, None, "", asked.attempts, now)


def postpone(asked: Asked, due_at: datetime, reason: str, attempts: int) -> bool:
    """Later. False as in `finish`."""
    return _change(asked, due_at, reason, attempts, None)


def again(rule_id: str, target: str, now: datetime) -> Asked | None:
    """Asked for by hand: due now, with a clean slate, at whatever version it is. None if it never was asked for.

    Raises Transient where others change it all the time, besides what all here raise.
    """
    for _ in range(TRIES):
        item = items.get(f"R#{rule_id}", f"Q#{target}")
        if item is None:
            return None
        known = _read(item)
        values = _values(rule_id, target, known.version, now, now, 0, "", None) | {"ver": secrets.randbits(48)}
        with suppress(aws.ConditionFailed):  # then a newer version was asked for, or this one is done: on top of that
            return _read(items.update(f"R#{rule_id}", f"Q#{target}", values, "#ver = :known", known=known.item))
    raise Transient("the request for this rule is in great demand")


def _asking(rule_id: str, target: str, version: int, now: datetime, due_at: datetime) -> Write:
    values = _values(rule_id, target, version, now, due_at, 0, "", None)
    return items.putting({"pk": f"R#{rule_id}", "sk": f"Q#{target}", **values, "ver": secrets.randbits(48)})


def _change(asked: Asked, due_at: datetime | None, reason: str, attempts: int, done_at: datetime | None) -> bool:
    values = _values(asked.rule_id, asked.target, asked.version, asked.asked_at, due_at, attempts, reason[:1000], done_at)
    try:
        items.update(f"R#{asked.rule_id}", f"Q#{asked.target}", values, "#ver = :ver", ver=asked.item)
    except aws.ConditionFailed:
        return False
    return True


def _values(  # noqa: PLR0917 - one for each attribute
    rule_id: str,
    target: str,
    version: int,
    asked_at: datetime,
    due_at: datetime | None,
    attempts: int,
    reason: str,
    done_at: datetime | None,
) -> dict[str, str | int | bytes | None]:
    form = [version, time_form(asked_at), time_form(due_at), attempts, reason, time_form(done_at)]
    return {"d": items.dumps(form), **due.keys(member(target, rule_id), lanes.of_target(target), due_at)}


def _read(item: Plain) -> Asked:
    version, asked_at, due_at, attempts, reason, done_at = items.loads(item["d"])
    return Asked(
        rule_id=item["pk"][2:],
        target=item["sk"][2:],
        version=version,
        asked_at=clock.from_iso(asked_at),
        due_at=time_from(due_at),
        attempts=attempts,
        reason=reason,
        done_at=time_from(done_at),
        item=int(item["ver"]),
    )
