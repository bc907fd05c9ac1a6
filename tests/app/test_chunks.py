"""Bodies in chunks: read as waitress reads them, however they are cut, and refused where it is not clear what they are."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import OverflowableBuffer
from waitress.receiver import ChunkedReceiver

from app.chunks import SIZE_LINE_BYTES_MAX, TRAILER_BYTES_MAX, Chunks

contents = st.lists(st.binary(min_size=1, max_size=40) | st.binary(min_size=4000, max_size=5000), max_size=12)
extensions = st.sampled_from([b"", b";a", b';a="b";c=d'])
trailers = st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"])
alike = st.lists(
    st.sampled_from([b"1", b"a", b"0", b"\r\n", b"\r", b"\n", b";", b"x", b"1\r\n \r\n", b"0\r\n\r\n", b" ", b"\0"]), max_size=30
).map(b"".join)


def a_receiver() -> Chunks:
    return Chunks(OverflowableBuffer(1000))


def cut(data: bytes, at: list[int]) -> Iterator[bytes]:
    places = sorted({place % (len(data) + 1) for place in at} | {0, len(data)})
    return (data[begin:end] for begin, end in pairwise(places))


def take(receiver: Chunks | ChunkedReceiver, pieces: Iterator[bytes]) -> int:
    """How much of it belonged to the body."""
    taken = 0
    for piece in pieces:
        if receiver.completed or receiver.error:
            break
        taken += receiver.received(piece)
    return taken


@given(contents, extensions, trailers, st.binary(max_size=20), st.lists(st.integers(min_value=0), max_size=20))
def test_wherever_they_are_cut_the_content_is_whole_and_what_follows_is_left(
    chunks: list[bytes], extension: bytes, trailer: bytes, following: bytes, at: list[int]
) -> None:
    sent = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    receiver = a_receiver()

    taken = take(receiver, cut(sent + following, at))

    assert receiver.completed
    assert receiver.error is None
    assert taken == len(sent)
    assert receiver.getbuf().get() == b"".join(chunks)
    assert len(receiver) == len(b"".join(chunks))


@given(alike, st.lists(st.integers(min_value=0), max_size=10))
def test_what_it_accepts_waitress_reads_in_the_same_way(sent: bytes, at: list[int]) -> None:
    receiver, reference = a_receiver(), ChunkedReceiver(OverflowableBuffer(1000))

    taken = take(receiver, cut(sent, at))

    if receiver.completed:
        assert reference.received(sent) == taken
        assert reference.completed
        assert not reference.error
        assert reference.getbuf().get() == receiver.getbuf().get()


@given(alike, st.lists(st.integers(min_value=0), max_size=10))
def test_how_it_is_cut_makes_no_difference(sent: bytes, at: list[int]) -> None:
    whole, pieces = a_receiver(), a_receiver()

    take(whole, cut(sent, []))
    take(pieces, cut(sent, at))

    assert (whole.completed, bool(whole.error)) == (pieces.completed, bool(pieces.error))
    if whole.completed:
        assert whole.getbuf().get() == pieces.getbuf().get()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n1\r\n \r\n",
        b"xyz\r\n",
        b"-2\r\n{}\r\n",
        b"2 \r\n{}\r\n",
        b"2;\x00\r\n{}\r\n",
        b"2\n{}\r\n",
        b"1\r\n{}\r\n0\r\n\r\n",
        b"3\r\n{}\r\n0\r\n\r\n",
        b"F" * 17 + b"\r\n",
        b"2;" + b"a" * SIZE_LINE_BYTES_MAX,
        b"2;" + b"a" * SIZE_LINE_BYTES_MAX + b"\r\n{}\r\n",
        b"0\r\n" + b"A: b\r\n" * (TRAILER_BYTES_MAX // 6 + 1),
    ],
)
def test_what_is_no_chunk_is_refused(sent: bytes) -> None:
    receiver = a_receiver()

    assert receiver.received(sent) == len(sent)

    assert receiver.error is not None
    assert not receiver.completed
