"""Bodies of requests: size, media type and strict JSON, judged before anything else looks at them: 413, 415, 400."""

from typing import Any

from flask import Request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app import strict_json
from app.problems import INVALID_JSON, MALFORMED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, Fault, Problem
from app.strict_json import Unreadable

BYTES_MAX = 2**20


def read(request: Request) -> bytes:
    """The raw body, at most BYTES_MAX of it. Raises Problem 413, 415, or 400 where the sender hung up half way."""
    media_type = request.mimetype
    if media_type == "application/x-www-form-urlencoded" or media_type.startswith("multipart/"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"{media_type} was sent; send JSON with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE, "The body is compressed; send it as it is.", headers={"Accept-Encoding": "identity"}
        )
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Problem(TOO_LARGE) from None
    except ClientDisconnected:
        raise Problem(MALFORMED, "The body ended before its announced length.") from None
    if len(raw) > BYTES_MAX:
        raise Problem(TOO_LARGE)
    return raw


def parse(raw: bytes) -> dict[str, Any]:
    """The object that `raw` is. Raises Problem 400 that names the place."""
    try:
        return strict_json.parse(raw)
    except Unreadable as error:
        raise rejected(error) from None


def rejected(error: Unreadable) -> Problem:
    return Problem(INVALID_JSON, str(error), faults=[Fault(error.place, error.reason)])


class StrictJson(FlaskParser):
    """Reads the JSON of the API's own endpoints as strictly as that of deliveries."""

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - as inherited
        return parse(read(req))


class OptionalJson(StrictJson):
    """As strict, but no body at all means an empty object: for wishes of which nothing is required."""

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - as inherited
        raw = read(req)
        return parse(raw) if raw else {}
