"""Atlan's search index: assets by their names, and by their tags. It may be some seconds behind the store.

Source: developer.atlan.com, Search; pyatlan 11.6.0 for the bodies; the metastore's source: `qualifiedName` is compared exactly,
`name.keyword` whatever its case, and beyond 10,000 hits only `search_after` goes on, over a sort that ends in `__guid`.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from connectors.atlan import answers, client
from connectors.atlan.client import Call
from lily.domain.assets import COLUMN_TYPE, TABLE_TYPES, Asset, ConnectionMap, Found, Search, TableRef, Unresolved
from lily.domain.catalog import Priority, TaggedPage
from lily.runtime.errors import Permanent, Transient

PAGE = 300
PAGES_MAX = 10  # of one question about names: a name that thousands of tables share is no name
NAMES_MAX = 300  # in one question


def connections(instance: str) -> list[Found]:
    """Up to 3,000 connections that the token may see."""
    call = client.begin(instance, Priority.BADGE)
    return _all(call, [_terms("__typeName.keyword", ["Connection"])], answers.ATTRIBUTES[:3])


def resolve(
    instance: str,
    tables: Collection[TableRef],
    connections: ConnectionMap,
    *,
    priority: Priority = Priority.BADGE,
    timeout_s: float | None = None,
) -> dict[TableRef, Asset | Unresolved]:
    """What each table is in the catalog."""
    call = client.begin(instance, priority, timeout_s)
    unique = list(dict.fromkeys(tables))
    asked = [search for search in map(connections.search, unique) if isinstance(search, Search)]
    hits = _named_exactly(call, [name for search in asked for name in search.exact])
    unsettled = [search for search in asked if not connections.is_settled(search.table, hits)]
    hits += _named_alike(call, unsettled)
    return {table: connections.resolve(table, hits) for table in unique}


def tagged(
    instance: str, connection: str, tags: Collection[str], after: str | None, *, prefix: str = "", size: int = PAGE
) -> TaggedPage:
    """A page of the columns and tables that have one of the tags."""
    if not tags:
        return TaggedPage((), None, 0)
    call = client.begin(instance, Priority.BACKFILL)
    either = [_terms(field, sorted(tags)) for field in ("__traitNames", "__propagatedTraitNames")]
    filters: list[dict[str, Any]] = [
        {"bool": {"should": either, "minimum_should_match": 1}},
        {"prefix": {"qualifiedName": {"value": prefix or f"{connection}/"}}},
        _terms("__typeName.keyword", [COLUMN_TYPE, *sorted(TABLE_TYPES)]),
    ]
    answer = _page(call, filters, answers.ATTRIBUTES, size=size, after=after, with_tags=True)
    states = tuple(answers.state(entity) for entity in answers.entities(answer))
    about = answer.get("approximateCount")
    return TaggedPage(states, _next(call, answer, size), about if isinstance(about, int) else len(states))


def incidents(call: Call, ids: Collection[str]) -> dict[str, Asset]:
    """By Monte Carlo's id the incidents of which there is an asset already."""
    filters = [_terms("__typeName.keyword", ["MCIncident"]), _terms("mcIncidentId", sorted(ids))]
    answer = _page(call, filters, ("name", "qualifiedName", "mcIncidentId"), size=PAGE)
    known: dict[str, Asset] = {}
    for entity in answers.entities(answer):
        known.setdefault(str(entity["attributes"].get("mcIncidentId")), answers.found(entity).asset)
    return {incident: asset for incident, asset in known.items() if incident in ids}


def _named_exactly(call: Call, names: Sequence[str]) -> list[Found]:
    unique = iter(dict.fromkeys(names))
    hits: list[Found] = []
    while some := list(islice(unique, NAMES_MAX)):
        hits += _all(call, [_terms("qualifiedName", some)], answers.ATTRIBUTES)
    return hits


def _named_alike(call: Call, searches: Sequence[Search]) -> list[Found]:
    """Tables and views that may be those asked for, in whatever case; many others of the same name among them."""
    if not searches:
        return []
    connections = sorted({name for search in searches for name in search.connections})
    types = _terms("__typeName.keyword", sorted(TABLE_TYPES))
    unique = iter(sorted({name for search in searches for name in search.names}))
    hits: list[Found] = []
    while some := list(islice(unique, NAMES_MAX)):
        filters = [types, _terms("connectionQualifiedName", connections), _terms("name.keyword", some)]
        hits += _all(call, filters, answers.ATTRIBUTES)
    return hits


def _all(call: Call, filters: Sequence[Mapping[str, Any]], attributes: Sequence[str]) -> list[Found]:
    hits: list[Found] = []
    after: str | None = None
    for _ in range(PAGES_MAX):
        answer = _page(call, filters, attributes, size=PAGE, after=after)
        hits += [answers.found(entity) for entity in answers.entities(answer)]
        after = _next(call, answer, PAGE)
        if after is None:
            return hits
    raise Permanent(f"{call.api.name}: over {PAGE * PAGES_MAX} assets have the names asked for; ask for fewer at once")


def _page(
    call: Call,
    filters: Sequence[Mapping[str, Any]],
    attributes: Sequence[str],
    *,
    size: int,
    after: str | None = None,
    with_tags: bool = False,
) -> Mapping[str, Any]:
    dsl: dict[str, Any] = {
        "from": 0,
        "size": size,
        "track_total_hits": True,
        "query": {"bool": {"filter": [{"term": {"__state": {"value": "ACTIVE"}}}, *filters]}},
        "sort": [{"__guid": {"order": "asc"}}],
    }
    if after is not None:
        dsl["search_after"] = [after]
    body = {
        "dsl": dsl,
        "attributes": list(attributes),
        "excludeClassifications": not with_tags,
        "excludeMeanings": True,
        "requestMetadata": {"saveSearchLog": False, "utmTags": ["project_lily"]},
    }
    answer = client.post(call, "search/indexsearch", body)
    if not isinstance(answer, dict):
        raise Transient(f"{call.api.name}: answered a search with something that is no object")
    return answer


def _next(call: Call, answer: Mapping[str, Any], size: int) -> str | None:
    """Where the next page begins: behind the last asset of which the guid is known. Hidden ones after it come once more."""
    listed = answer.get("entities") or []
    if len(listed) < size:
        return None
    guids = [str(entity["guid"]) for entity in answers.entities(answer)]
    if not guids:
        raise Permanent(
            f"{call.api.name}: none of {size} assets may be seen by the token; give its persona the right to read them"
        )
    return guids[-1]


def _terms(field: str, values: Sequence[str]) -> dict[str, Any]:
    return {"terms": {field: list(values)}}
