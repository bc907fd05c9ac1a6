"""Webhooks in: prove who sent it, make it durable, answer 202. Everything else happens later, in tasks.inbound."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint

from app import bodies, limits
from app.accept import Accepting, accept
from app.later import Promised, Ready
from app.openapi import answers_headers, refuses
from app.problems import (
    BUG,
    INVALID_INPUT,
    INVALID_JSON,
    SIGNATURE_REJECTED,
    TOO_LARGE,
    TOO_MANY_FAILURES,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    Fault,
    Problem,
    problem_of,
    retry_after,
)
from app.schemas import examples
from app.schemas.events import ReceiptSchema
from app.senders import Failures
from connectors import registry
from connectors.contracts import BodyRejected, SignatureRejected, Source
from lily.domain.deliveries import Delivery, event_id, lane_key
from lily.runtime import clock, logs, metrics, trace
from lily.runtime.settings import SettingsError, SourceSettings, settings

REFUSALS = (
    INVALID_JSON,
    SIGNATURE_REJECTED,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_INPUT,
    TOO_MANY_FAILURES,
    BUG,
)

log = logs.get(__name__)
failures = Failures()
large_bodies = bodies.LargeBodies()


def blueprint() -> Blueprint:
    """One documented route for each configured source: `/webhooks/monte-carlo` and so on."""
    blp = Blueprint("webhooks", __name__, url_prefix="/webhooks", description="Deliveries from sources.")
    for config in settings().sources.values():
        view = webhook(blp, config, _connector(config))
        blp.add_url_rule(f"/{config.name}", config.name, view, methods=["POST"])
    return blp


def _connector(config: SourceSettings) -> Source:
    try:
        return registry.source(config.kind)
    except LookupError as error:
        raise SettingsError({f"LILY_SOURCE_{config.name.upper().replace('-', '_')}_KIND": str(error)}) from None


def webhook(blp: Blueprint, config: SourceSettings, source: Source) -> Callable[[], Response]:
    """The view of one source."""

    def receive() -> Response:
        signature = request.headers.get(source.signature_header)
        raw = bodies.read(request)
        signed = signature is not None or not config.unsigned
        if signed and not source.is_signature_shaped(signature):
            raise _refusal(config, "the signature is missing or no signature at all")
        with large_bodies.turn(len(raw)):
            body = bodies.parse(raw)
            account = _prove(config, source, body, signature, signed)
        return _accepted(config, source, raw, body, account)

    receive._apidoc = _documented(blp, config, source, receive)._apidoc  # type: ignore[attr-defined] # without its wrappers
    return receive


def _prove(config: SourceSettings, source: Source, body: dict[str, Any], signature: str | None, signed: bool) -> str:
    """The account that the delivery genuinely speaks for. Raises Problem 422, 401 or 429."""
    try:
        source.check_shape(body)
        if signed:
            source.verify(body, signature, [secret.reveal() for secret in config.secrets])
    except BodyRejected as error:
        raise Problem(INVALID_INPUT, faults=[Fault(error.field, error.reason)]) from None
    except SignatureRejected as error:
        raise _refusal(config, str(error)) from None
    account = source.account(body)
    if config.account is not None and account != config.account:
        raise _refusal(config, f"it speaks for account {account or '(none)'}, not {config.account}")
    return account


def _accepted(config: SourceSettings, source: Source, raw: bytes, body: dict[str, Any], account: str) -> Response:
    bound = trace.current()
    delivery = Delivery(config.name, account, raw, body, clock.now(), bound.header() if bound else "")
    incident = source.incident(body)
    lane = lane_key(config.name, incident if incident is not None else event_id(config.name, account, body))
    accepting = accept(delivery, lane)
    return Promised(accepting.answer, partial(_answer, accepting))


def _answer(accepting: Accepting) -> Ready | Response:
    try:
        receipt = accepting.receipt()
    except Exception as error:  # there is no view around it any more that could catch it
        return problem_of(error)
    location = f"/events/{receipt.event_id}"
    answer = {
        "event_id": receipt.event_id,
        "duplicate": receipt.duplicate,
        "links": {"event": settings().public_url + location},
    }
    headers = (("Content-Type", "application/json"), ("Location", location))
    return Ready("202 Accepted", headers, orjson.dumps(answer))


def _refusal(config: SourceSettings, reason: str) -> Problem:
    """What a delivery without proof is answered. Only the log learns why; a sender who fails too often learns even less.

    Never asked about a genuine delivery: those are not limited, whatever their address did.
    """
    sender = limits.sender()
    metrics.count("lily_events_total", source=config.name, outcome="refused")
    if wait_s := failures.wait_s(sender, settings().signature_failures_per_minute):
        return Problem(TOO_MANY_FAILURES, headers=retry_after(wait_s))
    failures.count(sender)
    log.warning("delivery.refused", source=config.name, sender=sender, reason=reason)
    return Problem(SIGNATURE_REJECTED, headers={"WWW-Authenticate": f'Signature realm="{config.name}"'})


def _documented(blp: Blueprint, config: SourceSettings, source: Source, view: Callable[[], Response]) -> Callable[[], Response]:
    stored = blp.response(
        202,
        ReceiptSchema,
        description="Stored; it will be processed.",
        headers=answers_headers("Location"),
        example=examples.RECEIPT,
    )
    described: Callable[[], Response] = stored(blp.doc(**_description(config, source))(view))
    return refuses(*REFUSALS)(refuses(UNAVAILABLE, headers=("Retry-After",))(described))


def _description(config: SourceSettings, source: Source) -> dict[str, Any]:
    header = {
        "name": source.signature_header,
        "in": "header",
        "required": not config.unsigned,
        "description": "The signature of the body.",
        "schema": {"type": "string"},
    }
    body = {
        "required": True,
        "description": "The delivery, at most 1 MiB of JSON in UTF-8.",
        "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
    }
    return {
        "summary": f"Deliver to {config.name}",
        "description": "Accepts one delivery; 202 means that it is stored and will be processed. Sending it twice is harmless: "
        f"the second answer says `duplicate`.\n\n{source.documentation}",
        "parameters": [header],
        "requestBody": body,
    }
