"""EventBridge: messages out, in full calls, each entry with its own outcome.

Source: EventBridge API reference, PutEvents and PutEventsResultEntry. Consumers deduplicate on `detail.id`: the service gives a
new id to every put, and keeps no order.
"""

import random
import time
from collections.abc import Sequence
from typing import Any

from lily.domain.envelope import ENTRIES_MAX, SOURCE, Entry, pack
from lily.runtime import aws, aws_json
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

PERMANENT = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "InvalidArgument",
        "MalformedDetail",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
        "RedactionFailure",
    }
)  # any other code, unknown ones included, is tried again

Outcome = Transient | Permanent | None


def put(entries: Sequence[Entry], timeout_s: float = 3.0) -> list[Outcome]:
    """How each entry ended, in order: None is published. Failed entries alone are sent again, while there is time.

    A call that is refused as a whole is halved down to the entry at fault.
    """
    outcomes: list[Outcome] = [Transient("not sent")] * len(entries)
    waiting, ends_at, attempt = list(range(len(entries))), time.monotonic() + timeout_s, 0
    while waiting:
        for group in pack([entries[index].size for index in waiting], settings().put_events_bytes_max, ENTRIES_MAX):
            if time.monotonic() >= ends_at:
                break
            indices = [waiting[place] for place in group]
            for index, outcome in zip(indices, _call([entries[index] for index in indices]), strict=True):
                outcomes[index] = outcome
        waiting = [index for index in waiting if isinstance(outcomes[index], Transient)]
        attempt += 1
        delay_s = random.uniform(0.02, min(0.5, 0.05 * 2**attempt))
        if waiting and time.monotonic() + delay_s >= ends_at:
            break
        if waiting:
            time.sleep(delay_s)
    return outcomes


def check(bus: str) -> None:
    """Raises Transient where EventBridge does not answer, Permanent where there is no such bus: a put would lose its entries."""
    aws.call(aws.client("events").describe_event_bus, Name=bus)


def create(bus: str) -> bool:
    """Make the bus. Safe to repeat; False: it was there already."""
    try:
        aws.call(aws.client("events").create_event_bus, Name=bus)
    except Permanent as error:
        if "ResourceAlreadyExistsException" not in error.reason:
            raise
        return False
    return True


def _call(entries: Sequence[Entry]) -> list[Outcome]:
    try:
        answer = aws_json.call("events", "PutEvents", {"Entries": [_form(entry) for entry in entries]}, attempts=1)
    except Transient as error:
        return [error] * len(entries)
    except Permanent as error:
        if len(entries) == 1:
            return [error]
        half = len(entries) // 2
        return _call(entries[:half]) + _call(entries[half:])
    return [_outcome(result) for result in answer["Entries"]]


def _form(entry: Entry) -> dict[str, Any]:
    return {
        "EventBusName": settings().bus,
        "Source": SOURCE,
        "DetailType": entry.detail_type,
        "Detail": entry.detail,
        "Resources": list(entry.resources),
        "Time": entry.time.timestamp(),
    }


def _outcome(result: dict[str, str]) -> Outcome:
    code = result.get("ErrorCode")
    if code is None:
        return None
    text = f"EventBridge: {code}: {result.get('ErrorMessage', '')}"
    return Permanent(text) if code in PERMANENT else Transient(text)
