"""Bodies of functions: what each reader sees, in Databricks SQL, and the mark by which a body is known again.

A mask is a function of V, a row filter one of A0, A1 ... The mark in a body (lily.domain.marks) proves which one is in
force. Every branch is cast to the type of the column, as an argument and a result that differ are cast by the service, and
where that fails silently, to NULL.

NULL-safe: a group that there is not has no members, and what is not known (NULL) leads to stricter branches.
"""

import re
from datetime import date, datetime

from connectors.databricks.quoting import literal
from lily.domain import marks
from lily.domain.branches import Condition, MaskSpec, Reader
from lily.domain.inventory import Family
from lily.domain.marks import Tokens
from lily.domain.masking import MaskType
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Literal, Operator, Principal

REVISION = "databricks-1"
TOKENS = Tokens(
    re.compile(r"\s+|'(?:[^'\\]|\\.)*'|`(?:[^`]|``)*`|[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?|.", re.DOTALL),
    "'`",
)
COMPARED = {
    Operator.EQUAL: "=",
    Operator.NOT_EQUAL: "<>",
    Operator.LESS: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_OR_EQUAL: ">=",
}


def mask(spec: MaskSpec, body: str, salt: str) -> str:
    """The body of a masking function over V. `salt` is the text that its hashes are made with."""
    *earlier, last = spec.branches
    cases = [f"WHEN {_all(branch.conditions)} THEN {_shown(branch.action, spec.type, salt)}" for branch in earlier]
    null = f"CAST(NULL AS {spec.type.signature})"
    return marks.marked(f"THEN {null} {' '.join([*cases, ''])}ELSE {_shown(last.action, spec.type, salt)} END", body, TOKENS)


def rows(spec: RowSpec, body: str) -> str:
    """The body of a function that tells whether a row shows, over A0, A1 ..."""
    conditions = " AND ".join(f"({_condition(one, spec.arguments[one.argument])})" for one in spec.conditions)
    return marks.marked(f"THEN FALSE ELSE {conditions} END", body, TOKENS)


def marked(expression: str, body: str) -> str:
    """Any expression of type STRING as a body."""
    return marks.marked(f"THEN CAST(NULL AS STRING) ELSE {expression} END", body, TOKENS)


def evaluated(text: str, reader: Reader) -> str:
    """A body with each question for a group answered as for `reader`. Raises ValueError if one cannot be read."""
    held = {literal(principal.name) for principal in reader}
    tokens = TOKENS.pattern.findall(text)
    parts: list[str] = []
    at = 0
    while at < len(tokens):
        if tokens[at].lower() != "is_account_group_member":
            parts.append(tokens[at])
            at += 1
            continue
        places = [place for place in range(at + 1, len(tokens)) if not tokens[place].isspace()][:3]
        bracket, name, end = (tokens[place] for place in places)
        if (bracket, name[0], end) != ("(", "'", ")"):
            raise ValueError("a question for a group that is no plain text")
        parts.append("TRUE" if name in held else "FALSE")
        at = places[-1] + 1
    return "".join(parts)


def asks(principal: Principal) -> str:
    """Whether the reader is in a group."""
    return f"is_account_group_member({literal(principal.name)})"


def _all(conditions: tuple[Condition, ...]) -> str:
    return " AND ".join(f"({_any(condition)})" for condition in conditions)


def _any(condition: Condition) -> str:
    return " OR ".join(asks(principal) for principal in sorted(condition))


def _shown(action: Action | None, of: MaskType, salt: str) -> str:
    return "V" if action is None else f"CAST({_masked(action, of, salt)} AS {of.signature})"


def _masked(action: Action, of: MaskType, salt: str) -> str:
    if action.kind is ActionKind.REDACT:
        return f"CASE WHEN V IS NULL THEN NULL ELSE {'0' if of.family is not Family.TEXT else literal(action.text)} END"
    if action.kind is ActionKind.HASH:
        return f"left(sha2(concat({literal(salt)}, V), 256), {of.fit})"
    if action.kind is ActionKind.PARTIAL:
        return _partial(action.keep_first, action.keep_last)
    if action.kind is ActionKind.EMAIL_DOMAIN:
        after = "instr(reverse(V), '@')"  # characters from the last @ to the end, the @ included
        return f"CASE WHEN {after} IN (0, length(V)) THEN '*' ELSE concat('*@', right(V, {after} - 1)) END"
    if action.kind is ActionKind.DATE_TRUNCATE:
        return f"date_trunc('{action.unit.upper()}', V)"
    return "NULL"


def _partial(first: int, last: int) -> str:
    shown = first + last
    kept = [f"left(V, {first})"] if first else []
    end = [f"right(V, {last})"] if last else []
    parts = ", ".join([*kept, f"repeat('*', length(V) - {shown})", *end])
    return f"CASE WHEN length(V) < {2 * shown} THEN repeat('*', length(V)) ELSE concat({parts}) END"


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
        return f"CAST({literal(date.fromisoformat(value).isoformat())} AS {of.signature})"
    if of.family is Family.TIMESTAMP:
        return f"CAST({literal(datetime.fromisoformat(value).isoformat())} AS {of.signature})"
    return literal(value)
