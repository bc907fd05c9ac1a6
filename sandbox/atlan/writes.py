"""Upserts: `POST /entity/bulk` with all its flags, and the partial update of one asset.

A request is looked through as a whole before any of it happens, so a refused one changes nothing. What the metastore ignores is
ignored here: tags without a flag, `classifications` under `appendTags`, custom metadata without `replaceBusinessAttributes`.
"""

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

from sandbox.atlan import assets, errors, events
from sandbox.atlan.assets import RELATIONS, Asset
from sandbox.atlan.catalog import Call, Catalog
from sandbox.atlan.typedefs import SUPERTYPES

ENTITIES_MAX = 10_000
TEXT_CHARS_MAX = 100_000
ANNOUNCEMENT = ("announcementType", "announcementTitle", "announcementMessage")
ANNOUNCEMENTS = ("information", "warning", "issue")
SERVER_OWNED = ("announcementUpdatedAt", "announcementUpdatedBy")


@dataclass(frozen=True, slots=True)
class Flags:
    replace_tags: bool = False  # replaceTags, replaceClassifications
    append_tags: bool = False
    replace_custom: bool = False  # replaceBusinessAttributes
    overwrite_custom: bool = False  # overwriteBusinessAttributes


@dataclass
class Write:
    """One entity of a request, understood: which asset it is, and what of it changes."""

    asset: Asset
    new: bool
    spec: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    relations: dict[str, list[Any]] = field(default_factory=dict)  # references as given


def flags(query: dict[str, str]) -> Flags:
    """The flags of a query string. Refused if more than one says how tags are meant."""
    on = {name: query.get(name, "false").lower() == "true" for name in ("replaceClassifications", "replaceTags", "appendTags")}
    if sum(on.values()) > 1:
        raise errors.bad("Only one of [replaceClassifications, replaceTags, appendTags] can be true")
    custom = query.get("replaceBusinessAttributes", "false").lower() == "true"
    overwrite = query.get("overwriteBusinessAttributes", "false").lower() == "true"
    return Flags(on["replaceTags"] or on["replaceClassifications"], on["appendTags"], custom, custom and overwrite)


def upsert(catalog: Catalog, call: Call, entities: Any, how: Flags) -> dict[str, Any]:
    """Do all of it or, raising Refused, none. The metastore's answer."""
    if not isinstance(entities, list) or not entities:
        raise errors.bad("entities are missing")
    if len(entities) > ENTITIES_MAX:
        raise errors.bad(f"Number of entities exceeds the limit of {ENTITIES_MAX}")
    temporary: dict[str, str] = {}
    made: dict[tuple[str, str], Asset] = {}
    writes = [_understood(catalog, spec, made, temporary) for spec in entities]
    catalog.check_visible(call, (write.asset for write in writes), "update entity")
    for write in writes:
        _check_tags(catalog, write, how)
        _check_custom(catalog, write)
        for name, ends in write.relations.items():
            write.relations[name] = [_end(catalog, each, made, temporary) for each in ends]
    mutated: dict[str, dict[str, Asset]] = {}
    for write in writes:
        if write.new and write.asset.guid not in catalog.store.by_guid:
            catalog.store.add(write.asset)
    for write in writes:
        _apply(catalog, call, write, how, mutated)
    answer = {kind: [assets.header(each) for each in found.values()] for kind, found in mutated.items()}
    return {"mutatedEntities": answer, "guidAssignments": temporary}


def set_custom(catalog: Catalog, call: Call, asset: Asset, name: str, values: dict[str, Any]) -> None:
    """Some attributes of one set of custom metadata; None clears. Refused if there are no such."""
    _known(catalog, name, values)
    _tell_custom(catalog, call, asset, _merge(asset, {name: values}))


