"""RFC 9457: every error that Lily answers is made here, from one catalogue of kinds that `/problems/<slug>` explains."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from lily.domain import faults as written
from lily.runtime import logs, trace
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_DEFAULT_S = 1.0

log = logs.get("app.problems")


@dataclass(frozen=True)
class Kind:
    """One kind of problem: `meaning` is what a person reads at `/problems/<slug>`, so it says what to do."""

    slug: str
    status: int
    title: str
    meaning: str


MALFORMED = Kind(
    "malformed-request",
    400,
    "The request is not valid HTTP",
    "The bytes that arrived are not a request as RFC 9112 describes it: a broken header or start line, a wrong chunk size, "
    "or both Content-Length and Transfer-Encoding. Nothing was done. Mend the client or the proxy in between.",
)
INVALID_JSON = Kind(
    "invalid-json",
    400,
    "The body is not acceptable JSON",
    "The body must be one JSON object in UTF-8, at most 100 levels deep, without NaN, Infinity, lone surrogates or numbers "
    "beyond a double. `errors` names the place. Sending the same bytes again cannot help.",
)
INVALID_CURSOR = Kind(
    "invalid-cursor",
    400,
    "The cursor does not belong to this request",
    "A cursor is good for the very filters that it was given out for, and only unchanged. Repeat the request without `cursor` to "
    "start from the newest item.",
)
INVALID_REQUEST = Kind(
    "invalid-request",
    400,
    "The request is incomplete or contradictory",
    "A parameter that the request cannot do without is missing, or two of them exclude each other. `detail` says which.",
)
INVALID_INPUT = Kind(
    "invalid-input",
    422,
    "Some fields are not as documented",
    "The request is well formed, but values in it are not what the documentation at /docs asks for. `errors` names each "
    "field and says why.",
)
INVALID_TOKEN = Kind(
    "invalid-token",
    401,
    "A valid token is needed",
    "This endpoint needs the header `Authorization: Bearer <token>` with a token from `POST /auth/token`. Tokens expire; ask "
    "for a new one.",
)
INVALID_CLIENT = Kind(
    "invalid-client",
    401,
    "The client id or secret is wrong",
    "`POST /auth/token` needs the name of a client from LILY_CLIENTS and its secret, as form fields or as HTTP Basic.",
)
SIGNATURE_REJECTED = Kind(
    "signature-rejected",
    401,
    "The delivery does not prove its sender",
    "The signature header is missing, or it fits no active secret of this source, or the delivery speaks for another "
    "account. Which of these is told to the log only. Compare the secret on both sides, and send the body exactly as it was "
    "signed.",
)
INSUFFICIENT_SCOPE = Kind(
    "insufficient-scope",
    403,
    "The token may not do this",
    "The token is valid but lacks the scope that `scope` names. Ask for a token with it; the client's settings must allow it.",
)
NOT_FOUND = Kind("not-found", 404, "There is no such thing", "The path or the id is wrong, or the thing has expired.")
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed", 405, "This path does not have that method", "The `Allow` header lists the methods that it has."
)
NOT_ACCEPTABLE = Kind("not-acceptable", 406, "No acceptable form", "What `Accept` asks for is not a form that this path has.")
REQUEST_TIMEOUT = Kind(
    "request-timeout",
    408,
    "The request did not arrive in time",
    "The whole request must arrive within half a minute of its first byte. Nothing was done; send it again.",
)
IN_WORK = Kind(
    "still-in-work",
    409,
    "The event is still being worked on",
    "Only events that are published or parked can be replayed. This one will get there by itself; `GET /events/<id>` shows "
    "where it is.",
)
OUTDATED = Kind(
    "outdated",
    412,
    "Somebody else has changed it",
    "`If-Match` names another version than the present one, so the change would undo one that its author has not seen. Get the "
    "thing again, look at what is different, and send the change with the new `ETag`.",
)
PRECONDITION_REQUIRED = Kind(
    "precondition-required",
    428,
    "The version to change must be named",
    "Send the header `If-Match` with the `ETag` of the version that the change was made from, so that nobody's change is lost.",
)
DECIDED = Kind(
    "decided",
    409,
    "The plan is decided already",
    "A held plan is confirmed or rejected once; one that would not happen any more is superseded. `state` says what it is now.",
)
NOT_ENFORCING = Kind(
    "not-enforcing",
    409,
    "The target is not in the mode enforce",
    "Nothing is changed in a target that is paused or only reported on, so waiting cannot help. "
    "`PUT /security/targets/<name>/mode` changes that.",
)
NOT_PROTECTED = Kind(
    "not-protected",
    409,
    "Not all of the tables are protected as the rules ask",
    "Every table was looked at, and for some of them protection is missing, not proven, or held back. `tables` says which and "
    "why. Do not let readers in; once the cause is gone, ask again.",
)
TOO_LARGE = Kind("body-too-large", 413, "The body is too large", "Bodies are limited to 1 MiB (1,048,576 bytes).")
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported-media-type",
    415,
    "The body is of a kind that is not read here",
    "Send JSON with `Content-Type: application/json`, without compression.",
)
TOO_MANY_REQUESTS = Kind(
    "too-many-requests",
    429,
    "Too many requests",
    "The client has used up its share for now. Wait as long as `Retry-After` says; `RateLimit` on every answer shows what is "
    "left.",
)
TOO_MANY_FAILURES = Kind(
    "too-many-failures",
    429,
    "Too many wrong credentials from this address",
    "So many signatures or client secrets from this address were wrong that further wrong ones are turned away cheaply. "
    "Deliveries with a right signature are still accepted.",
)
HEADERS_TOO_LARGE = Kind("headers-too-large", 431, "The headers are too large", "Headers are limited to 32 KiB and 200 lines.")
BUG = Kind(
    "bug",
    500,
    "Something is wrong in Lily",
    "This is not the caller's fault. The log has the details under the `trace_id` of this answer.",
)
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "Lily cannot do this right now",
    "Something that Lily depends on is away, slow or full. Nothing was stored unless a 202 says so. Send the request again after "
    "`Retry-After` seconds; repeating is harmless.",
)

KINDS: Mapping[str, Kind] = {kind.slug: kind for kind in list(globals().values()) if isinstance(kind, Kind)}
KIND_BY_STATUS: Mapping[int, Kind] = {
    400: INVALID_REQUEST,
    401: INVALID_TOKEN,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    406: NOT_ACCEPTABLE,
    408: REQUEST_TIMEOUT,
    412: OUTDATED,
    413: TOO_LARGE,
    415: UNSUPPORTED_MEDIA_TYPE,
    422: INVALID_INPUT,
    428: PRECONDITION_REQUIRED,
    429: TOO_MANY_REQUESTS,
    431: HEADERS_TOO_LARGE,
    500: BUG,
    503: UNAVAILABLE,
}


@dataclass(frozen=True)
class Fault:
    """One field that is not as it should be; `field` is a path such as `payload` or `filter.since`."""

    field: str
    reason: str


class Problem(Exception):
    """Raise it anywhere below a view to answer it. `extra` members go into the document beside the standard ones."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def retry_after(seconds: float | None) -> dict[str, str]:
    """The header, in whole seconds and never 0: a client that obeys it must not spin."""
    return {"Retry-After": str(max(1, math.ceil(RETRY_AFTER_DEFAULT_S if seconds is None else seconds)))}


