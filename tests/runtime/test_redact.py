import json
import time

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lily.runtime.redact import CHARACTERS_MAX, is_secret_name, redact, text
from lily.runtime.settings import Secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJsaWx5In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "X-Mcd-Signature",
        "api_token",
        "apiToken",
        "API_TOKEN",
        "Authorization",
        "set-cookie",
        "accessKey",
        "aws_access_key_id",
    ],
)
def test_values_under_secret_names_are_hidden(name):
    assert redact({"outer": [{name: "v" * 5}]}) == {"outer": [{name: "***"}]}
    assert redact({name: {"nested": "v"}}) == {name: "***"}


@pytest.mark.parametrize("name", ["lane_key", "tokens", "event_id", "tokenizer", "secretary", "author", "passed"])
def test_names_that_only_look_alike_are_shown(name):
    assert not is_secret_name(name)
    assert redact({name: "v"}) == {name: "v"}


def test_numbers_are_no_secrets_whatever_their_name():
    assert redact({"token_count": 5, "password": None, "secret": True}) == {"token_count": 5, "password": None, "secret": True}


@pytest.mark.parametrize(
    ("given_text", "secret"),
    [
        ("Authorization: Bearer abc.def-12345", "abc.def-12345"),
        ("curl -H 'authorization: bearer s3cr3t-s3cr3t'", "s3cr3t-s3cr3t"),
        ("Basic bGlseTpzZWNyZXQtc2VjcmV0", "bGlseTpzZWNyZXQtc2VjcmV0"),
        (f"got {JWT}!", JWT[:30]),
        (f"cut off {JWT[:50]}", JWT[:30]),
        ("mail to jane.doe+x@example.co.uk now", "jane.doe+x"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        (f"secret {AWS_SECRET} used", AWS_SECRET),
        ("redis://lily:hunter2@cache:6379/0 refused", "hunter2"),
        ("https://x/cb?token=t0k3n&a=1", "t0k3n"),
        ('{"password": "hunter2"}', "hunter2"),
        ("LILY_JWT_SECRET=hunter2", "hunter2"),
        ("X-Amz-Signature=abcdef0123", "abcdef0123"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ],
)
def test_secrets_inside_texts_are_hidden(given_text, secret):
    shown = text(given_text)

    assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "plain",
    [
        "monte-carlo",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "analytics:orders.customers",
        "2026-11-24T17:00:00.123Z",
        "https://api.getmontecarlo.com/graphql",
        "connection refused: 127.0.0.1:6379",
        "arn:aws:events:us-east-1:000000000000:event-bus/lily",
    ],
)
def test_what_is_no_secret_stays_as_it_is(plain):
    assert text(plain) == plain


def test_a_settings_secret_stays_hidden_wherever_it_is():
    assert redact([Secret("hunter2"), {"x": Secret("hunter2")}]) == ["***", {"x": "***"}]


def test_long_texts_are_cut_and_say_so():
    shown = text("ab " * 5_000)

    assert shown.startswith("ab ab ")
    assert shown.endswith("... 13000 more characters")
    assert len(shown) < CHARACTERS_MAX + 40


def test_a_traceback_keeps_its_end():
    shown = text("x\n" * 5_000 + "ValueError: at last", keep_end=True)

    assert shown.endswith("ValueError: at last")
    assert len(shown) < CHARACTERS_MAX + 40


def test_a_secret_across_the_cut_does_not_show_its_first_part():
    shown = text("x" * (CHARACTERS_MAX - 13) + " " + JWT)

    assert "eyJ" not in shown


def test_huge_texts_are_dealt_with_at_once():
    began = time.perf_counter()

    for hostile in ("a" * 10_000_000, "a@" * 5_000_000, "eyJ" * 3_000_000, "password=" * 1_000_000, "-----BEGIN " * 900_000):
        text(hostile)

    assert time.perf_counter() - began < 2.0


def test_depth_and_length_are_bounded():
    deep: list = []
    for _ in range(1_000):
        deep = [deep]
    cycle: dict = {}
    cycle["self"] = cycle

    assert "..." in json.dumps(redact(deep))
    assert "..." in json.dumps(redact(cycle))
    assert redact(list(range(1_000)))[200:] == ["... 800 more items"]
    assert redact({str(n): n for n in range(1_000)})["..."] == "800 more items"


class _Rude:
    def __str__(self) -> str:
        raise RuntimeError


def test_things_of_any_kind_become_plain_values():
    assert redact((b"abc", {1}, None, True, 1.5, 2**70, _Rude())) == [
        "<3 bytes>",
        [1],
        None,
        True,
        1.5,
        "<whole number of 71 bits>",
        "<_Rude>",
    ]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), lambda children: (
    st.lists(children) | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), children)
)))  # fmt: skip
def test_whatever_is_given_the_result_can_be_written_as_json(value):
    orjson.dumps(redact(value))


@given(before=words, secret=st.text("abcdefghij0123456789", min_size=8, max_size=40), after=words)
def test_a_bearer_token_is_hidden_whatever_stands_around_it(before, secret, after):
    assume(secret not in before + after)

    assert secret not in text(f"{before} Bearer {secret} {after}")
