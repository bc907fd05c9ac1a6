"""Programs that are kept running: each that dies is reported in one line and started again, and none is left behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.keeper import Keeper, end_group

BACKOFF_S = 0.5
BACKOFF_MAX_S = 10.0
STEADY_S = 30.0  # who lived this long starts again with the shortest wait
LOG_MAX_BYTES = 20_000_000
LOG_CHECK_S = 10.0


@dataclass(frozen=True)
class Program:
    """A command for the shell, and what it may see. `restarted` begins each time it has been started again."""

    name: str
    command: str
    environment: Mapping[str, str]
    folder: Path
    restarted: Callable[[], Awaitable[None]] | None = None


class Processes:
    """What runs, each program in a process group of its own. To be used from one event loop."""

    def __init__(self, logs: Path, say: Callable[[str], None], changed: Callable[[Mapping[str, int]], None]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.deaths: dict[str, int] = {}
        self._logs = logs
        self._say = say
        self._changed = changed
        self._keeper = Keeper()
        self._running: dict[str, Process] = {}
        self._first_byte: dict[str, int] = {}  # of the log of the present life
        self._supervisors: dict[str, asyncio.Task[None]] = {}
        self._trimmer = asyncio.create_task(self._keep_logs_short())

    async def start(self, program: Program) -> None:
        """Start `program` and keep it running until `stop`. Its log begins anew; the one before is kept as `.1`."""
        self._begin_log(program.name)
        self.deaths[program.name] = 0
        process = await self._spawn(program)
        self._supervisors[program.name] = asyncio.create_task(self._supervise(program, process))

    async def run_once(self, program: Program) -> int:
        """Run `program` to its end. Returns its exit code."""
        self._begin_log(program.name)
        process = await self._spawn(program)
        try:
            return await process.wait()
        finally:
            self._ended(program.name, process)

    async def stop(self, names: list[str], within_s: float) -> None:
        """Ask these programs to end, all at once, and end by force what is still there after `within_s`."""
        supervisors = [self._supervisors.pop(name) for name in names if name in self._supervisors]
        for supervisor in supervisors:
            supervisor.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)  # it may have been about to start one again
        processes = {name: self._running[name] for name in names if name in self._running}
        for process in processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in processes.values()]
        if waits:
            await asyncio.wait(waits, timeout=within_s)
        for name, process in processes.items():
            self._ended(name, process)
        await asyncio.gather(*waits)

    def kill(self) -> None:
        """End everything by force, at once."""
        for process in self._running.values():
            end_group(process.pid)

    def close(self) -> None:
        """After `stop`: nothing of this is left."""
        self._trimmer.cancel()
        self._keeper.close()

    def names(self) -> list[str]:
        """What is kept running."""
        return list(self._supervisors)

    def pids(self) -> dict[str, int]:
        """Of what runs at this moment, by name."""
        return {name: process.pid for name, process in self._running.items()}

    def log(self, name: str) -> Path:
        """Where the program of this name writes."""
        return self._logs / f"{name}.log"

    def last_words(self, name: str, lines: int = 3, joined_by: str = " | ") -> str:
        """The end of what it has logged since it was last started."""
        with contextlib.suppress(OSError), self.log(name).open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            first = self._first_byte.get(name, 0)
            log.seek(max(first if first <= end else 0, end - 4000))  # `first` lies beyond the end once it was cut short
            words = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            return joined_by.join(word[:300] for word in words[-lines:])
        return ""

    def _begin_log(self, name: str) -> None:
        log = self.log(name)
        if log.exists():
            log.rename(log.with_suffix(".log.1"))

    async def _spawn(self, program: Program) -> Process:
        with self.log(program.name).open("ab") as log:
            self._first_byte[program.name] = log.tell()
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                f"exec {program.command}",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.folder,
                env=program.environment,
                start_new_session=True,  # Ctrl-C in the terminal reaches only the one who stops them in order
            )
        self._keeper.hold(process.pid)
        self._running[program.name] = process
        self._changed(self.pids())
        return process

    def _ended(self, name: str, process: Process) -> None:
        end_group(process.pid)  # a pool child must not go on without its parent
        self._keeper.release(process.pid)
        self._running.pop(name, None)

    async def _supervise(self, program: Program, process: Process) -> None:
        wait_s = BACKOFF_S
        restarted: asyncio.Future[None] | None = None
        try:
            while True:
                started_at = time.monotonic()
                code = await process.wait()
                self._ended(program.name, process)
                self.deaths[program.name] += 1
                lived_s = time.monotonic() - started_at
                wait_s = BACKOFF_S if lived_s > STEADY_S else wait_s
                self._say(
                    f"{program.name} ended after {lived_s:.0f} s ({_how(code)}); it starts again in {wait_s:g} s. "
                    f"Its log, {program.name}.log, ends: {self.last_words(program.name) or '(empty)'}"
                )
                if restarted:
                    restarted.cancel()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, BACKOFF_MAX_S)
                process = await self._spawn(program)
                if program.restarted:
                    restarted = asyncio.ensure_future(program.restarted())
        finally:
            if restarted:
                restarted.cancel()

    async def _keep_logs_short(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for log in self._logs.glob("*.log"):
                if log.stat().st_size > LOG_MAX_BYTES:
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)  # its writer appends, so goes on at the new end


def parse_procfile(text: str) -> dict[str, str]:
    """Commands by name, in order. Raises ValueError for a line that is neither `name: command`, nor empty, nor a comment."""
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, command = (part.strip() for part in line.partition(":"))
        if not colon or not command or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"line {number}: {line.strip()!r} is not `name: command`")
        if name in commands:
            raise ValueError(f"line {number}: there are two processes called {name}")
        commands[name] = command
    return commands


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
