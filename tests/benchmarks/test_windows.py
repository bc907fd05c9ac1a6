"""What a trial says of its windows: figures that nobody can check by looking."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks import dynamodb_outages
from benchmarks.answers import Answer
from benchmarks.bad_day import group_size
from benchmarks.deliveries import Prepared
from benchmarks.verify import Sent
from benchmarks.windows import Ledger, Window, times


def window(status: list[int], latency: list[float], begins_at: float = 100.0) -> Window:
    """One delivery a second from 99 on: the first is the warm-up's."""
    ids = [f"{number}" for number in range(len(status))]
    sent = Sent(ids, [99.0 + number for number in range(len(status))], status, latency)
    return Window("any", begins_at, 4.0, sent, {"web": 1.0}, {"web": 100.0}, 0.0)


def test_the_warm_up_counts_for_what_was_accepted_and_for_nothing_else() -> None:
    seen = window([202, 202, 503, 0, 202], [9.0, 0.1, 0.2, 0.3, 0.4])

    assert seen.answers == {"0": 1, "202": 2, "503": 1}
    assert seen.refused == 2
    assert seen.accept.most == 400.0
    assert seen.accepted == {"0", "1", "4"}


def test_a_rate_counts_answers_by_when_they_came() -> None:
    seen = window([202, 202, 202, 202, 202], [1.5, 0.1, 0.1, 0.1, 5.0])

    assert seen.accepted_per_s == 4 / 4  # the warm-up's came in the window, the last one after it


def test_a_window_is_held_against_the_mean_of_the_calm_ones() -> None:
    calm = [window([202] * 5, [took] * 5) for took in (0.010, 0.030)]

    assert times(window([202] * 5, [0.050] * 5), calm) == pytest.approx(2.5)


@dataclass
class Bus:
    """Gives out messages as a system does, one batch each time it is asked."""

    batches: list[list[tuple[str, float]]] = field(default_factory=list)

    def take_messages(self) -> list[tuple[str, float]]:
        return self.batches.pop(0) if self.batches else []


def test_a_ledger_waits_until_all_is_there_and_says_what_is_not() -> None:
    ledger = Ledger({"a", "b", "c"})
    bus: Any = Bus([[("a", 1.0), ("x", 1.0)], [], [("b", 2.0), ("a", 2.0)]])

    assert ledger.settle(bus, within_s=0.7) == {"c"}
    bus.batches = [[("c", 3.0)]]
    assert ledger.settle(bus, within_s=0.0) == set()
    assert ledger.messages == 5


def test_the_size_of_groups_is_that_of_the_writes_that_accept_makes() -> None:
    calls = {
        "PutItem": {"calls": 2, "parts": 2},
        "BatchExecuteStatement": {"calls": 1, "parts": 10},
        "UpdateItem": {"calls": 50, "parts": 50},
    }

    assert group_size(calls) == 4.0
    assert group_size({}) == 0.0


@pytest.mark.parametrize(
    ("status", "headers", "body", "faults"),
    [
        (202, {}, {"event_id": "i"}, []),
        (202, {}, {"event_id": "j"}, ["202 for j"]),
        (500, {}, {}, ["answered 500"]),
        (503, {"content-type": "application/problem+json", "retry-after": "2"}, {"type": "t", "title": "t", "status": 503}, []),
        (
            503,
            {"content-type": "application/problem+json"},
            {"type": "t", "title": "t", "status": 503},
            ["503 with Retry-After ''"],
        ),
        (503, {"content-type": "text/plain", "retry-after": "1"}, {}, ["503 as text/plain"]),
    ],
)
def test_an_answer_names_its_own_event_or_says_when_to_come_again(
    status: int, headers: dict[str, str], body: dict[str, Any], faults: list[str]
) -> None:
    answer = Answer(status, headers, json.dumps(body).encode())

    assert dynamodb_outages._faults(Prepared("i", b""), answer) == faults
