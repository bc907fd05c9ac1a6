"""Atlan's webhooks: who sent them, and what they hint at. Nothing here talks to anyone.

Source: docs.atlan.com (webhooks, event types), the Python and Go handlers of the vendor's SDKs, the metastore's source. The
header holds the secret itself and nothing covers the body; there is no id, no order and no retry: an event is only a reason to
read the asset. The vendor's own event models refuse events that its server sends, so they are read leniently here.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from connectors.atlan import answers
from connectors.contracts import BodyRejected, SignatureRejected
from lily.domain.catalog import ECHO, Attached, Hint
from lily.domain.incidents import Change

signature_header = "x-atlan-signing-secret"
SECRET_MAX = 512  # characters
GREETING = {"atlan-webhook": "Hello, humans of data! It worked. Excited to see what you build!"}
GREETING_BYTES_MAX = 256
AGENT_ID = "lily"  # as the client sends it
TYPE = "catalog_change"
ABOUT_TAGS = frozenset({"tags_added", "tags_removed", "tags_changed"})

OPERATIONS: Mapping[str, str] = {
    "ENTITY_CREATE": "created",
    "ENTITY_UPDATE": "updated",
    "ENTITY_DELETE": "lost",
    "BUSINESS_ATTRIBUTE_UPDATE": "metadata_changed",
    "CLASSIFICATION_ADD": "tags_added",
    "CLASSIFICATION_DELETE": "tags_removed",
    "CLASSIFICATION_UPDATE": "tags_changed",
}
PURGED = frozenset({"HARD", "PURGE"})  # by `deleteHandler`; SOFT and DEFAULT are archived


def is_greeting(raw: bytes) -> bool:
    """Whether this is exactly what the button "Validate" sends, which comes without the secret."""
    if len(raw) > GREETING_BYTES_MAX:
        return False
    try:
        return bool(orjson.loads(raw) == GREETING)
    except orjson.JSONDecodeError:
        return False


def is_signature_shaped(signature: str | None) -> bool:
    """Whether the header could be a secret."""
    return signature is not None and 0 < len(signature) <= SECRET_MAX and signature.isascii() and signature.isprintable()


def verify(body: Mapping[str, Any], signature: str | None, secrets: Sequence[str]) -> None:  # noqa: ARG001 - covers no body
    """Whether the sender knows a secret. Raises SignatureRejected."""
    if signature is None or not is_signature_shaped(signature):
        raise SignatureRejected("no secret in the header" if signature is None else "the header cannot be a secret")
    given = signature.encode()
    if not any([hmac.compare_digest(given, secret.encode()) for secret in secrets if secret]):  # noqa: C419 - all of them
        raise SignatureRejected(f"fits none of {len(secrets)} active secrets")


def check_shape(body: Mapping[str, Any]) -> None:
    """Raises BodyRejected where a known part has another type. The `message` of a workflow is a text, and nothing to Lily."""
    if not isinstance(body, Mapping):
        raise BodyRejected("body", "is not an object")
    message = _object(body, "message")
    _expect(message, "operationType", str, "a text", "message.")
    for name in ("entity", "relationship", "headers"):
        _expect(message, name, dict, "an object", "message.")
    _expect(_object(message, "entity"), "attributes", dict, "an object", "message.entity.")


def account(body: Mapping[str, Any]) -> str:  # noqa: ARG001 - a delivery names no tenant
    return ""


def incident(body: Mapping[str, Any]) -> str | None:
    """No incident, but what decides the lane: the asset, so that what happens to it is read in one batch."""
    return next((hint.guid or hint.qualified_name for hint in hints(body)), None)


def normalise(body: Mapping[str, Any]) -> Change:
    """A change of the catalog, which is about no incident; `hints` say more. Workflows and the like are of type `unknown`."""
    hint = next(iter(hints(body)), None)
    if hint is None:
        return Change(None, "unknown", "unknown")
    return Change(None, ECHO if hint.is_echo else TYPE, hint.operation)


def hints(body: Mapping[str, Any]) -> tuple[Hint, ...]:
    """What happened to which asset: one hint, or none for workflows, data quality rules and relationships."""
    message = body.get("message")
    entity = message.get("entity") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(entity, dict):
        return ()
    guid, name = _text(entity, "guid"), _text(_object(entity, "attributes"), "qualifiedName")
    if not guid and not name:
        return ()
    operation = OPERATIONS.get(str(message.get("operationType")), "unknown")
    details = message.get("mutatedDetails")
    return (
        Hint(
            operation,
            qualified_name=name,
            guid=guid,
            type=_text(entity, "typeName"),
            connection=_text(_object(entity, "attributes"), "connectionQualifiedName"),
            added=answers.attached(details) if operation == "tags_added" else frozenset(),
            removed=answers.attached(details) if operation == "tags_removed" else frozenset(),
            stated=_stated(operation, entity),
            at=answers.time(message.get("eventTime")),
            is_echo=operation not in ABOUT_TAGS and _object(message, "headers").get("x-atlan-agent-id") == AGENT_ID,
            lost=_lost(operation, entity),
            changed=dict(_object(_object(message, "mutatedDetails"), "attributes")) if operation == "updated" else {},
            found=answers.found(entity) if name else None,
        ),
    )


def _stated(operation: str, entity: Mapping[str, Any]) -> frozenset[Attached] | None:
    """The set after the change, which only events about tags are sure to tell; there, none told is none left."""
    if operation in ABOUT_TAGS:
        return answers.attached(entity.get("classifications"))
    return None


def _lost(operation: str, entity: Mapping[str, Any]) -> str:
    if operation != "lost":
        return ""
    return "purged" if entity.get("deleteHandler") in PURGED else "archived"


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _expect(holder: Mapping[str, Any], name: str, kind: type, called: str, path: str) -> None:
    value = holder.get(name)
    if value is not None and not isinstance(value, kind):
        raise BodyRejected(f"{path}{name}", f"is not {called}")
