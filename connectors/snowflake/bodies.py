"""Bodies of policies: what each reader sees, in Snowflake's SQL, and the mark by which a body is known again.

The mark in a body (lily.domain.marks) proves which one is in force: a comment cannot, as it is a statement of its own.

NULL-safe: where no role is known (a data share) IS_ROLE_IN_SESSION is NULL, which is not true and leads to stricter branches.
"""

import re
from datetime import date, datetime

from connectors.snowflake.quoting import literal
from lily.domain import marks
from lily.domain.branches import Condition, MaskSpec
from lily.domain.inventory import Family
from lily.domain.marks import Tokens
from lily.domain.masking import MaskType
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Literal, Operator

REVISION = "snowflake-3"
TOKENS = Tokens(
    re.compile(
        r"""\s+|'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_$]*|[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?|.""", re.DOTALL
    ),
    "'\"",
)
UNITS = {"year": "YEAR", "quarter": "QUARTER", "month": "MONTH"}
COMPARED = {
    Operator.EQUAL: "=",
    Operator.NOT_EQUAL: "<>",
    Operator.LESS: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_OR_EQUAL: ">=",
}


def mask(spec: MaskSpec, body: str, salt: str) -> str:
    """The body of a masking policy over the argument V. `salt` is the text that its hashes are made with."""
    *earlier, last = spec.branches
    cases = [f"WHEN {_all(branch.conditions)} THEN {_shown(branch.action, spec.type, salt)}" for branch in earlier]
    null = f"CAST(NULL AS {spec.type.signature})"
    return marks.marked(f"THEN {null} {' '.join([*cases, ''])}ELSE {_shown(last.action, spec.type, salt)} END", body, TOKENS)


def rows(spec: RowSpec, body: str) -> str:
    """The body of a row access policy over the arguments A0, A1 ..."""
    conditions = " AND ".join(f"({_condition(one, spec.arguments[one.argument])})" for one in spec.conditions)
    return marks.marked(f"THEN FALSE ELSE {conditions} END", body, TOKENS)


def _all(conditions: tuple[Condition, ...]) -> str:
    return " AND ".join(f"({_any(condition)})" for condition in conditions)


def _any(condition: Condition) -> str:
    return " OR ".join(f"IS_ROLE_IN_SESSION({literal(principal.name)})" for principal in sorted(condition))


def _shown(action: Action | None, of: MaskType, salt: str) -> str:
    if action is None:
        return "V"
    if action.kind is ActionKind.REDACT:
        return f"CASE WHEN V IS NULL THEN V ELSE {'0' if of.family is not Family.TEXT else literal(action.text)} END"
    if action.kind is ActionKind.HASH:
        return f"LEFT(SHA2(CONCAT({literal(salt)}, V), 256), {of.fit})"
    if action.kind is ActionKind.PARTIAL:
        return _partial(action.keep_first, action.keep_last)
    if action.kind is ActionKind.EMAIL_DOMAIN:
        after = "POSITION('@', REVERSE(V))"  # characters from the last @ to the end, the @ included
        return f"CASE WHEN {after} IN (0, LENGTH(V)) THEN '*' ELSE CONCAT('*@', RIGHT(V, {after} - 1)) END"
    if action.kind is ActionKind.DATE_TRUNCATE:
        return f"CAST(DATE_TRUNC('{UNITS[action.unit]}', V) AS {of.signature})"
    return f"CAST(NULL AS {of.signature})"


def _partial(first: int, last: int) -> str:
    shown = first + last
    kept = [f"LEFT(V, {first})"] if first else []
    end = [f"RIGHT(V, {last})"] if last else []
    parts = ", ".join([*kept, f"REPEAT('*', LENGTH(V) - {shown})", *end])
    return f"CASE WHEN LENGTH(V) < {2 * shown} THEN REPEAT('*', LENGTH(V)) ELSE CONCAT({parts}) END"


def _condition(one: RowCondition, of: Argument) -> str:
    compared = _compared(one, of)
    return f"{_any(one.exempt)} OR {compared}" if one.exempt else compared


def _compared(one: RowCondition, of: Argument) -> str:
    name, values = f"A{one.argument}", [value_text(value, of) for value in one.values]
    if one.operator is Operator.IS_NULL:
        return f"{name} IS NULL"
    if one.operator is Operator.IS_NOT_NULL:
        return f"{name} IS NOT NULL"
    if one.operator in {Operator.IN, Operator.NOT_IN}:
        return f"{name} {'NOT IN' if one.operator is Operator.NOT_IN else 'IN'} ({', '.join(values)})"
    return f"{name} {COMPARED[one.operator]} {values[0]}"


def value_text(value: Literal, of: Argument) -> str:
    """A value that is compared with a column of a type."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    if of.family is Family.DATE:
        return f"TO_DATE('{date.fromisoformat(value).isoformat()}', 'YYYY-MM-DD')"
    return _moment(datetime.fromisoformat(value)) if of.family is Family.TIMESTAMP else literal(value)


def _moment(at: datetime) -> str:
    """With its format: without one, a reader's own DATE_INPUT_FORMAT and TIMESTAMP_INPUT_FORMAT would say what it means."""
    text, form = at.replace(tzinfo=None).isoformat(" ", "microseconds"), "YYYY-MM-DD HH24:MI:SS.FF6"
    if at.tzinfo is None:
        return f"TO_TIMESTAMP_NTZ('{text}', '{form}')"
    return f"TO_TIMESTAMP_TZ('{text} {at:%z}', '{form} TZHTZM')"
