"""Searches in Atlan's stand-in take short ways; they must find what looking at everything finds."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.atlan.assets import Asset
from sandbox.atlan.query import compile_query
from sandbox.atlan.search import Index

NAMES = st.sampled_from(["a", "A", "ab", "b"])
FIELDS = st.sampled_from(
    ["qualifiedName", "name.keyword", "qualifiedName", "name.keyword", "__guid", "__typeName.keyword", "nothing"]
)
VALUES = NAMES | st.sampled_from(["TABLE", "0", "1"])


def _term(field: str, value: str, loose: bool) -> dict[str, Any]:
    return {"term": {field: {"value": value, "case_insensitive": loose}}}


LEAVES = (
    st.builds(_term, FIELDS, VALUES, st.booleans())
    | st.builds(lambda field, value: {"term": {field: value}}, FIELDS, VALUES)
    | st.builds(lambda field, values: {"terms": {field: values}}, FIELDS, st.lists(VALUES, max_size=3))
    | st.builds(
        lambda field, value, loose: {"prefix": {field: {"value": value, "case_insensitive": loose}}},
        FIELDS,
        VALUES,
        st.booleans(),
    )
    | st.builds(lambda field: {"exists": {"field": field}}, FIELDS)
    | st.just({"match_all": {}})
)
QUERIES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(st.sampled_from(["filter", "must", "should", "must_not"]), st.lists(inner, max_size=3)).map(
        lambda parts: {"bool": parts}
    ),
    max_leaves=6,
)


def names(index: Index, query: dict[str, Any]) -> list[str]:
    hits = index.search({"dsl": {"query": query, "size": 100}}, ())["entities"]
    return [each["guid"] for each in hits]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=8), st.lists(st.tuples(NAMES, st.booleans()), max_size=6), QUERIES)
def test_short_ways_find_what_a_look_at_everything_finds(
    made: list[tuple[str, str]], changes: list[tuple[str, bool]], query: dict[str, Any]
) -> None:
    index = Index()
    assets = [
        Asset("Table", str(number), attributes={"qualifiedName": one, "name": two}) for number, (one, two) in enumerate(made)
    ]
    for asset in assets[: len(assets) // 2]:
        index.follow(asset, True, 0)
    names(index, query)  # so that it has something to remember wrongly
    for asset in assets[len(assets) // 2 :]:
        index.follow(asset, True, 0)
    gone = set()
    for asset, (name, present) in zip(assets, changes, strict=False):
        asset.attributes["name"] = name
        index.follow(asset, present, 0)
        gone |= set() if present else {asset.guid}
    test = compile_query(query)
    everything = [
        asset.guid
        for asset in assets
        if asset.guid not in gone
        and test(
            asset.attributes
            | {"name.keyword": asset.name, "__guid": asset.guid, "__state": "ACTIVE", "__typeName.keyword": asset.type_name}
        )
    ]

    assert names(index, query) == everything


def test_what_is_new_or_gone_counts_for_the_next_search() -> None:
    index, query = Index(), {"prefix": {"qualifiedName": "a/"}}
    one, other = (Asset("Table", number, attributes={"qualifiedName": f"a/{number}", "name": "n"}) for number in ("1", "2"))

    index.follow(one, True, 0)
    first = names(index, query)
    index.follow(other, True, 0)
    both = names(index, query)
    index.follow(one, False, 0)

    assert (first, both, names(index, query)) == (["1"], ["1", "2"], ["2"])
