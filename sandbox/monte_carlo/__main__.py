"""Starts the stand-in, or signs a webhook's body: `python -m sandbox.monte_carlo --help`."""

import argparse
import contextlib
import json
import os
import socket
import sys
from pathlib import Path

from sandbox import asgi
from sandbox.monte_carlo.deliveries import Options
from sandbox.monte_carlo.server import Credentials, Sandbox
from sandbox.monte_carlo.webhooks import sign

ACCOUNT = "9a59c6f1-203a-4c72-8cd7-132db7f21b92"  # the account of the vendor's sample webhooks


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    if given.command == "sign":
        return _sign(given.sign_secret)
    return _serve(given)


def _parser() -> argparse.ArgumentParser:
    env = os.environ.get
    parser = argparse.ArgumentParser("python -m sandbox.monte_carlo", description=__doc__)
    parser.add_argument("--port", type=int, default=8010, help="port on 127.0.0.1; 0 takes any free one (%(default)s)")
    parser.add_argument("--webhook-url", help="where webhooks go; can be set later")
    parser.add_argument("--secret", default=env("SANDBOX_MC_SECRET"), help="signs webhooks (SANDBOX_MC_SECRET); none: unsigned")
    parser.add_argument(
        "--second-secret",
        default=env("SANDBOX_MC_SECOND_SECRET"),
        help="for deliveries that ask for it (SANDBOX_MC_SECOND_SECRET)",
    )
    parser.add_argument("--account", default=ACCOUNT, help="account id in webhooks (%(default)s)")
    parser.add_argument("--api-id", default=env("SANDBOX_MC_ID", "sandbox"), help="x-mcd-id (SANDBOX_MC_ID, else sandbox)")
    parser.add_argument(
        "--api-token", default=env("SANDBOX_MC_TOKEN", "sandbox"), help="x-mcd-token (SANDBOX_MC_TOKEN, else sandbox)"
    )
    commands = parser.add_subparsers(dest="command", title="commands")
    signing = commands.add_parser("sign", help="read a body from standard input, print the value of its x-mcd-signature header")
    signing.add_argument(
        "--secret",
        dest="sign_secret",
        default=env("SANDBOX_MC_SECRET") or _running_secret(),
        help="(SANDBOX_MC_SECRET, else that of the running `make run`)",
    )
    return parser


def _running_secret() -> str | None:
    """What `make run` signs with, if it runs from this folder."""
    state = Path(os.environ.get("LILY_RUN_DATA") or Path(__file__).parents[2] / ".lily") / "run.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        return str(json.loads(state.read_text())["webhook_secret"])
    return None


def _sign(secret: str | None) -> int:
    if not secret:
        print("sign: no secret; start `make run`, give --secret or set SANDBOX_MC_SECRET", file=sys.stderr)
        return 2
    try:
        print(sign(sys.stdin.buffer.read(), secret))
    except ValueError as error:
        print(f"sign: standard input cannot be signed: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(given: argparse.Namespace) -> int:
    options = Options(url=given.webhook_url, secret=given.secret or None, second_secret=given.second_secret or None)
    sandbox = Sandbox(given.account, Credentials(given.api_id, given.api_token), options)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", given.port))
    except OSError as error:
        print(f"--port {given.port}: cannot listen there ({error.strerror}); choose another", file=sys.stderr)
        return 1
    listener.listen(512)
    port = listener.getsockname()[1]
    print(
        f"Monte Carlo stand-in listening on http://127.0.0.1:{port}, webhooks to {given.webhook_url or 'nowhere yet'}", flush=True
    )
    return asgi.serve(sandbox.app, listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
