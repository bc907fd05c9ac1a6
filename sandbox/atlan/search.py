"""The search index: documents that follow the store after a lag of their own, and `indexsearch` over them."""

import bisect
import copy
import itertools
import json
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.atlan.assets import Asset, frame, names_of
from sandbox.atlan.errors import bad
from sandbox.atlan.query import compile_query, wanted, wanted_prefix
from sandbox.atlan.typedefs import SUPERTYPES

WINDOW_MAX = 10_000
SIZE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One document: what clauses see, and what a hit shows."""

    fields: dict[str, Any]
    shown: dict[str, Any]


class Index:
    """What searches see. Only `follow` brings news; they show after `lag_s`, in order."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._on_its_way: deque[tuple[float, str, Entry | None]] = deque()
        self._changed: dict[str, Asset | None] = {}  # what the next search puts in, if there is no lag
        self._named: defaultdict[str, set[str]] = defaultdict(set)  # qualified name -> guids
        self._called: defaultdict[str, set[str]] = defaultdict(set)  # name in lower case -> guids
        self._alphabet: list[str] | None = None  # qualified names, sorted
        self._sorted: list[str] | None = None
        self._last: tuple[str, list[Entry]] | None = None  # the last query and what it found, until the index changes

    def clear(self) -> None:
        self.entries.clear()
        self._on_its_way.clear()
        self._changed.clear()
        self._named.clear()
        self._called.clear()
        self._sorted = self._alphabet = self._last = None

    def follow(self, asset: Asset, present: bool, lag_s: float) -> None:
        if lag_s == 0 and not self._on_its_way:
            self._changed[asset.guid] = asset if present else None
            return
        self._on_its_way.append((time.monotonic() + lag_s, asset.guid, _entry(asset) if present else None))

    def catch_up(self) -> None:
        """Let searches see all whose time has come. To be called before a lag begins: without one, news are written down late."""
        for guid, asset in self._changed.items():
            self._put(guid, _entry(asset) if asset else None)
        self._changed.clear()
        now = time.monotonic()
        while self._on_its_way and self._on_its_way[0][0] <= now:
            _, guid, entry = self._on_its_way.popleft()
            self._put(guid, entry)

    def _put(self, guid: str, entry: Entry | None) -> None:
        self._last = None
        if (old := self.entries.pop(guid, None)) is not None:
            self._named[old.fields["qualifiedName"]].discard(guid)
            self._called[old.fields["name.keyword"].lower()].discard(guid)
        if entry is not None:
            self.entries[guid] = entry
            self._named[entry.fields["qualifiedName"]].add(guid)
            self._called[entry.fields["name.keyword"].lower()].add(guid)
        if (old is None) != (entry is None):
            self._sorted = self._alphabet = None

    def search(self, body: dict[str, Any], hidden: tuple[str, ...]) -> dict[str, Any]:
        """The answer to `indexsearch`. Refused if anything of the request is not understood."""
        self.catch_up()
        dsl = body.get("dsl")
        if not isinstance(dsl, dict):
            raise bad("dsl is missing")
        if dsl.get("aggregations") or dsl.get("aggs"):
            raise bad("aggregations are not offered here")
        start, size = int(dsl.get("from") or 0), int(dsl["size"] if dsl.get("size") is not None else 10)
        if start + size > WINDOW_MAX or size > SIZE_MAX or start < 0 or size < 0:
            raise bad(
                f"Result window is too large, from + size must be less than or equal to [{WINDOW_MAX}] but was [{start + size}]"
            )
        found = list(self._found(dsl.get("query")))
        order = _order(dsl.get("sort"))
        if order not in ([], [("__guid", False)]):  # candidates come by guid already
            for field, backwards in reversed(order):
                found.sort(key=lambda entry: _sortable(entry.fields.get(field)), reverse=backwards)
        page = _after(found, order, dsl["search_after"]) if dsl.get("search_after") else found[start:]
        hits = [_hit(each, body, hidden, order) for each in page[:size]]
        return {"queryType": "INDEX", "searchParameters": body, "entities": hits, "approximateCount": len(found)}

    def _found(self, query: Any) -> list[Entry]:
        key = json.dumps(query)
        if self._last is None or self._last[0] != key:
            test = compile_query(query)
            self._last = (key, [entry for guid in self._candidates(query) if test((entry := self.entries[guid]).fields)])
        return self._last[1]

    def _candidates(self, query: Any) -> Iterable[str]:
        """Guids in order, all that can match and few that cannot: what a filter demands of a name shortens the way."""
        if (names := wanted(query, "qualifiedName")) is not None:
            return sorted(guid for name in set(names) for guid in self._named.get(name, ()))
        if (guids := wanted(query, "__guid")) is not None:
            return sorted(guid for guid in set(guids) if guid in self.entries)
        if (names := wanted(query, "name.keyword")) is not None:
            return sorted(guid for name in {each.lower() for each in names} for guid in self._called.get(name, ()))
        if (start := wanted_prefix(query, "qualifiedName")) is not None:
            return sorted(guid for name in self._starting(start) for guid in self._named.get(name, ()))
        if self._sorted is None:
            self._sorted = sorted(self.entries)
        return self._sorted

    def _starting(self, start: str) -> Iterator[str]:
        if self._alphabet is None:
            self._alphabet = sorted({entry.fields["qualifiedName"] for entry in self.entries.values()})
        for name in itertools.islice(self._alphabet, bisect.bisect_left(self._alphabet, start), None):
            if not name.startswith(start):
                return
            yield name


