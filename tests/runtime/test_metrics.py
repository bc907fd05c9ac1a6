import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lily.runtime import metrics
from lily.runtime.metrics import prometheus
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
EXPECTED = {
    "lily_events_total", "lily_step_seconds", "lily_end_to_end_seconds", "lily_errors_total", "lily_lane_depth",
    "lily_due_oldest_seconds", "lily_due_count", "lily_http_seconds", "lily_outgoing_seconds", "lily_batch_size",
    "lily_aws_calls_total", "lily_breaker_open",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch):
    monkeypatch.setattr(metrics, "_table", metrics._Table())


def samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scraper reads."""
    families = text_string_to_metric_families(prometheus.render().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_everything_that_is_wanted_is_declared():
    assert set(metrics.METRICS) >= EXPECTED
    assert all(metric.help.endswith(".") for metric in metrics.METRICS.values())
    assert all(metric.buckets == tuple(sorted(metric.buckets)) for metric in metrics.METRICS.values())


def test_counts_of_one_process_are_rendered(redis_server):
    metrics.count("lily_events_total", source="monte-carlo", outcome="published")
    metrics.count("lily_events_total", 4, outcome="published", source="monte-carlo")
    metrics.flush()
    metrics.count("lily_events_total", source="monte-carlo", outcome="parked")

    seen = samples()

    assert seen["lily_redis_up", ()] == 1
    assert seen["lily_events_total", (("outcome", "published"), ("source", "monte-carlo"))] == 5
    assert seen["lily_events_total", (("outcome", "parked"), ("source", "monte-carlo"))] == 1


def test_a_histogram_is_cumulative_and_its_bounds_are_inclusive(redis_server):
    for size in (1, 2, 2, 30, 5_000):
        metrics.observe("lily_batch_size", size, what="accept")

    seen = samples()

    def at(bound: str) -> float:
        return seen["lily_batch_size_bucket", (("le", bound), ("what", "accept"))]

    assert [at(bound) for bound in ("1.0", "2.0", "5.0", "50.0", "1000.0", "+Inf")] == [1, 3, 3, 4, 4, 5]
    assert seen["lily_batch_size_sum", (("what", "accept"),)] == 5_035
    assert seen["lily_batch_size_count", (("what", "accept"),)] == 5


def test_a_gauge_is_what_was_set_last(redis_server):
    metrics.gauge("lily_lane_depth", 7, lane="0")
    metrics.flush()
    metrics.gauge("lily_lane_depth", 3, lane="0")

    assert samples()["lily_lane_depth", (("lane", "0"),)] == 3


def test_a_gauge_that_nobody_sets_any_more_disappears(redis_server):
    field = metrics.field_name(("lily_lane_depth", ("9",)), "")
    redis_server.client().hset(metrics.hash_key(), field, "5.0 1000000000")

    assert ("lily_lane_depth", (("lane", "9"),)) not in samples()
    assert redis_server.client().hlen(metrics.hash_key()) == 0


def _open_a_breaker_and_count() -> None:
    metrics.count("lily_aws_calls_total", call="PutItem")
    metrics.gauge("lily_breaker_open", 1, system="monte-carlo")
    metrics.flush()


def test_figures_of_forked_processes_are_added_to_those_of_this_one(redis_server):
    metrics.count("lily_aws_calls_total", 10, call="PutItem")
    metrics.gauge("lily_breaker_open", 1, system="monte-carlo")
    children = [multiprocessing.get_context("fork").Process(target=_open_a_breaker_and_count) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()

    seen = samples()

    assert seen["lily_aws_calls_total", (("call", "PutItem"),)] == 12  # not 32: a child does not tell its parent's figures again
    assert seen["lily_breaker_open", (("system", "monte-carlo"),)] == 3


def test_a_fork_while_the_lock_is_held_does_not_stop_the_child():
    with metrics._table.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            metrics.count("lily_aws_calls_total", call="PutItem")
            os._exit(0)
        _, status = os.waitpid(child, 0)

    assert status == 0


def test_figures_reach_redis_by_themselves(redis_server):
    metrics.count("lily_aws_calls_total", call="PutItem")

    assert eventually(lambda: redis_server.client().hlen(metrics.hash_key()), within_s=6) == 1


def test_figures_reach_redis_when_the_process_ends(redis_server):
    script = "from lily.runtime import metrics\nmetrics.count('lily_aws_calls_total', call='PutItem')"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)

    assert samples()["lily_aws_calls_total", (("call", "PutItem"),)] == 1


def test_while_redis_is_away_figures_add_up_and_the_scraper_is_told(redis_server):
    redis_server.stop()
    for _ in range(3):
        metrics.count("lily_aws_calls_total", call="PutItem")
        metrics.observe("lily_step_seconds", 0.02, step="ingest")
        metrics.flush()
    assert samples() == {("lily_redis_up", ()): 0}

    redis_server.start()
    eventually(lambda: samples()["lily_redis_up", ()] == 1, within_s=5)

    seen = samples()
    assert seen["lily_aws_calls_total", (("call", "PutItem"),)] == 3
    assert seen["lily_step_seconds_count", (("step", "ingest"),)] == 3


def test_without_any_settings_counting_and_flushing_do_no_harm(monkeypatch, configured):
    configured(LILY_REDIS_URL="nonsense")

    metrics.count("lily_aws_calls_total", call="PutItem")
    metrics.flush()

    assert metrics._table.counters[("lily_aws_calls_total", ("PutItem",))] == 1


def test_a_label_that_should_not_be_one_does_not_fill_the_memory(redis_server):
    for n in range(metrics.SERIES_MAX + 100):
        metrics.count("lily_aws_calls_total", call=f"call-{n}")

    assert len(metrics._table.counters) == metrics.SERIES_MAX + 1
    assert samples()["lily_metrics_dropped_total", ()] == 100


def test_no_count_of_many_threads_is_lost(redis_server):
    def work() -> None:
        for n in range(2_000):
            metrics.count("lily_aws_calls_total", call="PutItem")
            if n % 500 == 0:
                metrics.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert samples()["lily_aws_calls_total", (("call", "PutItem"),)] == 8_000


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: metrics.count("lily_nothing_total"), "is no metric; declare it"),
        (lambda: metrics.count("lily_step_seconds", step="ingest"), "is a histogram"),
        (lambda: metrics.count("lily_aws_calls_total"), r"with the labels \('call',\)"),
        (lambda: metrics.count("lily_aws_calls_total", name_of_call="x"), r"used as a counter with \('name_of_call',\)"),
    ],
)
def test_a_metric_used_otherwise_than_declared_is_a_bug(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_what_a_newer_process_tells_is_left_out(redis_server):
    client = redis_server.client()
    client.hset(metrics.hash_key(), metrics.field_name(("lily_of_tomorrow_total", ()), ""), "1")
    client.hset(metrics.hash_key(), metrics.field_name(("lily_aws_calls_total", ("one", "two")), ""), "1")

    assert [name for name, _ in samples()] == ["lily_redis_up"]
