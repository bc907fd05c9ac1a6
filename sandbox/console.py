"""What `make run` writes to the terminal: a line for each step with the time it took, and at last where everything is."""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO

RULER = 78


class Console:
    """Plain text where no terminal listens; and no harm if the terminal has gone."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def elapsed_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started_at

    def step(self, text: str) -> None:
        """Something is done."""
        self._print(f"{self._dim(f'{self.elapsed_s():6.1f} s')}  {text}")

    def notice(self, text: str) -> None:
        """Something went otherwise than it should, and is being dealt with."""
        self._print(f"{self._dim(time.strftime('%H:%M:%S'))}  {self._bold('!')} {text}")

    def error(self, text: str) -> None:
        """It ends here."""
        self._print(f"{self._bold('error:')} {text}", sys.stderr)

    def box(self, title: str, rows: Sequence[tuple[str, str]], below: Sequence[str]) -> None:
        """A title, labelled rows, then lines that can be copied whole."""
        width = max(len(label) for label, _ in rows)
        self._print(f"\n── {self._bold(title)} {'─' * (RULER - len(title) - 4)}")
        for label, value in rows:
            self._print(f"   {label:<{width}}   {value}")
        self._print("─" * RULER)
        for line in below:
            self._print(line)

    def _print(self, text: str, stream: TextIO | None = None) -> None:
        with contextlib.suppress(OSError):
            print(text, file=stream or sys.stdout, flush=True)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colours else text

    def _dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self._colours else text
