"""Webhook bodies: an envelope around what happened to one asset.

Source: the vendor's documented payloads and the metastore's notifications.
"""

import copy
import json
from typing import Any

from sandbox.atlan import assets
from sandbox.atlan.assets import Asset

VALIDATION = json.dumps({"atlan-webhook": "Hello, humans of data! It worked. Excited to see what you build!"}).encode()
OPERATIONS = (
    "ENTITY_CREATE", "ENTITY_UPDATE", "ENTITY_DELETE", "BUSINESS_ATTRIBUTE_UPDATE", "CLASSIFICATION_ADD",
    "CLASSIFICATION_DELETE", "CLASSIFICATION_UPDATE",
)  # fmt: skip


def entity(asset: Asset) -> dict[str, Any]:
    """The asset as an event carries it: with the tags that the sender's thread sees, without custom metadata."""
    shown = assets.full(asset, copy.deepcopy(asset.tags))
    shown.pop("businessAttributes", None)
    return shown


def changes(asset: Asset, values: dict[str, Any]) -> dict[str, Any]:
    """The sparse entity of an update."""
    return {
        "typeName": asset.type_name,
        "attributes": values,
        "guid": asset.guid,
        "isIncomplete": False,
        "provenanceType": 0,
        "updatedBy": asset.updated_by,
        "updateTime": asset.updated_ms,
        "version": 0,
        "proxy": False,
    }


def body(shown: dict[str, Any], operation: str, at_ms: int, details: Any, headers: dict[str, str]) -> bytes:
    message: dict[str, Any] = {"type": "ENTITY_NOTIFICATION_V2", "entity": shown, "operationType": operation, "eventTime": at_ms}
    if details is not None:
        message["mutatedDetails"] = details
    if headers:
        message["headers"] = headers
    envelope = {
        "source": {},
        "version": {"version": "1.0.0", "versionParts": [1]},
        "msgCompressionKind": "NONE",
        "msgSplitIdx": 1,
        "msgSplitCount": 1,
        "msgSourceIP": "10.20.30.40",
        "msgCreatedBy": "",
        "msgCreationTime": assets.now_ms(),
        "spooled": False,
        "message": message,
    }
    return json.dumps(envelope).encode()
