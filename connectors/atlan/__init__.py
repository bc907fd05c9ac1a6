"""Atlan as a catalog and as a source: this module keeps the promises of `connectors.contracts.Catalog`.

Importing it loads no client: that is done by the first call.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from lily.domain.assets import Asset, ConnectionMap, Found, TableRef, Unresolved
from lily.domain.catalog import AssetState, AssetWrite, Downstream, IncidentAsset, Priority, TaggedPage

if TYPE_CHECKING:
    from lily.runtime.errors import Permanent, Transient


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


def tag_ids(instance: str, names: Collection[str]) -> dict[str, str]:
    """The ids of tags by name, whatever its case."""
    from connectors.atlan import typedefs

    return typedefs.tag_ids(instance, names)
