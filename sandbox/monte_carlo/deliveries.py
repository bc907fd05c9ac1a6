"""Webhooks on their way: when they are sent, in which order and bytes, how they are signed, and what the receiver said."""

import asyncio
import http.client
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.monte_carlo.webhooks import FORMS, SHAPES, Shape, sign

MODES = {
    "now": "signed, at once",
    "none": "not sent at all",
    "hold": "kept until POST /sandbox/webhooks/release",
    "swapped": "kept until a second one is there, which then goes first",
    "twice": "sent, then sent again in other bytes with the same meaning",
    "unsigned": "without a signature",
    "forged": "with a signature made with a secret that nobody has",
    "second_secret": "signed with the second secret, as while a secret is being changed",
}
SIGNED = {"unsigned": "no", "forged": "forged", "second_secret": "second_secret"}  # all other modes: with the secret
TIMEOUT_S = 10.0
KEPT_MAX = 1000
ANSWER_CHARS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Options:
    """How webhooks are sent; changed by PATCH /sandbox/webhooks."""

    url: str | None = None
    secret: str | None = None  # None: no signature, which the vendor allows
    second_secret: str | None = None
    mode: str = "now"
    shape: Shape = field(default_factory=Shape)


@dataclass(slots=True)
class Delivery:
    """One webhook; sending it again makes another one."""

    number: int
    alert_id: str | None
    variant: str
    form: str
    signed: str  # secret | second_secret | forged | no
    sent: bytes
    signature: str | None
    state: str = "held"  # held | answered | failed
    at: str | None = None
    status: int | None = None
    answer: Any = None
    ms: float | None = None
    error: str | None = None

    def report(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("sent", "signature")}

    def as_sent(self) -> dict[str, Any]:
        """The report with what went over the wire, for those who want to send it themselves."""
        headers = {"content-type": "application/json"}
        if self.signature is not None:
            headers["x-mcd-signature"] = self.signature
        return {**self.report(), "headers": headers, "body": self.sent.decode("utf-8", "backslashreplace")}