def invalid(faults: Iterable[written.Fault]) -> Problem:
    """What somebody wrote cannot be accepted, field by field."""
    return Problem(INVALID_INPUT, faults=[Fault(fault.field, fault.reason) for fault in faults])


def unavailable(error: Transient) -> Problem:
    """The outside failed in a way that passes. Its reason is for the log: it may name hosts and tables."""
    return Problem(UNAVAILABLE, "Send it again after Retry-After seconds.", headers=retry_after(error.retry_after_s))


def encode(kind: Kind, detail: str, faults: Sequence[Fault] = (), extra: Mapping[str, Any] | None = None) -> bytes:
    """The problem's document. `trace_id` is there wherever a trace is bound."""
    bound = trace.current()
    document: dict[str, Any] = {"type": address(kind), "title": kind.title, "status": kind.status}
    if detail:
        document["detail"] = detail
    if faults:
        document["errors"] = [{"field": fault.field, "reason": fault.reason} for fault in faults]
    document.update(extra or {})
    if bound is not None:
        document["trace_id"] = bound.trace_id
    return orjson.dumps(document)


def address(kind: Kind) -> str:
    return f"{settings().public_url}/problems/{kind.slug}"


def answer(problem: Problem) -> Response:
    body = encode(problem.kind, problem.detail, problem.faults, problem.extra)
    return Response(body, problem.kind.status, problem.headers, content_type=MEDIA_TYPE)


def register(app: Flask) -> None:
    """Every exception that can leave a view becomes a problem. Called after flask-smorest, whose handler it replaces."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _of_werkzeug)
    app.register_error_handler(Transient, _of_transient)
    app.register_error_handler(Permanent, _of_permanent)
    app.register_error_handler(Exception, _of_bug)


def problem_of(error: Exception) -> Response:
    """The answer to what went wrong outside of a view."""
    if isinstance(error, Transient):
        return _of_transient(error)
    return _of_permanent(error) if isinstance(error, Permanent) else _of_bug(error)


def _of_werkzeug(error: HTTPException) -> Response:
    """flask, flask-smorest and webargs (whose 422 carries `data`) speak in these."""
    status = error.code or 500
    kind = KIND_BY_STATUS.get(status) or Kind("http-error", status, error.name, "")
    if status == 400 and "json" in _messages(error):
        kind = INVALID_JSON
    kept = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after", "www-authenticate"}}
    faults = list(_faults(_messages(error)))
    detail = "" if faults or status == 500 else (error.description or "")
    return answer(Problem(kind, detail, faults=faults, headers=kept))


def _messages(error: HTTPException) -> Mapping[str, Any]:
    data = getattr(error, "data", None) or {}
    messages = data.get("messages") or data.get("errors") or {}
    return messages if isinstance(messages, Mapping) else {}


def _faults(messages: Mapping[str, Any]) -> Iterator[Fault]:
    """webargs nests by location (`query`, `json`, ...), then by field, then by list index."""
    for location, of_location in messages.items():
        if isinstance(of_location, Mapping):
            yield from _flat(of_location, ())
        else:
            yield from _flat({location: of_location}, ())


def _flat(messages: Mapping[Any, Any], path: tuple[str, ...]) -> Iterator[Fault]:
    for name, inner in messages.items():
        here = path if name == "_schema" else (*path, str(name))
        if isinstance(inner, Mapping):
            yield from _flat(inner, here)
        else:
            for reason in inner if isinstance(inner, list) else [inner]:
                yield Fault(".".join(here), str(reason))


def _of_transient(error: Transient) -> Response:
    log.warning("request.failed", reason=error.reason)
    return answer(unavailable(error))


def _of_permanent(error: Permanent) -> Response:
    log.error("request.failed", reason=error.reason)
    return answer(Problem(UNAVAILABLE, "An operator has to look at it; the log says why.", headers=retry_after(30)))


def _of_bug(error: Exception) -> Response:
    log.error("request.failed", reason=f"bug: {type(error).__name__}", exc_info=error)
    return answer(Problem(BUG))
