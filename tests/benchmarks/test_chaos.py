"""The kill test's plan and its judgement: a promise that is broken must be called so."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import faults
from benchmarks.chaos import collect, judge, troubles
from benchmarks.faults import AWS, FLUSH, IN_TURN, REDIS, Fault
from benchmarks.timelines import Told
from benchmarks.verify import Sent

SENT = Sent(["a", "b", "c"], [1000.0, 1001.0, 1002.0], [202, 202, 503], [0.01] * 3)
FAULTS = [Fault("web", 1001.0, 1001.1), Fault("pool children", 1002.0, 1002.0)]
ARRIVED = [("a", 1001.9), ("b", 1010.0)]
PUBLISHED = Told("published", 0, ((1000.0, "ingested", 1, ""), (1001.0, "stored", 1, ""), (1002.0, "published", 1, "")))
TOLD = {"a": PUBLISHED, "b": PUBLISHED}


def broken(
    sent: Sent = SENT, arrived: Sequence[tuple[str, float]] = ARRIVED, told: dict[str, Told] = TOLD, batches: int = 1
) -> list[str]:
    return [
        promise.what.partition(" ")[0] for promise in judge(sent, collect(arrived), told, FAULTS, batches) if not promise.kept
    ]


def test_a_run_in_which_all_that_was_accepted_was_told_once_keeps_every_promise() -> None:
    assert broken() == []


def test_what_is_accepted_and_not_told_or_told_late_is_called_so() -> None:
    assert broken(arrived=ARRIVED[:1]) == ["every"]
    assert broken(arrived=[ARRIVED[0], ("b", 1062.1)]) == ["every"]
    assert broken(arrived=[ARRIVED[0], ("b", 1061.9)]) == []


def test_a_run_in_which_nothing_was_accepted_keeps_nothing() -> None:
    assert "every" in broken(sent=replace(SENT, status=[503] * 3), arrived=[])


def test_records_that_are_not_final_or_stored_twice_are_called_so() -> None:
    twice = Told("published", 0, (*PUBLISHED.timeline[:2], *PUBLISHED.timeline[1:]))

    assert broken(told={"a": PUBLISHED}) == ["its", "it"]
    assert broken(told={"a": PUBLISHED, "b": replace(PUBLISHED, state="parked")}) == ["its"]
    assert broken(told={"a": PUBLISHED, "b": twice}) == ["it"]


def test_more_messages_again_than_a_batch_of_each_lane_or_without_a_reason_in_the_timeline_are_called_so() -> None:
    swept = Told("published", 1, (*PUBLISHED.timeline[:2], (1030.0, "swept", 1, ""), *PUBLISHED.timeline[2:]))
    again = [*ARRIVED, ("a", 1030.0), ("b", 1040.0)]

    assert broken(arrived=again, told={"a": swept, "b": swept}, batches=2) == []
    assert broken(arrived=again, told={"a": swept, "b": swept}, batches=1) == ["a"]
    assert broken(arrived=again, told={"a": swept, "b": PUBLISHED}, batches=2) == ["the"]


def test_strangers_and_answers_of_another_kind_are_called_so() -> None:
    assert broken(arrived=[*ARRIVED, ("z", 1003.0)]) == ["every"]
    assert broken(sent=replace(SENT, status=[202, 202, 500])) == ["no"]


@given(st.floats(20, 200))
def test_every_kind_is_killed_in_turn_and_what_stands_still_goes_on_before_the_load_ends(seconds: float) -> None:
    strikes = faults.plan(seconds)
    kills = Counter(strike.what for strike in strikes if not strike.lasts_s and strike.what != FLUSH)

    assert [strike.at_s for strike in strikes] == sorted(strike.at_s for strike in strikes)
    assert set(kills) == set(IN_TURN)
    assert max(kills.values()) - min(kills.values()) <= 1
    assert Counter(strike.what for strike in strikes if strike.what in {FLUSH, REDIS, AWS}) == {FLUSH: 1, REDIS: 1, AWS: 1}
    assert all(strike.at_s + strike.lasts_s <= seconds for strike in strikes)
    (redis,), (aws,) = ([strike for strike in strikes if strike.what == what] for what in (REDIS, AWS))
    assert redis.at_s + redis.lasts_s < aws.at_s


def test_the_full_run_stops_redis_for_ten_seconds_and_aws_for_five() -> None:
    lasting = {strike.what: strike.lasts_s for strike in faults.plan(50) if strike.lasts_s}

    assert lasting == {REDIS: 10.0, AWS: 5.0}


def test_a_second_message_is_put_down_to_the_fault_that_cut_its_batch_short() -> None:
    first, web, stop, last = (
        Fault("worker-inbound", 10.0, 10.1),
        Fault("web", 11.0, 11.1),
        Fault(AWS, 15.0, 20.0),
        Fault("pool children", 25.0, 25.0),
    )

    found = faults.put_down([9.8, 10.2, 14.0, 20.3, 24.0, 30.0], [first, web, stop, last])

    assert found == {first: 2, stop: 2, last: 2}
    assert faults.by_kind(found, [first, web, stop, last])[:2] == [("pool children", 1, 2, 2), ("worker-inbound", 1, 2, 2)]
    assert faults.put_down([1.0], [web]) == {}


def test_errors_in_the_logs_are_counted_by_name_and_process(tmp_path: Path) -> None:
    lines = (
        '{"level":"error","event":"bug.caught"}',
        '{"level":"info","event":"event.published"}',
        "Traceback (most recent",
        "[]",
    )
    (tmp_path / "worker-inbound.log").write_text("\n".join(lines))
    (tmp_path / "web.log").write_text('{"level":"error","event":"x"}\n{"level":"error","event":"x"}\n')
    (tmp_path / "aws.log").write_text("Traceback\n")
    (tmp_path / "beat.log").write_text("")

    assert troubles(tmp_path) == {"web": {"x": 2}, "worker-inbound": {"bug.caught": 1, "Traceback": 1}}
