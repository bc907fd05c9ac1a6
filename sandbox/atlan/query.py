"""The clauses of a search that the vendor documents, and only those: an unknown one is refused, never "match all"."""

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.atlan.errors import bad

Document = Mapping[str, Any]
Test = Callable[[Document], bool]
LOWERED = ("name.keyword", "__typeName.keyword")  # the index lower-cases these, and what is asked of them
GUIDS_MAX = 100


def compile_query(query: Any) -> Test:
    """A test of documents. Refused names the clause that is not known."""
    kind, body = _only(query, "query")
    if kind == "bool":
        return _bool(body)
    if kind == "match_all":
        return lambda _: True
    if kind == "exists":
        field = _text(body.get("field"), "exists.field")
        return lambda document: bool(_values(document, field))
    if kind not in LEAVES:
        raise bad(f"unknown query [{kind}]")
    field, given = _only({key: value for key, value in body.items() if key != "boost"}, kind)
    return LEAVES[kind](field, given)


def wanted(query: Any, field: str) -> list[str] | None:
    """The values that a filter demands of `field`, if it says so at the top: a short way to the few that can match."""
    for kind, body in _demands(query):
        given = body.get(field)
        if kind == "terms" and isinstance(given, list):
            return [str(each) for each in given]
        if kind == "term" and given is not None:
            value, loose = (given.get("value"), given.get("case_insensitive")) if isinstance(given, dict) else (given, False)
            if not loose or field in LOWERED:
                return [str(value)]
    return None


def wanted_prefix(query: Any, field: str) -> str | None:
    """The beginning that a filter demands of `field`, likewise."""
    for kind, body in _demands(query):
        given = body.get(field)
        if kind == "prefix" and given is not None:
            value, loose = (given.get("value"), given.get("case_insensitive")) if isinstance(given, dict) else (given, False)
            if not loose:
                return str(value)
    return None


def _demands(query: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The clauses that every match must fulfil."""
    for kind, body in query.items():
        if kind == "bool":
            for name in ("filter", "must"):
                clauses = body.get(name) or []
                for clause in clauses if isinstance(clauses, list) else [clauses]:
                    yield from _demands(clause)
        elif isinstance(body, dict):
            yield kind, body


def _bool(body: Any) -> Test:
    if not isinstance(body, dict):
        raise bad("[bool] expects an object")
    known = {"filter", "must", "should", "must_not", "minimum_should_match", "boost"}
    if unknown := sorted(set(body) - known):
        raise bad(f"[bool] query does not support [{unknown[0]}]")
    parts = {name: _clauses(body.get(name)) for name in ("filter", "must", "should", "must_not")}
    needed = body.get("minimum_should_match")
    least = int(needed) if needed is not None else (0 if parts["filter"] or parts["must"] else min(1, len(parts["should"])))
    all_of, none_of, any_of = parts["filter"] + parts["must"], parts["must_not"], parts["should"]

    def test(document: Document) -> bool:
        if not all(each(document) for each in all_of) or any(each(document) for each in none_of):
            return False
        return least == 0 or sum(each(document) for each in any_of) >= least

    return test


def _clauses(value: Any) -> list[Test]:
    return [compile_query(each) for each in (value if isinstance(value, list) else [] if value is None else [value])]


def _term(field: str, given: Any) -> Test:
    value, lower = _operand(field, given, "value")
    return lambda document: any(_same(each, value, lower) for each in _values(document, field))


def _terms(field: str, given: Any) -> Test:
    if not isinstance(given, list):
        raise bad(f"[terms] of [{field}] expects a list")
    if field == "__guid" and len(given) > GUIDS_MAX:
        raise bad(f"[terms] of [__guid]: {len(given)} guids, at most {GUIDS_MAX} are allowed")
    lower = field in LOWERED
    values = {str(each).lower() if lower else _plain(each) for each in given}
    return lambda document: any((str(each).lower() if lower else _plain(each)) in values for each in _values(document, field))


def _prefix(field: str, given: Any) -> Test:
    value, lower = _operand(field, given, "value")
    start = str(value).lower() if lower else str(value)
    return lambda document: any(
        (str(each).lower() if lower else str(each)).startswith(start) for each in _values(document, field)
    )


def _wildcard(field: str, given: Any) -> Test:
    value, lower = _operand(field, given, "value")
    pattern = str(value).replace("[", "[[]")
    pattern = pattern.lower() if lower else pattern
    return lambda document: any(
        fnmatch.fnmatchcase(str(each).lower() if lower else str(each), pattern) for each in _values(document, field)
    )


def _match(field: str, given: Any) -> Test:
    value, _ = _operand(field, given, "query")
    words = set(str(value).lower().split())
    return lambda document: any(words & set(str(each).lower().split()) for each in _values(document, field))


def _range(field: str, given: Any) -> Test:
    signs: dict[str, Callable[[Any, Any], bool]] = {
        "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b,
    }  # fmt: skip
    if not isinstance(given, dict) or not given:
        raise bad(f"[range] of [{field}] expects an object")
    limits = [(signs[name], bound) for name, bound in given.items() if name in signs and bound is not None]
    if unknown := sorted(set(given) - set(signs) - {"boost", "format", "relation", "time_zone"}):
        raise bad(f"[range] query does not support [{unknown[0]}]")
    return lambda document: any(
        isinstance(each, int | float) and all(sign(each, bound) for sign, bound in limits) for each in _values(document, field)
    )


LEAVES: dict[str, Callable[[str, Any], Test]] = {
    "term": _term, "terms": _terms, "prefix": _prefix, "wildcard": _wildcard, "match": _match, "range": _range,
}  # fmt: skip


def _operand(field: str, given: Any, key: str) -> tuple[Any, bool]:
    lower = field in LOWERED
    if isinstance(given, dict):
        if key not in given:
            raise bad(f"[{field}]: [{key}] is missing")
        return given[key], lower or bool(given.get("case_insensitive"))
    return given, lower


def _same(one: Any, other: Any, lower: bool) -> bool:
    return str(one).lower() == str(other).lower() if lower else _plain(one) == _plain(other)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(document: Document, field: str) -> list[Any]:
    value = document.get(field)
    if value is None and field.endswith(".keyword"):
        value = document.get(field.removesuffix(".keyword"))
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _only(value: Any, what: str) -> tuple[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise bad(f"[{what}] malformed query, expected an object with exactly one name")
    name, inner = next(iter(value.items()))
    return str(name), inner


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise bad(f"[{what}] expects a string")
    return value
