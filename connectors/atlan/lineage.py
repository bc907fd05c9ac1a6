"""What is made from an asset: Atlan's lineage, one call for each asset, kept for hours because calls are few.

Source: pyatlan 11.6.0 (FluentLineage). `depth` has to be sent; processes are not in the list unless asked for.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from connectors.atlan import answers, client
from lily.domain.assets import TABLE_TYPES, Asset
from lily.domain.catalog import Downstream, Priority
from lily.runtime import cache

PAGE = 100
PAGES_MAX = 5
ACTIVE = {"condition": "AND", "criterion": [{"attributeName": "__state", "operator": "=", "attributeValue": "ACTIVE"}]}


def downstream(instance: str, asset: Asset, depth: int, *, most: int = 200) -> list[Downstream]:
    """Tables and views made from the asset, nearest first."""
    if depth < 1:
        return []
    call = client.begin(instance, Priority.DOWNSTREAM)
    namespace, key = f"lineage:{instance}", f"{asset.guid}:{depth}:{most}"
    if (kept := cache.get_many(namespace, [key]).get(key)) is not None:
        return [Downstream(Asset(*fields), steps) for steps, *fields in orjson.loads(kept)]
    found: dict[str, Downstream] = {}
    for page in range(PAGES_MAX):
        answer = client.post(call, "lineage/list", _body(asset.guid, depth, page * PAGE))
        for entity in answers.entities(answer):
            one = answers.found(entity).asset
            if one.type in TABLE_TYPES and one.guid != asset.guid:
                found.setdefault(one.guid, Downstream(one, _steps(entity.get("depth"))))
        if len(found) >= most or not (isinstance(answer, dict) and answer.get("hasMore")):
            break
    nearest = sorted(found.values(), key=lambda one: (one.depth, one.asset))[:most]
    cache.put_many(namespace, {key: orjson.dumps(list(map(_kept, nearest)))}, call.api.lineage_kept_s)
    return nearest


def _body(guid: str, depth: int, start: int) -> dict[str, Any]:
    return {
        "guid": guid,
        "depth": depth,
        "direction": "OUTPUT",
        "from": start,
        "size": PAGE,
        "attributes": list(answers.ATTRIBUTES[:2]),
        "excludeMeanings": True,
        "excludeClassifications": True,
        "immediateNeighbours": False,
        "entityFilters": ACTIVE,
        "entityTraversalFilters": ACTIVE,
        "relationshipTraversalFilters": ACTIVE,
    }


def _steps(depth: Any) -> int:
    return depth if isinstance(depth, int) and depth > 0 else 1


def _kept(one: Downstream) -> Sequence[Any]:
    return one.depth, one.asset.qualified_name, one.asset.type, one.asset.guid, one.asset.name
