"""What Lily counts and times. Each process adds up in memory; a thread of its own brings the sums to Redis every 2 s, where
the web process reads those of all processes for /metrics. Nothing here raises or waits for Redis, except `flush`, which waits.

A process that is killed loses its last 2 s. A flush that Redis carried out but answered too late is counted twice.
"""

import atexit
import contextlib
import os
import socket
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import orjson

from lily.runtime import redis_pool
from lily.runtime.settings import settings

FLUSH_S = 2.0
SERIES_MAX = 5_000  # per process; more than that is a label that should not be one
LABEL_CHARACTERS_MAX = 120
HASH_TTL_S = 30 * 86_400
GAUGE_STALE_S = 300.0  # a gauge that nobody has set for this long is about something that is gone
PROCESS_STALE_S = 30.0  # a process that has not told its part of a summed gauge for this long is gone

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0)


@dataclass(frozen=True)
class Metric:
    """`buckets` are upper bounds. A gauge is what was set last by anyone, or with `summed` the sum over all processes."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    summed: bool = False


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("lily_events_total", "counter", "Events by their source and what became of them.", ("source", "outcome")),
        Metric("lily_step_seconds", "histogram", "Time of one step for one batch.", ("step",), FAST),
        Metric("lily_end_to_end_seconds", "histogram", "From accepted to published, per event.", (), SLOW),
        Metric("lily_propagations_total", "counter", "Rules at tables by what became of them.", ("target", "state")),
        Metric("lily_propagation_seconds", "histogram", "Time of one batch of changes at a target.", ("target",), SLOW),
        Metric("lily_assets_written_total", "counter", "Assets by what became of their badges.", ("catalog", "outcome")),
        Metric("lily_asset_seconds", "histogram", "From an asset's badge being due to its being written.", ("catalog",), SLOW),
        Metric("lily_drifted_tables", "gauge", "Tables that the last reconciliation found changed.", ("target",)),
        Metric("lily_errors_total", "counter", "Failures: transient, permanent or bug.", ("where", "kind")),
        Metric("lily_lane_depth", "gauge", "Items that wait in a lane.", ("lane",)),
        Metric("lily_due_oldest_seconds", "gauge", "How long the oldest due work is overdue.", ("kind",)),
        Metric("lily_due_count", "gauge", "Things still to be done in an outside system.", ("kind",)),
        Metric("lily_http_seconds", "histogram", "Time of one request to Lily.", ("endpoint", "method", "status"), FAST),
        Metric("lily_outgoing_seconds", "histogram", "Time of one call to an outside system.", ("system", "outcome"), FAST),
        Metric("lily_batch_size", "histogram", "Items in one batch.", ("what",), SIZES),
        Metric("lily_aws_calls_total", "counter", "Calls to AWS, retries included.", ("call",)),
        Metric("lily_breaker_open", "gauge", "Processes that let nothing through to a system for now.", ("system",), summed=True),
        Metric("lily_metrics_dropped_total", "counter", "Figures thrown away because a process had too many series."),
    )
}

Series: TypeAlias = tuple[str, tuple[str, ...]]  # name, values of its labels


@dataclass
class _Histogram:
    counts: list[int]  # per bucket, the last for what lies above all bounds; not cumulative
    total: float = 0.0


@dataclass
class _Table:
    """What this process has to tell. The lock is held for a few microseconds and never across a call to anything."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    is_ending: threading.Event = field(default_factory=threading.Event)
    counters: dict[Series, float] = field(default_factory=dict)
    histograms: dict[Series, _Histogram] = field(default_factory=dict)
    gauges: dict[Series, tuple[float, float]] = field(default_factory=dict)  # value, time
    summed: dict[Series, float] = field(default_factory=dict)  # told again by every flush, so that they do not grow stale
    thread: threading.Thread | None = None

    def full(self, kind: Mapping[Series, object], series: Series) -> bool:
        if series in kind or len(self.counters) + len(self.histograms) + len(self.gauges) + len(self.summed) < SERIES_MAX:
            return False
        dropped = ("lily_metrics_dropped_total", ())
        self.counters[dropped] = self.counters.get(dropped, 0) + 1
        return True


_table = _Table()


def count(name: str, n: float = 1, **labels: str) -> None:
    """Add `n` to a counter."""
    series = _series(name, "counter", labels)
    table = _running()
    with table.lock:
        if not table.full(table.counters, series):
            table.counters[series] = table.counters.get(series, 0) + n


def observe(name: str, value: float, **labels: str) -> None:
    """Add one `value` (seconds, or a size) to a histogram."""
    series = _series(name, "histogram", labels)
    buckets = METRICS[name].buckets
    table = _running()
    with table.lock:
        if not table.full(table.histograms, series):
            histogram = table.histograms.setdefault(series, _Histogram([0] * (len(buckets) + 1)))
            histogram.counts[bisect_left(buckets, value)] += 1
            histogram.total += value


