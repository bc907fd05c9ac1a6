"""Starts the stand-in of Snowflake: `python -m sandbox.snowflake --help`."""

import argparse
import os
import socket
import sys
from datetime import datetime
from pathlib import Path

from sandbox import asgi
from sandbox.snowflake.account import Account
from sandbox.snowflake.context import Settings
from sandbox.snowflake.expressions import Bindings
from sandbox.snowflake.server import Server
from sandbox.snowflake.session import Session
from sandbox.snowflake.state import Damaged, State


def main(arguments: list[str]) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser("python -m sandbox.snowflake", description=__doc__)
    parser.add_argument("--port", type=int, default=8020, help="port on 127.0.0.1; 0 takes any free one (%(default)s)")
    parser.add_argument("--state", type=Path, help="folder that keeps the account; without it all is forgotten at the end")
    parser.add_argument(
        "--account", default=os.environ.get("SANDBOX_SNOWFLAKE_ACCOUNT", "SANDBOX"), help="its name (%(default)s)"
    )
    given = parser.parse_args(arguments)
    account = Account(Settings(name=given.account))
    try:
        state = State(given.state, account) if given.state else None
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
    return _serve(account, state, listener)


def _serve(account: Account, state: State | None, listener: socket.socket) -> int:
    def keep(session: Session, text: str, bindings: Bindings | None, now: datetime) -> None:
        if state is not None:
            state.keep(session, text, bindings, now)

    server = Server(account, keep)
    if state is not None:
        server.admin.forget = state.save
    print(f"Snowflake stand-in listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    try:
        return asgi.serve(server, listener)
    finally:
        if state is not None:
            state.save()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
