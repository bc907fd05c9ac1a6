"""One circuit breaker per outside system in this process: after five failures in a row nothing goes out for five seconds,
then one call may try. What a system refuses for good (Permanent) is an answer, so no failure; a bug of Lily's is neither.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from lily.runtime import logs, metrics
from lily.runtime.errors import Permanent, Transient

T = TypeVar("T")
State = Literal["closed", "open", "half-open"]

FAILURES_MAX = 5
OPEN_S = 5.0
SYSTEMS_MAX = 1_000

log = logs.get(__name__)


@dataclass
class _Circuit:
    failures: int = 0
    open_until: float | None = None  # None while closed
    trying: bool = False  # one call is through, to see

    def state(self) -> State:
        if self.open_until is None:
            return "closed"
        return "half-open" if self.trying or time.monotonic() >= self.open_until else "open"


@dataclass
class _Breakers:
    """Only systems in trouble have a circuit here. The lock is never held during a call."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    circuits: dict[str, _Circuit] = field(default_factory=dict)


_breakers = _Breakers()


def call(name: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises; while the breaker of `name` is open, Transient at once."""
    breakers = _breakers
    trying = _admit(breakers, name)
    try:
        value = work()
    except Transient:
        _failed(breakers, name)
        raise
    except Permanent:
        _answered(breakers, name)
        raise
    except BaseException:
        if trying:
            _leave(breakers, name)
        raise
    _answered(breakers, name)
    return value


def states() -> dict[str, State]:
    """The state of each system that has failed since it last answered; any other is closed."""
    with _breakers.lock:
        return {name: circuit.state() for name, circuit in _breakers.circuits.items()}


def _admit(breakers: _Breakers, name: str) -> bool:
    """Whether this call is the one that tries. Raises Transient if it may not go out."""
    with breakers.lock:
        circuit = breakers.circuits.get(name)
        if circuit is None or circuit.open_until is None:
            return False
        wait_s = circuit.open_until - time.monotonic()
        if wait_s <= 0 and not circuit.trying:
            circuit.trying = True
            return True
    raise Transient(f"{name}: breaker open after {FAILURES_MAX} failures in a row", retry_after_s=max(wait_s, 1.0))


def _failed(breakers: _Breakers, name: str) -> None:
    with breakers.lock:
        circuit = breakers.circuits.setdefault(name, _Circuit())
        circuit.failures += 1
        was_open = circuit.open_until is not None
        if circuit.trying or circuit.failures >= FAILURES_MAX:
            circuit.open_until = time.monotonic() + OPEN_S
        circuit.trying = False
        opened = circuit.open_until is not None and not was_open
        if len(breakers.circuits) > SYSTEMS_MAX:
            del breakers.circuits[next(iter(breakers.circuits))]
    if opened:
        metrics.gauge("lily_breaker_open", 1, system=name)
        log.warning("breaker.opened", system=name, seconds=OPEN_S)


def _answered(breakers: _Breakers, name: str) -> None:
    if name not in breakers.circuits:  # the usual case, without the lock
        return
    with breakers.lock:
        circuit = breakers.circuits.pop(name, None)
    if circuit is not None and circuit.open_until is not None:
        metrics.gauge("lily_breaker_open", 0, system=name)
        log.info("breaker.closed", system=name)


def _leave(breakers: _Breakers, name: str) -> None:
    """The call that tried ended in a bug, which says nothing about the system: the next one may try."""
    with breakers.lock:
        if circuit := breakers.circuits.get(name):
            circuit.trying = False


def _start_anew() -> None:
    global _breakers  # noqa: PLW0603 - in the child of a fork the lock may be held by a thread that is not there
    _breakers = _Breakers()


os.register_at_fork(after_in_child=_start_anew)