def _entry(asset: Asset) -> Entry:
    traits = list(asset.direct)
    arrived = list(dict.fromkeys(name for name, _ in asset.propagated))
    custom = {f"{one}.{name}": value for one, values in asset.custom.items() for name, value in values.items()}
    attributes = {key: value for key, value in asset.attributes.items() if value is not None} | custom
    fields = attributes | {
        "__guid": asset.guid,
        "__typeName": asset.type_name,
        "__typeName.keyword": asset.type_name,
        "__superTypeNames": [*SUPERTYPES[asset.type_name], "Asset", "Referenceable"],
        "__state": asset.status,
        "__traitNames": traits,
        "__propagatedTraitNames": arrived,
        "__timestamp": asset.created_ms,
        "__modificationTimestamp": asset.updated_ms,
        "name.keyword": asset.name,
    }
    fields["__superTypeNames.keyword"] = fields["__superTypeNames"]
    return Entry(fields, frame(asset) | {"attributes": attributes, "classifications": copy.deepcopy(asset.tags)})


def _hit(entry: Entry, body: dict[str, Any], hidden: tuple[str, ...], order: list[tuple[str, bool]]) -> dict[str, Any]:
    if hidden and str(entry.fields["qualifiedName"]).startswith(hidden):
        return {"typeName": entry.fields["__typeName"], "guid": "-1", "attributes": {}}
    attributes, asked = entry.shown["attributes"], body.get("attributes") or []
    # Unique attributes and the name come unasked: the vendor's own client relies on it when it tags an asset that it searched.
    listed = {name: attributes[name] for name in ("name", "qualifiedName", *asked) if name in attributes}
    tags = entry.shown["classifications"]
    hit = {key: value for key, value in entry.shown.items() if key != "classifications"} | {"attributes": listed}
    if tags and not body.get("excludeClassifications"):
        hit |= {"classificationNames": names_of(tags), "classifications": tags}
    elif body.get("includeClassificationNames"):
        hit["classificationNames"] = names_of(tags)
    return hit | {"sort": [entry.fields.get(field) for field, _ in order]} if order else hit


def _order(sort: Any) -> list[tuple[str, bool]]:
    order = []
    for each in sort if isinstance(sort, list) else [sort] if sort else []:
        spec = {each: {}} if isinstance(each, str) else each
        if not isinstance(spec, dict) or len(spec) != 1:
            raise bad("[sort] malformed")
        field, how = next(iter(spec.items()))
        direction = how.get("order", "asc") if isinstance(how, dict) else how
        if direction not in ("asc", "desc"):
            raise bad(f"[sort] of [{field}]: unknown order [{direction}]")
        order.append((field, direction == "desc"))
    return order


def _after(found: list[Entry], order: list[tuple[str, bool]], values: Any) -> list[Entry]:
    if not isinstance(values, list) or len(values) != len(order):
        raise bad("search_after must have as many values as sort")

    def later(entry: Entry) -> bool:
        for (field, backwards), value in zip(order, values, strict=True):
            mine, theirs = _sortable(entry.fields.get(field)), _sortable(value)
            if mine != theirs:
                return (mine < theirs) if backwards else (mine > theirs)
        return False

    return [entry for entry in found if later(entry)]


def _sortable(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
