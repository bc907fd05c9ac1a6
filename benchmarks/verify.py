"""What a run has shown: every delivery that was sent against every message that the bus gave out. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KEPT_UP = 0.95  # published by offered; below, the rate is over the system's limit


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p99: float
    most: float


@dataclass(frozen=True)
class Outcome:
    """A run as its sender and the receiving queue saw it. Rates per second; `window` is the run without its warm-up."""

    offered: float
    seconds: float
    status: Mapping[str, int]  # how often each was answered in the window; "0": no answer
    published_per_s: float  # whatever arrived in the window
    kept_up: float  # published in the window by what was offered in it; the warm-up's last go in as the window's last go out
    accept: Spread  # of the 202s, from the scheduled moment
    end_to_end: Spread  # from the scheduled moment to the queue's time stamp
    drained_s: float  # from the end of the window to the last arrival
    lost: int  # answered 202, never published; warm-up included, as are the following
    duplicates: int  # messages beyond the first of an event
    unaccepted: int  # published although the sender had no 202: allowed, an answer may have come too late
    strangers: int  # published, never sent

    @property
    def has_kept_up(self) -> bool:
        return self.kept_up >= KEPT_UP


@dataclass(frozen=True)
class Sent:
    """The generator's log, column by column. Times are seconds since the epoch, latencies seconds."""

    ids: Sequence[str]
    scheduled: Sequence[float]
    status: Sequence[int]
    latency: Sequence[float]
    connections: int = 0
    late_max: float = 0.0
    refused: int = 0  # connections that could not be made
    cut: int = 0  # requests whose connection ended before their answer
    resent: int = 0  # requests sent once more, as the kept connection ended when they met it
    again: int = 0  # deliveries that had no 202 at first

    @property
    def accepted(self) -> int:
        return sum(status == 202 for status in self.status)


@dataclass(frozen=True)
class Run:
    """An outcome and what it cost. CPU in milliseconds per published event, memory in MB per process."""

    system: str
    settings: Mapping[str, str]
    outcome: Outcome
    cpu_ms: Mapping[str, float]
    aws_calls: float  # per published event, and all that ran counted; by name in `calls`
    calls: Mapping[str, float]
    messages: float  # Celery's, per published event
    memory_mb: Mapping[str, Sequence[float]]
    elsewhere: float  # cores that were busy with other things than this benchmark
    generator_late_ms: float
    connections: int
    part: str = ""  # of the benchmark: `sweep` over rates, or `search` for saturation


def outcome(sent: Sent, arrivals: Sequence[tuple[str, float]], begins_at: float, seconds: float) -> Outcome:
    """Judge a run. `arrivals`: (event id, seconds since the epoch) of every message; the window is from `begins_at` on."""
    ends_at = begins_at + seconds
    first: dict[str, float] = {}
    for event_id, at in arrivals:
        first[event_id] = min(at, first.get(event_id, at))
    window = [index for index, at in enumerate(sent.scheduled) if begins_at <= at < ends_at]
    accepted = {event_id for event_id, status in zip(sent.ids, sent.status, strict=True) if status == 202}
    published = sum(begins_at <= at < ends_at for at in first.values())
    took = [first[sent.ids[index]] - sent.scheduled[index] for index in window if sent.ids[index] in first]
    return Outcome(
        offered=len(window) / seconds,
        seconds=seconds,
        status={str(status): count for status, count in sorted(Counter(sent.status[index] for index in window).items())},
        published_per_s=published / seconds,
        kept_up=published / max(1, len(window)),
        accept=spread([sent.latency[index] for index in window if sent.status[index] == 202]),
        end_to_end=spread(took),
        drained_s=max(0.0, max(first.values(), default=ends_at) - ends_at),
        lost=len(accepted - set(first)),
        duplicates=len(arrivals) - len(first),
        unaccepted=len(set(first) & set(sent.ids) - accepted),
        strangers=len(set(first) - set(sent.ids)),
    )


def spread(seconds: Sequence[float]) -> Spread:
    """Percentiles by nearest rank; of nothing, zeros."""
    ordered = sorted(seconds)
    return Spread(*(round(percentile(ordered, share) * 1000, 2) for share in (0.5, 0.99, 1.0)))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    if not ordered:
        return 0.0
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, rank - 1)]
