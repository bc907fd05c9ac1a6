"""What Lily reads from and writes to a catalog, in words that fit any: assets with their tags and badges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from lily.domain.assets import Asset, Found

ECHO = "catalog_echo"  # the type of an event by which Lily's own write comes back: nothing follows from it


class Priority(IntEnum):
    """Who gets the next call where a catalog allows few of them: the lowest number."""

    BADGE = 0  # and to find the asset that it goes to
    READ_BACK = 1  # the tags of an asset after an event
    DOWNSTREAM = 2  # lineage, and what follows from it
    BACKFILL = 3


@dataclass(frozen=True)
class Announcement:
    """The banner of an asset, of which there is one; whoever writes last wins. `message` may be empty."""

    type: str  # "issue", "warning", "information"
    title: str
    message: str = ""


@dataclass(frozen=True, order=True)
class Attached:
    """One attachment of a tag: an asset has the tag until its last attachment is gone."""

    tag: str  # the tag's lasting id; names can change
    source: str = ""  # guid of the asset that it was put on, another one if it came by propagation

    def is_propagated(self, asset: Asset) -> bool:
        return bool(self.source) and self.source != asset.guid


@dataclass(frozen=True)
class AssetState:
    """An asset as the catalog's store shows it, which is newer than its search. `is_active`: neither archived nor purged."""

    found: Found
    is_active: bool
    announcement: Announcement | None = None
    attached: frozenset[Attached] = frozenset()
    updated_at: datetime | None = None  # the catalog's time

    @property
    def asset(self) -> Asset:
        return self.found.asset

    @property
    def tags(self) -> frozenset[str]:
        """The ids of all its tags, put on it or come by propagation."""
        return frozenset(one.tag for one in self.attached)


@dataclass(frozen=True)
class Quality:
    """What Lily tells of an asset in fields of its own, for people to search and filter by."""

    open_incidents: int
    worst_severity: str | None = None
    links: tuple[str, ...] = ()
    upstream_incidents: int = 0
    as_of: datetime | None = None


@dataclass(frozen=True)
class AssetWrite:
    """What is to be seen on one asset. None leaves what is there; `clear` takes the announcement away."""

    asset: Asset
    announcement: Announcement | None = None
    clear: bool = False
    quality: Quality | None = None


@dataclass(frozen=True)
class IncidentAsset:
    """An incident as an asset of its own beside `tables`. Words are Lily's; the catalog's connector knows the vendor's."""

    id: str
    status: str  # one of incidents.STATUSES
    title: str = ""
    url: str = ""
    type: str = "unknown"
    sub_types: tuple[str, ...] = ()
    severity: str | None = None
    priority: str | None = None
    warehouse: str = ""
    tables: tuple[Asset, ...] = ()


@dataclass(frozen=True)
class Downstream:
    """An asset that is made from another, `depth` steps away."""

    asset: Asset
    depth: int


@dataclass(frozen=True)
class TaggedPage:
    """Some tagged assets, and where to go on: None at the end. `about` is the catalog's estimate of how many there are in all."""

    states: tuple[AssetState, ...]
    next: str | None
    about: int


@dataclass(frozen=True)
class Hint:
    """What a catalog's event says has happened to an asset: a reason to read it, for events come late, twice, or never.

    `added` and `removed` are attachments; `lost`: archived or purged, which takes no protection away. `is_echo`: Lily's own
    write comes back; never said of tags, which Lily does not write. `qualified_name` or `guid` may be empty, but never both.
    """

    operation: str  # created, updated, lost, tags_added, tags_removed, tags_changed, metadata_changed, unknown
    qualified_name: str = ""
    guid: str = ""
    type: str = ""
    connection: str = ""
    added: frozenset[Attached] = frozenset()
    removed: frozenset[Attached] = frozenset()
    stated: frozenset[Attached] | None = None  # the whole set after the change, as the sender saw it
    at: datetime | None = None  # the catalog's time of the change
    is_echo: bool = False
    lost: str = ""  # "archived", "purged"
    changed: Mapping[str, object] = field(default_factory=dict)  # attributes that an update names
    found: Found | None = None  # the parts of its name, as far as the event tells them
