"""Every endpoint that there is, walked through the map of URLs: closed to whoever may not, or on the list of open ones."""

import re
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lily.runtime.settings import SCOPES
from tests.app.conftest import SECRETS, assert_problem, bearer, claims

OPEN = {  # endpoints that need no token, each for a reason
    "api-docs.openapi_json",  # documentation
    "health.livez",
    "health.metrics",
    "health.readyz",
    "pages.documentation",
    "pages.documentation_asset",
    "pages.home",
    "pages.problem",
    "pages.schema",  # messages on the bus lead here
    "static",
    "tokens.issue_token",  # proves the client itself
    "webhooks.monte-carlo",  # prove their sender by signature
    "webhooks.of-one-account",
    "webhooks.unsigned",
}

SECURITY = {"rules:read", "rules:write", "rules:weaken", "annotations:write", "audit:read", "admin"}
PAST = int(time.time()) - 3600
BAD_TOKENS: dict[str, dict[str, str]] = {
    "none": {},
    "expired": bearer(exp=PAST),
    "not yet": bearer(nbf=int(time.time()) + 3600),
    "issued in the future": bearer(iat=int(time.time()) + 3600),
    "other audience": bearer(aud="another"),
    "other issuer": bearer(iss="another"),
    "refresh token": bearer(type="refresh"),
    "unknown type": bearer(type="id"),
    "type is no text": bearer(type=["access"]),
    "scope is no text": bearer(scope=["events:read"]),
    "subject is empty": bearer(sub=""),
    "other key": bearer("another-key-of-the-tokens-0123456789"),
    "unsigned": {"Authorization": f"Bearer {jwt.encode(claims(), None, 'none')}"},
    "other algorithm": {"Authorization": f"Bearer {jwt.encode(claims(), SECRETS[0] * 2, 'HS512')}"},
    "not a token": {"Authorization": "Bearer nonsense"},
    "other scheme": {"Authorization": "Basic cmVhZGVyOnNlY3JldA=="},
    "empty": {"Authorization": "Bearer "},
    **{f"without {name}": bearer(**{name: None}) for name in ("exp", "iat", "nbf", "iss", "aud", "sub", "type", "jti", "scope")},
}


def endpoints(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Endpoint, method, path of everything that the application answers."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, method, re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"\1", rule.rule)


def closed(app: Flask) -> list[tuple[str, str, str]]:
    return [row for row in endpoints(app) if row[0] not in OPEN]


def scope_of(app: Flask, endpoint: str) -> str | None:
    return getattr(app.view_functions[endpoint], "required_scope", None)


def test_an_endpoint_is_either_open_on_purpose_or_asks_for_a_scope(app: Flask) -> None:
    found = {endpoint for endpoint, _, _ in endpoints(app)}

    assert found >= OPEN
    assert all((scope_of(app, endpoint) is None) == (endpoint in OPEN) for endpoint in found)
    assert {scope_of(app, endpoint) for endpoint in found - OPEN} <= set(SCOPES)
    assert len(closed(app)) == 41
    assert {scope_of(app, endpoint) for endpoint, _, path in closed(app) if path.startswith("/security")} == SECURITY


@pytest.mark.parametrize("which", BAD_TOKENS)
def test_no_closed_endpoint_lets_a_bad_token_in(app: Flask, client: FlaskClient, which: str) -> None:
    for _, method, path in closed(app):
        answer = client.open(path, method=method, headers=BAD_TOKENS[which])

        document = assert_problem(answer, 401, "invalid-token")
        challenge = answer.headers["WWW-Authenticate"]
        if which in {"none", "other scheme"}:  # RFC 6750, section 3.1: no error code where no token was sent
            assert challenge == 'Bearer realm="lily"'
        else:
            assert challenge == 'Bearer realm="lily", error="invalid_token"'
        assert document["detail"]


def test_no_closed_endpoint_lets_an_insufficient_token_in(app: Flask, client: FlaskClient) -> None:
    for endpoint, method, path in closed(app):
        scope = scope_of(app, endpoint)
        answer = client.open(path, method=method, headers=bearer(scope=" ".join(other for other in SCOPES if other != scope)))

        document = assert_problem(answer, 403, "insufficient-scope")
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="lily", error="insufficient_scope", scope="{scope}"'
        assert document["scope"] == scope


def test_every_closed_endpoint_lets_its_own_scope_in(app: Flask, client: FlaskClient) -> None:
    for endpoint, method, path in closed(app):
        answer = client.open(path, method=method, headers=bearer(scope=scope_of(app, endpoint)), query_string={"limit": "x"})

        assert answer.status_code not in {401, 403}, path


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_header_the_answer_is_401(client: FlaskClient, text: str) -> None:
    for header in (text, f"Bearer {text}", f"Bearer a.{text}.b"):
        answer: Any = client.get("/events", headers={"Authorization": header})
        assert answer.status_code in {401, 429}  # hypothesis may use up the share of this address
