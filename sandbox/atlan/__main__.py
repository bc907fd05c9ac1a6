"""Starts the stand-in: `python -m sandbox.atlan --help`."""

import argparse
import os
import socket
import sys

from sandbox import asgi
from sandbox.atlan.server import Sandbox
from sandbox.atlan.settings import Settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m sandbox.atlan", description="A tenant of Atlan that lives in this process.")
    parser.add_argument("--port", type=int, default=8040, help="port on 127.0.0.1; 0 takes any free one (%(default)s)")
    parser.add_argument(
        "--token", default=os.environ.get("SANDBOX_ATLAN_TOKEN", "sandbox"), help="API token (SANDBOX_ATLAN_TOKEN, else sandbox)"
    )
    parser.add_argument("--index-lag-s", type=float, default=0.0, help="from a write until searches see it (%(default)s)")
    parser.add_argument("--propagation-delay-s", type=float, default=0.1, help="before each propagation task (%(default)s)")
    parser.add_argument("--limits", action="store_true", help="limit calls as the vendor does")
    given = parser.parse_args(arguments)
    settings = Settings(index_lag_s=given.index_lag_s, propagation_delay_s=given.propagation_delay_s, limits=given.limits)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", given.port))
    except OSError as error:
        print(f"--port {given.port}: cannot listen there ({error.strerror}); choose another", file=sys.stderr)
        return 1
    listener.listen(512)
    print(f"Atlan stand-in listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    return asgi.serve(Sandbox(given.token, settings), listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
