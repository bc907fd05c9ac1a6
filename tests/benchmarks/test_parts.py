"""The parts of the benchmark that can be wrong without anyone noticing."""

import hashlib
import hmac
import json
import os
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import deliveries, proc, profiles
from benchmarks.inbound import next_rate
from connectors import monte_carlo
from lily.domain.deliveries import event_id

SECRET = "bench-secret"


def test_prepared_deliveries_are_genuine_and_carry_the_id_that_lily_will_give_them() -> None:
    for prepared in deliveries.prepare(5, "127.0.0.1:1", SECRET, per_incident=2):
        head, _, raw = prepared.request.partition(b"\r\n\r\n")
        body = json.loads(raw)
        signature = hmac.new(SECRET.encode(), urlencode(body).encode(), hashlib.sha512).hexdigest()

        monte_carlo.verify(body, signature, [SECRET])
        assert f"x-mcd-signature: {signature}".encode() in head
        assert f"Content-Length: {len(raw)}".encode() in head
        assert prepared.event_id == event_id("monte-carlo", monte_carlo.account(body), body)


def test_no_two_deliveries_are_alike_and_as_many_as_wished_share_an_incident() -> None:
    made = list(deliveries.prepare(12, "127.0.0.1:1", SECRET, per_incident=4))
    incidents = [json.loads(one.request.partition(b"\r\n\r\n")[2])["payload"]["incident_id"] for one in made]

    assert len({one.event_id for one in made}) == 12
    assert [incidents.count(incident) for incident in dict.fromkeys(incidents)] == [4, 4, 4]


def test_a_name_with_brackets_and_spaces_does_not_confuse_the_process_table() -> None:
    found = proc.parse("42 (a) (b c) S 1 7 7 0 -1 4194560 100 0 0 0 100 50 30 20 20 0 1 0 100 0 0")

    assert (found.pid, found.group) == (42, 7)
    assert found.cpu_s == 200 * proc.TICK_S


def test_ones_own_group_costs_time_and_memory() -> None:
    groups = {"us": os.getpgid(0)}

    assert proc.cpu_of_groups(groups)["us"] > 0
    assert proc.memory_of_groups(groups)["us"][0] > 1


def test_a_function_that_calls_itself_counts_once_in_a_stack() -> None:
    stacks = profiles.parse("main (a.py:1);walk (a.py:2);walk (a.py:9) 3\nmain (a.py:5) 2\n")
    within, alone = profiles.shares(stacks)

    assert within == {"main (a.py)": 5, "walk (a.py)": 3}
    assert alone == {"main (a.py)": 2, "walk (a.py)": 3}


@given(st.floats(10, 10_000), st.floats(20, 1000))
def test_the_search_closes_in_on_the_limit_from_wherever_it_begins(limit: float, guess: float) -> None:
    low, high, rate, tries = None, None, guess, 0
    while high is None or low is None or high / low > 1.1:
        if rate <= limit:
            low = rate
        else:
            high = rate
        rate, tries = next_rate(low, high, 1.25), tries + 1
        assert tries < 50

    assert low <= limit < high
