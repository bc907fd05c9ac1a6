"""Real servers beside the tests: each on a free port, each gone at the end, even if the tests themselves are killed."""

import contextlib
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from sandbox.keeper import Keeper, end_group
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
SANDBOX_PYTHON = ROOT / ".venv-sandbox" / "bin" / "python"
READY_S = 20.0


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], port: int, *, path: str | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`command` as a process, from the moment its port answers (on `path` with 200, if given) to the end of the block."""
    process = launch(command, environ)
    try:
        eventually(lambda: _ready(process, port, path), within_s=READY_S)
        yield process
    finally:
        finish(process)


def launch(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None, output: Path | None = None
) -> subprocess.Popen[str]:
    """`command` in a process group of its own, which ends with these tests at the latest. It writes to a pipe or to `output`."""
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ if environ is None else environ,
        stdin=subprocess.DEVNULL,
        stdout=output.open("ab") if output else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _keeper().hold(process.pid)
    return process


def finish(process: subprocess.Popen[str]) -> None:
    """Whatever is left of it."""
    end_group(process.pid)
    process.wait()
    if process.stdout:
        process.stdout.close()
    _keeper().release(process.pid)


def sandbox(module: str, *arguments: str | Path) -> list[str | Path]:
    """The command of a stand-in."""
    if not SANDBOX_PYTHON.exists():
        raise RuntimeError(f"{SANDBOX_PYTHON} is missing; `make test` makes it")
    return [SANDBOX_PYTHON, "-m", f"sandbox.{module}", *arguments]


def status(url: str) -> int:
    """Of a GET; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def is_open(port: int) -> bool:
    """Whether anybody listens there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def kill(pid: int) -> None:
    """The one death that no process can prepare for."""
    os.kill(pid, signal.SIGKILL)


def _ready(process: subprocess.Popen[str], port: int, path: str | None) -> bool:
    if process.poll() is not None and process.stdout:
        raise RuntimeError(f"{process.args} ended with {process.returncode}: {process.stdout.read()}")
    return is_open(port) if path is None else status(f"http://127.0.0.1:{port}{path}") == 200


@cache
def _keeper() -> Keeper:
    return Keeper()
