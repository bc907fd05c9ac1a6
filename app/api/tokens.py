"""Tokens out: a client's id and secret for a token with scopes (RFC 6749, section 4.4)."""

import hmac
from typing import Any

from flask import request
from flask_smorest import Blueprint

from app import auth, limits
from app.openapi import refuses
from app.problems import (
    BUG,
    INVALID_CLIENT,
    INVALID_INPUT,
    INVALID_REQUEST,
    TOO_MANY_FAILURES,
    TOO_MANY_REQUESTS,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    retry_after,
)
from app.schemas import examples
from app.schemas.tokens import GrantSchema, TokenSchema
from app.senders import Failures
from lily.runtime import logs
from lily.runtime.settings import ClientSettings, settings

FAILURES_PER_MINUTE = 10
GRANT = "client_credentials"

log = logs.get(__name__)
failures = Failures()
blp = Blueprint("tokens", __name__, url_prefix="/auth", description="Tokens for clients.")


@blp.route("/token", methods=["POST"])
@refuses(INVALID_REQUEST, INVALID_INPUT, INVALID_CLIENT, UNSUPPORTED_MEDIA_TYPE, TOO_MANY_FAILURES, TOO_MANY_REQUESTS, BUG)
@blp.arguments(GrantSchema, location="form")
@blp.response(200, TokenSchema, description="A token.", example=examples.TOKEN)
def issue_token(form: dict[str, str]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Get a token

    OAuth 2.0 client credentials (RFC 6749, section 4.4): the client's id and secret as form fields or as HTTP Basic. Errors carry
    RFC 6749's `error` beside the problem's own members.
    """
    _check_form(form)
    client = _client(*_credentials(form))
    scopes = _scopes(client, form.get("scope", ""))
    answer = {
        "access_token": auth.issue(client.name, scopes),
        "token_type": "Bearer",
        "expires_in": settings().jwt.ttl_s,
        "scope": " ".join(sorted(scopes)),
    }
    return answer, 200, {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _check_form(form: dict[str, str]) -> None:
    if request.mimetype and request.mimetype != "application/x-www-form-urlencoded":
        detail = f"{request.mimetype} was sent; send a form: application/x-www-form-urlencoded."
        raise Problem(UNSUPPORTED_MEDIA_TYPE, detail, extra={"error": "invalid_request"})
    repeated = [name for name, values in request.form.lists() if len(values) > 1]
    if repeated:
        raise _wrong("invalid_request", f"{', '.join(repeated)} must be given once only.")
    if "grant_type" not in form:
        raise _wrong("invalid_request", f"grant_type is missing; it must be {GRANT}.")
    if form["grant_type"] != GRANT:
        raise _wrong("unsupported_grant_type", f"grant_type must be {GRANT}.")


def _credentials(form: dict[str, str]) -> tuple[str, str]:
    basic = request.authorization
    in_form = "client_secret" in form
    if basic is not None and basic.type == "basic":
        if in_form:
            raise _wrong("invalid_request", "The secret is given twice: as HTTP Basic and as a form field.")
        return basic.username or "", basic.password or ""
    return form.get("client_id", ""), form.get("client_secret", "")


def _client(name: str, secret: str) -> ClientSettings:
    """The client, proven. An unknown name takes as long as a wrong secret."""
    sender = limits.sender()
    if wait_s := failures.wait_s(sender, FAILURES_PER_MINUTE):
        raise Problem(TOO_MANY_FAILURES, headers=retry_after(wait_s), extra={"error": "invalid_client"})
    client = settings().clients.get(name)
    expected = client.secret.reveal() if client else "\0" * 32
    fits = hmac.compare_digest(expected.encode(), secret.encode("utf-8", "surrogatepass"))
    if client is None or not fits:
        failures.count(sender)
        log.warning("token.refused", sender=sender, client=name[:80] if client else "unknown")
        challenge = {"WWW-Authenticate": 'Basic realm="lily", charset="UTF-8"'}
        raise Problem(INVALID_CLIENT, headers=challenge, extra={"error": "invalid_client"})
    return client


def _scopes(client: ClientSettings, asked: str) -> frozenset[str]:
    """Those that were asked for; all that the client has where none was, as Swagger UI's form then sends an empty text."""
    wanted = frozenset(asked.split())
    if beyond := wanted - client.scopes:
        raise _wrong("invalid_scope", f"The client may not have: {', '.join(sorted(beyond))}.")
    return wanted or client.scopes


def _wrong(error: str, detail: str) -> Problem:
    return Problem(INVALID_REQUEST, detail, extra={"error": error})
