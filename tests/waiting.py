"""The only waiting there is in the tests: poll a condition until it holds or a deadline passes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within_s: float = 5.0, *, every_s: float = 0.01) -> T:
    """The first true value of `condition`. An AssertionError of its own counts as "not yet"; at the deadline it is raised."""
    deadline = time.monotonic() + within_s
    while True:
        failure: AssertionError | None = None
        try:
            if value := condition():
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise failure or AssertionError(f"{getattr(condition, '__name__', condition)} did not hold within {within_s} s")
        time.sleep(every_s)
