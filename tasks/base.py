"""The boundary of a batch: one item's trouble is never its neighbours'."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from lily.runtime import logs
from lily.runtime.errors import Permanent, Transient

T = TypeVar("T")

ATTEMPTS_UNBOUNDED = 1_000_000  # for what cannot be parked: it is tried at the slowest pace until it is done


def isolate(items: Sequence[T], work: Callable[[Sequence[T]], None]) -> list[tuple[T, Exception]]:
    """Do `work` on all items; where it fails, on halves, down to the culprits. Those that failed, each with its error.

    Transient concerns the service, not an item: halving would only ask it more often. `work` must be safe to repeat.
    """
    if not items:
        return []
    try:
        work(items)
    except Transient as error:
        return [(item, error) for item in items]
    except Exception as error:
        if len(items) == 1:
            return [(items[0], error)]
        half = len(items) // 2
        return isolate(items[:half], work) + isolate(items[half:], work)
    return []


def reason_of(error: Exception) -> str:
    """Why an item is parked, in words a person can act on. What is neither Transient nor Permanent is a bug: logged whole."""
    if isinstance(error, Transient | Permanent):
        return error.reason
    logs.get(__name__).error("bug.caught", exc_info=error)
    return f"bug: {type(error).__name__}"


def kind_of(error: Exception) -> str:
    """`transient`, `permanent` or `bug`, for figures."""
    return type(error).__name__.lower() if isinstance(error, Transient | Permanent) else "bug"
