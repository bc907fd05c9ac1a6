"""One step, one statement. Decides nothing: order, ownership and conflicts are the plan's.

What concerns several columns of a table is one statement too, a script (BEGIN ... END) of ALTERs, as an ALTER takes one column;
it has no rollback, so where it stops the next plan goes on. A mask or filter is a function, and its body changes with CREATE OR
REPLACE, comment and all, in one moment for every column that carries it. CREATE alone fails where the name is taken. SET
MASK and SET ROW FILTER replace what is there; nothing is ever dropped to be set again.
Source: docs.databricks.com, CREATE / DROP FUNCTION, ALTER TABLE (SET MASK, SET ROW FILTER, SET TAGS), SQL scripting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from connectors.databricks import bodies
from connectors.databricks.quoting import identifier, literal, path
from lily.domain.inventory import TableKind
from lily.domain.steps import (
    AttachMasks,
    AttachRowPolicy,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    DetachMasks,
    DetachRowPolicy,
    DropMask,
    DropRowPolicy,
    SetTags,
    Step,
    SwapRowPolicy,
    TableRef,
    TagEntry,
    UnsetTags,
)

ALTERED = {
    TableKind.TABLE: "TABLE",
    TableKind.STREAMING_TABLE: "STREAMING TABLE",
    TableKind.MATERIALIZED_VIEW: "MATERIALIZED VIEW",
}
TAGGED = {TableKind.TABLE: "TABLE", TableKind.VIEW: "TABLE"}  # tags of a view's columns go through ALTER TABLE


@dataclass(frozen=True)
class Home:
    """Where Lily's own functions live, and the salt of its hashes."""

    database: str
    schema: str
    salt: str

    def named(self, name: str) -> str:
        return path((self.database, self.schema, name))


def render(step: Step, home: Home) -> str:
    """The statement of a step. Raises ValueError for a name that no object can have, and a step that this target never has."""
    match step:
        case CreateMask() | ChangeMask():
            return _mask(step, home)
        case CreateRowPolicy() | ChangeRowPolicy():
            return _rows(step, home)
        case DropMask() | DropRowPolicy():
            return f"DROP FUNCTION {home.named(step.name)}"
        case AttachMasks():
            return script([f"{_of_column(step.table, one.column)} SET MASK {home.named(one.mask)}" for one in step.attachments])
        case DetachMasks():
            return script([f"{_of_column(step.table, one.column)} DROP MASK" for one in step.detachments])
        case AttachRowPolicy() | SwapRowPolicy():
            columns = ", ".join(map(identifier, step.columns))
            return f"{_of_table(step.table)} SET ROW FILTER {home.named(step.policy)} ON ({columns})"
        case DetachRowPolicy():
            return f"{_of_table(step.table)} DROP ROW FILTER"
        case SetTags() | UnsetTags():
            return script(_tags(step))
        case _:
            raise ValueError(f"{type(step).__name__} is no step here: comments change with bodies, tags are no objects")


def create_function(name: str, arguments: str, returns: str, comment: str, body: str, *, anew: bool) -> str:
    """`anew`: another function may be there, and is replaced."""
    verb = "CREATE OR REPLACE FUNCTION" if anew else "CREATE FUNCTION"
    return f"{verb} {name}({arguments}) RETURNS {returns} COMMENT {literal(comment)} RETURN {body}"


def script(statements: Sequence[str]) -> str:
    """One statement of one or more."""
    return statements[0] if len(statements) == 1 else f"BEGIN {' '.join(f'{one};' for one in statements)} END"


def _mask(step: CreateMask | ChangeMask, home: Home) -> str:
    kind, body = step.spec.type.signature, bodies.mask(step.spec, step.body, home.salt)
    anew = isinstance(step, ChangeMask)
    return create_function(home.named(step.name), f"V {kind}", kind, step.comment, body, anew=anew)


def _rows(step: CreateRowPolicy | ChangeRowPolicy, home: Home) -> str:
    arguments = ", ".join(f"A{place} {one.signature}" for place, one in enumerate(step.spec.arguments))
    anew, body = isinstance(step, ChangeRowPolicy), bodies.rows(step.spec, step.body)
    return create_function(home.named(step.name), arguments, "BOOLEAN", step.comment, body, anew=anew)


def _of_table(table: TableRef) -> str:
    return f"ALTER {ALTERED[table.kind]} {path((table.id.database, table.id.schema, table.id.name))}"


def _of_column(table: TableRef, column: str) -> str:
    return f"{_of_table(table)} ALTER COLUMN {identifier(column)}"


def _tags(step: SetTags | UnsetTags) -> list[str]:
    """One statement for the table itself, or one for each of its columns."""
    names = path((step.table.id.database, step.table.id.schema, step.table.id.name))
    table = f"ALTER {TAGGED[step.table.kind]} {names}"
    made = []
    for column, some in groupby(step.entries, key=lambda entry: entry.column):
        place = table if column is None else f"{table} ALTER COLUMN {identifier(column)}"
        entries = list(some)
        made.append(f"{place} {_set(entries) if isinstance(step, SetTags) else _unset(entries)}")
    return made


def _set(entries: Sequence[TagEntry]) -> str:
    return f"SET TAGS ({', '.join(f'{literal(entry.key)} = {literal(entry.value)}' for entry in entries)})"


def _unset(entries: Sequence[TagEntry]) -> str:
    return f"UNSET TAGS ({', '.join(literal(entry.key) for entry in entries)})"
