"""What Lily expects of an outside system: the promises that every source keeps, whatever its vendor."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lily.domain.actual import Actual
from lily.domain.alerts import AlertDetails
from lily.domain.assets import Asset, ConnectionMap, Found, TableRef, Unresolved
from lily.domain.catalog import AssetState, AssetWrite, Downstream, Hint, IncidentAsset, Priority, TaggedPage
from lily.domain.incidents import Change
from lily.domain.inventory import Table, TableId
from lily.domain.proofs import Behaviour, Expected, ExpectedObject, Observed, Seen
from lily.domain.rules import Principal
from lily.domain.steps import Step, TagEntry
from lily.domain.targets import Capabilities, Holders
from lily.runtime.errors import Permanent, Transient


class SignatureRejected(Exception):
    """The delivery does not prove that it is from its source. The reason is for the log, not for the sender."""


class BodyRejected(Exception):
    """The body is not what this source documents. `field` is a path such as `payload` or `account.id`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Source(Protocol):
    """A system that sends deliveries. No method but `fetch_details` talks to anyone."""

    signature_header: str  # lower case; its shape can be judged before the body is read
    documentation: str  # one Markdown paragraph for the API's page: how this source signs, what it sends

    def check_shape(self, body: Mapping[str, Any]) -> None:
        """The documented types of known fields. Unknown fields are fine. Raises BodyRejected."""

    def is_greeting(self, raw: bytes) -> bool:
        """Whether this is exactly the test that the vendor sends without any proof: answered with 204, and not stored."""

    def is_signature_shaped(self, signature: str | None) -> bool:
        """Whether the header could be a signature at all: cheap, before any hashing."""

    def verify(self, body: Mapping[str, Any], signature: str | None, secrets: Sequence[str]) -> None:
        """Prove the sender, in constant time for each secret. Raises SignatureRejected."""

    def account(self, body: Mapping[str, Any]) -> str:
        """The vendor's account that the delivery speaks for; empty if it names none."""

    def incident(self, body: Mapping[str, Any]) -> str | None:
        """The incident that the delivery is about, as far as it can be told at a glance; decides the lane."""

    def normalise(self, body: Mapping[str, Any]) -> Change:
        """The delivery in Lily's words. An unknown variant becomes type `unknown`, never an error."""

    def warm(self, instance: str) -> None:
        """Load what `fetch_details` needs, so that the first batch of a worker does not wait for it. Connects to nothing."""

    def fetch_details(self, instance: str, alert_ids: Sequence[str]) -> dict[str, AlertDetails]:
        """Details by alert id, one call for the whole batch; alerts unknown to the source are left out.

        `instance` names the settings (LILY_SOURCE_<NAME>_*). Raises Transient (slow, away, over budget) and Permanent (refused).
        """


class Refused(Permanent):
    """A target will not do a statement, however often it is asked. `code` says what may follow.

    - gone: something that the statement names is not there, or may not be seen
    - exists: an object of that name is there already
    - taken: the column or table carries a policy already
    - in_use: the object cannot go or change while something carries it
    - denied: a privilege is missing; the reason names the GRANT
    - unsupported: this warehouse, its edition or this kind of table does not do it
    - statement: the statement itself is wrong, a bug of Lily's
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Done:
    """What was executed: the statement as it was sent, and the target's id for it."""

    statement: str
    query_id: str


@dataclass(frozen=True)
class Readiness:
    """What a target can do for Lily now. `proves`: it was seen to tell readers apart in a known case, so proofs mean something.

    `why_not` says why it does not; `remarks` are for people (a setting that weakens protection, a privilege to spare).
    """

    proves: bool
    why_not: str = ""
    remarks: tuple[str, ...] = ()


