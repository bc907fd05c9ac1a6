"""Haste for what was written down: targets are woken, so that they need not wait for the sweep. Redis may be away."""

from collections.abc import Collection, Iterable

from lily.domain.inventory import TableId
from lily.records.security_forms import table_key
from lily.runtime import lanes, logs
from lily.runtime.errors import Transient
from tasks import doors

log = logs.get(__name__)


def rule(rule_id: str, targets: Iterable[str]) -> None:
    """Have targets look at a rule that has changed."""
    for target in targets:
        if not _wake(target, [f"q:{target}#{rule_id}"]):
            return


def tables(target: str, changed: Collection[TableId]) -> None:
    """Have a target look at tables."""
    if changed:
        _wake(target, [f"t:{target}#{table_key(table)}" for table in changed])


def backfill(catalog: str, member: str) -> None:
    """Have a backfill begin."""
    try:
        doors.wake(lanes.of_backfills(catalog), [member])
    except Transient as error:
        log.warning("lanes.not_woken", catalog=catalog, count=1, reason=error.reason)


def missing(members: Collection[str]) -> None:
    """Have tables looked for that no catalog had."""
    try:
        if members and lanes.of_incidents():
            doors.wake(lanes.of_incidents(), members)
    except Transient as error:
        log.warning("lanes.not_woken", count=len(members), reason=error.reason)


def _wake(target: str, members: Collection[str]) -> bool:
    try:
        doors.wake_target(target, members)
    except Transient as error:
        log.warning("lanes.not_woken", target=target, count=len(members), reason=error.reason)
        return False
    return True
