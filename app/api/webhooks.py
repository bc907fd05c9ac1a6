"""Webhooks in: prove who sent it, make it durable, answer 202. Everything else happens later, in tasks.inbound."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint

from app import bodies, limits, proving
from app.accept import Accepting, accept
from app.gatekeeper import LARGE_BYTES, Gatekeeper
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
from app.proving import Proven, Unfit, Unproven
from app.schemas import examples
from app.schemas.events import ReceiptSchema
from app.senders import Failures
from connectors import registry
from connectors.contracts import Source
from lily.domain.deliveries import Delivery
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
gatekeeper = Gatekeeper()


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
        if signature is None and source.is_greeting(raw):
            return Response(status=204)
        signed = signature is not None or not config.unsigned
        if signed and not source.is_signature_shaped(signature):
            raise _refusal(config, "the signature is missing or no signature at all")
        return _accepted(config, raw, _proven(config, raw, signature))

    receive._apidoc = _documented(blp, config, source, receive)._apidoc  # type: ignore[attr-defined] # without its wrappers
    return receive


def _proven(config: SourceSettings, raw: bytes, signature: str | None) -> Proven:
    """Raises Problem 400, 422, 401 or 429, and Transient for a large body that cannot be looked at right now."""
    prove = gatekeeper.judge if len(raw) > LARGE_BYTES else proving.prove
    verdict = prove(config, raw, signature)
    if isinstance(verdict, Unproven):
        raise _refusal(config, verdict.reason)
    if isinstance(verdict, Unfit):
        fault = Fault(verdict.place, verdict.reason)
        detail = "" if verdict.readable else f"{verdict.place} {verdict.reason}"
        raise Problem(INVALID_INPUT if verdict.readable else INVALID_JSON, detail, faults=[fault])
    return verdict


def _accepted(config: SourceSettings, raw: bytes, proven: Proven) -> Response:
    bound = trace.current()
    traceparent = bound.header() if bound else ""
    accepting = accept(Delivery(config.name, proven.account, raw, proven.event_id, proven.lane_key, clock.now(), traceparent))
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
