"""What stand-ins that speak ASGI themselves have in common: serving, a request's body, an answer, and none at all."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def serve(app: Any, listener: socket.socket) -> int:
    """Serve on a socket that listens already, until a signal; the process' exit code.

    Without proxy headers, so that `app` is what uvicorn calls. Requests that hang on purpose do not keep the process from ending.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return 130
    return 0


async def read(receive: Receive, bytes_max: int) -> bytes | None:
    """The body of a request, or None if it is larger than that."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def answer(send: Send, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
    """Bytes and text as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    named = {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
    pairs = [(name.encode(), text.encode()) for name, text in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": raw})


async def drop(send: Send) -> None:
    """Close the connection without an answer.

    ASGI has no word for it. uvicorn's `send` is a method of the object that holds the transport, so this asks it there; a test
    fails if another version of uvicorn keeps it elsewhere.
    """
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    await asyncio.sleep(0.01)  # until uvicorn has noticed, else it would log an answer that never started


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
