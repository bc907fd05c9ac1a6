"""Make a delivery durable, then answer: group commit into the records; the lane is woken by a thread that nobody waits for."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache

from lily.domain.deliveries import Delivery
from lily.domain.events import Event
from lily.records import events
from lily.records.events import Accepted
from lily.runtime import aws, aws_json, clock, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.group_commit import GroupCommit
from lily.runtime.settings import settings
from tasks import doors

log = logs.get(__name__)

Answer = Accepted | Transient | Permanent
PUSHED_MAX = 10_000  # ids that wait for Redis; beyond, the oldest are left to the sweep
WAIT_SHARE, WRITE_SHARE, REPEAT_SHARE = 0.3, 0.5, 0.2  # of the deadline: for a write to begin, to end, to count repeats
REST_S = 1.0  # after Redis failed


@dataclass(frozen=True)
class Receipt:
    """The delivery is in DynamoDB as event `event_id`. `duplicate`: it was there before."""

    event_id: str
    duplicate: bool


@dataclass(frozen=True)
class Accepting:
    """A delivery on its way into DynamoDB, as event `event_id`."""

    event_id: str
    answer: "Future[Answer]"

    def receipt(self) -> Receipt:
        """What became of it; waits for that.

        Raises Transient when it could not be stored in time (it may have been; sending it again is right), Permanent when
        DynamoDB refuses it.
        """
        answer = self.answer.result()
        if not isinstance(answer, Accepted):
            raise answer
        return Receipt(self.event_id, answer.duplicate)


def accept(delivery: Delivery) -> Accepting:
    """Store a delivery that was proven genuine. Safe to repeat: the same delivery is the same event.

    Raises Transient when too many wait already.
    """
    event = Event(
        id=delivery.event_id,
        source=delivery.source,
        account=delivery.account,
        received_at=delivery.received_at,
        raw=events.deflated(delivery.raw),
        lane_key=delivery.lane_key,
        traceparent=delivery.traceparent,
        due_at=events.sweep_at(delivery.received_at),
    )
    return Accepting(event.id, _commits().submit(event, settings().accept_deadline_s * WAIT_SHARE))


def depth() -> int:
    """How many deliveries wait for a write to begin."""
    return _commits().depth()


def warm() -> None:
    """Load what the first delivery would wait for. Connects to nothing."""
    deadline_s = settings().accept_deadline_s
    aws_json.warm("dynamodb", deadline_s * WRITE_SHARE)
    aws.client("dynamodb", deadline_s * REPEAT_SHARE, attempts=1)
    _pusher()
    doors.warm()


def flush(timeout_s: float) -> None:
    """Give the woken lanes a moment before the process ends. What is left is the sweep's."""
    _pusher().drain(timeout_s)


@cache
def _commits() -> GroupCommit[Event, Answer]:
    return GroupCommit(_write)


@cache
def _pusher() -> "Pusher":
    return Pusher()


def _write(group: Sequence[Event]) -> list[Answer]:
    """One write for a group. Equal deliveries are one item: its first bearer is told whether it was new."""
    first = {event.id: event for event in reversed(group)}
    unique = list(first.values())
    by_id = dict(zip(first, events.accept_many(unique, settings().accept_deadline_s * WRITE_SHARE), strict=True))
    answers = [_of_bearer(first[event.id] is event, by_id[event.id]) for event in group]
    repeats = Counter(
        event.id for event, answer in zip(group, answers, strict=True) if isinstance(answer, Accepted) and answer.duplicate
    )
    _pusher().push(_members(first, by_id))  # before the repeats: what is new does not wait for them
    failed = _note_repeats(first, repeats)
    _pusher().push([(first[event_id].lane_key, f"r:{event_id}") for event_id in repeats if event_id not in failed])
    metrics.observe("lily_batch_size", len(group), what="accept")
    return [
        failed.get(event.id, answer) if isinstance(answer, Accepted) and answer.duplicate else answer
        for event, answer in zip(group, answers, strict=True)
    ]


def _of_bearer(is_first: bool, answer: Answer) -> Answer:
    return answer if is_first or not isinstance(answer, Accepted) else Accepted(duplicate=True)


def _note_repeats(first: Mapping[str, Event], repeats: Mapping[str, int]) -> dict[str, Transient | Permanent]:
    """Those that could not be counted within their share of the deadline, which all repeats of a group have together."""
    failed: dict[str, Transient | Permanent] = {}
    share_s = settings().accept_deadline_s * REPEAT_SHARE
    ends_at = time.monotonic() + share_s
    for repeated, count in repeats.items():
        if time.monotonic() >= ends_at:
            failed[repeated] = Transient("too many repeats at once", retry_after_s=1.0)
            continue
        try:
            events.note_repeat(repeated, first[repeated].lane_key, count, clock.now(), share_s)
        except (Transient, Permanent) as error:
            failed[repeated] = error
    return failed


def _members(first: dict[str, Event], by_id: dict[str, Answer]) -> list[tuple[str, str]]:
    return [
        (first[event_id].lane_key, f"e:{event_id}")
        for event_id, answer in by_id.items()
        if isinstance(answer, Accepted) and not answer.duplicate
    ]


class Pusher:
    """A thread that takes new members to their lanes. Its buffer is bounded, and Redis may hang as long as it likes."""

    def __init__(self) -> None:
        self._members: deque[tuple[str, str]] = deque(maxlen=PUSHED_MAX)
        self._filled = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._run, name="lane-pusher", daemon=True).start()

    def push(self, members: Sequence[tuple[str, str]]) -> None:
        """Take members (lane key, name) on; returns at once."""
        if members:
            self._idle.clear()
            self._members.extend(members)
            self._filled.set()

    def drain(self, timeout_s: float) -> None:
        self._idle.wait(timeout_s)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            by_key: dict[str, list[str]] = defaultdict(list)
            while self._members:
                lane_key, member = self._members.popleft()
                by_key[lane_key].append(member)
            try:
                doors.wake_many(by_key)
            except Transient as error:
                log.warning("lanes.not_woken", count=sum(map(len, by_key.values())), reason=error.reason)
                time.sleep(REST_S)
            except Exception as error:  # the thread must outlive any bug: without it every event waits for the sweep
                log.error("lanes.not_woken", reason=f"bug: {type(error).__name__}", exc_info=error)
            if not self._members:
                self._idle.set()
