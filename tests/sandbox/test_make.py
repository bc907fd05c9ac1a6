"""The commands themselves, on a machine with nothing: no environment, no Python that fits, a virtualenv half made."""

import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT, finish, kill, launch
from tests.waiting import eventually


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/usr/bin/env", "-i", "make", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_make_alone_lists_every_target_in_one_line() -> None:
    answer = make()

    assert answer.returncode == 0
    for target in ("run", "demo", "test", "lint", "openapi", "lock", "clean"):
        (line,) = [line for line in answer.stdout.splitlines() if line.startswith(f"  make {target} ")]
        assert len(line.split()) > 3


def test_without_any_environment_a_python_that_fits_is_found() -> None:
    answer = make("--dry-run", "run")

    assert answer.returncode == 0
    python = answer.stdout.split()[0]
    version = subprocess.check_output([python, "-c", "import sys; print(*sys.version_info[:2])"], text=True).split()
    assert (3, 11) <= tuple(map(int, version)) <= (3, 13)


def test_without_a_python_that_fits_the_error_says_which_would() -> None:
    answer = make("run", "PYTHON=")

    assert answer.returncode == 2
    assert "3.11 to 3.13" in answer.stderr
    assert "PYTHON=/path/to/python3" in answer.stderr


def test_a_virtualenv_is_made_once_and_again_if_it_was_cut_short(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    folder = tmp_path / "venv"
    command = [sys.executable, "-m", "sandbox.virtualenv", folder, requirements, "--locks", tmp_path / "locks"]

    interrupted = launch(command)
    eventually((folder / "bin").exists, within_s=30)
    kill(interrupted.pid)
    finish(interrupted)
    assert not (folder / ".made").exists()

    both = [launch(command), launch(command)]
    said = [process.communicate(timeout=120)[0] for process in both]
    for process in both:
        finish(process)
    assert [process.returncode for process in both] == [0, 0]
    assert sum("done in" in text for text in said) == 1
    assert sum("another make is at it" in text for text in said) == 1
    assert (folder / "bin" / "pip").exists()

    assert subprocess.check_output(command, cwd=ROOT, text=True) == ""

    requirements.write_text("# something else\n")
    assert "done in" in subprocess.check_output(command, cwd=ROOT, text=True)
