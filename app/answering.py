"""How an answer is written to a connection: the application's, and the server's own refusals as problem details.

Source: waitress 3.0.2, whose tasks these replace. They run in threads, but for a refusal that the loop makes itself.
"""

import random

from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

from app import problems
from app.headers import ALWAYS, CSP_DATA
from lily.runtime import metrics, trace

DETAIL_CHARACTERS_MAX = 200
RETRY_AFTER_S = (1, 4)  # spread, so that refused senders do not come back all at once


class TooSlow(BadRequest):  # type: ignore[misc]
    code = 408
    reason = "Request Timeout"


class Overloaded(BadRequest):  # type: ignore[misc]
    """The reading loop refuses this itself; the connection stays."""

    code = 503
    reason = "Service Unavailable"


class Refusal(ErrorTask):  # type: ignore[misc]
    """The server's own refusals: 400, 408, 413, 431, 503, and 500 for what went wrong outside the application."""

    def execute(self) -> None:
        error = self.request.error
        kind = problems.MALFORMED if error.code == 400 else problems.KIND_BY_STATUS.get(error.code, problems.BUG)
        detail = str(error.body)[:DETAIL_CHARACTERS_MAX] if kind is problems.MALFORMED else ""
        with trace.bound(trace.new()) as bound:
            body = problems.encode(kind, detail)
        self.status = f"{kind.status} {error.reason}"
        self.response_headers += [*ALWAYS, ("Content-Security-Policy", CSP_DATA), ("Cache-Control", "no-store")]
        self.response_headers += [("Content-Type", problems.MEDIA_TYPE), ("X-Request-Id", bound.trace_id)]
        if kind is problems.UNAVAILABLE:  # the request was read to its end
            self.response_headers.append(("Retry-After", str(random.randint(*RETRY_AFTER_S))))
        else:
            self.set_close_on_finish()
            self.channel.unread = True
        self.content_length = len(body)
        self.write(body)
        metrics.observe("lily_http_seconds", 0.0, endpoint="server", method="other", status=str(kind.status))


class Answer(WSGITask):  # type: ignore[misc]
    """Tells keep-alive clients of a server that is leaving to connect anew, which takes them to its successor."""

    def write(self, data: bytes) -> None:
        """The head goes out with the first of the body, in one packet."""
        if self.wrote_header:
            super().write(data)
            return
        with self.channel.gathering():
            super().write(data)

    def build_response_header(self) -> bytes:
        if self.channel.server.leaving and len(self.channel.requests) == 1:
            self.channel.unread = True
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header
