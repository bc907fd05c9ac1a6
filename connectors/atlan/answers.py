"""Atlan's entities in Lily's words. Nothing here talks to anyone.

Source: models of pyatlan 11.6.0; the metastore's source for what may be absent (almost everything) and for `guid` -1, which
stands for an asset that the token may not see.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lily.domain.assets import Asset, Found
from lily.domain.catalog import Announcement, AssetState, Attached

HIDDEN_GUID = "-1"
ATTRIBUTES = (
    "name",
    "qualifiedName",
    "connectionQualifiedName",
    "databaseName",
    "schemaName",
    "tableName",
    "viewName",
    "parentColumnQualifiedName",
)


def entities(answer: Any, key: str = "entities") -> list[Mapping[str, Any]]:
    """The entities of an answer that the token may see; what is no entity is left out."""
    listed = answer.get(key) if isinstance(answer, dict) else None
    shaped = [entity for entity in listed or [] if isinstance(entity, dict) and isinstance(entity.get("attributes"), dict)]
    return [entity for entity in shaped if entity.get("guid") != HIDDEN_GUID and _text(entity["attributes"], "qualifiedName")]


def found(entity: Mapping[str, Any]) -> Found:
    attributes = entity["attributes"]
    name = _text(attributes, "name") or str(entity.get("displayText") or "")
    asset = Asset(_text(attributes, "qualifiedName"), str(entity.get("typeName") or ""), str(entity.get("guid") or ""), name)
    return Found(
        asset,
        connection=asset.qualified_name if asset.type == "Connection" else _text(attributes, "connectionQualifiedName"),
        database=_text(attributes, "databaseName"),
        schema=_text(attributes, "schemaName"),
        table=_text(attributes, "tableName") or _text(attributes, "viewName"),
        parent_column=_text(attributes, "parentColumnQualifiedName"),
    )


def state(entity: Mapping[str, Any]) -> AssetState:
    """An entity of the store, or of a search that was asked for classifications."""
    return AssetState(
        found(entity),
        is_active=entity.get("status") == "ACTIVE",
        announcement=announcement(entity["attributes"]),
        attached=attached(entity.get("classifications")),
        updated_at=time(entity.get("updateTime")),
    )


def announcement(attributes: Mapping[str, Any]) -> Announcement | None:
    """None where nothing is shown. What people write may lack any of its parts."""
    kind, title, message = (_text(attributes, f"announcement{part}") for part in ("Type", "Title", "Message"))
    if not (kind or title or message):
        return None
    return Announcement(kind.lower() or "information", title, message)


def attached(tags: Any) -> frozenset[Attached]:
    """Attachments from a list of tag objects, of which all keys but `typeName` may be absent.

    One whose asset is archived counts too: taking it for gone would take protection away.
    """
    objects: Iterable[Any] = tags if isinstance(tags, list) else ()
    named = [tag for tag in objects if isinstance(tag, dict) and isinstance(tag.get("typeName"), str)]
    return frozenset(Attached(tag["typeName"], str(tag.get("entityGuid") or "")) for tag in named)


def time(milliseconds: Any) -> datetime | None:
    """A time in milliseconds since 1970; None for 0, which stands for no time, and for anything else."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int) or not 0 < milliseconds < 253_402_300_800_000:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    return value if isinstance(value, str) else ""
