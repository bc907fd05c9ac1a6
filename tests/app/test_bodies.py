"""Bodies: read as json.loads reads them, or refused with the place."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.bodies import parse
from app.problems import INVALID_JSON, Problem
from app.strict_json import DEPTH_MAX

texts = st.text(st.characters(exclude_categories=["Cs"]))
leaves = st.none() | st.booleans() | st.integers(-(10**90), 10**90) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda some: st.lists(some, max_size=4) | st.dictionaries(texts, some, max_size=4), max_leaves=20)
objects = st.dictionaries(texts, values, max_size=6)


def refusal(raw: bytes) -> str:
    with pytest.raises(Problem) as caught:
        parse(raw)
    assert caught.value.kind is INVALID_JSON
    (fault,) = caught.value.faults
    assert fault.field and fault.reason
    return caught.value.detail


@given(objects, st.booleans(), st.sampled_from([None, 2]))
def test_every_object_is_read_as_json_loads_reads_it(body: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode()

    read = parse(raw)

    assert read == json.loads(raw)
    assert list(read) == list(json.loads(raw))


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"")
@example(b"{")
@example(b'{"a": "\\ud800"}')
@example(b'{"a": 1e999}')
@example(b"[" * 200_000)
def test_whatever_the_bytes_the_answer_is_an_object_or_a_refusal_that_names_the_place(raw: bytes) -> None:
    try:
        body = parse(raw)
    except Problem as problem:
        assert problem.kind is INVALID_JSON
        assert problem.faults
    else:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"[1]", "an array"),
        (b'"text"', "a string"),
        (b"null", "null"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e400}', "beyond a double"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 characters"),
        (b'{"a": "\\udc00"}', "\\udc00"),
        (b'{"\\ud83d": 1}', "\\ud83d"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b'{"a": 1,}', "line 1 column"),
        (b'{"a": 1} x', "line 1 column 10"),
        (b'{"a": "\n"}', "line 1 column"),
    ],
)
def test_a_refusal_says_what_was_wrong(raw: bytes, says: str) -> None:
    assert says in refusal(raw)


def test_depth_is_counted_and_brackets_in_strings_are_not() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * levels + b"1" + b"}" * levels

    assert parse(nested(DEPTH_MAX))
    assert "levels deep" in refusal(nested(DEPTH_MAX + 1))
    assert "levels deep" in refusal(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert parse(json.dumps({"a": "[" * 1000, "b": '"\\' + "{" * 1000}).encode())
    assert parse(json.dumps({"a": [[1]] * 1000}).encode())


def test_what_json_allows_is_kept() -> None:
    assert parse(b'{"a": 1, "a": 2, "n": "\\u0000", "e": "\\ud83d\\ude00"}') == {"a": 2, "n": "\0", "e": "\U0001f600"}
