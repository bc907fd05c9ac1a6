"""Statements as they were understood. Paths may lack catalog and schema; the request has them then."""

from dataclasses import dataclass, field

from sandbox.databricks.catalog import Attached, Match, Path
from sandbox.databricks.types import SqlType


@dataclass(frozen=True, slots=True)
class NewColumn:
    name: str
    type: SqlType
    nullable: bool = True
    comment: str = ""
    mask: Attached | None = None


@dataclass(frozen=True, slots=True)
class CreateTable:
    """`kind`: MANAGED, STREAMING_TABLE or MATERIALIZED_VIEW, whose rows are those of its creation."""

    path: Path
    columns: tuple[NewColumn, ...]
    query: str = ""  # CREATE TABLE .. AS
    replace: bool = False
    if_missing: bool = False
    comment: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    checks: tuple[tuple[str, str], ...] = ()
    row_filter: Attached | None = None
    kind: str = "MANAGED"


@dataclass(frozen=True, slots=True)
class CreateView:
    path: Path
    query: str
    replace: bool = False
    if_missing: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CreateSpace:
    """A catalog or a schema."""

    path: Path
    kind: str
    if_missing: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CreateFunction:
    path: Path
    parameters: tuple[tuple[str, SqlType], ...]
    returns: SqlType
    body: str
    replace: bool = False
    if_missing: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """`kind`: CATALOG, SCHEMA, TABLE, VIEW or FUNCTION."""

    path: Path
    kind: str
    if_there: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class SetMask:
    """`mask` None drops it. `kind`: what the statement takes the table for."""

    table: Path
    column: str
    mask: Attached | None
    kind: str = "TABLE"


@dataclass(frozen=True, slots=True)
class SetRowFilter:
    """`row_filter` None drops it. `kind`: as in SetMask."""

    table: Path
    row_filter: Attached | None
    kind: str = "TABLE"


@dataclass(frozen=True, slots=True)
class SetTags:
    """Of a securable, or of a column of a table. `removed`: keys to be unset."""

    kind: str
    path: Path
    column: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddCheck:
    table: Path
    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class DropCheck:
    table: Path
    name: str
    if_there: bool


@dataclass(frozen=True, slots=True)
class AddColumns:
    table: Path
    columns: tuple[NewColumn, ...]


@dataclass(frozen=True, slots=True)
class DropColumn:
    table: Path
    column: str
    if_there: bool


@dataclass(frozen=True, slots=True)
class RenameColumn:
    table: Path
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class RenameTable:
    table: Path
    to: Path


@dataclass(frozen=True, slots=True)
class SetProperties:
    table: Path
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SetOwner:
    kind: str
    path: Path
    owner: str


@dataclass(frozen=True, slots=True)
class CommentOn:
    kind: str
    path: Path
    text: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """`gives` false: REVOKE. Privileges are spelled as in the REST APIs."""

    privileges: tuple[str, ...]
    kind: str
    path: Path
    principal: str
    gives: bool


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    name: str
    on_type: str
    on: Path
    kind: str
    function: Path
    to: tuple[str, ...]
    excepted: tuple[str, ...]
    when: str
    matches: tuple[Match, ...]
    on_column: str
    using: tuple[str, ...]
    comment: str
    replace: bool


@dataclass(frozen=True, slots=True)
class DropPolicy:
    name: str
    on_type: str
    on: Path
    if_there: bool


@dataclass(frozen=True, slots=True)
class ShowPolicies:
    on_type: str
    on: Path
    effective: bool


@dataclass(frozen=True, slots=True)
class SetGovernedTag:
    """`action`: CREATE, ALTER or DROP."""

    action: str
    key: str
    values: tuple[str, ...] = ()
    description: str = ""
    if_so: bool = False  # IF NOT EXISTS, IF EXISTS


@dataclass(frozen=True, slots=True)
class Describe:
    """DESCRIBE TABLE EXTENDED .. AS JSON."""

    table: Path


@dataclass(frozen=True, slots=True)
class Query:
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """INSERT, UPDATE or DELETE."""

    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """BEGIN .. END: one after the other, and what was done stays done."""

    statements: tuple["Statement", ...]
    texts: tuple[str, ...]


Statement = (
    CreateTable | CreateView | CreateSpace | CreateFunction | Drop | SetMask | SetRowFilter | SetTags | AddCheck | DropCheck
    | AddColumns | DropColumn | RenameColumn | RenameTable | SetProperties | SetOwner | CommentOn | Grant | CreatePolicy
    | DropPolicy | ShowPolicies | SetGovernedTag | Describe | Query | Change | Script
)  # fmt: skip
