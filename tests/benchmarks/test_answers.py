"""The judge of raw connections: what it lets pass has to be right, as nobody looks at it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.answers import ENDED, LATE, OPEN, RESET, Answer, Garbled, Seen, judge, parse

PROBLEM = {"type": "https://lily/problems/x", "title": "X", "status": 400}


def response(status: int, body: bytes, kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 %d Any\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind.encode(), len(body), body)


def problem(status: int = 400, **more: object) -> bytes:
    document = {name: value for name, value in (PROBLEM | {"status": status} | more).items() if value is not None}
    return response(status, json.dumps(document).encode(), "application/problem+json")


@given(
    st.lists(st.tuples(st.integers(200, 599).filter(lambda status: status not in {204, 304}), st.binary(max_size=50))),
    st.data(),
)
def test_answers_are_told_apart_wherever_they_are_cut(said: list[tuple[int, bytes]], data: st.DataObject) -> None:
    sent = b"".join(response(*one) for one in said)
    at = data.draw(st.integers(0, len(sent)))

    whole, rest = parse(sent)
    first, incomplete = parse(sent[:at])

    assert [(answer.status, answer.body) for answer in whole] == said
    assert rest == b""
    assert first == whole[: len(first)]
    assert b"".join(response(*one) for one in said[: len(first)]) + incomplete == sent[:at]


def test_interim_answers_do_not_count() -> None:
    answers, rest = parse(b"HTTP/1.1 100 Continue\r\n\r\n" + response(200, b"{}"))

    assert answers == [Answer(200, {"content-type": "application/json", "content-length": "2"}, b"{}")]
    assert rest == b""


@pytest.mark.parametrize("received", [b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"])
def test_what_is_no_response_is_garbled(received: bytes) -> None:
    with pytest.raises(Garbled):
        parse(received)
    assert judge(Seen(received, ENDED)).startswith("garbled")


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (Seen(problem(), ENDED), ""),
        (Seen(problem(), RESET), ""),  # all of it was there
        (Seen(response(200, b"x"), OPEN), ""),
        (Seen(b"", ENDED), ""),
        (Seen(b"", RESET), "reset without an answer"),
        (Seen(b"", LATE), "0 answers to 1 requests, and no more in time"),
        (Seen(problem(503), OPEN), "answered 503"),
        (Seen(problem(501), OPEN), "answered 501"),
        (Seen(problem()[:-1], ENDED), "an answer ends half way, then the connection was ended"),
        (Seen(problem() + problem(), ENDED), "2 answers to 1 requests"),
        (Seen(response(400, b"{}"), OPEN), "400 as application/json"),
        (Seen(response(400, b"{", "application/problem+json"), OPEN), "400 with a body that is no JSON"),
        (Seen(response(400, b"[]", "application/problem+json"), OPEN), "400 without type, title, status"),
        (Seen(problem(title=None), OPEN), "400 without type, title, status"),
        (Seen(response(404, json.dumps(PROBLEM).encode(), "application/problem+json"), OPEN), "404 that says 400"),
    ],
)
def test_what_is_wrong_is_said(seen: Seen, fault: str) -> None:
    assert judge(seen) == fault


def test_only_the_expected_refusals_pass_and_who_has_to_close_must_not_stay() -> None:
    assert judge(Seen(problem(422), OPEN), (400, 401)) == "answered 422, not 400 or 401"
    assert judge(Seen(problem(), LATE), (400,), closes=True) == "1 answers to 1 requests, and still open"
    assert judge(Seen(problem(), ENDED), (400,), closes=True) == ""
    assert judge(Seen(problem(503), OPEN), (503,)) == ""
    assert judge(Seen(response(200, b"") * 3, LATE), (200,), 4) == "3 answers to 4 requests, and no more in time"
