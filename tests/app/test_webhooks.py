"""Webhooks: proven, stored, answered; refused with as little said as possible."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import accept
from app.bodies import BYTES_MAX
from lily.domain.events import State
from lily.records import events
from lily.runtime import lanes, logs, metrics
from lily.runtime.settings import settings
from tests.app.conftest import ACCOUNT, assert_problem, body_of, signature
from tests.runtime.conftest import RedisServer

Deliver = Callable[..., Any]
PAYLOADS = sorted((Path(__file__).parents[1] / "payloads" / "monte_carlo").glob("[!s]*.json"))
URL = "/webhooks/monte-carlo"
RIGHT = signature(b'{"a": 1}')


def refused(client: FlaskClient, raw: bytes, url: str = URL, **headers: str) -> Any:
    return client.post(url, data=raw, headers={"Content-Type": "application/json"} | headers)


def test_a_signed_delivery_is_stored_and_its_receipt_leads_to_it(whole: FlaskClient, deliver: Deliver) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    answer = deliver(body_of(), traceparent=trace)

    assert answer.status_code == 202
    receipt = answer.get_json()
    assert receipt["duplicate"] is False
    assert answer.headers["Location"] == f"/events/{receipt['event_id']}"
    assert receipt["links"] == {"event": f"http://127.0.0.1:8000/events/{receipt['event_id']}"}
    stored = events.get(receipt["event_id"])
    assert stored is not None
    assert (stored.source, stored.account, stored.state, stored.traceparent) == ("monte-carlo", ACCOUNT, State.RECEIVED, trace)
    assert json.loads(events.body(stored)) == body_of()


def test_a_delivery_counts_for_its_own_endpoint_and_has_no_line_in_the_log(
    whole: FlaskClient, deliver: Deliver, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure("web", "info")

    deliver(body_of())

    metrics.flush()
    counted = 'lily_http_seconds_count{endpoint="webhooks.monte-carlo",method="POST",status="202"}'
    assert counted in whole.get("/metrics").text
    assert "request.answered" not in capfd.readouterr().out


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_every_documented_payload_is_accepted(deliver: Deliver, path: Path) -> None:
    assert deliver(path.read_bytes()).status_code == 202


def test_both_secrets_are_good(deliver: Deliver) -> None:
    assert [deliver(body_of(), key=key).status_code for key in ("s", "s2", "s3")] == [202, 202, 401]


def test_the_same_delivery_in_other_bytes_is_a_duplicate(deliver: Deliver) -> None:
    body = body_of(payload={"incident_id": "é", "url": "https://example.com/ü"})
    forms = [json.dumps(body), json.dumps(body, indent=3), json.dumps(body, ensure_ascii=False)]

    receipts = [deliver(form.encode()).get_json() for form in forms]

    assert [receipt["duplicate"] for receipt in receipts] == [False, True, True]
    assert len({receipt["event_id"] for receipt in receipts}) == 1
    repeat = events.repeat_of(receipts[0]["event_id"])
    assert repeat is not None and repeat.count == 2


def test_of_many_equal_deliveries_at_once_one_is_the_first(deliver: Deliver) -> None:
    with ThreadPoolExecutor(20) as pool:
        receipts = [answer.get_json() for answer in pool.map(lambda _: deliver(body_of()), range(20))]

    assert sorted(receipt["duplicate"] for receipt in receipts) == [False] + [True] * 19


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/vnd.x+json", ""])
def test_json_is_json_whatever_it_is_called(deliver: Deliver, content_type: str) -> None:
    assert deliver(body_of(), **{"Content-Type": content_type}).status_code == 202


def test_forms_and_compressed_bodies_are_not_read(client: FlaskClient) -> None:
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert_problem(refused(client, b"{}", **{"Content-Type": content_type}), 415, "unsupported-media-type")
    assert_problem(refused(client, b"{}", **{"Content-Encoding": "gzip"}), 415, "unsupported-media-type")


def test_a_body_of_one_mebibyte_is_accepted_and_one_byte_more_is_not(whole: FlaskClient, deliver: Deliver) -> None:
    body = body_of(filler="")
    body["filler"] = "x" * (BYTES_MAX - len(json.dumps(body)))

    assert deliver(body).status_code == 202
    body["filler"] += "x"
    assert_problem(deliver(body), 413, "body-too-large")


@pytest.mark.parametrize(
    "given",
    [None, "", "0" * 128, "g" * 128, "x" * 1_000_000, signature(b'{"a": 2}'), RIGHT.upper(), RIGHT[:-1]],
    ids=["missing", "empty", "wrong", "no hex", "huge", "of another body", "upper case", "cut"],
)
def test_without_a_right_signature_nothing_is_stored_and_nothing_is_explained(client: FlaskClient, given: str | None) -> None:
    answer = refused(client, b'{"a": 1}', **({} if given is None else {"x-mcd-signature": given}))

    document = assert_problem(answer, 401, "signature-rejected")
    assert set(document) == {"type", "title", "status", "trace_id"}
    assert answer.headers["WWW-Authenticate"].startswith("Signature")


def test_a_body_without_a_signature_in_shape_is_refused_before_it_is_parsed(client: FlaskClient) -> None:
    assert_problem(refused(client, b"no JSON at all"), 401, "signature-rejected")
    assert_problem(refused(client, b"no JSON at all", **{"x-mcd-signature": "0" * 128}), 400, "invalid-json")


@pytest.mark.parametrize(("field", "value"), [("payload", "text"), ("account", []), ("type", 1), ("version", {})])
def test_a_known_field_of_another_type_is_named(deliver: Deliver, field: str, value: object) -> None:
    document = assert_problem(deliver(body_of() | {field: value}), 422, "invalid-input")

    assert [fault["field"] for fault in document["errors"]] == [field]


def test_a_delivery_of_another_account_is_refused_like_a_forged_one(deliver: Deliver) -> None:
    assert deliver(body_of(), source="of-one-account").status_code == 202
    other = deliver(body_of(account={"id": "another"}), source="of-one-account")
    assert set(assert_problem(other, 401, "signature-rejected")) == {"type", "title", "status", "trace_id"}
    assert_problem(deliver(body_of(account={}), source="of-one-account"), 401, "signature-rejected")


def test_where_signatures_are_not_asked_for_a_wrong_one_is_still_refused(whole: FlaskClient) -> None:
    raw = json.dumps(body_of()).encode()

    assert refused(whole, raw, "/webhooks/unsigned").status_code == 202
    for wrong in ("0" * 128, "x", ""):
        assert_problem(refused(whole, raw, "/webhooks/unsigned", **{"x-mcd-signature": wrong}), 401, "signature-rejected")


def test_an_unknown_source_is_not_found(client: FlaskClient) -> None:
    assert_problem(refused(client, b"{}", "/webhooks/another"), 404, "not-found")


def test_failed_signatures_cost_the_sender_and_never_a_genuine_delivery(whole: FlaskClient, deliver: Deliver) -> None:
    limit = settings().signature_failures_per_minute
    forged = {"x-mcd-signature": "0" * 128}

    assert {refused(whole, b"{}", **forged).status_code for _ in range(limit)} == {401}
    for answer in (refused(whole, b"{}", **forged), refused(whole, b"not even JSON")):
        assert_problem(answer, 429, "too-many-failures")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert [deliver(body_of(str(n))).status_code for n in range(limit + 2)] == [202] * (limit + 2)


def test_failures_are_counted_per_sender_seen_through_trusted_proxies_only(web: Callable[..., None], client: FlaskClient) -> None:
    def forged(forwarded_for: str) -> int:
        return int(refused(client, b"{}", **{"X-Forwarded-For": forwarded_for}).status_code)

    web(LILY_TRUSTED_PROXIES="127.0.0.0/8")
    assert [forged("198.51.100.7") for _ in range(4)] == [401, 401, 401, 429]
    assert forged("198.51.100.8") == 401
    web(LILY_TRUSTED_PROXIES="10.0.0.0/8")
    assert [forged(f"198.51.100.{n}") for n in range(20, 24)] == [401, 401, 401, 429]  # all from 127.0.0.1


def test_when_dynamodb_is_away_the_sender_is_told_to_come_again(web: Callable[..., None], client: FlaskClient) -> None:
    from lily.runtime import aws

    web(LILY_AWS_ENDPOINT_URL="http://127.0.0.1:9", LILY_ACCEPT_DEADLINE_S="0.3")
    aws.forget()

    answer = refused(client, json.dumps(body_of()).encode(), "/webhooks/unsigned")

    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    aws.forget()


def test_accepting_wakes_the_lane(deliver: Deliver, redis_server: RedisServer) -> None:
    accept.flush(10)  # what other tests accepted while they had no Redis
    redis_server.client().flushall()
    for lane in range(2):
        assert lanes.push(lane, ["e:another"])  # both are busy: what is woken waits

    deliver(body_of())

    accept.flush(10)
    assert sum(lanes.depths().values()) == 1
