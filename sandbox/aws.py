"""The AWS stand-in: ministack under uvicorn, on 127.0.0.1 only, with a journal of what was written to DynamoDB.

Event buses, rules and queues are not kept: whoever starts this makes them again, as one does with infrastructure.
"""

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from sandbox.journal import LENGTH_MAX_BYTES, Damaged, Journal

ENVIRONMENT = {
    "LOG_LEVEL": "WARNING",
    "PERSIST_STATE": "0",  # its own persistence writes at a graceful stop only
    "S3_PERSIST": "0",
    "LOCALSTACK_PERSISTENCE": "0",
    "IOT_MTLS_ENABLED": "0",  # or port 8883 opens, on all addresses
    "SFTP_ENABLED": "0",
    "DOCKER_HOST": "unix:///nonexistent",  # no containers, whatever else runs on this machine
}
HOUSEKEEPING_S = 30


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where the journal lies")
    parser.add_argument(
        "--journal-max",
        type=int,
        default=LENGTH_MAX_BYTES,
        metavar="BYTES",
        help="length of the journal that makes for a new snapshot (%(default)s)",
    )
    arguments = parser.parse_args()
    os.environ.update(ENVIRONMENT, GATEWAY_PORT=str(arguments.port), BIND_HOST="127.0.0.1")
    try:
        listener = _listener(arguments.port)
        journal = Journal(arguments.state, arguments.journal_max)
        from sandbox import aws_shortcuts, dynamodb_journal

        count = dynamodb_journal.attach(journal)
        aws_shortcuts.take()
    except (OSError, Damaged) as error:
        print(f"AWS stand-in: {error}", file=sys.stderr)
        return 1
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # it holds whole tables, and hardly any cycles
    greeting = f"AWS stand-in listens on http://127.0.0.1:{arguments.port} ({count} effects read back)"
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them once more when it has ended
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listener, greeting))
    journal.close(dynamodb_journal.dump)
    return 0


async def _serve(listener: socket.socket, greeting: str) -> None:
    from ministack.app import app

    config = uvicorn.Config(
        app,
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_keep_alive=120,  # clients keep their connections longer than uvicorn's 5 s
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    keeping = asyncio.create_task(_keep_memory_bounded())
    while not server.started and not serving.done():  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    if server.started:
        print(greeting, flush=True)
    await serving
    keeping.cancel()


async def _keep_memory_bounded() -> None:
    """ministack remembers each event that was ever put, and drops old messages only from queues that someone reads."""
    from ministack.services import eventbridge, sqs

    recent: deque[dict[str, Any]] = deque(maxlen=100)
    eventbridge._events_log_list = lambda: recent
    while True:
        for queue in list(sqs._queues._data.values()):
            sqs._expire_retained(queue)
        await asyncio.sleep(HOUSEKEEPING_S)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise OSError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from None
    listener.listen(1024)
    return listener


if __name__ == "__main__":
    sys.exit(main())
