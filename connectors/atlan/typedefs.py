"""Ids and names of tags and custom metadata: Atlan stores hashed ids, people know the names, and names can change.

Source: pyatlan 11.6.0 (typedefs and their caches). A tag that is not known may have been made a moment ago: a miss is
remembered for seconds only, for a column could stay unmasked because of it.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.atlan import client
from connectors.atlan.client import Call
from lily.domain.assets import TABLE_TYPES
from lily.domain.catalog import Priority
from lily.runtime import cache, logs
from lily.runtime.errors import Permanent
from lily.runtime.settings import settings

TAGS_KEPT_S = 300.0
FIELDS_KEPT_S = 3600.0
MISS_S = 5.0
ABSENT_S = 600.0  # how long nobody tries again to make custom metadata that could not be made

FIELDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # name for people: type, and what else the server wants to know
    "Open incidents": ("int", {}),
    "Worst severity": ("string", {}),
    "Incident links": ("array<string>", {"customType": "url", "multiValueSelect": True}),
    "Open incidents upstream": ("int", {}),
    "As of": ("date", {"hasTimePrecision": True}),
}

log = logs.get(__name__)


def tag_names(instance: str, ids: Collection[str]) -> dict[str, str]:
    """Names by id."""
    known = _tags(instance, lambda found: set(ids) <= found.keys())
    return {tag: known[tag] for tag in ids if tag in known}


def tags(instance: str) -> dict[str, str]:
    """Names of all tags by id."""
    return _tags(instance, lambda _: True)


def tag_ids(instance: str, names: Collection[str]) -> dict[str, str]:
    """Ids by name."""
    wanted = {name.casefold() for name in names}
    known = _tags(instance, lambda found: wanted <= {name.casefold() for name in found.values()})
    by_name = {name.casefold(): tag for tag, name in sorted(known.items())}
    return {name: by_name[name.casefold()] for name in names if name.casefold() in by_name}


def fields(call: Call) -> tuple[str, Mapping[str, str]] | None:
    """The id of Lily's custom metadata, and the ids of its fields by name; None if it is not there and may not be made.

    Made where it is missing. Fields that somebody took out of it stay out.
    """
    namespace, key = f"fields:{call.api.name}", call.api.custom_metadata
    if (kept := cache.get_many(namespace, [key]).get(key)) is not None:
        known = orjson.loads(kept)
        return (known[0], known[1]) if known else None
    found = _lilys(call, _typedefs(call, "BUSINESS_METADATA"))
    if found is None:
        try:
            found = _lilys(call, client.post(call, "types/typedefs", {"businessMetadataDefs": [_definition(call)]}))
        except Permanent as error:
            log.warning("custom_metadata.not_made", catalog=call.api.name, name=key, reason=error.reason)
    cache.put_many(namespace, {key: orjson.dumps(found)}, FIELDS_KEPT_S if found else ABSENT_S)
    return found


def _tags(instance: str, is_enough: Callable[[Mapping[str, str]], bool]) -> dict[str, str]:
    """All tags by id; read again if they are old, or if the one asked for is not among them and they are not quite new."""
    namespace = f"tags:{instance}"
    if (kept := cache.get_many(namespace, ["all"]).get("all")) is not None:
        read_at, known = orjson.loads(kept)
        if is_enough(known) or abs(time.time() - read_at) < MISS_S:
            return dict(known)
    read_at = time.time()
    answer = _typedefs(client.begin(instance, Priority.READ_BACK), "CLASSIFICATION")
    known = {str(one["name"]): str(one.get("displayName") or one["name"]) for one in _defs(answer, "classificationDefs")}
    cache.put_many(namespace, {"all": orjson.dumps([read_at, known])}, TAGS_KEPT_S)
    return known


def _lilys(call: Call, answer: Any) -> tuple[str, dict[str, str]] | None:
    for one in _defs(answer, "businessMetadataDefs"):
        if one.get("displayName") == call.api.custom_metadata:
            attributes = _defs(one, "attributeDefs")
            return str(one["name"]), {str(attribute.get("displayName")): str(attribute["name"]) for attribute in attributes}
    return None


def _typedefs(call: Call, category: str) -> Any:
    return client.get(call, f"types/typedefs?{urlencode([('type', category), ('type', 'STRUCT')])}")


def _defs(answer: Any, key: str) -> list[Mapping[str, Any]]:
    listed = answer.get(key) if isinstance(answer, dict) else None
    return [one for one in listed or [] if isinstance(one, dict) and one.get("name")]


def _definition(call: Call) -> dict[str, Any]:
    name = call.api.custom_metadata
    description = "Open incidents of this asset, written by Lily."
    return {
        "category": "BUSINESS_METADATA",
        "name": name,
        "displayName": name,
        "description": description,
        "attributeDefs": [_field(call, field, kind, options) for field, (kind, options) in FIELDS.items()],
    }


def _field(call: Call, name: str, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    shown_on = [config.qualified_name for config in settings().connections.values() if config.catalog == call.api.name]
    return {
        "name": "",
        "displayName": name,
        "typeName": kind,
        "isOptional": True,
        "cardinality": "SINGLE",
        "valuesMinCount": 0,
        "valuesMaxCount": 1,
        "isUnique": False,
        "isIndexable": True,
        "includeInNotification": False,
        "isNew": True,
        "options": {
            "customMetadataVersion": "v2",
            "primitiveType": "string" if kind == "array<string>" else kind,
            "applicableEntityTypes": '["Asset"]',
            "assetTypesList": orjson.dumps(sorted(TABLE_TYPES)).decode(),
            "applicableConnections": orjson.dumps(shown_on).decode(),
            "maxStrLength": "100000000",
            "allowSearch": True,
            "allowFiltering": True,
            **options,
        },
    }
