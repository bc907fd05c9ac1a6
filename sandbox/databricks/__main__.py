"""Starts the stand-in of Databricks: `python -m sandbox.databricks --help`. All is forgotten when it ends."""

import argparse
import socket
import sys

from sandbox import asgi
from sandbox.databricks.context import World
from sandbox.databricks.server import Server
from sandbox.warehouse.engine import Engine


def main(arguments: list[str]) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser("python -m sandbox.databricks", description=__doc__)
    parser.add_argument("--port", type=int, default=8030, help="port on 127.0.0.1; 0 takes any free one (%(default)s)")
    given = parser.parse_args(arguments)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", given.port))
    except OSError as error:
        print(f"--port {given.port}: cannot listen there ({error.strerror}); choose another", file=sys.stderr)
        return 1
    listener.listen(512)
    port = listener.getsockname()[1]
    server = Server(World(Engine()), port)
    print(f"Databricks stand-in listening on http://127.0.0.1:{port}", flush=True)
    return asgi.serve(server, listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
