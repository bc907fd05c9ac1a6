"""Starts the stand-in of Databricks: `python -m sandbox.databricks --help`."""

import argparse
import signal
import socket
import sys
from pathlib import Path

from sandbox import asgi
from sandbox.databricks.context import World
from sandbox.databricks.server import Server
from sandbox.databricks.state import Damaged, State
from sandbox.warehouse.engine import Engine


def main(arguments: list[str]) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser("python -m sandbox.databricks", description=__doc__)
    parser.add_argument("--port", type=int, default=8030, help="port on 127.0.0.1; 0 takes any free one (%(default)s)")
    parser.add_argument("--state", type=Path, help="folder that keeps the workspace; without it all is forgotten at the end")
    given = parser.parse_args(arguments)
    world = World(Engine())
    try:
        state = State(given.state, world) if given.state else None
    except Damaged as error:
        print(f"--state: {error}", file=sys.stderr)
        return 1
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", given.port))
    except OSError as error:
        print(f"--port {given.port}: cannot listen there ({error.strerror}); choose another", file=sys.stderr)
        return 1
    listener.listen(512)
    port = listener.getsockname()[1]
    server = Server(world, port)
    print(f"Databricks stand-in listening on http://127.0.0.1:{port}", flush=True)
    # The server raises the signal that ended it once more: without this the process would die of it before the last picture.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return asgi.serve(server, listener)
    finally:
        if state is not None:
            state.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
