"""One tenant: its assets, tags and index, the tasks that carry tags on, and the webhooks that tell of it all."""

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.atlan import assets, errors, events
from sandbox.atlan.assets import Asset, Tag
from sandbox.atlan.deliveries import Webhooks
from sandbox.atlan.search import Index
from sandbox.atlan.settings import Settings
from sandbox.atlan.store import Store
from sandbox.atlan.tasks import Tasks
from sandbox.atlan.typedefs import Typedefs


@dataclass
class Call:
    """Who changes something: the `x-atlan-*` headers of the request go into the events that it causes."""

    user: str
    headers: dict[str, str]
    eventful: bool = True  # whether webhooks are told
    at_ms: int = field(default_factory=assets.now_ms)


class Catalog:
    """All state, and the small changes that larger ones are made of. Used from the event loop's thread only."""

    def __init__(self, settings: Settings, seed: int = 0) -> None:
        self.starting = self.settings = settings
        self.index = Index()
        self.store = Store(self._touched)
        self.typedefs = Typedefs()
        self.tasks = Tasks()
        self.webhooks = Webhooks(random.Random(seed))

    def clear(self) -> None:
        """As new, without webhooks."""
        self.settings = self.starting
        self.tasks.clear()
        self.webhooks.clear()
        self.store.clear()
        self.index.clear()
        self.typedefs = Typedefs()

    def _touched(self, asset: Asset) -> None:
        self.index.follow(asset, asset.guid in self.store.by_guid, self.settings.index_lag_s)

    def visible(self, asset: Asset) -> bool:
        return not (self.settings.hidden and asset.qualified_name.startswith(self.settings.hidden))

    def check_visible(self, call: Call, found: Iterable[Asset], what: str) -> None:
        if not all(self.visible(asset) for asset in found):
            raise errors.not_allowed(call.user, what)

    def saved(self, asset: Asset, call: Call) -> None:
        """To be called after every change of an asset."""
        asset.updated_by, asset.updated_ms = call.user, call.at_ms
        self.store.touched(asset)

    def tell(self, call: Call, asset: Asset, operation: str, details: Any = None, delete_handler: str | None = None) -> None:
        """One delivery for one asset and change, as it is now."""
        if call.eventful and self.webhooks.wants(operation, asset.type_name):
            entity = events.entity(asset)
            if operation == "ENTITY_DELETE":
                entity["deleteHandler"] = delete_handler
            body = events.body(entity, operation, call.at_ms, details, call.headers)
            self.webhooks.send(operation, asset.type_name, asset.qualified_name, body, self.settings)

    # Tags that someone puts on or takes off

    def put_tags(self, call: Call, asset: Asset, specs: list[dict[str, Any]]) -> bool:
        """Add tags or change the flags of those that are there. Whether anything changed; tags are known already."""
        wanted = [assets.tag(spec, asset.guid) for spec in specs]
        added = [each for each in wanted if each["typeName"] not in asset.direct]
        changed = [each for each in wanted if asset.direct.get(each["typeName"], each) != each]
        if not added and not changed:
            return False
        asset.hide(self.settings.stale_reads_s)
        for each in [*added, *changed]:
            old = asset.direct.get(each["typeName"])
            asset.direct[each["typeName"]] = each
            if each["propagate"] or (old and old["propagate"]):
                self.tasks.add("CLASSIFICATION_PROPAGATION_ADD", asset.guid, each["typeName"], call)
        self.saved(asset, call)
        for operation, these in (("CLASSIFICATION_ADD", added), ("CLASSIFICATION_UPDATE", changed)):
            if these:
                self.tell(call, asset, operation, copy.deepcopy(these))
        return True

    def take_tags(self, call: Call, asset: Asset, names: list[str]) -> bool:
        """Take tags off; propagated copies stay until their task has run. Refused if one is not directly on it."""
        if missing := [name for name in names if name not in asset.direct]:
            raise errors.not_tagged(missing[0])
        if not names:
            return False
        asset.hide(self.settings.stale_reads_s)
        gone: list[Tag] = [asset.direct.pop(name) for name in dict.fromkeys(names)]
        for each in (each for each in gone if each["propagate"]):
            self.tasks.add("CLASSIFICATION_PROPAGATION_DELETE", asset.guid, each["typeName"], call)
        self.saved(asset, call)
        self.tell(call, asset, "CLASSIFICATION_DELETE", gone)
        return True

    # Life and death

    def archive(self, call: Call, asset: Asset) -> bool:
        if asset.status == "DELETED":
            return False
        asset.status = "DELETED"
        self.saved(asset, call)
        self.tell(call, asset, "ENTITY_DELETE", delete_handler="SOFT")
        self.refresh_around(call, asset)
        return True

    def restore(self, call: Call, asset: Asset) -> None:
        asset.status = "ACTIVE"
        self.saved(asset, call)
        self.tell(call, asset, "ENTITY_UPDATE")
        self.refresh_around(call, asset)

    def purge(self, call: Call, asset: Asset) -> None:
        around = self._sources_around(asset)
        asset.status = "DELETED"
        self.store.remove(asset)
        self.tell(call, asset, "ENTITY_DELETE", delete_handler="HARD")
        for guid, name in around:
            self.tasks.add("CLASSIFICATION_REFRESH_PROPAGATION", guid, name, call)

    def refresh_around(self, call: Call, asset: Asset) -> None:
        """Have every tag looked at again that travels through this asset or could: its relations or its state changed."""
        for guid, name in self._sources_around(asset):
            self.tasks.add("CLASSIFICATION_REFRESH_PROPAGATION", guid, name, call)

    def _sources_around(self, asset: Asset) -> set[tuple[str, str]]:
        near = [asset, *self.store.parts(asset)]
        for guid in (guid for name in ("inputs", "outputFromProcesses") for guid in asset.relations.get(name, ())):
            near.append(self.store.by_guid[guid])
            near += [self.store.by_guid[each] for each in self.store.by_guid[guid].relations.get("inputs", ())]
        for parent in asset.parents:
            near += self.store.of_name(parent)
        own = {(each.guid, name) for each in near for name, tag in each.direct.items() if tag["propagate"]}
        return own | {(source, name) for each in near for name, source in each.propagated}
