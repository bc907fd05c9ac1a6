"""The lineage of tables, as far as their `upstream` says it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.monte_carlo.alerts import Table, object_type


def graph(tables: Mapping[str, Table], mcons: Sequence[str], direction: str, hops: int, limit: int) -> dict[str, Any]:
    """A `LineageGraph`: what is at most `hops` away from `mcons` in one direction, nearest first, up to `limit` tables.

    MCONs that are not known are left out.
    """
    by_mcon = {table.mcon: table for table in tables.values()}
    base = [by_mcon[mcon] for mcon in mcons if mcon in by_mcon]
    upstream = {table.mcon: [tables[name].mcon for name in table.upstream] for table in tables.values()}
    downstream: dict[str, list[str]] = {mcon: [] for mcon in by_mcon}
    for mcon, sources in upstream.items():
        for source in sources:
            downstream[source].append(mcon)
    edges = upstream if direction == "upstream" else downstream
    reached = _reached([table.mcon for table in base], edges, hops)[:limit]

    def node(mcon: str) -> dict[str, Any]:
        return {
            "mcon": mcon,
            "displayName": by_mcon[mcon].full_table_id,
            "objectType": object_type(by_mcon[mcon].table_type),
            "hasDownstreamNodes": bool(downstream[mcon]),
            "hasUpstreamNodes": bool(upstream[mcon]),
        }

    nodes = [node(table.mcon) for table in base]
    shown = {*reached, *(table.mcon for table in base)}
    flattened = [
        {"mcon": mcon, "directlyConnectedMcons": near}
        for mcon in sorted(shown)
        if (near := [other for other in edges[mcon] if other in shown])
    ]
    return {
        "baseNode": nodes[0] if nodes else None,
        "baseNodes": nodes,
        "connectedNodes": [node(mcon) for mcon in reached],
        "flattenedEdges": flattened,
    }


def _reached(start: Sequence[str], edges: Mapping[str, Sequence[str]], hops: int) -> list[str]:
    seen, front = dict.fromkeys(start), list(start)
    for _ in range(hops):
        front = list(dict.fromkeys(other for mcon in front for other in edges[mcon] if other not in seen))
        if not front:
            break
        seen.update(dict.fromkeys(front))
    return list(seen)[len(set(start)) :]
