"""Whether a function may go: the service drops one that tables carry, and every query of theirs then fails.

Lily's memory says what she attached herself; this is the last look before a drop, for what others did. It lists the tables that
Lily can see, so it is not for the way on which something becomes protected.
"""

import threading
import time
from dataclasses import dataclass, field

from connectors.contracts import Refused
from connectors.databricks import catalog, client, state
from lily.domain.inventory import Site
from lily.runtime.errors import Transient

KEPT_S = 2.0  # functions of one rule go together
EVERYWHERE = "SELECT * FROM system.information_schema.{view}"


@dataclass
class _Seen:
    """What the lists showed last. `carriers`: by whole name, one place that carries it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    carriers: dict[str, Site] = field(default_factory=dict)


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


def refuse_if_used(instance: str, name: str) -> None:
    """Raises Refused `in_use` for a function of the home schema that a table carries, and Transient where that is not known.

    Whether lists show masks is not promised: where they show none at all, the metastore's own views have to agree.
    """
    home, asked_at = state.home_of(instance), time.monotonic()
    whole = f"{home.database}.{home.schema}.{name}"
    carriers = _carriers(instance, asked_at - KEPT_S)
    if whole in carriers:  # perhaps it was taken off since they were listed
        carriers = _carriers(instance, asked_at)
    if whole in carriers:
        raise Refused(f"{name} is carried by {carriers[whole]}", "in_use")
    if not carriers and not _is_nowhere(instance, whole):
        raise Transient(f"{instance}: what carries {name} cannot be told; its drop waits")


def forget(instance: str) -> None:
    _seen.pop(instance, None)


def _carriers(instance: str, since: float) -> dict[str, Site]:
    """As listed at this moment of the monotonic clock, or later."""
    with _lock:
        seen = _seen.setdefault(instance, _Seen())
    with seen.lock:  # one lists for all
        if seen.at < since:
            at = time.monotonic()
            databases = [*catalog.governed(instance), *catalog.others(instance)]
            seen.carriers = {
                one.text.replace("`", "").lower(): Site(described.table.id, one.column)
                for page in catalog.listed(instance, databases)
                for described in page
                for one in described.carried
            }
            seen.at = at
        return seen.carriers


def _is_nowhere(instance: str, whole: str) -> bool:
    """Whether the metastore's views know of no use; those that are closed to Lily say nothing."""
    for view in ("column_masks", "row_filters"):
        try:
            rows = client.run(instance, EVERYWHERE.format(view=view)).rows
        except Refused:
            continue
        if any(str(cell).replace("`", "").lower() == whole for row in rows for cell in row):
            return False
    return True
