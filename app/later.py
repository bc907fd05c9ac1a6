"""Responses that are not known yet. They wait without a thread: a thousand deliveries may wait for DynamoDB at once.

WSGI allows an application to call `start_response` as late as its iterable is first asked. A server that knows nothing of
this module therefore just waits there; `app.wire` asks `when_ready` first.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response, request

from app.headers import ENDPOINT
from lily.runtime import trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEY = "lily.later"  # in the environ: the iterable of an answer that was parked


class Parked(Exception):
    """The answer is not known yet; nothing was written."""

    def __init__(self, later: "Later") -> None:
        super().__init__("parked")
        self.later = later


@dataclass(frozen=True)
class Ready:
    """An answer as it goes out. Flask's own works out what is known here: a tenth of a delivery's time."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __call__(self, _: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response(self.status, [*self.headers, ("Content-Length", str(len(self.body)))])
        return [self.body]


class Promised(Response):
    """What `finish` returns once `future` is done. `finish` runs in another thread, with the same trace bound."""

    def __init__(self, future: "Future[Any]", finish: "Callable[[], WSGIApplication]") -> None:
        super().__init__()
        self._future = future
        self._finish = finish

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        bound = trace.current() or trace.new()
        environ[ENDPOINT] = request.endpoint

        def known() -> Iterable[bytes]:
            with trace.bound(bound):
                return self._finish()(environ, start_response)

        return Later(self._future, known)


class Later:
    """The iterable of a promised response; reading it waits for the future."""

    def __init__(self, future: "Future[Any]", known: Callable[[], Iterable[bytes]]) -> None:
        self._future = future
        self._known = known

    def when_ready(self, call: Callable[[], None]) -> None:
        """Run `call` when reading will not wait any more; now, if it would not."""
        self._future.add_done_callback(lambda _: call())

    def is_ready(self) -> bool:
        return self._future.done()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known())


def parking(app: "WSGIApplication") -> "WSGIApplication":
    """The application, which raises Parked instead of waiting. With `KEY` in the environ it goes on with what was parked."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        parked: Iterable[bytes] | None = environ.pop(KEY, None)
        if parked is not None:
            return parked
        made = app(environ, start_response)
        if isinstance(made, Later) and not made.is_ready():
            raise Parked(made)
        return made

    return serve
