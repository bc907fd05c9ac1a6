"""Tokens: given to clients that prove themselves, in the words of RFC 6749."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.app.conftest import OPERATOR_SECRET, READER_SECRET, SECRETS, assert_problem, bearer

GRANT = {"grant_type": "client_credentials"}
READER = GRANT | {"client_id": "reader", "client_secret": READER_SECRET}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_a_client_gets_a_token_that_opens_what_its_scopes_say(client: FlaskClient) -> None:
    answer = client.post("/auth/token", data=READER)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.get_json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, "events:read")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert_problem(client.get("/events?limit=0", headers=headers), 422, "invalid-input")  # let in, and further on refused
    assert_problem(client.post("/events/x/replay", headers=headers), 403, "insufficient-scope")


def test_the_secret_may_come_as_http_basic_and_scopes_may_be_fewer(client: FlaskClient) -> None:
    answer = client.post("/auth/token", data=GRANT | {"scope": "events:replay"}, headers=basic("operator", OPERATOR_SECRET))

    assert answer.status_code == 200
    assert answer.get_json()["scope"] == "events:replay"
    assert client.post("/auth/token", data=READER | {"scope": " "}).get_json()["scope"] == "events:read"


@pytest.mark.parametrize(
    ("form", "headers", "error"),
    [
        ({}, {}, "invalid_request"),
        ({"client_id": "reader"}, {}, "invalid_request"),
        (READER | {"grant_type": "password"}, {}, "unsupported_grant_type"),
        (READER | {"scope": "events:replay"}, {}, "invalid_scope"),
        (READER | {"scope": "nonsense"}, {}, "invalid_scope"),
        (READER | {"client_id": ["reader", "operator"]}, {}, "invalid_request"),
        (READER, basic("reader", READER_SECRET), "invalid_request"),
    ],
)
def test_a_wrong_grant_is_a_problem_with_the_error_of_rfc_6749(
    client: FlaskClient, form: dict[str, Any], headers: dict[str, str], error: str
) -> None:
    document = assert_problem(client.post("/auth/token", data=form, headers=headers), 400, "invalid-request")

    assert document["error"] == error
    assert document["detail"]


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        (READER | {"client_secret": "wrong"}, {}),
        (READER | {"client_secret": OPERATOR_SECRET}, {}),
        (READER | {"client_id": "nobody"}, {}),
        (READER | {"client_id": "nobody", "client_secret": "\0" * 32}, {}),
        (GRANT, {}),
        (GRANT, basic("reader", "wrong")),
        (READER | {"client_secret": "\ud800".encode("utf-8", "surrogatepass")}, {}),
    ],
)
def test_wrong_credentials_are_one_and_the_same_refusal(
    client: FlaskClient, form: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = client.post("/auth/token", data=form, headers=headers)

    document = assert_problem(answer, 401, "invalid-client")
    assert document["error"] == "invalid_client"
    assert "detail" not in document
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_json_is_told_that_a_form_is_needed(client: FlaskClient) -> None:
    assert_problem(client.post("/auth/token", json=READER), 415, "unsupported-media-type")


def test_an_address_that_guesses_secrets_is_slowed_down(client: FlaskClient) -> None:
    for _ in range(10):
        assert client.post("/auth/token", data=READER | {"client_secret": "guess"}).status_code == 401

    answer = client.post("/auth/token", data=READER | {"client_secret": "guess"})
    assert_problem(answer, 429, "too-many-failures")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    elsewhere = client.post("/auth/token", data=READER, environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
    assert elsewhere.status_code == 200


def test_both_keys_verify_and_the_first_signs(client: FlaskClient, web: Callable[..., None]) -> None:
    for secret in SECRETS:
        assert client.get("/events?limit=0", headers=bearer(secret)).status_code == 422
    assert client.get("/events?limit=0", headers=bearer("another-key-of-the-tokens-0123456789")).status_code == 401

    token = client.post("/auth/token", data=READER).get_json()["access_token"]
    web(LILY_JWT_SECRETS=SECRETS[0])
    assert client.get("/events?limit=0", headers={"Authorization": f"Bearer {token}"}).status_code == 422
    web(LILY_JWT_SECRETS=SECRETS[1])
    assert client.get("/events?limit=0", headers={"Authorization": f"Bearer {token}"}).status_code == 401
