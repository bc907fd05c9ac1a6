"""What a run is said to have shown."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.verify import Sent, outcome, percentile, spread


def sent(count: int, rate: float = 10.0, begins_at: float = 1000.0, status: int = 202) -> Sent:
    ids = [f"e{number}" for number in range(count)]
    return Sent(ids, [begins_at + number / rate for number in range(count)], [status] * count, [0.005] * count)


def arrivals(log: Sent, after_s: float) -> list[tuple[str, float]]:
    return [(event_id, at + after_s) for event_id, at in zip(log.ids, log.scheduled, strict=True)]


def test_latency_counts_from_the_scheduled_moment() -> None:
    log = sent(20)

    seen = outcome(log, arrivals(log, 0.025), begins_at=1000.0, seconds=2.0)

    assert seen.end_to_end.p50 == 25.0
    assert seen.accept.p50 == 5.0
    assert seen.offered == 10.0


def test_the_warm_up_is_no_part_of_the_rates_but_of_what_may_be_lost() -> None:
    log = sent(20)
    lost_in_warm_up = arrivals(log, 0.0)[1:]

    seen = outcome(log, lost_in_warm_up, begins_at=1001.0, seconds=1.0)

    assert seen.offered == 10.0
    assert seen.published_per_s == 10.0
    assert seen.status == {"202": 10}
    assert seen.lost == 1


def test_what_arrives_after_the_clock_stopped_is_not_lost_but_not_in_time() -> None:
    log = sent(20)

    seen = outcome(log, arrivals(log, 1.05), begins_at=1000.0, seconds=2.0)

    assert seen.published_per_s * 2 == 10
    assert seen.kept_up == 0.5
    assert not seen.has_kept_up
    assert seen.lost == 0
    assert 0.9 < seen.drained_s < 1.0


def test_a_second_message_of_an_event_is_a_duplicate_and_publishes_nothing_more() -> None:
    log = sent(10)

    seen = outcome(log, arrivals(log, 0.01) + arrivals(log, 0.02)[:3], begins_at=1000.0, seconds=1.0)

    assert seen.duplicates == 3
    assert seen.published_per_s == 10.0
    assert seen.end_to_end.most == 10.0


def test_a_message_nobody_sent_is_a_stranger() -> None:
    log = sent(3)

    seen = outcome(log, [*arrivals(log, 0.01), ("another", 1000.5)], begins_at=1000.0, seconds=1.0)

    assert seen.strangers == 1


def test_a_refused_delivery_is_not_lost_and_a_published_one_without_an_answer_is_told() -> None:
    refused, unanswered = sent(4, status=503), sent(4, status=0)

    assert outcome(refused, [], begins_at=1000.0, seconds=1.0).lost == 0
    assert outcome(unanswered, arrivals(unanswered, 0.01), begins_at=1000.0, seconds=1.0).unaccepted == 4


def test_a_run_in_which_nothing_arrived_has_figures_too() -> None:
    seen = outcome(sent(10), [], begins_at=1000.0, seconds=1.0)

    assert seen.published_per_s == 0.0
    assert seen.lost == 10
    assert spread([]).p99 == 0.0


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_this_share_does_not_exceed(values: list[float], share: float) -> None:
    ordered = sorted(values)

    found = percentile(ordered, share)

    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < share * len(ordered) + 1e-9
