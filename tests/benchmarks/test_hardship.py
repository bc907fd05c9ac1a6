"""What a rolling restart, a backlog and a hundred thousand events are said to have shown."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import backlog, memory, restart
from benchmarks.memory import Reading
from benchmarks.promises import Promise, table
from benchmarks.restart import Replaced
from benchmarks.verify import Sent, outcome

SENT = Sent(["a", "b"], [1000.0, 1001.0], [202, 202], [0.01] * 2)
ARRIVED = [("a", 1000.1), ("b", 1001.1)]
REPLACED = [Replaced("web", 1.0, 1.0, 2.0, 0)]


def kept(promises: Sequence[Promise]) -> list[bool]:
    return [promise.kept for promise in promises]


def restarted(
    sent: Sent = SENT, arrived: Sequence[tuple[str, float]] = ARRIVED, done: Sequence[Replaced] = REPLACED
) -> list[bool]:
    return kept(restart.judge(sent, outcome(sent, arrived, 1000.0, 2.0), done))


def test_a_restart_that_nobody_noticed_keeps_every_promise() -> None:
    assert restarted() == [True] * 6
    assert restarted(replace(SENT, resent=3)) == [True] * 6


def test_whatever_a_sender_or_a_subscriber_notices_of_a_restart_breaks_a_promise() -> None:
    assert restarted(replace(SENT, status=[202, 503])) == [False, True, True, True, True, True]
    assert restarted(replace(SENT, refused=1)) == [True, False, True, True, True, True]
    assert restarted(replace(SENT, cut=1)) == [True, True, False, True, True, True]
    assert restarted(arrived=ARRIVED[:1]) == [True, True, True, False, True, True]
    assert restarted(arrived=[*ARRIVED, ARRIVED[0]]) == [True, True, True, True, False, True]
    assert restarted(done=[replace(REPLACED[0], code=None)]) == [True, True, True, True, True, False]
    assert restarted(done=[]) == [True, True, True, True, True, False]


@given(st.floats(-5, 5), st.floats(10, 500), st.lists(st.floats(-0.01, 0.01), min_size=6, max_size=6))
def test_growth_is_the_slope_of_what_was_read_from_some_point_on(slope: float, size: float, noise: list[float]) -> None:
    early = [Reading(0, {"web": 1.0}), Reading(10_000, {"web": 1.0})]
    later = [Reading(50_000 + n * 10_000, {"web": size + slope * n + noise[n]}) for n in range(6)]

    assert abs(memory.growth([*early, *later], "web", 50_000) - slope) < 0.02


def test_what_keeps_growing_is_called_so_except_for_the_stand_in_that_holds_the_table() -> None:
    names = ("web", "worker-io", "aws")
    grows = {"web": 100.0, "worker-io": 30.0, "aws": 50.0}
    readings = [Reading(n * 10_000, {name: 100.0 + grows[name] * n * (name != "worker-io") for name in names}) for n in range(11)]

    web, io = [promise for promise in memory.judge(readings, 50_000, 0) if "memory" in promise.what]

    assert (web.kept, io.kept) == (False, True)
    assert kept(memory.judge(readings, 50_000, 1))[0] is False


def test_a_pool_is_told_as_its_parent_and_the_largest_of_its_children() -> None:
    sizes = {"worker": {7: 90.0, 8: 50.0, 9: 60.0}, "web": {3: 40.0}}

    assert memory.by_process({"worker": 7, "web": 3}, sizes) == {"worker": 90.0, "worker: largest child": 60.0, "web": 40.0}


def worked_off(per_s: Sequence[int], fresh_after_s: float = 1.0) -> backlog.Drain:
    """A backlog of which so many a second were published in each five seconds; a fresh delivery a second meanwhile."""
    old = [(f"o{place}-{n}", 5.0 * place + n * 5 / (5 * rate)) for place, rate in enumerate(per_s) for n in range(5 * rate)]
    end = ("o-last", 5.0 * len(per_s))
    count = 5 * len(per_s)
    fresh = Sent([f"f{n}" for n in range(count)], [float(n) for n in range(count)], [202] * count, [0.01] * count)
    arrived = [*old, end, *((event_id, at + fresh_after_s) for event_id, at in zip(fresh.ids, fresh.scheduled, strict=True))]
    return backlog.reckon({event_id for event_id, _ in [*old, end]}, fresh, arrived, 0.0)


def test_a_steady_drain_with_fresh_deliveries_in_between_keeps_every_promise() -> None:
    drain = worked_off([5, 100, 90, 110, 100])

    assert kept(backlog.judge(drain, 100, 100)) == [True] * 5
    assert (drain.took_s, drain.fresh.p50) == (25.0, 1000.0)
    assert drain.per_s[1:] == [101.0, 91.0, 111.0, 101.0]


def test_cores_are_what_was_used_between_two_readings() -> None:
    usages = [backlog.Usage(100.0 + n, {"aws": 0.5 * n, "elsewhere": 1.0}) for n in range(11)]

    assert backlog.cores(usages, 100.0, 2) == [{"aws": 0.5, "elsewhere": 0.0}] * 2


def test_a_drain_that_falters_and_fresh_deliveries_that_wait_are_called_so() -> None:
    assert kept(backlog.judge(worked_off([5, 100, 100, 30, 100]), 100, 100)) == [True, True, True, False, True]
    assert kept(backlog.judge(worked_off([100] * 5, fresh_after_s=11.0), 100, 100)) == [True, True, True, True, False]


def test_a_backlog_that_is_refused_lost_or_told_twice_is_called_so() -> None:
    drain = worked_off([100] * 5)

    assert kept(backlog.judge(drain, 100, 99)) == [False, True, True, True, True]
    assert kept(backlog.judge(replace(drain, lost=1), 100, 100)) == [True, False, True, True, True]
    assert kept(backlog.judge(replace(drain, again=1), 100, 100)) == [True, True, False, True, True]


def test_figures_stand_to_the_right_and_words_to_the_left() -> None:
    assert table([("what", "n"), ("a", 1), ("bcdef", 10.5)]) == "what      n\na         1\nbcdef  10.5"
