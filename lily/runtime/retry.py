"""Whether a failed attempt is made again, and when; or parked, and why. Pure, given its random."""

import random as random_module
from collections.abc import Callable
from dataclasses import dataclass

from lily.runtime.errors import Permanent, Transient

BASE_S = 1.0
CAP_S = 900.0
RETRY_AFTER_CAP_S = 86_400.0  # who asks for more than a day is mistaken or hostile


@dataclass(frozen=True)
class Again:
    delay_s: float


@dataclass(frozen=True)
class Park:
    """`reason` is for the person who looks after what was parked."""

    reason: str


def decide(
    error: BaseException, attempt: int, attempts_max: int, random: Callable[[], float] = random_module.random
) -> Again | Park:
    """What follows from `error` in attempt number `attempt`, counted from 1.

    The delay is anywhere from 0 to 1 s, 2 s, 4 s ... 900 s, so that many which failed together do not come back together;
    never less than the other side asked for, though spread by up to that bound beyond it.
    """
    if isinstance(error, Permanent):
        return Park(error.reason)
    if not isinstance(error, Transient):
        return Park(f"bug: {type(error).__name__}")
    if attempt >= attempts_max:
        return Park(f"gave up after {attempt} attempts; the last: {error.reason}")
    spread_s = random() * min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 30))
    if error.retry_after_s is None:
        return Again(spread_s)
    return Again(min(max(error.retry_after_s, 0.0), RETRY_AFTER_CAP_S) + spread_s)
