"""Assets as Atlan's store holds them now: with all their tags, direct and propagated, and the announcement.

Source: the metastore's REST resources (atlanhq/atlas-metastore). By qualified name, because there an unknown one is left out,
while one unknown guid fails the whole call.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus, urlencode

from connectors.atlan import answers, client
from lily.domain.assets import Asset
from lily.domain.catalog import AssetState, Priority
from lily.runtime.errors import Permanent

QUERY_MAX = 6_000  # characters; servers and proxies refuse lines above 8 KB
MINIMAL = (("minExtInfo", "true"), ("ignoreRelationships", "true"))


def read_many(
    instance: str, assets: Collection[Asset], *, priority: Priority, timeout_s: float | None = None
) -> dict[str, AssetState]:
    """By qualified name, one call for each type and some fifty names."""
    call = client.begin(instance, priority, timeout_s)
    by_type: dict[str, list[str]] = defaultdict(list)
    for asset in sorted(set(assets)):
        by_type[asset.type].append(asset.qualified_name)
    states: dict[str, AssetState] = {}
    for kind, names in by_type.items():
        for query in _queries(dict.fromkeys(names)):
            answer = client.get(call, f"entity/bulk/uniqueAttribute/type/{quote(kind, safe='')}?{query}")
            states |= {read.asset.qualified_name: read for read in map(answers.state, answers.entities(answer))}
    return states


def read_guid(instance: str, guid: str, *, priority: Priority) -> AssetState | None:
    """One asset; None if there is none of that guid."""
    call = client.begin(instance, priority)
    try:
        answer = client.get(call, f"entity/guid/{quote(guid, safe='')}?{urlencode(MINIMAL)}")
    except Permanent as error:
        if error.status == 404:
            return None
        raise
    entity = answer.get("entity") if isinstance(answer, dict) else None
    return next(map(answers.state, answers.entities({"entities": [entity]})), None)


def _queries(names: Iterable[str]) -> Iterator[str]:
    """The names as query strings that are short enough."""
    some: list[str] = []
    size = 0
    for name in names:
        added = len(quote_plus(name)) + len("attr_1000%3AqualifiedName=&")
        if some and size + added > QUERY_MAX:
            yield _query(some)
            some, size = [], 0
        some.append(name)
        size += added
    if some:
        yield _query(some)


def _query(names: Sequence[str]) -> str:
    return urlencode([*((f"attr_{at}:qualifiedName", name) for at, name in enumerate(names)), *MINIMAL])
