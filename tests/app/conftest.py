"""The application with two clients and three sources; targets, a table, a bus and a Redis only where a test asks for them."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app, paging
from app.api import health, tokens, webhooks
from connectors import eventbridge, registry
from lily.runtime.settings import settings

SECRETS = ("first-key-of-the-tokens-0123456789", "second-key-of-the-tokens-012345678")
ACCOUNT = "c8b1e3f0-2d4a-4b5c-9e6f-7a8b9c0d1e2f"
READER_SECRET, OPERATOR_SECRET = "reader-secret-0123456789", "operator-secret-0123456789"


def body_of(incident: str = "i-1", **more: Any) -> dict[str, Any]:
    return {
        "type": "anomalies",
        "version": "v0.1",
        "account": {"id": ACCOUNT},
        "payload": {"incident_id": incident, "group_id": "analytics:orders", "event_list": [{"table_name": "customers"}]},
    } | more


def signature(raw: bytes, key: str = "s") -> str:
    return hmac.new(key.encode(), urlencode(json.loads(raw)).encode(), hashlib.sha512).hexdigest()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token of a client that may do everything; None leaves one out."""
    now = int(time.time())
    good: dict[str, Any] = {"iss": "lily", "aud": "lily", "sub": "reader", "type": "access", "jti": "1", "fresh": False}
    good |= {"scope": "events:read events:replay", "iat": now, "nbf": now, "exp": now + 60}
    return {name: value for name, value in (good | changes).items() if value is not None}


def bearer(secret: str = SECRETS[0], **changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims(**changes), secret, 'HS256')}"}


def assert_problem(response: Any, status: int, slug: str) -> dict[str, Any]:
    """The answer is a problem document of this kind, with nothing standing in for it."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.get_json()
    assert document["type"] == f"http://127.0.0.1:8000/problems/{slug}"
    assert document["status"] == status
    assert document["title"] and len(document["trace_id"]) == 32
    return document


@pytest.fixture
def web(configured: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """The settings of the application; call it to change them. Redis and AWS are at ports where nobody listens."""

    def change(**environ: str) -> None:
        configured(**environ)
        paging._keys.cache_clear()

    change(
        LILY_JWT_SECRETS=",".join(SECRETS),
        LILY_CLIENTS="reader,operator",
        LILY_CLIENT_READER_SECRET=READER_SECRET,
        LILY_CLIENT_READER_SCOPES="events:read",
        LILY_CLIENT_OPERATOR_SECRET=OPERATOR_SECRET,
        LILY_CLIENT_OPERATOR_SCOPES="events:read,events:replay",
        LILY_SOURCES="monte-carlo,of-one-account,unsigned",
        LILY_SOURCE_MONTE_CARLO_SECRETS="s,s2",
        LILY_SOURCE_OF_ONE_ACCOUNT_KIND="monte-carlo",
        LILY_SOURCE_OF_ONE_ACCOUNT_SECRETS="s",
        LILY_SOURCE_OF_ONE_ACCOUNT_ACCOUNT=ACCOUNT,
        LILY_SOURCE_UNSIGNED_KIND="monte-carlo",
        LILY_SOURCE_UNSIGNED_UNSIGNED="true",
        LILY_SIGNATURE_FAILURES_PER_MINUTE="3",
    )
    for known in (webhooks.failures, tokens.failures):
        known.forget()
    yield change
    paging._keys.cache_clear()


@pytest.fixture
def app(web: Callable[..., None]) -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def whole(web: Callable[..., None], table: None, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of the application with a table, a bus and a Redis behind it. No worker: what is accepted stays as it is."""
    eventbridge.create(settings().bus)
    monkeypatch.setattr(health, "checks", health.Checks(dict(health.checks.checks)))  # nothing kept from another test
    return create_app().test_client()


@pytest.fixture
def secured(web: Callable[..., None], table: None, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of the application with two targets of a kind that nobody talks to. No worker: what is asked for waits."""
    monkeypatch.setitem(registry.TARGETS, "imagined", "tests.app.imagined")
    changes = {"LILY_TARGETS": "snow,bricks", "LILY_HASH_SALT": "9f86d081884c7d659a2feaa0c55ad015"}
    for name in ("SNOW", "BRICKS"):
        changes |= {
            f"LILY_TARGET_{name}_KIND": "imagined",
            f"LILY_TARGET_{name}_URL": "http://127.0.0.1:1",
            f"LILY_TARGET_{name}_OAUTH_CLIENT_ID": "lily",
            f"LILY_TARGET_{name}_OAUTH_CLIENT_SECRET": "not-a-secret",
            f"LILY_TARGET_{name}_HOME": "GOV.LILY",
            f"LILY_TARGET_{name}_DATABASES": "CRM",
            f"LILY_TARGET_{name}_CATALOG_CONNECTION": f"default/imagined/{name.lower()}",
        }
    web(**changes)
    return secured_app().test_client()


@cache
def secured_app() -> Flask:
    """One for all tests: it asks for the settings at each request, and what it fixed at its start is the same for all of them."""
    return create_app()


@pytest.fixture
def deliver(whole: FlaskClient) -> Callable[..., Any]:
    """Sends a signed delivery."""

    def send(body: Mapping[str, Any] | bytes, source: str = "monte-carlo", key: str = "s", **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {"x-mcd-signature": signature(raw, key), "Content-Type": "application/json"} | headers
        return whole.post(f"/webhooks/{source}", data=raw, headers=signed)

    return send
