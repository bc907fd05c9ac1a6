"""Makes a virtualenv from a lock file of pinned, hashed packages: once, safely when interrupted or started twice at a time.

Runs on whatever Python there is (3.11 to 3.13), with the standard library alone. Does nothing if all is there already.
"""

import argparse
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

MADE = ".made"  # in the virtualenv: what it was made from
MAKING = ".making"  # in the virtualenv: whoever made it has not come to the end
KEPT = {"pip", "setuptools", "wheel"}

FIND_SURPLUS = """
import importlib.metadata, re, sys
wanted = set(sys.argv[1:])
there = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower() for d in importlib.metadata.distributions() if d.metadata["Name"]}
print("\\n".join(sorted(there - wanted)))
"""


def main() -> int:
    """Make the virtualenv, or bring it to what the requirements say now."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.virtualenv", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("requirements", type=Path)
    parser.add_argument("--locks", type=Path, required=True, help="folder for the lock")
    arguments = parser.parse_args()
    arguments.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (arguments.locks / f"{arguments.folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"{arguments.folder}: another make is at it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            provide(arguments.folder, arguments.requirements, lock.fileno())
        except subprocess.CalledProcessError as error:
            say(f"{arguments.folder}: `{' '.join(map(str, error.cmd[:5]))} ...` failed with exit code {error.returncode}")
            return 1
    return 0


def provide(folder: Path, requirements: Path, lock: int) -> None:
    """The virtualenv in `folder`, holding what `requirements` says and nothing else."""

    def pip(action: str, *arguments: str | Path) -> None:
        environment = os.environ | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
        command = [python, "-m", "pip", action, "-qq", *arguments]
        subprocess.run(command, check=True, env=environment, pass_fds=[lock])  # it may outlive us, and the lock with it

    made_from = f"{hashlib.sha256(requirements.read_bytes()).hexdigest()}\n"
    python = folder / "bin" / "python"
    usable = python.exists() and not (folder / MAKING).exists() and _works(python)
    if usable and (folder / MADE).exists() and (folder / MADE).read_text() == made_from:
        return
    began_at = time.monotonic()
    version = ".".join(map(str, sys.version_info[:3]))
    if not usable:
        say(f"{folder}: making it with Python {version} ({sys.executable})")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    count = len(_names(requirements))
    say(f"{folder}: installing the {count} packages of {requirements}; the first time this takes a minute or two")
    (folder / MAKING).touch()
    pip("install", "--require-hashes", "--requirement", requirements)
    if surplus := _surplus(python, requirements):
        pip("uninstall", "--yes", *surplus)
    (folder / MADE).write_text(made_from)
    (folder / MAKING).unlink()
    say(f"{folder}: done in {time.monotonic() - began_at:.0f} s")


def say(text: str) -> None:
    """A line for the person who waits."""
    print(text, flush=True)


def _works(python: Path) -> bool:
    """False if the Python it was made with has gone, or is one that Lily does not run on."""
    test = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return subprocess.run([python, "-c", test], check=False, stderr=subprocess.DEVNULL).returncode == 0


def _surplus(python: Path, requirements: Path) -> list[str]:
    """Packages that an earlier list wanted; left there, an import of one would work here and fail elsewhere."""
    wanted = [*_names(requirements), *KEPT]
    answer = subprocess.run([python, "-c", FIND_SURPLUS, *wanted], check=True, capture_output=True, text=True)
    return answer.stdout.split()


def _names(requirements: Path) -> list[str]:
    lines = requirements.read_text().splitlines()
    return [re.sub(r"[-_.]+", "-", found[1]).lower() for line in lines if (found := re.match(r"([A-Za-z0-9][\w.-]*)==", line))]


if __name__ == "__main__":
    sys.exit(main())
