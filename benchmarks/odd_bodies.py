"""Bodies that nobody would think of, by hypothesis: JSON of any shape, deliveries with a part replaced, cut JSON, bytes."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.deliveries import TEMPLATE
from benchmarks.raw_cases import Case, post, signature

STATUSES = (202, 400, 401, 413, 415, 422, 429)
Path = Sequence[str | int]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=30,
)


def paths(value: object, so_far: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where something is in a document, its containers included."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    return [found for key, inner in pairs for found in [(*so_far, key), *paths(inner, (*so_far, key))]]


def with_part(document: dict[str, Any], path: Path, part: object) -> dict[str, Any]:
    """A copy in which `part` is at `path`."""
    changed: dict[str, Any] = copy.deepcopy(document)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = part
    return changed


deliveries = st.builds(lambda path, part: with_part(TEMPLATE, path, part), st.sampled_from(paths(TEMPLATE)), anything)
documents = (deliveries | st.dictionaries(st.text(max_size=20), anything, max_size=8) | anything).map(json.dumps).map(str.encode)
# A string may hold a lone surrogate; written without escapes it is no UTF-8.
written = deliveries.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
cut = st.builds(lambda raw, share: raw[: int(len(raw) * share)], documents, st.floats(0, 1))
bodies = st.one_of(documents, written, cut, st.binary(max_size=400))
proofs = st.sampled_from(["right", "right", "wrong", "none"])


def cases(count: int, secret: str) -> list[Case]:
    """`count` different ones, signed rightly, wrongly or not at all: the same ones in each run of the same hypothesis."""
    made: dict[bytes, Case] = {}
    wanted = settings(
        max_examples=2 * count,  # it likes to repeat itself
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def collect(body: bytes, proof: str) -> None:
        headers = {"right": [signature(body, secret)], "wrong": [signature(body, "not the secret")], "none": []}[proof]
        request = post(body, *headers)
        made[request] = Case(f"body by hypothesis, signature: {proof}", (request,), STATUSES)

    run: Callable[[], None] = seed(1)(wanted(given(bodies, proofs)(collect)))
    run()
    return list(made.values())[:count]
