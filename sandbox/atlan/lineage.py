"""Lineage as `POST /lineage/list` walks it: breadth first from one asset, through processes that are not listed themselves."""

from collections.abc import Callable
from typing import Any

from sandbox.atlan.assets import Asset, frame, names_of
from sandbox.atlan.errors import bad
from sandbox.atlan.store import Store

DIRECTIONS = {
    "OUTPUT": (("inputToProcesses", "outputs"),),
    "INPUT": (("outputFromProcesses", "inputs"),),
    "BOTH": (("inputToProcesses", "outputs"), ("outputFromProcesses", "inputs")),
}
DEPTH_MAX = 1_073_741_823
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "eq": lambda a, b: a == b, "!=": lambda a, b: a != b, "neq": lambda a, b: a != b,
    "startsWith": lambda a, b: str(a).startswith(str(b)), "endsWith": lambda a, b: str(a).endswith(str(b)),
    "contains": lambda a, b: str(b) in str(a), "isNull": lambda a, _: a is None, "notNull": lambda a, _: a is not None,
    "in": lambda a, b: a in b,
}  # fmt: skip
Keep = Callable[[Asset], bool]


def walk(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    """The answer. Refused if the start is unknown or a part of the request is not understood."""
    start = store.get(str(body.get("guid")))
    depth, direction = body.get("depth"), str(body.get("direction"))
    if type(depth) is not int or not 1 <= depth <= DEPTH_MAX:
        raise bad(f"depth: {depth}; expected 1 to {DEPTH_MAX}")
    if direction not in DIRECTIONS:
        raise bad(f"direction: {direction} is not one of {', '.join(DIRECTIONS)}")
    pass_asset, pass_process = _filter(body.get("entityTraversalFilters")), _filter(body.get("relationshipTraversalFilters"))
    shown, first, size = _filter(body.get("entityFilters")), int(body.get("from") or 0), int(body.get("size") or 10)
    reached = _reached(store, start, depth, direction, keep=(pass_asset, pass_process))
    found = [(asset, level) for asset, level in reached if shown(asset)]
    page = found[first : first + size]
    return {
        "entities": [_listed(asset, level, body) for asset, level in page],
        "hasMore": first + size < len(found),
        "entityCount": len(page),
        "searchParameters": body,
    }


def _reached(store: Store, start: Asset, depth: int, direction: str, *, keep: tuple[Keep, Keep]) -> list[tuple[Asset, int]]:
    pass_asset, pass_process = keep
    seen, found, front, level = {start.guid}, [], [start], 0
    while front and level < depth:
        level += 1
        following: list[Asset] = []
        for near in (near for asset in front for near in _near(store, asset, direction, pass_process)):
            if near.guid not in seen and pass_asset(near):
                seen.add(near.guid)
                following.append(near)
        found += [(asset, level) for asset in following]
        front = following
    return found


def _near(store: Store, asset: Asset, direction: str, pass_process: Keep) -> list[Asset]:
    processes = [(store.by_guid[guid], ends) for name, ends in DIRECTIONS[direction] for guid in asset.relations.get(name, ())]
    return [
        store.by_guid[guid] for process, ends in processes if pass_process(process) for guid in process.relations.get(ends, ())
    ]


def _listed(asset: Asset, level: int, body: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "qualifiedName", *(body.get("attributes") or []))
    listed = frame(asset) | {"attributes": {name: asset.attributes[name] for name in names if name in asset.attributes}}
    tags = asset.shown_tags()
    if tags and not body.get("excludeClassifications"):
        listed |= {"classificationNames": names_of(tags), "classifications": tags}
    return listed | {"depth": level}


def _filter(spec: Any) -> Keep:
    if not spec:
        return lambda _: True
    parts: list[Keep] = [_filter(each) if "criterion" in each else _criterion(each) for each in spec.get("criterion") or []]
    condition = str(spec.get("condition", "AND")).upper()
    if condition not in ("AND", "OR"):
        raise bad(f"condition: {condition} is neither AND nor OR")
    if condition == "AND" or not parts:
        return lambda asset: all(part(asset) for part in parts)
    return lambda asset: any(part(asset) for part in parts)


def _criterion(spec: dict[str, Any]) -> Keep:
    name, sign, wanted = spec.get("attributeName"), spec.get("operator"), spec.get("attributeValue")
    if sign not in OPERATORS or not isinstance(name, str):
        raise bad(f"operator: {sign} of {name} is not known")
    own: dict[str, Callable[[Asset], Any]] = {
        "__state": lambda asset: asset.status, "__typeName": lambda asset: asset.type_name, "__guid": lambda asset: asset.guid,
    }  # fmt: skip
    compare = OPERATORS[sign]

    def read(asset: Asset) -> Any:
        return own[name](asset) if name in own else asset.attributes.get(name)

    return lambda asset: compare(read(asset), wanted)
