"""The AWS stand-in of `make run`, unchanged, with an ear at its door: how many calls came, and what is in a queue.

`GET /benchmark/calls`: calls by name since the start. `POST /benchmark/take`: all messages of all queues, each with the time
at which the queue got it, and the queues are empty: ten at a time through ReceiveMessage would take longer than the run.
Runs in the stand-ins' virtualenv.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Counted:
    """The wrapped application."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.calls: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")
            if target:
                self.calls[target.decode().partition(".")[2]] += 1
            elif scope["path"] == "/benchmark/calls":
                await _answer(send, dict(self.calls))
                return
            elif scope["path"] == "/benchmark/take":
                await _answer(send, take())
                return
            elif scope["path"] == "/benchmark/size":
                await _answer(send, sum(len(queue["messages"]) for queue in _queues()))
                return
        await self.app(scope, receive, send)


def take() -> list[tuple[str, int]]:
    """(CloudEvents id, SentTimestamp in ms) of every message of every queue, oldest first; the queues are empty then."""
    taken = []
    for queue in _queues():
        messages, queue["messages"] = queue["messages"], []
        taken += [(json.loads(message["body"])["detail"]["id"], int(message["sys"]["SentTimestamp"])) for message in messages]
    return taken


def _queues() -> list[Any]:
    from ministack.services import sqs

    return list(sqs._queues._data.values())


async def _answer(send: Send, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> int:
    from sandbox import aws

    port = sys.argv[sys.argv.index("--port") + 1]
    os.environ.update(aws.ENVIRONMENT, GATEWAY_PORT=port, BIND_HOST="127.0.0.1")  # ministack reads them when it is imported
    import ministack.app

    ministack.app.app = Counted(ministack.app.app)
    return aws.main()


if __name__ == "__main__":
    sys.exit(main())
