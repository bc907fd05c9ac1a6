"""Atlan as a catalog and as a source: this module keeps the promises of both in `connectors.contracts`.

Importing it loads no client: that is done by the first call.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from connectors.atlan.webhook import (
    account,
    check_shape,
    hints,
    incident,
    is_greeting,
    is_signature_shaped,
    normalise,
    signature_header,
    verify,
)
from lily.domain.alerts import AlertDetails
from lily.domain.assets import Asset, ConnectionMap, Found, TableRef, Unresolved
from lily.domain.catalog import AssetState, AssetWrite, Downstream, IncidentAsset, Priority, TaggedPage

if TYPE_CHECKING:
    from lily.runtime.errors import Permanent, Transient

__all__ = [
    "account",
    "busy_s",
    "check_shape",
    "connections",
    "documentation",
    "downstream",
    "fetch_details",
    "hints",
    "incident",
    "is_greeting",
    "is_signature_shaped",
    "normalise",
    "read_guid",
    "read_many",
    "resolve",
    "signature_header",
    "tag_ids",
    "tag_names",
    "tagged",
    "tags",
    "verify",
    "warm",
    "write_many",
]

documentation = """\
Make a webhook in [Atlan](https://docs.atlan.com) that points here, for the events create, delete, add tags and delete tags, and \
set the secret that Atlan shows once. Atlan sends that secret itself in the header `x-atlan-signing-secret`: it proves the \
sender, not the body, so an event is only a reason to read the asset. The button "Validate" sends a fixed text without the \
secret; that is answered with 204 and not stored.\
"""


def fetch_details(instance: str, alert_ids: Sequence[str]) -> dict[str, AlertDetails]:  # noqa: ARG001 - as promised
    """Atlan sends no alerts."""
    return {}


def warm(instance: str) -> None:
    """Load the API's client, and its connections' pool with the certificates; `instance` is a source or a catalog."""
    from connectors.atlan import client

    client.warm(instance)


def busy_s(instance: str, calls: int) -> float:
    """Seconds until the budget has room for so many calls."""
    from connectors.atlan import client

    return client.busy_s(instance, calls)


def connections(instance: str) -> list[Found]:
    """All connections of warehouses that the token may see."""
    from connectors.atlan import search

    return search.connections(instance)


def resolve(
    instance: str,
    tables: Collection[TableRef],
    connections: ConnectionMap,
    *,
    priority: Priority = Priority.BADGE,
    timeout_s: float | None = None,
) -> dict[TableRef, Asset | Unresolved]:
    """The asset that each table is, or why it is none."""
    from connectors.atlan import search

    return search.resolve(instance, tables, connections, priority=priority, timeout_s=timeout_s)


def read_many(
    instance: str, assets: Collection[Asset], *, priority: Priority, timeout_s: float | None = None
) -> dict[str, AssetState]:
    """What the store holds of each, by qualified name."""
    from connectors.atlan import reading

    return reading.read_many(instance, assets, priority=priority, timeout_s=timeout_s)


def read_guid(instance: str, guid: str, *, priority: Priority) -> AssetState | None:
    """The same for one asset of which only the guid is known."""
    from connectors.atlan import reading

    return reading.read_guid(instance, guid, priority=priority)


def write_many(
    instance: str,
    writes: Sequence[AssetWrite],
    incidents: Sequence[IncidentAsset] = (),
    *,
    priority: Priority = Priority.BADGE,
) -> "dict[str, Transient | Permanent]":
    """Write all; what failed, by qualified name."""
    from connectors.atlan import writing

    return writing.write_many(instance, writes, incidents, priority=priority)


def downstream(instance: str, asset: Asset, depth: int, *, most: int = 200) -> list[Downstream]:
    """Active tables and views made from `asset`, nearest first."""
    from connectors.atlan import lineage

    return lineage.downstream(instance, asset, depth, most=most)


def tagged(
    instance: str, connection: str, tags: Collection[str], after: str | None, *, prefix: str = "", size: int = 300
) -> TaggedPage:
    """A page of the columns and tables of a connection that have one of the tags."""
    from connectors.atlan import search

    return search.tagged(instance, connection, tags, after, prefix=prefix, size=size)


def tag_names(instance: str, ids: Collection[str]) -> dict[str, str]:
    """The present names of tags by id."""
    from connectors.atlan import typedefs

    return typedefs.tag_names(instance, ids)


def tags(instance: str) -> dict[str, str]:
    """The present names of all tags by id, as of some minutes ago."""
    from connectors.atlan import typedefs

    return typedefs.tags(instance)


def tag_ids(instance: str, names: Collection[str]) -> dict[str, str]:
    """The ids of tags by name, whatever its case."""
    from connectors.atlan import typedefs

    return typedefs.tag_ids(instance, names)
