"""Workers that die and connections that break around every single statement, in one life of a rule."""

import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from connectors.contracts import Done
from lily.domain.steps import Step
from lily.runtime import breaker, clock
from tasks.sweep import sweep

ROUNDS_MAX = 80


class Killed(BaseException):
    """The worker dies here."""


class Mishaps:
    """Each statement of `connector` goes wrong twice before it is let through: `before` it was done, then after.

    `kind`: `killed`, or `lost`, for which `lose(when)` has the target lose the connection around the next statement.
    """

    def __init__(self, connector: ModuleType, patch: pytest.MonkeyPatch, kind: str, lose: Callable[[str], None]) -> None:
        self.tries: Counter[str] = Counter()
        self.happened = 0
        self._execute, self._kind, self._lose = connector.execute, kind, lose
        patch.setattr(connector, "execute", self._mishap)

    def _mishap(self, instance: str, step: Step) -> Done:
        text = repr(step)
        self.tries[text] += 1
        if self.tries[text] > 2:
            return self._done(instance, step)
        self.happened += 1
        when = "before" if self.tries[text] == 1 else "after"
        if self._kind == "lost":
            self._lose(when)
            return self._done(instance, step)
        if when == "after":
            self._done(instance, step)
        raise Killed

    def _done(self, instance: str, step: Step) -> Done:
        done: Done = self._execute(instance, step)
        return done

    def survive(self, work: Callable[[], Any], look: Callable[[], None]) -> None:
        """Do something, and sweep until nothing goes wrong any more; `look` at every stop."""
        pending: Callable[[], Any] = work
        for number in range(1, ROUNDS_MAX):
            happened = self.happened
            with contextlib.suppress(Killed):
                pending()
            look()
            if number > 1 and happened == self.happened:
                return
            breaker._start_anew()
            pending = lambda hours=2 * number: _sweep_later(hours)  # noqa: E731
        raise AssertionError(f"still not done after {ROUNDS_MAX} sweeps")


def _sweep_later(hours: float) -> None:
    with clock.freeze(clock.now() + timedelta(hours=hours)):
        sweep()
