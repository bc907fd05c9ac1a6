"""Connections of a catalog that were named through the API: one item for each catalog, replaced as a whole."""

from collections.abc import Sequence
from datetime import datetime

from lily.domain.assets import Connection
from lily.records import items
from lily.records.security_forms import deflated, inflated

PK = "CONNECTIONS"


def of(catalog: str) -> tuple[Connection, ...]:
    """In the order in which they were given; none if none ever was. Raises Transient and Permanent."""
    values = items.get(PK, catalog)
    if values is None:
        return ()
    listed = inflated(values["d"])["connections"]
    return tuple(Connection(name, kind, frozenset(warehouses)) for name, kind, warehouses in listed)


def put(catalog: str, connections: Sequence[Connection], by: str, at: datetime) -> None:
    """Whatever was there before. Raises Transient and Permanent."""
    listed = [[one.qualified_name, one.kind, sorted(one.warehouses)] for one in connections]
    form = {"connections": listed, "by": by, "at": at.isoformat()}
    items.put({"pk": PK, "sk": catalog, "d": deflated(form)})