def gauge(name: str, value: float, **labels: str) -> None:
    """Set a gauge."""
    series = _series(name, "gauge", labels)
    table = _running()
    with table.lock:
        if METRICS[name].summed:
            if not table.full(table.summed, series):
                table.summed[series] = value
        elif not table.full(table.gauges, series):
            table.gauges[series] = (value, time.time())


def hash_key() -> str:
    """The Redis hash with the figures of all processes of this installation."""
    return f"lily:metrics:{settings().installation}"


def flush() -> None:
    """Bring to Redis what has been added up since the last time; if that fails, keep it for the next. Raises nothing."""
    table = _table
    with table.lock:
        counters, histograms, gauges, summed = table.counters, table.histograms, table.gauges, dict(table.summed)
        table.counters, table.histograms, table.gauges = {}, {}, {}
    if not (counters or histograms or gauges or summed):
        return
    try:
        _send(counters, histograms, gauges, summed)
    except Exception:  # Redis away, or settings that cannot be read: the figures of the process live on in its table
        _take_back(table, counters, histograms, gauges)


def field_name(series: Series, part: str) -> str:
    """The field of the hash: `part` is "" for a counter or gauge, a bucket's index or "sum", or the process of a summed gauge."""
    return orjson.dumps([series[0], series[1], part]).decode()


def _send(
    counters: Mapping[Series, float],
    histograms: Mapping[Series, _Histogram],
    gauges: Mapping[Series, tuple[float, float]],
    summed: Mapping[Series, float],
) -> None:
    key = hash_key()
    pipeline = redis_pool.client().pipeline(transaction=True)  # all or nothing: half a flush would be told twice
    for series, n in counters.items():
        pipeline.hincrbyfloat(key, field_name(series, ""), n)
    for series, histogram in histograms.items():
        for index, n in enumerate(histogram.counts):
            if n:
                pipeline.hincrby(key, field_name(series, str(index)), n)
        pipeline.hincrbyfloat(key, field_name(series, "sum"), histogram.total)
    for series, (value, at) in gauges.items():
        pipeline.hset(key, field_name(series, ""), f"{value!r} {at:.0f}")
    process = f"{socket.gethostname()}:{os.getpid()}"
    for series, value in summed.items():
        pipeline.hset(key, field_name(series, process), f"{value!r} {time.time():.0f}")
    pipeline.expire(key, HASH_TTL_S)
    pipeline.execute()


def _take_back(
    table: _Table,
    counters: Mapping[Series, float],
    histograms: Mapping[Series, _Histogram],
    gauges: Mapping[Series, tuple[float, float]],
) -> None:
    with table.lock:
        for series, n in counters.items():
            table.counters[series] = table.counters.get(series, 0) + n
        for series, old in histograms.items():
            new = table.histograms.setdefault(series, _Histogram([0] * len(old.counts)))
            new.counts = [a + b for a, b in zip(new.counts, old.counts, strict=True)]
            new.total += old.total
        table.gauges = {**gauges, **table.gauges}


def _series(name: str, kind: str, labels: Mapping[str, str]) -> Series:
    metric = METRICS.get(name)
    if metric is None or metric.kind != kind or len(labels) != len(metric.labels):
        raise _misuse(name, kind, labels)
    try:
        return name, tuple([str(labels[label])[:LABEL_CHARACTERS_MAX] for label in metric.labels])
    except KeyError:
        raise _misuse(name, kind, labels) from None


def _misuse(name: str, kind: str, labels: Mapping[str, str]) -> ValueError:
    metric = METRICS.get(name)
    if metric is None:
        return ValueError(f"{name!r} is no metric; declare it in lily/runtime/metrics/__init__.py")
    return ValueError(f"{name} is a {metric.kind} with the labels {metric.labels}; it was used as a {kind} with {tuple(labels)}")


def _running() -> _Table:
    """The table of this process, with the thread that flushes it. Two first callers at once may start two: harmless."""
    table = _table
    if table.thread is None:
        table.thread = threading.Thread(target=_flush_for_ever, args=(table,), name="metrics", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending: no thread, but still the flush at exit
            table.thread.start()
    return table


def _flush_for_ever(table: _Table) -> None:
    while not table.is_ending.wait(FLUSH_S) and table is _table:
        flush()


def _end() -> None:
    """The last flush, once the thread is at rest: cut off within one, it would keep a lock that ending waits for."""
    _table.is_ending.set()
    if _table.thread is not None and _table.thread.is_alive():
        _table.thread.join(FLUSH_S)
    flush()


def _start_empty() -> None:
    """In the child of a fork: what was added up is the parent's to tell, its thread is not here, its lock may be held."""
    global _table  # noqa: PLW0603
    _table = _Table()


os.register_at_fork(after_in_child=_start_empty)
atexit.register(_end)
