"""Webhooks on their way: asynchronous, by a bounded pool, without a second try; late, twice, out of order or lost on demand."""

import asyncio
import http.client
import random
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from sandbox.atlan.events import OPERATIONS, VALIDATION
from sandbox.atlan.settings import Settings

THREADS = 16
TIMEOUT_S = 10.0
KEPT_MAX = 20_000
HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "accept-encoding": "gzip",
    "user-agent": "go-resty/1.12.0 (https://github.com/go-resty/resty)",
}


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    secret: str
    operations: tuple[str, ...] = OPERATIONS
    types: tuple[str, ...] = ()  # none: all


@dataclass(slots=True)
class Delivery:
    number: int
    url: str
    operation: str
    asset: str
    body: bytes
    secret: str
    state: str = "waiting"  # waiting | held | lost | answered | failed
    status: int | None = None
    error: str | None = None
    queued_at: float = 0.0
    sent_at: float | None = None
    ms: float | None = None

    def report(self) -> dict[str, Any]:
        shown = asdict(self)
        shown.pop("body")
        shown.pop("secret")
        return shown


class Webhooks:
    """Who is told, and what was sent. `send` returns at once."""

    def __init__(self, dice: random.Random) -> None:
        self.hooks: list[Webhook] = []
        self.kept: deque[Delivery] = deque(maxlen=KEPT_MAX)
        self.held: list[Delivery] = []
        self.on_their_way = 0
        self._dice = dice
        self._count = 0
        self._generation = 0
        self._threads = ThreadPoolExecutor(THREADS, "webhook")
        self._connections = threading.local()

    def clear(self) -> None:
        self.hooks.clear()
        self.kept.clear()
        self.held.clear()
        self._generation += 1  # what is still on its way is not sent any more

    def wants(self, operation: str, type_name: str) -> bool:
        return any(operation in hook.operations and (not hook.types or type_name in hook.types) for hook in self.hooks)

    async def register(self, hook: Webhook) -> None:
        """Like the "Validate" button and then "Save". ValueError if the receiver does not answer 2xx to the greeting."""
        loop = asyncio.get_running_loop()
        try:
            status = await loop.run_in_executor(self._threads, self._post, hook.url, VALIDATION, None)
        except (OSError, http.client.HTTPException) as error:
            raise ValueError(f"{hook.url} cannot be reached: {error}") from None
        if not 200 <= status < 300:
            raise ValueError(f"{hook.url} answered {status} to the validation; expected 2xx")
        self.hooks = [*(each for each in self.hooks if each.url != hook.url), hook]

    def send(self, operation: str, kind: str, asset: str, body: bytes, settings: Settings) -> None:
        """Tell everybody who wants to hear of this operation on this type; `asset` is its qualified name."""
        for hook in self.hooks:
            if operation in hook.operations and (not hook.types or kind in hook.types):
                for _ in range(2 if self._dice.random() < settings.webhook_duplicates else 1):
                    self._queue(hook, operation, asset, body, settings)

    def _queue(self, hook: Webhook, operation: str, asset: str, body: bytes, settings: Settings) -> None:
        self._count += 1
        delivery = Delivery(self._count, hook.url, operation, asset, body, hook.secret, queued_at=time.time())
        self.kept.append(delivery)
        if self._dice.random() < settings.webhook_loss:
            delivery.state = "lost"
        elif settings.webhook_hold:
            delivery.state = "held"
            self.held.append(delivery)
        else:
            self._later(delivery, settings.webhook_delay_s + self._dice.random() * settings.webhook_reorder_s)

    def _later(self, delivery: Delivery, delay_s: float) -> None:
        loop, generation = asyncio.get_running_loop(), self._generation
        self.on_their_way += 1

        def begin() -> None:
            if generation != self._generation:
                self.on_their_way -= 1
                return
            loop.run_in_executor(self._threads, self._deliver, delivery).add_done_callback(ended)

        def ended(_: Any) -> None:
            self.on_their_way -= 1

        loop.call_later(delay_s, begin) if delay_s else begin()

    def release(self, order: str) -> int:
        """Send what is held: `kept`, `reversed` or `shuffled`. How many."""
        waiting, self.held = self.held, []
        if order == "reversed":
            waiting.reverse()
        elif order == "shuffled":
            self._dice.shuffle(waiting)
        for delivery in waiting:
            self._later(delivery, 0)
        return len(waiting)

    def again(self, number: int) -> None:
        """Send a kept delivery once more. KeyError if it is not kept."""
        old = next((each for each in self.kept if each.number == number), None)
        if old is None:
            raise KeyError(number)
        self._queue(Webhook(old.url, old.secret), old.operation, old.asset, old.body, Settings())

    def _deliver(self, delivery: Delivery) -> None:
        delivery.sent_at = time.time()
        try:
            delivery.status = self._post(delivery.url, delivery.body, delivery.secret)
            delivery.state = "answered"
        except (OSError, http.client.HTTPException) as error:
            delivery.state, delivery.error = "failed", f"{type(error).__name__}: {error}"
        delivery.ms = round((time.time() - delivery.sent_at) * 1000, 1)

    def _post(self, url: str, body: bytes, secret: str | None) -> int:
        """One request over this thread's own connection to the receiver, which is kept open."""
        parts = urlsplit(url)
        kept: dict[tuple[str, str], http.client.HTTPConnection] = self._connections.__dict__.setdefault("kept", {})
        key = (parts.scheme, parts.netloc)
        headers = HEADERS | ({} if secret is None else {"x-atlan-signing-secret": secret})
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        reused = key in kept
        connection = kept.pop(key, None) or _connect(parts.scheme, parts.netloc)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()
            if not reused:
                raise
            connection = _connect(parts.scheme, parts.netloc)  # the receiver had closed the old one while it was idle
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
        response.read(2**20)
        if not response.will_close:
            kept[key] = connection
        else:
            connection.close()
        return response.status


def _connect(scheme: str, host: str) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(host, timeout=TIMEOUT_S)
