"""The statements that are understood, as plain values. A `path` is one to three exact names."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.snowflake.lexer import Token
from sandbox.snowflake.types import SqlType

Path = tuple[str, ...]
TagValues = tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class Creation:
    """What every CREATE may say beside the name."""

    path: Path
    replace: bool = False
    if_not_exists: bool = False
    or_alter: bool = False


# Policies and tags


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    kind: str  # MASKING or ROW_ACCESS
    creation: Creation
    signature: tuple[tuple[str, SqlType], ...]
    returns: SqlType
    body: str
    comment: str | None = None
    exempt_other_policies: bool = False


@dataclass(frozen=True, slots=True)
class AlterPolicy:
    """One of `body`, `comment`, `rename` is given. An UNSET COMMENT is an empty one."""

    kind: str
    path: Path
    if_exists: bool
    body: str | None = None
    comment: str | None = None
    rename: Path | None = None


@dataclass(frozen=True, slots=True)
class CreateTag:
    creation: Creation
    allowed_values: tuple[str, ...] | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AlterTag:
    """One kind of change: masks to set or unset, values to allow or not any more, comment, name."""

    path: Path
    if_exists: bool
    set_masks: tuple[Path, ...] = ()
    force: bool = False
    unset_masks: tuple[Path, ...] = ()
    add_values: tuple[str, ...] = ()
    drop_values: tuple[str, ...] = ()
    unset_values: bool = False
    comment: str | None = None
    rename: Path | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """`kind` is TABLE, VIEW, SCHEMA, DATABASE, ROLE, USER, WAREHOUSE, TAG, MASKING POLICY or ROW ACCESS POLICY."""

    kind: str
    path: Path
    if_exists: bool


# Tables


@dataclass(frozen=True, slots=True)
class MaskDefinition:
    policy: Path
    using: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    name: str
    type: SqlType
    nullable: bool = True
    default: tuple[Token, ...] = ()
    comment: str = ""
    mask: MaskDefinition | None = None
    tags: TagValues = ()


@dataclass(frozen=True, slots=True)
class RowPolicyDefinition:
    policy: Path
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateTable:
    """One of `columns`, `query`, `like`, `clone` says what is in it; columns may come with a query."""

    creation: Creation
    columns: tuple[ColumnDefinition, ...] = ()
    query: tuple[Token, ...] = ()
    like: Path | None = None
    clone: Path | None = None
    comment: str = ""
    row_policy: RowPolicyDefinition | None = None
    tags: TagValues = ()
    copy_grants: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    creation: Creation
    columns: tuple[tuple[str, MaskDefinition | None], ...]
    query: tuple[Token, ...]
    query_text: str
    comment: str = ""
    row_policy: RowPolicyDefinition | None = None
    copy_grants: bool = False


@dataclass(frozen=True, slots=True)
class SetMask:
    column: str
    mask: MaskDefinition


@dataclass(frozen=True, slots=True)
class UnsetMask:
    column: str


@dataclass(frozen=True, slots=True)
class SetTags:
    """On a column, or on the table itself."""

    column: str | None
    values: TagValues


@dataclass(frozen=True, slots=True)
class UnsetTags:
    column: str | None
    tags: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class AddRowPolicy:
    policy: RowPolicyDefinition


@dataclass(frozen=True, slots=True)
class DropRowPolicy:
    """None: whichever there are."""

    policy: Path | None


@dataclass(frozen=True, slots=True)
class AddColumns:
    columns: tuple[ColumnDefinition, ...]
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropColumns:
    names: tuple[str, ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameColumn:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """A column's type, whether it may be null, or its comment."""

    column: str
    type: SqlType | None = None
    nullable: bool | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RenameTable:
    path: Path


@dataclass(frozen=True, slots=True)
class CommentTable:
    comment: str


Action = (
    SetMask | UnsetMask | SetTags | UnsetTags | AddRowPolicy | DropRowPolicy | AddColumns | DropColumns
    | RenameColumn | ChangeColumn | RenameTable | CommentTable
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlterTable:
    kind: str  # TABLE or VIEW
    path: Path
    if_exists: bool
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class TruncateTable:
    path: Path
    if_exists: bool


# Access


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """A DATABASE, SCHEMA, WAREHOUSE, ROLE or USER."""

    kind: str
    creation: Creation
    properties: dict[str, str] = field(default_factory=dict)
    tags: TagValues = ()


@dataclass(frozen=True, slots=True)
class AlterContainer:
    """`set` and `unset` properties or parameters; SUSPEND and RESUME of a warehouse are the property STATE."""

    kind: str  # also SESSION and ACCOUNT, whose path is empty
    path: Path
    if_exists: bool = False
    set: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    rename: Path | None = None
    set_tags: TagValues = ()
    unset_tags: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """`kind` None: on the account. `plural` (ALL TABLES IN ...): on what is there now; `path` is then the schema or database."""

    revoke: bool
    privileges: tuple[str, ...]
    kind: str | None
    path: Path
    role: str
    plural_in: str | None = None  # SCHEMA or DATABASE


@dataclass(frozen=True, slots=True)
class GrantRole:
    revoke: bool
    role: str
    to_kind: str  # ROLE or USER
    to: str


@dataclass(frozen=True, slots=True)
class GrantOwnership:
    kind: str
    path: Path
    role: str
    copy_grants: bool


@dataclass(frozen=True, slots=True)
class Use:
    kind: str  # ROLE, WAREHOUSE, DATABASE, SCHEMA or SECONDARY ROLES
    path: Path


# Reading and writing rows


@dataclass(frozen=True, slots=True)
class Select:
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """`arguments`: a text, or a list of texts, by the names of the vendor."""

    arguments: dict[str, str | tuple[str, ...]]
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class ChangeRows:
    """An INSERT, UPDATE or DELETE."""

    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Show:
    """`kind` in the plural (`MASKING POLICIES`), or GRANTS TO ROLE and the like. `within` is ACCOUNT, SCHEMA and so on."""

    kind: str
    like: str | None = None
    starts_with: str | None = None
    within: str | None = None
    path: Path = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Describe:
    kind: str  # as in Drop
    path: Path


@dataclass(frozen=True, slots=True)
class Nothing:
    """BEGIN, COMMIT, ROLLBACK: every statement commits by itself here."""


Statement = (
    CreatePolicy | AlterPolicy | CreateTag | AlterTag | Drop | CreateTable | CreateView | AlterTable | TruncateTable
    | CreateContainer | AlterContainer | Grant | GrantRole | GrantOwnership | Use | Select | PolicyContext | ChangeRows | Show
    | Describe | Nothing
)  # fmt: skip


def text_of(tokens: Sequence[Token], source: str) -> str:
    """The spelling of these tokens in `source`, from the first to the last."""
    return source[tokens[0].start : tokens[-1].start + len(tokens[-1].text)] if tokens else ""
