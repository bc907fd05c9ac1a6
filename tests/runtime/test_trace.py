from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime import trace

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_traceparent_is_read_and_written_alike():
    read = trace.parse(GOOD)

    assert read == trace.Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
    assert read.header() == GOOD


def test_a_later_version_may_hold_more():
    assert trace.parse(GOOD.replace("00-", "cc-", 1) + "-what-the-future-will-be") is not None
    assert trace.parse(GOOD.replace("00-", "cc-", 1) + ".what") is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        GOOD.upper(),
        GOOD + "-more",
        GOOD + "-",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1],
        GOOD.replace("00-", "ff-", 1),
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        GOOD.replace("4bf9", "4bg9"),
        "cc" + GOOD[2:] + "-" + "x" * 1_000,
    ],
)
def test_a_malformed_traceparent_is_none_at_all(header):
    assert trace.parse(header) is None


@given(st.text(max_size=100) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"))
def test_whatever_was_sent_what_is_sent_on_is_valid(header):
    read = trace.parse(header)

    assert read is None or trace.parse(read.header()) == read


def test_a_new_trace_is_valid_and_its_own():
    one, other = trace.new(), trace.new()

    assert trace.parse(one.header()) == one
    assert one.trace_id != other.trace_id


def test_a_child_is_another_span_of_the_same_trace():
    parent = trace.Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=False)
    child = parent.child()

    assert (child.trace_id, child.sampled) == (parent.trace_id, False)
    assert child.span_id != parent.span_id


def test_a_bound_trace_is_current_until_the_block_ends_and_in_this_thread_only():
    outer, inner = trace.new(), trace.new()
    elsewhere = []

    with trace.bound(outer):
        with trace.bound(inner):
            assert trace.current() is inner
            thread = Thread(target=lambda: elsewhere.append(trace.current()))
            thread.start()
            thread.join()
        assert trace.current() is outer

    assert trace.current() is None
    assert elsewhere == [None]
