"""The figures of all processes as Prometheus' text exposition."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import cast

import orjson
import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from lily.runtime import metrics, redis_pool
from lily.runtime.metrics import GAUGE_STALE_S, METRICS, PROCESS_STALE_S, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Parts = Mapping[str, bytes]  # part of a series -> what its field holds
Figures = Mapping[str, Mapping[tuple[str, ...], Parts]]  # metric -> labels -> parts


def render() -> bytes:
    """Waits for Redis at most a second or so. While it is away the only figure is `lily_redis_up 0`: figures of this process
    alone would look to Prometheus like counters that began again.
    """
    metrics.flush()
    raw = redis_pool.attempt(_read)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(raw))
    return generate_latest(registry)


def _read(client: redis.Redis) -> dict[bytes, bytes]:
    """The hash, without gauges that nobody sets any more: those are deleted."""
    key = metrics.hash_key()
    found = cast("dict[bytes, bytes]", client.hgetall(key))
    if gone := [name for name, value in found.items() if _is_stale(name, value)]:
        client.hdel(key, *gone)
    return {name: value for name, value in found.items() if name not in gone}


def _is_stale(field: bytes, value: bytes) -> bool:
    _, _, at = value.partition(b" ")
    if not at:
        return False
    of_one_process = orjson.loads(field)[2] != ""
    return time.time() - float(at) > (PROCESS_STALE_S if of_one_process else GAUGE_STALE_S)


class _Collected:
    """What prometheus_client asks for the families of one exposition."""

    def __init__(self, raw: Mapping[bytes, bytes] | None) -> None:
        self._raw = raw

    def collect(self) -> Iterator[Family]:
        yield GaugeMetricFamily("lily_redis_up", "Whether Redis gave these figures.", value=float(self._raw is not None))
        for name, series in _by_metric(self._raw or {}).items():
            if metric := METRICS.get(name):  # a newer process may tell what this one does not know
                yield _family(metric, series)


def _by_metric(raw: Mapping[bytes, bytes]) -> Figures:
    found: dict[str, dict[tuple[str, ...], dict[str, bytes]]] = defaultdict(lambda: defaultdict(dict))
    for field, value in sorted(raw.items()):
        name, labels, part = orjson.loads(field)
        found[name][tuple(labels)][part] = value
    return found


def _family(metric: Metric, series: Mapping[tuple[str, ...], Parts]) -> Family:
    fitting = {labels: parts for labels, parts in series.items() if len(labels) == len(metric.labels)}
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, parts in fitting.items():
            histograms.add_metric(labels, _cumulative(metric, parts), sum_value=float(parts.get("sum", b"0")))
        return histograms
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, parts in fitting.items():
        family.add_metric(labels, sum(float(value.partition(b" ")[0]) for value in parts.values()))
    return family


def _cumulative(metric: Metric, parts: Parts) -> list[tuple[str, float]]:
    bounds = [*map(str, metric.buckets), "+Inf"]
    reached, total = [], 0.0
    for index, bound in enumerate(bounds):
        total += float(parts.get(str(index), b"0"))
        reached.append((bound, total))
    return reached