class Target(Protocol):
    """A warehouse. Methods but `capabilities` and `render` talk to it; all raise Transient and Permanent (Refused), nothing else.

    `instance` names the settings (LILY_TARGET_<NAME>_*). Safe from several threads at once; every statement has the deadline
    `statement_timeout_s`, no call is tried twice inside, and whatever failed for sure or perhaps is Transient or Refused.
    """

    def capabilities(self, instance: str) -> Capabilities:
        """What this instance can do, by its settings. Connects to nothing and imports no client."""

    def render(self, instance: str, step: Step) -> str:
        """Exactly one statement. Pure."""

    def check(self, instance: str) -> Readiness:
        """Log in, look at what Lily needs, and try the known case. Costly: once per process, and again after a failure."""

    def tables(self, instance: str) -> Iterator[Sequence[Table]]:
        """All tables of the governed databases with their columns, in pages; without Lily's own."""

    def holders(self, instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
        """Who has each of these."""

    def read(self, instance: str, tables: Collection[TableId]) -> Actual:
        """The tables with their types and all that protects them, now, and every object and tag in Lily's schema.

        Of objects only name, kind, owner and comment: `body` and `uses` are None until `closer`. Tables that are not there, or
        not to be seen, are left out.
        """

    def closer(self, instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
        """The same, with the bodies of the objects with these names (those that are there), and of those in `used` their uses.

        A target that cannot always tell (`tells_uses`) leaves None what it cannot. A canary is no use.
        """

    def execute(self, instance: str, step: Step) -> Done:
        """Render and run one step. Takes away a canary of its own before the object it stands for is dropped."""

    def prove(self, instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
        """What each object shows to each kind of reader, tried on a canary: synthetic values in Lily's own schema.

        Objects need not be attached to anything else yet. What cannot be tried is Seen(None, why=...). No value is returned.
        """

    def observe(self, instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
        """What the real tables carry, read back after all was done, and the bodies of `objects` in force; without behaviours."""

    def tags(self, instance: str, tables: Collection[TableId]) -> Mapping[TableId, frozenset[TagEntry]]:
        """Lily's own tags on these tables and their columns, now; tables that are gone are left out."""

    def close(self, instance: str) -> None:
        """End the sessions of this process."""


@dataclass(frozen=True)
class Grant:
    """A privilege that Lily needs in a target: the statement that gives it, and what for. `optional`: most works without it."""

    sql: str
    why: str
    optional: bool = False


@dataclass(frozen=True)
class Checked:
    """Whether a grant is held; None: it could not be told, and `remark` says why."""

    grant: Grant
    held: bool | None
    remark: str = ""


class Grants(Protocol):
    """The least that Lily may do in a target, for its administrator. The module `grants` of a target's folder."""

    def statements(self, instance: str) -> Sequence[Grant]:
        """What the configured scope of an instance needs, in the order to run it. Pure; connects to nothing."""

    def check(self, instance: str) -> Sequence[Checked]:
        """Each of them compared with what the account has. Talks to it. Raises Transient and Permanent."""


class Catalog(Protocol):
    """Where people look at tables. Methods but `hints` talk to it, within one deadline, and draw on a budget that all share.

    `instance` names the settings (LILY_CATALOG_<NAME>_*). Safe from several threads at once. All raise Transient (slow, away,
    over budget, index behind) and Permanent (refused), nothing else. Everything is safe to repeat.
    """

    def hints(self, body: Mapping[str, Any]) -> Sequence[Hint]:
        """What a delivery of this catalog's source says has happened to which asset. Pure; anything unknown is no hint."""

    def warm(self, instance: str) -> None:
        """Load what the first call needs, so that it does not wait for it. Connects to nothing."""

    def busy_s(self, instance: str, calls: int) -> float:
        """Seconds until the budget has room for so many calls of the highest priority, 0.0 if it has now. Talks to no catalog.

        Who waits before work is gathered, not while it is done, takes along what comes meanwhile.
        """

    def connections(self, instance: str) -> list[Found]:
        """All connections of warehouses that the token may see; `asset.name` is what people call each."""

    def resolve(
        self,
        instance: str,
        tables: Collection[TableRef],
        connections: ConnectionMap,
        *,
        priority: Priority = Priority.BADGE,
        timeout_s: float | None = None,
    ) -> dict[TableRef, Asset | Unresolved]:
        """The asset that each table is, or why it is none: one or two searches for a batch of up to a hundred.

        From the search index, which may be some seconds behind. Nothing is kept: caching is the caller's.
        """

    def read_many(
        self, instance: str, assets: Collection[Asset], *, priority: Priority, timeout_s: float | None = None
    ) -> dict[str, AssetState]:
        """By qualified name what the store, not the index, holds of each now, all its attached tags included.

        Archived assets are there, with `is_active` False; purged ones and those the token may not see are left out. Of an
        asset only `qualified_name` and `type` have to be right, so one may be made from a Hint.
        """

    def read_guid(self, instance: str, guid: str, *, priority: Priority) -> AssetState | None:
        """The same for one asset of which nothing but the guid is known; None if it is not there."""

    def write_many(
        self,
        instance: str,
        writes: Sequence[AssetWrite],
        incidents: Sequence[IncidentAsset] = (),
        *,
        priority: Priority = Priority.BADGE,
    ) -> dict[str, Transient | Permanent]:
        """Write all in as few requests as they fit in; raises nothing. What failed, by qualified name of the asset.

        An asset that is refused does not keep the others from being written. An incident is updated where the vendor's own
        connector made an asset of it, else made under the configured connection, else left out; a failure of one is logged
        and asked again with the next write. Of two writes to one asset the last counts.
        """

    def downstream(self, instance: str, asset: Asset, depth: int, *, most: int = 200) -> list[Downstream]:
        """Active tables and views made from `asset`, nearest first, `most` at the most. Kept for hours: the scarcest call."""

    def tagged(
        self, instance: str, connection: str, tags: Collection[str], after: str | None, *, prefix: str = "", size: int = 300
    ) -> TaggedPage:
        """A page of the columns and tables of a connection that have one of `tags` (ids), attached or propagated.

        `prefix` is the beginning of their qualified names, if not the connection's. From the index: what it shows is a hint.
        `after` is the `next` of the page before.
        """

    def tag_names(self, instance: str, ids: Collection[str]) -> dict[str, str]:
        """The present names of tags by id; unknown ones are left out, and looked for again some seconds later."""

    def tags(self, instance: str) -> dict[str, str]:
        """The names of all tags by id, as of some minutes ago."""

    def tag_ids(self, instance: str, names: Collection[str]) -> dict[str, str]:
        """The ids of tags by name, whatever its case; unknown ones are left out, and looked for again some seconds later."""
