"""All assets, by guid and by type and qualified name, with their relations; the truth that searches only follow."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.atlan import errors
from sandbox.atlan.assets import RELATIONS, Asset


class Store:
    """Assets and relations. `touched` is told of every asset that changed, for the index."""

    def __init__(self, touched: Callable[[Asset], None]) -> None:
        self.touched = touched
        self.by_guid: dict[str, Asset] = {}
        self.by_name: dict[tuple[str, str], str] = {}
        self.names: defaultdict[str, set[str]] = defaultdict(set)  # qualified name -> guids of any type
        self.children: defaultdict[str, set[str]] = defaultdict(set)  # qualified name -> guids of its parts

    def clear(self) -> None:
        self.by_guid.clear()
        self.by_name.clear()
        self.names.clear()
        self.children.clear()

    def get(self, guid: str) -> Asset:
        asset = self.by_guid.get(guid)
        if asset is None:
            raise errors.unknown_guid(guid)
        return asset

    def find(self, type_name: str, qualified_name: str) -> Asset | None:
        guid = self.by_name.get((type_name, qualified_name))
        return None if guid is None else self.by_guid[guid]

    def named(self, type_name: str, qualified_name: str) -> Asset:
        asset = self.find(type_name, qualified_name)
        if asset is None:
            raise errors.unknown_name(type_name, qualified_name)
        return asset

    def any_named(self, word: str) -> Asset:
        """The asset with this guid or qualified name, whatever its type. ValueError if there is none."""
        found = self.by_guid.get(word) or next(iter(self.of_name(word)), None)
        if found is None:
            raise ValueError(f"no asset {word!r}")
        return found

    def of_name(self, qualified_name: str) -> list[Asset]:
        return [self.by_guid[guid] for guid in sorted(self.names.get(qualified_name, ()))]

    def add(self, asset: Asset) -> None:
        self.by_guid[asset.guid] = asset
        self.by_name[asset.type_name, asset.qualified_name] = asset.guid
        self.names[asset.qualified_name].add(asset.guid)
        for parent in asset.parents:
            self.children[parent].add(asset.guid)
        self.touched(asset)

    def set_attributes(self, asset: Asset, values: dict[str, Any]) -> dict[str, Any]:
        """Set attributes; None clears. What really changed."""
        changes = {key: value for key, value in values.items() if asset.attributes.get(key) != value}
        for parent in asset.parents:
            self.children[parent].discard(asset.guid)
        for key, value in changes.items():
            if value is None:
                asset.attributes.pop(key, None)
            else:
                asset.attributes[key] = value
        for parent in asset.parents:
            self.children[parent].add(asset.guid)
        return changes

    def remove(self, asset: Asset) -> None:
        """Purge: as if it had never been, at both ends of its relations."""
        for name in list(asset.relations):
            self.relate(asset, name, [])
        for parent in asset.parents:
            self.children[parent].discard(asset.guid)
        del self.by_guid[asset.guid]
        self.names[asset.qualified_name].discard(asset.guid)
        self.by_name.pop((asset.type_name, asset.qualified_name), None)
        self.touched(asset)

    def relate(self, asset: Asset, name: str, guids: Iterable[str]) -> set[str]:
        """Make `guids` the whole of a relation. The guids of all other assets whose end of it changed."""
        wanted, had = list(dict.fromkeys(guids)), asset.relations.get(name, [])
        other, _ = RELATIONS[name]
        gone, new = set(had) - set(wanted), set(wanted) - set(had)
        for guid in gone:
            self.by_guid[guid].relations[other].remove(asset.guid)
        for guid in new:
            far = self.by_guid[guid]
            if not RELATIONS[other][1]:
                for old in far.relations.get(other, []):
                    self.by_guid[old].relations[name].remove(guid)
                far.relations[other] = []
            far.relations.setdefault(other, []).append(asset.guid)
        asset.relations[name] = wanted
        return gone | new

    def parts(self, asset: Asset) -> Iterator[Asset]:
        for guid in sorted(self.children.get(asset.qualified_name, ())):
            yield self.by_guid[guid]

    def within(self, asset: Asset) -> Iterator[Asset]:
        """Its parts and theirs, down to the last column."""
        for part in self.parts(asset):
            yield part
            yield from self.within(part)

    def references(self, asset: Asset) -> dict[str, Any]:
        """The relations as a read shows them."""
        shown: dict[str, Any] = {}
        for name, guids in asset.relations.items():
            ends = [self._reference(self.by_guid[guid]) for guid in guids]
            shown[name] = ends if RELATIONS[name][1] else (ends[0] if ends else None)
        return shown

    def _reference(self, asset: Asset) -> dict[str, Any]:
        return {
            "guid": asset.guid,
            "typeName": asset.type_name,
            "entityStatus": asset.status,
            "displayText": asset.name,
            "relationshipStatus": "ACTIVE",
            "uniqueAttributes": {"qualifiedName": asset.qualified_name},
        }
