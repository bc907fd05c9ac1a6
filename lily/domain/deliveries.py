"""A delivery: one HTTP request as a source sent it, and the content address that makes it an event."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CANONICAL_OBJECTS = ("payload", "account")


@dataclass(frozen=True)
class Delivery:
    """What arrived, proven to be from `source`: `raw` is the body as sent, `event_id` and `lane_key` are what follows from it."""

    source: str
    account: str
    raw: bytes
    event_id: str
    lane_key: str
    received_at: datetime
    traceparent: str = ""


def event_id(source: str, account: str, body: Mapping[str, Any]) -> str:
    """The content address of a delivery: 64 hex digits, equal for every byte form that the sender's signature covers.

    Monte Carlo signs `urlencode(body)`, in which a top-level value is only its text: `1.0` and `"1.0"` carry one signature.
    So top-level values count as that text here too. `payload` and `account` are known to be objects and keep their types.
    """
    typed = {
        key: value if key in CANONICAL_OBJECTS and isinstance(value, dict) else _signed_text(value) for key, value in body.items()
    }
    canonical = json.dumps([source, account, typed], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def lane_key(source: str, incident: str) -> str:
    """Two hex digits that say in which lane an incident's events belong, whatever the number of lanes."""
    return hashlib.sha256(f"{source}\n{incident}".encode("utf-8", "surrogatepass")).hexdigest()[:2]


def _signed_text(value: object) -> str:
    """The text of a top-level value as it is signed, free of the one thing in which Pythons differ.

    `str` of a nested value leaves printable characters as they are, and which are printable depends on Python's Unicode
    tables; a string that looks like such a text must not give another id than the value itself.
    """
    text = str(value)
    return "".join(map(_escaped, text)) if text[:1] in "[{" else text


def _escaped(char: str) -> str:
    return char if char.isascii() else ascii(char)[1:-1]
