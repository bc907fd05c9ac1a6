"""The process `web`: waitress in front of the application. `python -m app.serve`.

A second process may be started on the same port at any time (SO_REUSEPORT); SIGTERM to the first then lets it leave without a
connection refused: it stops listening, asks its keep-alive clients to connect anew, ends what it has begun, and exits 0.
"""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any

from lily.runtime import logs, memory
from lily.runtime.settings import Settings, SettingsError, settings

BODY_FRAMING_BYTES = 64 * 1024  # chunk sizes count as body for waitress, not for the limit of 1 MiB, which app.bodies keeps
HEADER_BYTES_MAX = 32 * 1024
IN_MEMORY_BYTES_MAX = 64 * 1024  # of a body that is arriving; more goes to a file, so that slow senders fill no memory
KEEP_ALIVE_S = 75  # longer than load balancers keep a connection (60 s): the side that sends must be the one that closes
LEAVING_S = 8.0  # for requests that are in work
LEAVING_IDLE_S = 2.0  # for keep-alive clients that may be about to send one
NICE = 5  # where web shares a machine with workers, they come first: taking in ever more than is worked off helps nobody
SWITCH_S = 0.001  # how long a thread may compute while others wait: a delivery waits for its turn several times
SPARE_DESCRIPTORS = 512  # for temporary files, AWS, Redis, libraries

log = logs.get(__name__)


def main() -> int:
    try:
        config = settings()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for whoever started it; there is no logger without settings
        return 2
    logs.configure("web")
    connections = _raise_descriptor_limit(config.web.connections_max)
    try:
        listener = bind(config)
    except OSError as error:
        where = f"{config.web.host}:{config.web.port}"
        print(f"LILY_WEB_PORT: cannot listen on {where}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    from app import create_app

    try:
        app = create_app()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a source of a kind that no connector serves
        return 2
    _warm_up()
    memory.settle()
    server = make_server(app, listener, config, connections)
    log.info("web.listening", host=config.web.host, port=config.web.port, threads=config.web.threads, connections=connections)
    run(server)
    from app import accept
    from lily.runtime import metrics

    accept.flush(1.0)
    metrics.flush()
    log.info("web.stopped")
    return 0


def bind(config: Settings) -> socket.socket:
    """A socket bound to the port but not listening: while the application is being put together, nobody waits in its queue."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        config.web.host, config.web.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def make_server(app: Any, listener: socket.socket, config: Settings, connections: int) -> Any:
    from waitress.adjustments import Adjustments

    from app.bodies import BYTES_MAX
    from app.wire import Server

    adjustments = Adjustments(
        sockets=[listener],
        threads=config.web.threads,
        connection_limit=connections,
        backlog=1024,
        max_request_body_size=BYTES_MAX + BODY_FRAMING_BYTES,
        max_request_header_size=HEADER_BYTES_MAX,
        inbuf_overflow=IN_MEMORY_BYTES_MAX,
        channel_timeout=KEEP_ALIVE_S,
        cleanup_interval=1,
        ident=None,
        clear_untrusted_proxy_headers=False,  # app.senders reads them, and believes trusted proxies only
        log_socket_errors=False,
        server_name="lily",
    )
    information = (listener.family, listener.type, listener.proto, listener.getsockname())
    return Server(app, listener, config.web.threads, adjustments, information)


def run(server: Any) -> None:
    """Serve until SIGTERM or SIGINT, then leave. A second signal ends the process at once."""
    os.nice(NICE)
    sys.setswitchinterval(SWITCH_S)
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)
        server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    while not asked:
        server.turn(1.0)
    log.info("web.leaving", signal=signal.Signals(asked[0]).name, connections=len(server.active_channels))
    _leave(server)


def _leave(server: Any) -> None:
    server.leave()
    begun = time.monotonic()
    while server.active_channels and (waited_s := time.monotonic() - begun) < LEAVING_S:
        for channel in list(server.active_channels.values()):
            channel.will_close = channel.will_close or (waited_s > LEAVING_IDLE_S and not channel.busy)
        server.maintenance(time.time())
        server.turn(0.05)


def _raise_descriptor_limit(connections: int) -> int:
    """Connections that the process may really hold: as many as wished, or as the limit of descriptors allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 2 + SPARE_DESCRIPTORS  # a large body that is arriving takes a second one, for its file
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(10, min(connections, (soft - SPARE_DESCRIPTORS) // 2))


def _warm_up() -> None:
    """What the first delivery would wait for otherwise: boto3 and its description of DynamoDB, Celery, the gatekeeper.

    Connects to nothing.
    """
    from app import accept
    from app.api import webhooks

    with contextlib.suppress(Exception):  # missing credentials, say: /readyz tells about it
        accept.warm()
        webhooks.gatekeeper.start()


if __name__ == "__main__":
    sys.exit(main())
