"""Signatures of Monte Carlo, made by Pythons of every age."""

import json
import re
import string
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.contracts import SignatureRejected
from connectors.monte_carlo import printable
from connectors.monte_carlo.signature import YOUNG_MAX, verify
from tests.connectors.monte_carlo_payloads import VECTORS, payload
from tests.connectors.monte_carlo_signer import BODIES, SECRET, representation, sign, signed_text

PYTHONS = [json.loads(line) for line in Path(__file__).with_name("monte_carlo_signatures.jsonl").read_text().splitlines()]
VERSIONS = list(printable.PRINTABLE_SINCE)
U_1FACE = "\U0001face"  # Unicode 15.0: escaped by Python 3.11, printed by 3.12


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["file"] for vector in VECTORS])
def test_the_documented_deliveries_are_accepted_with_their_signatures(vector):
    verify(payload(vector["file"].removesuffix(".json")), vector["signature"], [vector["secret"]])


@pytest.mark.parametrize("python", PYTHONS, ids=[python["python"] for python in PYTHONS])
@pytest.mark.parametrize("number", range(len(BODIES)))
def test_what_any_python_signed_is_accepted(python, number):
    verify(json.loads(BODIES[number]), python["signatures"][number], ["another secret", SECRET])


def test_the_pythons_of_the_test_data_do_differ():
    different = [len({python["signatures"][number] for python in PYTHONS}) for number in range(len(BODIES))]

    assert different[1] == 9  # one character of each of eight versions
    assert sum(count > 1 for count in different) == 7


@pytest.mark.parametrize("python", PYTHONS, ids=[python["python"] for python in PYTHONS])
def test_a_body_with_young_characters_changed_on_the_way_is_refused(python):
    for body, signature in zip(BODIES, python["signatures"], strict=True):
        changed = json.loads(body) | {"added": 1}
        with pytest.raises(SignatureRejected):
            verify(changed, signature, [SECRET])


@pytest.mark.parametrize("other", ["\U0001facd", "\\U0001face", "\\\\U0001face", "?"])
def test_only_the_very_character_is_accepted_in_its_other_spelling(other):
    for is_printable in (lambda char: char.isascii(), lambda _: True):
        signature = sign(signed_text({"a": [U_1FACE]}, is_printable), "s")
        verify({"a": [U_1FACE]}, signature, ["s"])
        with pytest.raises(SignatureRejected):
            verify({"a": [other]}, signature, ["s"])


def test_a_top_level_string_is_plain_to_every_python():
    escaped = sign("a=%5CU0001face", "s")

    with pytest.raises(SignatureRejected):
        verify({"a": U_1FACE}, escaped, ["s"])
    verify({"a": "\\U0001face"}, escaped, ["s"])


def test_spellings_are_not_mixed_as_no_python_mixes_them():
    older, younger = "\U0001fae0", "\U0001fae9"  # 14.0 and 16.0
    mixed = sign(signed_text({"a": [older, younger]}, lambda char: char != older and ord(char) > 31), "s")

    with pytest.raises(SignatureRejected):
        verify({"a": [older, younger]}, mixed, ["s"])


def test_characters_that_no_python_knows_yet_are_accepted_in_both_spellings():
    body = {"a": ["\u0378", U_1FACE]}

    for is_printable in (lambda char: char.isascii(), lambda char: char != "\u0378", lambda _: True):
        verify(body, sign(signed_text(body, is_printable), "s"), ["s"])


def test_too_many_young_characters_are_refused_without_trying_all_their_spellings():
    body = {"a": [U_1FACE * (YOUNG_MAX + 1)]}
    in_both_spellings = [sign(signed_text(body, known), "s") for known in (str.isascii, lambda _: True)]
    here = sign(urlencode(body), "s")

    verify(body, here, ["s"])
    for signature in set(in_both_spellings) - {here}:
        with pytest.raises(SignatureRejected, match=f"over {YOUNG_MAX}"):
            verify(body, signature, ["s"])


ODD = "%+&= \t\n\x00/-._~'\"\\{}[]:,;#?@aZ0é\xfe\xff漢😀"
TEXTS = st.text("%+&= ", max_size=4) | st.text(ODD, min_size=20) | st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXTS, TEXTS | st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=3))
@example({"&=": "&", "=": ""})
def test_every_character_counts_as_urlencode_writes_it(body):
    verify(body, sign(urlencode(body), "s"), ["s"])


def test_the_order_of_keys_and_the_types_of_nested_values_are_signed():
    signature = sign(urlencode({"a": {"x": 1, "y": 1.0}}), "s")

    for other in ({"y": 1.0, "x": 1}, {"x": 1, "y": 1}, {"x": 1, "y": "1.0"}, {"x": True, "y": 1.0}):
        with pytest.raises(SignatureRejected):
            verify({"a": other}, signature, ["s"])


young = st.sampled_from([chr(start) for start, _, _ in printable._RANGES] + ["\u0378", "\ufdd0", "\U000e0100"])
texts = st.text(
    young | st.sampled_from(string.printable + "\\\\\\'\"Uu0\x00\x7f\xa0\xadé\u200b\ufeff中😀\ue000\ud800"), max_size=12
)
nested = st.recursive(texts | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner))
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def known_to(version: int) -> Any:
    """Whether a Python with the Unicode tables of that version prints a character."""

    def is_printable(char: str) -> bool:
        age = printable.since(ord(char))
        return char.isprintable() if age == printable.ALWAYS else age <= version

    return is_printable


@given(st.dictionaries(plain, st.lists(nested, max_size=3) | plain, max_size=3), st.integers(0, printable.UNASSIGNED))
def test_any_body_that_any_python_signed_is_accepted(body, version):
    verify(body, sign(signed_text(body, known_to(version)), "s"), ["s"])


@given(nested)
def test_the_tests_own_representation_is_this_pythons(value):
    assert representation(value, str.isprintable) == repr(value)


def test_the_table_agrees_with_this_pythons_own():
    """Also says when the table must be continued: before Lily runs on a Python with Unicode tables that are younger."""
    ours = VERSIONS.index(unicodedata.unidata_version.removesuffix(".0")) + 1

    for code_point in range(0x110000):
        char = chr(code_point)
        if (age := printable.since(code_point)) != printable.ALWAYS:
            assert char.isprintable() == (age <= ours), hex(code_point)
        else:
            assert unicodedata.category(char) != "Cn", hex(code_point)


def test_the_regular_expression_names_the_very_characters_of_the_table():
    listed = re.compile(f"[{printable.CHARACTERS}]")

    for code_point in range(0x110000):
        is_listed = listed.match(chr(code_point)) is not None
        assert is_listed == (printable.since(code_point) not in (printable.ALWAYS, printable.UNASSIGNED)), hex(code_point)
