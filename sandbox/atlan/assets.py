"""Assets as the store has them, and how they are written down in answers."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

Tag = dict[str, Any]
Relations = dict[str, list[str]]  # name -> guids

# name -> (the other end's name, many); both ends are listed
RELATIONS: dict[str, tuple[str, bool]] = {}
for _one, _one_many, _other, _other_many in (
    ("mcIncidentAssets", True, "mcIncidents", True),
    ("mcMonitorAssets", True, "mcMonitors", True),
    ("mcMonitor", False, "mcMonitorIncidents", True),
    ("inputs", True, "inputToProcesses", True),
    ("outputs", True, "outputFromProcesses", True),
    ("meanings", True, "assignedEntities", True),
    ("anchor", False, "terms", True),
    ("table", False, "columns", True),
):
    RELATIONS[_one] = (_other, _one_many)
    RELATIONS[_other] = (_one, _other_many)

PARENTS = {
    "Column": ("parentColumnQualifiedName", "tableQualifiedName", "viewQualifiedName"),
    "TablePartition": ("tableQualifiedName",),
    "Schema": ("databaseQualifiedName",),
    "Database": ("connectionQualifiedName",),
}  # all other SQL assets: their schema
DEFAULTS: dict[str, Any] = {
    "popularityScore": 1.17549435e-38, "adminUsers": [], "adminGroups": [], "adminRoles": [], "viewerUsers": [],
    "viewerGroups": [], "ownerUsers": [], "ownerGroups": [], "isEditable": True, "isDiscoverable": True,
    "announcementUpdatedAt": 0, "certificateUpdatedAt": 0, "sourceCreatedAt": 0, "sourceUpdatedAt": 0, "queryCount": 0,
    "queryUserCount": 0, "pinnedAt": 0, "isPinned": False,
}  # fmt: skip
OF_TABLES: dict[str, Any] = {"rowCount": 0, "sizeBytes": 0, "isTemporary": False, "isPartitioned": False}
OF_COLUMNS: dict[str, Any] = {
    "maxLength": 0, "isNullable": True, "isPrimary": False, "isForeign": False, "isPartition": False,
}  # fmt: skip


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Asset:
    """One asset. Tags have versions, since reads may see a change later than its own event is sent."""

    type_name: str
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "ACTIVE"
    attributes: dict[str, Any] = field(default_factory=dict)
    relations: Relations = field(default_factory=dict)
    custom: dict[str, dict[str, Any]] = field(default_factory=dict)  # custom metadata: set id -> attribute id -> value
    direct: dict[str, Tag] = field(default_factory=dict)  # by tag id
    propagated: dict[tuple[str, str], Tag] = field(default_factory=dict)  # by tag id and guid of the source
    created_by: str = "service-account-crawler"
    updated_by: str = "service-account-crawler"
    created_ms: int = field(default_factory=now_ms)
    updated_ms: int = field(default_factory=now_ms)
    earlier: list[tuple[float, list[Tag]]] = field(default_factory=list)  # (shown until, tags), oldest first

    @property
    def name(self) -> str:
        return str(self.attributes.get("name") or self.attributes.get("qualifiedName"))

    @property
    def qualified_name(self) -> str:
        return str(self.attributes["qualifiedName"])

    @property
    def tags(self) -> list[Tag]:
        return [*self.direct.values(), *self.propagated.values()]

    @property
    def parents(self) -> list[str]:
        """Qualified names of what it is part of."""
        names = PARENTS.get(self.type_name, ("schemaQualifiedName",))
        found = [value for name in names if isinstance(value := self.attributes.get(name), str) and value]
        return found[:1]

    def hide(self, stale_s: float) -> None:
        """Called before tags change: for `stale_s`, reads keep seeing what they see now."""
        if stale_s > 0:
            self.earlier.append((time.monotonic() + stale_s, self.tags))

    def shown_tags(self) -> list[Tag]:
        """The tags as a read of this moment sees them."""
        now = time.monotonic()
        while self.earlier and self.earlier[0][0] <= now:
            self.earlier.pop(0)
        return self.earlier[0][1] if self.earlier else self.tags


def header(asset: Asset) -> dict[str, Any]:
    """How a write's answer names an asset."""
    return {
        "typeName": asset.type_name,
        "guid": asset.guid,
        "status": asset.status,
        "displayText": asset.name,
        "attributes": {"qualifiedName": asset.qualified_name, "name": asset.attributes.get("name")},
        "classificationNames": names_of(asset.tags),
        "classifications": asset.tags,
        "meanings": [],
        "meaningNames": [],
        "isIncomplete": False,
        "labels": [],
        "createdBy": asset.created_by,
        "updatedBy": asset.updated_by,
        "createTime": asset.created_ms,
        "updateTime": asset.updated_ms,
    }


def frame(asset: Asset) -> dict[str, Any]:
    """What all reads of an asset have in common."""
    return {
        "typeName": asset.type_name,
        "guid": asset.guid,
        "status": asset.status,
        "displayText": asset.name,
        "isIncomplete": False,
        "createdBy": asset.created_by,
        "updatedBy": asset.updated_by,
        "createTime": asset.created_ms,
        "updateTime": asset.updated_ms,
    }


def full(asset: Asset, tags: list[Tag]) -> dict[str, Any]:
    """An asset as read from the store, without relations."""
    noise = DEFAULTS | (OF_COLUMNS if asset.type_name == "Column" else OF_TABLES if "schemaName" in asset.attributes else {})
    body = frame(asset) | {"attributes": noise | {key: value for key, value in asset.attributes.items() if value is not None}}
    if tags:
        body |= {"classificationNames": names_of(tags), "classifications": tags}
    if asset.custom:
        body["businessAttributes"] = asset.custom
    return body


def names_of(tags: list[Tag]) -> list[str]:
    return list(dict.fromkeys(tag["typeName"] for tag in tags))


def tag(spec: dict[str, Any], guid: str) -> Tag:
    """A tag on the asset `guid`, with the server's defaults: `propagate` not said means true."""
    kept: Tag = {
        "typeName": spec["typeName"],
        "entityGuid": guid,
        "entityStatus": "ACTIVE",
        "propagate": spec.get("propagate") is not False,
        "removePropagationsOnEntityDelete": spec.get("removePropagationsOnEntityDelete") is not False,
        "restrictPropagationThroughLineage": bool(spec.get("restrictPropagationThroughLineage")),
        "restrictPropagationThroughHierarchy": bool(spec.get("restrictPropagationThroughHierarchy")),
    }
    if spec.get("attributes"):
        kept["attributes"] = spec["attributes"]
    return kept