class Webhooks:
    """The sender: its options, what it holds back, and the last deliveries. Used from the event loop's thread only."""

    def __init__(self, options: Options) -> None:
        self.starting = self.options = options
        self.held: list[Delivery] = []
        self.kept: deque[Delivery] = deque(maxlen=KEPT_MAX)
        self._count = 0
        self._forger = secrets.token_hex(16)
        self._threads = ThreadPoolExecutor(32, "webhook")

    def clear(self) -> None:
        self.options = self.starting
        self.held.clear()
        self.kept.clear()

    def set(self, spec: Mapping[str, Any]) -> None:
        """Change options. ValueError names what is wrong; then nothing has changed."""
        known = [each.name for each in fields(Options) if each.name != "shape"]
        if unknown := sorted(set(spec) - {*known, *SHAPES}):
            raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join([*known, *SHAPES])}")
        if spec.get("mode", "now") not in MODES:
            raise ValueError(f"mode: {spec['mode']!r} is not one of {', '.join(MODES)}")
        for name in ("url", "secret", "second_secret"):
            if type(spec.get(name)) not in (str, type(None)):
                raise ValueError(f"{name}: {spec[name]!r} is neither a string nor null")
        if spec.get("url") and urlsplit(spec["url"]).scheme not in ("http", "https"):
            raise ValueError(f"url: {spec['url']!r} is neither http:// nor https://")
        for name, values in SHAPES.items():
            if spec.get(name, values[0]) not in values:
                raise ValueError(f"{name}: {spec[name]!r} is not one of {', '.join(values)}")
        shape = replace(self.options.shape, **{name: spec[name] for name in SHAPES if name in spec})
        self.options = replace(self.options, **{name: spec[name] for name in known if name in spec}, shape=shape)

    def check(self, mode: object) -> None:
        """ValueError if a webhook cannot be sent in this mode; None is the mode that is set."""
        mode = self.options.mode if mode is None else mode
        if mode not in MODES:
            raise ValueError(f"deliver: {mode!r} is not one of {', '.join(MODES)}")
        if mode == "second_secret" and not self.options.second_secret:
            raise ValueError("second_secret: none is set; PATCH /sandbox/webhooks sets one")

    async def notify(
        self, alert_id: str | None, variant: str, payload: dict[str, Any], mode: str | None = None
    ) -> list[Delivery]:
        """Send or keep one webhook, by `mode` or the mode that is set. The deliveries made, in the order sent."""
        mode = mode or self.options.mode
        self.check(mode)
        if mode == "none":
            return []
        signed = SIGNED.get(mode, "secret")
        first = self._make(alert_id, variant, FORMS["plain"](payload).encode(), signed, "plain")
        if mode == "hold":
            self.held.append(first)
            return [first]
        if mode == "swapped":
            self.held.append(first)
            return await self.release(reverse=True) if len(self.held) > 1 else [first]
        made = [first]
        if mode == "twice":
            made.append(self._make(alert_id, variant, FORMS["escaped"](payload).encode(), signed, "escaped"))
        for delivery in made:
            await self._send(delivery)
        return made

    async def release(self, *, reverse: bool) -> list[Delivery]:
        """Send what is held, one after the other, oldest first or last."""
        waiting, self.held = self.held, []
        if reverse:
            waiting.reverse()
        for delivery in waiting:
            await self._send(delivery)
        return waiting

    async def raw(self, body: bytes, mode: str) -> Delivery:
        """Send any bytes at once, signed if they can be. ValueError if they cannot and the mode wants it."""
        delivery = self._make(None, "raw", body, SIGNED.get(mode, "secret"), "raw")
        await self._send(delivery)
        return delivery

    async def again(self, number: int, form: str | None) -> Delivery:
        """Send a delivery once more, byte for byte, or in another form. KeyError if it is not kept any longer."""
        old = next((each for each in self.kept if each.number == number), None)
        if old is None:
            raise KeyError(number)
        body = old.sent if form is None else FORMS[form](json.loads(old.sent)).encode()
        copy = self._make(old.alert_id, old.variant, body, old.signed, form or old.form)
        await self._send(copy)
        return copy

    def _make(self, alert_id: str | None, variant: str, body: bytes, signed: str, form: str) -> Delivery:
        secret = {"secret": self.options.secret, "second_secret": self.options.second_secret, "forged": self._forger}
        key = secret.get(signed)
        signature = None if key is None else sign(body, key)
        self._count += 1
        delivery = Delivery(self._count, alert_id, variant, form, signed if key else "no", body, signature)
        self.kept.append(delivery)
        return delivery

    async def _send(self, delivery: Delivery) -> None:
        delivery.at = datetime.now(UTC).isoformat()
        if not self.options.url:
            delivery.state, delivery.error = "failed", "no URL is set; PATCH /sandbox/webhooks sets one"
            return
        started = time.perf_counter()
        try:
            loop = asyncio.get_running_loop()
            status, answer = await loop.run_in_executor(self._threads, _post, self.options.url, delivery)
        except (OSError, http.client.HTTPException) as error:
            delivery.state, delivery.error = "failed", f"{type(error).__name__}: {error}"
        else:
            delivery.state, delivery.status, delivery.answer = "answered", status, _readable(answer)
        delivery.ms = round((time.perf_counter() - started) * 1000, 1)


def _post(url: str, delivery: Delivery) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT_S)
    headers = {"content-type": "application/json", "user-agent": "monte-carlo-stand-in"}
    if delivery.signature is not None:
        headers["x-mcd-signature"] = delivery.signature
    try:
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else "") or "/", delivery.sent, headers)
        response = connection.getresponse()
        return response.status, response.read(2**20)
    finally:
        connection.close()


def _readable(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode("utf-8", "replace")[:ANSWER_CHARS_MAX]
