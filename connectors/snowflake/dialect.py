"""One step, one statement. Decides nothing: order, ownership and conflicts are the plan's.

Source: docs.snowflake.com, CREATE / ALTER / DROP MASKING POLICY, ROW ACCESS POLICY and TAG, ALTER TABLE. Nothing is made or
changed with IF EXISTS, IF NOT EXISTS or OR REPLACE: each of them would turn what went wrong into success.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from connectors.snowflake import bodies
from connectors.snowflake.quoting import identifier, literal, path
from lily.domain.inventory import TableKind
from lily.domain.steps import (
    AttachMasks,
    Attachment,
    AttachRowPolicy,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    CreateTag,
    DetachMasks,
    DetachRowPolicy,
    DropMask,
    DropRowPolicy,
    DropTag,
    NoteMask,
    NoteRowPolicy,
    SetTags,
    Step,
    SwapRowPolicy,
    TableRef,
    TagEntry,
    UnsetTags,
)

ALTERED = {TableKind.TABLE: "TABLE", TableKind.VIEW: "VIEW"}


@dataclass(frozen=True)
class Home:
    """Where Lily's own objects live, and the salt of its hashes."""

    database: str
    schema: str
    salt: str

    def named(self, name: str) -> str:
        return path((self.database, self.schema, name))


def render(step: Step, home: Home) -> str:
    """The statement of a step. Raises ValueError for a name that no object can have."""
    match step:
        case CreateMask() | ChangeMask() | NoteMask() | DropMask():
            return _about_mask(step, home)
        case CreateRowPolicy() | ChangeRowPolicy() | NoteRowPolicy() | DropRowPolicy():
            return _about_rows(step, home)
        case CreateTag():
            return f"CREATE TAG {home.named(step.key)} COMMENT = {literal(step.comment)}"
        case DropTag():
            return f"DROP TAG {home.named(step.key)}"
        case _:
            return f"ALTER {_altered(step.table)} {_change(step, home)}"


def _about_mask(step: CreateMask | ChangeMask | NoteMask | DropMask, home: Home) -> str:
    name = home.named(step.name)
    match step:
        case CreateMask():
            kind, body = step.spec.type.signature, bodies.mask(step.spec, step.body, home.salt)
            return (
                f"CREATE MASKING POLICY {name} AS (V {kind}) RETURNS {kind} -> {body} "
                f"COMMENT = {literal(step.comment)} EXEMPT_OTHER_POLICIES = TRUE"
            )
        case ChangeMask():
            return f"ALTER MASKING POLICY {name} SET BODY -> {bodies.mask(step.spec, step.body, home.salt)}"
        case NoteMask():
            return f"ALTER MASKING POLICY {name} SET COMMENT = {literal(step.comment)}"
        case DropMask():
            return f"DROP MASKING POLICY {name}"


def _about_rows(step: CreateRowPolicy | ChangeRowPolicy | NoteRowPolicy | DropRowPolicy, home: Home) -> str:
    name = home.named(step.name)
    match step:
        case CreateRowPolicy():
            arguments = ", ".join(f"A{place} {one.signature}" for place, one in enumerate(step.spec.arguments))
            body = bodies.rows(step.spec, step.body)
            return f"CREATE ROW ACCESS POLICY {name} AS ({arguments}) RETURNS BOOLEAN -> {body} COMMENT = {literal(step.comment)}"
        case ChangeRowPolicy():
            return f"ALTER ROW ACCESS POLICY {name} SET BODY -> {bodies.rows(step.spec, step.body)}"
        case NoteRowPolicy():
            return f"ALTER ROW ACCESS POLICY {name} SET COMMENT = {literal(step.comment)}"
        case DropRowPolicy():
            return f"DROP ROW ACCESS POLICY {name}"


def _altered(table: TableRef) -> str:
    return f"{ALTERED[table.kind]} {path((table.id.database, table.id.schema, table.id.name))}"


def _change(step: Step, home: Home) -> str:
    match step:
        case AttachMasks():
            return f"MODIFY {', '.join(_attached(one, home) for one in step.attachments)}"
        case DetachMasks():
            return f"MODIFY {', '.join(f'COLUMN {identifier(one.column)} UNSET MASKING POLICY' for one in step.detachments)}"
        case AttachRowPolicy():
            return f"ADD ROW ACCESS POLICY {home.named(step.policy)} ON {_columns(step.columns)}"
        case SwapRowPolicy():
            added = f"ADD ROW ACCESS POLICY {home.named(step.policy)} ON {_columns(step.columns)}"
            return f"DROP ROW ACCESS POLICY {home.named(step.replaces)}, {added}"
        case DetachRowPolicy():
            return f"DROP ROW ACCESS POLICY {home.named(step.policy)}"
        case SetTags():
            return _tags("SET", step.entries, home)
        case UnsetTags():
            return _tags("UNSET", step.entries, home)
        case _:
            raise AssertionError(step)


def _attached(one: Attachment, home: Home) -> str:
    force = " FORCE" if one.replaces is not None else ""
    return f"COLUMN {identifier(one.column)} SET MASKING POLICY {home.named(one.mask)}{force}"


def _columns(columns: Sequence[str]) -> str:
    return f"({', '.join(map(identifier, columns))})"


def _tags(verb: str, entries: Sequence[TagEntry], home: Home) -> str:
    """All of the table itself, or column by column."""
    parts = []
    for column, some in groupby(entries, key=lambda entry: entry.column):
        told = ", ".join(
            f"{home.named(entry.key)} = {literal(entry.value)}" if verb == "SET" else home.named(entry.key) for entry in some
        )
        parts.append(f"{'' if column is None else f'COLUMN {identifier(column)} '}{verb} TAG {told}")
    return f"{'' if entries[0].column is None else 'MODIFY '}{', '.join(parts)}"