def _understood(catalog: Catalog, spec: Any, made: dict[tuple[str, str], Asset], temporary: dict[str, str]) -> Write:
    kind = spec.get("typeName") if isinstance(spec, dict) else None
    if kind not in SUPERTYPES:
        raise errors.unknown_type(str(kind))
    given = spec.get("attributes") or {}
    guid = str(spec.get("guid") or f"-{uuid.uuid4().int % 10**15}")
    asset = _existing(catalog, kind, given, guid, made)
    write = Write(asset or Asset(kind), asset is None, spec)
    if write.new:
        for name in ("name", "qualifiedName"):
            if not given.get(name):
                raise errors.Refused(400, "ATLAS-400-00-01A", f"invalid parameters: {kind}.{name} is mandatory")
        made[kind, given["qualifiedName"]] = write.asset
        write.asset.attributes = {"qualifiedName": given["qualifiedName"], "name": given["name"]}
    if guid.startswith("-"):
        temporary[guid] = write.asset.guid
    _take_values(write, {**given, **(spec.get("relationshipAttributes") or {})})
    _check_announcement(write)
    return write


def _take_values(write: Write, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name in RELATIONS:
            write.relations[name] = value if isinstance(value, list) else [] if value is None else [value]
        elif name not in SERVER_OWNED:
            if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
                raise errors.bad(f"{name}: length of attribute value exceeds the limit of {TEXT_CHARS_MAX}")
            write.values[name] = value
    for more in ("appendRelationshipAttributes", "removeRelationshipAttributes"):
        for name, value in (write.spec.get(more) or {}).items():
            if name not in RELATIONS:
                raise errors.bad(f"{write.asset.type_name} has no relationship {name}")
            write.relations[f"{more[0]}:{name}"] = value if isinstance(value, list) else [value]


def _existing(catalog: Catalog, kind: str, given: dict[str, Any], guid: str, made: dict[tuple[str, str], Asset]) -> Asset | None:
    if not guid.startswith("-"):
        return catalog.store.get(guid)
    name = given.get("qualifiedName")
    return catalog.store.find(kind, str(name)) or made.get((kind, str(name)))


def _check_announcement(write: Write) -> None:
    after = write.asset.attributes | write.values
    kind = after.get("announcementType")
    if kind is not None and kind not in ANNOUNCEMENTS:
        raise errors.bad(f"announcementType: {kind} is not one of {', '.join(ANNOUNCEMENTS)}")
    if kind is not None and not after.get("announcementTitle"):
        raise errors.bad("announcementTitle is mandatory with an announcementType")


def _check_tags(catalog: Catalog, write: Write, how: Flags) -> None:
    put, take = _tags_meant(write, how)
    for each in [*put, *take]:
        if each.get("typeName") not in catalog.typedefs.tags:
            raise errors.unknown_tag(str(each.get("typeName")))
    names = {each["typeName"] for each in put}
    for each in take:
        if each["typeName"] not in write.asset.direct and each["typeName"] not in names:
            raise errors.not_tagged(each["typeName"])


def _tags_meant(write: Write, how: Flags) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tags to put on and to take off, as far as the flags let them count."""
    spec = write.spec
    if write.new:
        return [*(spec.get("classifications") or []), *(spec.get("addOrUpdateClassifications") or [])], []
    if how.append_tags:
        return spec.get("addOrUpdateClassifications") or [], spec.get("removeClassifications") or []
    if how.replace_tags and spec.get("classifications") is not None:
        wanted = {each.get("typeName") for each in spec["classifications"]}
        return spec["classifications"], [{"typeName": name} for name in write.asset.direct if name not in wanted]
    return [], []


def _check_custom(catalog: Catalog, write: Write) -> None:
    for name, values in (write.spec.get("businessAttributes") or {}).items():
        _known(catalog, name, values or {})


def _known(catalog: Catalog, name: str, values: dict[str, Any]) -> None:
    definition = catalog.typedefs.sets.get(name)
    if definition is None:
        raise errors.unknown_type(name)
    known = {each["name"] for each in definition["attributeDefs"]}
    if unknown := sorted(set(values) - known):
        raise errors.Refused(400, "ATLAS-400-00-0A2", f"business attribute {name}.{unknown[0]} is not known")


def _end(catalog: Catalog, reference: Any, made: dict[tuple[str, str], Asset], temporary: dict[str, str]) -> str:
    """The guid that a reference means: by guid, also a temporary one, or by type and qualified name."""
    spec = reference if isinstance(reference, dict) else {}
    guid = str(spec.get("guid") or "")
    name = (spec.get("uniqueAttributes") or {}).get("qualifiedName")
    if guid and not guid.startswith("-"):
        return catalog.store.get(guid).guid
    if guid in temporary:
        return temporary[guid]
    key = (str(spec.get("typeName")), str(name))
    return made[key].guid if key in made else catalog.store.named(*key).guid


def _apply(catalog: Catalog, call: Call, write: Write, how: Flags, mutated: dict[str, dict[str, Asset]]) -> None:
    asset = write.asset
    if write.new:
        asset.created_by, asset.created_ms = call.user, call.at_ms
    restored = asset.status == "DELETED" and write.spec.get("status") == "ACTIVE"
    changes = catalog.store.set_attributes(asset, write.values)
    if any(name in changes for name in ANNOUNCEMENT):
        stamp = {"announcementUpdatedAt": call.at_ms, "announcementUpdatedBy": call.user}
        changes |= catalog.store.set_attributes(asset, stamp)
    related = _relate(catalog, call, write, mutated)
    put, take = _tags_meant(write, how)
    moved = catalog.take_tags(call, asset, [each["typeName"] for each in take if each["typeName"] in asset.direct])
    moved = catalog.put_tags(call, asset, put) or moved
    custom = _custom(asset, write, how)
    if write.new or changes or related or moved or custom or restored:
        mutated.setdefault("CREATE" if write.new else "UPDATE", {})[asset.guid] = asset
        catalog.saved(asset, call)
    if write.new:
        catalog.tell(call, asset, "ENTITY_CREATE")
    elif changes or moved:
        catalog.tell(call, asset, "ENTITY_UPDATE", events.changes(asset, changes) if changes else None)
    _tell_custom(catalog, call, asset, custom)
    if restored:
        catalog.restore(call, asset)
    elif write.new or related:
        catalog.refresh_around(call, asset)


def _relate(catalog: Catalog, call: Call, write: Write, mutated: dict[str, dict[str, Asset]]) -> bool:
    touched: set[str] = set()
    for key, ends in write.relations.items():
        how, _, name = key.rpartition(":")
        had = write.asset.relations.get(name, [])
        wanted = [*had, *ends] if how == "a" else [guid for guid in had if guid not in ends] if how == "r" else ends
        touched |= catalog.store.relate(write.asset, name, wanted)
    for guid in touched:
        other = catalog.store.by_guid[guid]
        catalog.saved(other, call)
        mutated.setdefault("UPDATE", {}).setdefault(guid, other)
    return bool(touched)


def _custom(asset: Asset, write: Write, how: Flags) -> dict[str, dict[str, Any]]:
    """Custom metadata as the flags have it; what changed, by set."""
    given = write.spec.get("businessAttributes")
    if write.new:
        return _merge(asset, given or {})
    if not how.replace_custom:
        return {}
    if how.overwrite_custom:
        wanted = {
            name: {key: value for key, value in (values or {}).items() if value is not None}
            for name, values in (given or {}).items()
        }
        everything = {name: {key: wanted.get(name, {}).get(key) for key in values} for name, values in asset.custom.items()}
        return _merge(asset, {name: everything.get(name, {}) | wanted.get(name, {}) for name in {**everything, **wanted}})
    emptied = {name: dict.fromkeys(asset.custom.get(name, {})) for name, values in (given or {}).items() if not values}
    return _merge(asset, (given or {}) | emptied)


def _merge(asset: Asset, given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    changed: dict[str, dict[str, Any]] = {}
    custom = copy.deepcopy(asset.custom)
    for name, values in given.items():
        mine = custom.setdefault(name, {})
        for key, value in (values or {}).items():
            if mine.get(key) != value:
                changed.setdefault(name, {})[key] = value
            if value is None:
                mine.pop(key, None)
            else:
                mine[key] = value
        if not mine:
            del custom[name]
    asset.custom = custom
    return changed


def _tell_custom(catalog: Catalog, call: Call, asset: Asset, changed: dict[str, dict[str, Any]]) -> None:
    if changed:
        catalog.saved(asset, call)
        catalog.tell(call, asset, "BUSINESS_ATTRIBUTE_UPDATE", changed)
