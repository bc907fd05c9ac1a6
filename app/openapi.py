"""The API's own description: OpenAPI 3.1 by flask-smorest. `python -m app.openapi > docs/openapi.yaml` writes it down."""

import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

from flask import Flask
from flask_smorest import Api, Blueprint

from app import problems
from app.problems import BUG, INSUFFICIENT_SCOPE, INVALID_INPUT, INVALID_TOKEN, TOO_MANY_REQUESTS, Kind
from app.schemas.problems import ProblemSchema
from lily.runtime.settings import SCOPES

VERSION = "0.1.0"
View = TypeVar("View", bound=Callable[..., Any])

DESCRIPTION = """\
Lily makes metadata take effect. A data-quality alert that is delivered here becomes, within a second, an enriched event,
a message on EventBridge and the state of an incident. A rule, or an annotation of what a column holds, becomes masking policies,
row policies and tags in the warehouses within seconds, read back and proven to be in force.

**Tokens.** `POST /auth/token` with a client's id and secret gives a token; send it as `Authorization: Bearer <token>`.
Each endpoint names the scope that it needs.

**Errors.** Every answer of 4xx and 5xx is a problem document (RFC 9457, `application/problem+json`). Its `type` leads to a page
that says what to do; its `trace_id` is what the log knows the request by.

**Versions.** What is changed by several people has an `ETag`. A change must send it back as `If-Match`: 428 without it, 412 if
somebody else was quicker. Nobody overwrites what they have not seen.

**Weakening.** Adding protection never waits and needs `rules:write`. Whatever may take some away needs `rules:weaken`, and much
at once waits at `/security/plans` until somebody confirms exactly that.

**Pages.** Lists answer `items` and `next_cursor`. Pass the cursor with the same filters to go on; `null` means there is no more.
A short or empty page with a cursor is not the end.

**Limits.** `RateLimit-Policy` and `RateLimit` say what a client may do and what is left of it. Webhooks are not limited.

**Traces.** A `traceparent` header (W3C Trace Context) is taken up, answered, and handed on with everything the request causes.
"""

TITLES: Mapping[str, str] = {
    "events:read": "Read events and incidents",
    "events:replay": "Process events again",
    "rules:read": "Read rules and what they protect",
    "rules:write": "Create and change rules",
    "rules:weaken": "Confirm changes that take protection away",
    "annotations:write": "Send annotations",
    "subscriptions:write": "Subscribe to what Lily publishes",
    "audit:read": "Read the audit log",
    "admin": "Operate Lily",
}

HEADERS: Mapping[str, Any] = {
    "Retry-After": {"description": "Seconds after which it is worth trying again.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "What is needed (RFC 6750).", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that this path has.", "schema": {"type": "string"}},
    "Location": {"description": "Where the thing is.", "schema": {"type": "string"}},
    "ETag": {"description": "The version, in quotes; `If-Match` takes it.", "schema": {"type": "string"}},
}
HEADERS_OF_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After",),
}

_DOC = Blueprint("doc", __name__)  # only for its decorators


def configure(app: Flask) -> Api:
    app.config.update(
        API_TITLE="Lily",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION},
            "servers": [{"url": "/", "description": "This installation"}],
        },
    )
    api = Api(app)
    api.DEFAULT_ERROR_RESPONSE_NAME = None  # each endpoint lists its own, as problems
    scopes = {scope: TITLES[scope] for scope in SCOPES}
    api.spec.components.security_scheme(
        "client",
        {
            "type": "oauth2",
            "description": "The id and secret of a client from the settings of this installation.",
            "flows": {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": scopes}},
        },
    )
    api.spec.components.security_scheme(
        "token",
        {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token that you have already."},
    )
    return api


def protects(scope: str) -> Callable[[View], View]:
    """Documents that a view needs `scope`, and how it refuses those without."""

    def document(view: View) -> View:
        secured: View = Blueprint.doc(security=[{"client": [scope]}, {"token": []}])(view)
        return refuses(INVALID_TOKEN, INSUFFICIENT_SCOPE, TOO_MANY_REQUESTS, BUG)(secured)

    return document


def refuses(*kinds: Kind, headers: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Documents the problems that a view may answer, one response for each status."""
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)

    def document(view: View) -> View:
        for status, same in by_status.items():
            names = (*HEADERS_OF_STATUS.get(status, ()), *headers)
            view = _DOC.alt_response(
                status,
                schema=ProblemSchema,
                content_type=problems.MEDIA_TYPE,
                description=" Or: ".join(f"{kind.title}." for kind in same),
                examples={kind.slug: {"value": example(kind)} for kind in same},
                headers={name: HEADERS[name] for name in names} or None,
            )(view)
        return view

    return document


def names_its_state(view: View) -> View:
    """Documents that the answer has an ETag, and that a client that has the present state already is answered 304."""
    view._apidoc = deepcopy(getattr(view, "_apidoc", {})) | {"etag": True}  # type: ignore[attr-defined] # as flask-smorest's own does
    return view


def answers_headers(*names: str) -> dict[str, Any]:
    return {name: HEADERS[name] for name in names}


def example(kind: Kind) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": f"http://127.0.0.1:8000/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    if kind is INVALID_INPUT:
        document["errors"] = [{"field": "limit", "reason": "Must be greater than or equal to 1 and less than or equal to 200."}]
    return document


def document(app: Flask) -> dict[str, Any]:
    """The description as plain data."""
    api: Api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    return deepcopy(api.spec.to_dict())


def main() -> None:
    """Print docs/openapi.yaml. It shows the default settings: one source, `monte-carlo`."""
    import os
    from base64 import b64encode

    import yaml

    from app import create_app

    for name in [name for name in os.environ if name.startswith("LILY_")]:
        del os.environ[name]
    os.environ |= {
        "LILY_REDIS_URL": "redis://127.0.0.1:6379",
        "LILY_SEAL_KEY": b64encode(bytes(32)).decode(),
        "LILY_JWT_SECRETS": "0" * 32,
        "LILY_SOURCE_MONTE_CARLO_SECRETS": "0",
    }
    sys.stdout.write("# Made by `python -m app.openapi > docs/openapi.yaml`; edit the code.\n")
    sys.stdout.write(yaml.safe_dump(document(create_app()), sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    main()
