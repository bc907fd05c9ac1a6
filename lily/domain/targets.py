"""What a target is to the domain: one warehouse instance, and what its kind can do in one statement."""

from dataclasses import dataclass, field
from enum import StrEnum

from lily.domain.inventory import TableKind
from lily.domain.rules import Principal


class Mode(StrEnum):
    """What may be done to a target."""

    ENFORCE = "enforce"
    REPORT = "report"  # plans are made and shown, nothing is changed
    PAUSED = "paused"


class Cause(StrEnum):
    """What brings a side effect about: the first of its kind on a table."""

    MASK = "mask"
    ROW_POLICY = "row_policy"


@dataclass(frozen=True)
class SideEffect:
    """What else happens to a table once it is protected; `text` is a sentence for the person who plans it."""

    cause: Cause
    code: str
    text: str
    kinds: frozenset[TableKind] = frozenset(TableKind)


@dataclass(frozen=True)
class Capabilities:
    """What a kind of target can do. Each connector states its own; a limit that is not known for sure is stated low."""

    revision: str  # of the dialect's way of writing bodies; a new one has every body written again
    principal: str  # whom masks can exempt: "role" | "group"
    ignores_case: bool = False  # two names that differ in case only are one
    columns_per_statement: int = 1  # masks attached or detached, or columns tagged, in one ALTER
    tags_per_statement: int = 50
    comment_with_body: bool = False  # changing a body in place writes its comment too
    tags_are_objects: bool = False  # a tag must be created before it can be set
    filters_read_masked_columns: bool = True  # a row policy's argument may be masked
    tells_uses: bool = True  # where an object is attached can be asked of it; else Lily's own memory has to do
    maskable: frozenset[TableKind] = frozenset(TableKind)
    filterable: frozenset[TableKind] = frozenset(TableKind)
    taggable: frozenset[TableKind] = frozenset(TableKind)
    side_effects: tuple[SideEffect, ...] = field(default=())


@dataclass(frozen=True)
class Target:
    """One instance, such as `snowflake-prod`, as this installation of Lily sees it. `salt` names the salt of its hashes."""

    name: str
    installation: str
    salt: str
    can: Capabilities


@dataclass(frozen=True)
class Holders:
    """Who has a principal. `through`: those that hold it, directly or by inheritance, so that they are exempt with it as well."""

    exists: bool
    through: frozenset[Principal] = frozenset()
    users: int = 0  # who hold it directly
