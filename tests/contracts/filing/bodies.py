"""Masks and row filters as SQLite expressions, which is what filing's screens and sieves are made of.

At the end of each stands a mark: which body it is, and a digest of the text, so that an edit shows whatever the comment says.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping

from lily.domain.branches import Branch, MaskSpec
from lily.domain.inventory import Family
from lily.domain.masking import MaskType
from lily.domain.rows import RowCondition, RowSpec
from lily.domain.rules import NULL_TESTS, Action, ActionKind, Operator, Principal
from tests.contracts.filing.quoting import literal

REVISION = "1"
QUARTER = "(CAST(substr(value, 6, 2) AS INTEGER) + 2) / 3 * 3 - 2"
BEGINNINGS = {
    "year": "substr(value, 1, 4) || '-01-01'",
    "quarter": f"substr(value, 1, 4) || '-' || substr('0' || ({QUARTER}), -2) || '-01'",
    "month": "substr(value, 1, 7) || '-01'",
}


def mask(spec: MaskSpec, salt: str) -> str:
    """An expression over `value`."""
    *earlier, last = spec.branches
    cases = " ".join(f"WHEN {_admitted(branch)} THEN {_shown(branch.action, spec.type, salt)}" for branch in earlier)
    strictest = _shown(last.action, spec.type, salt)
    return f"CASE WHEN value IS NULL THEN NULL {cases} ELSE {strictest} END"


def rows(spec: RowSpec) -> str:
    """An expression over `a0`, `a1` ..., never NULL."""
    return " AND ".join(f"({_exempt(one.exempt)} OR {_true(one)})" for one in spec.conditions)


def marked(text: str, body: str) -> str:
    """`body` is a step's."""
    return f"{text} /* {body} {_digest(text)} */"


def read_mark(text: str) -> str | None:
    """The body that `marked` wrote; None if anything in the text was changed since."""
    match = re.fullmatch(r"(.*) /\* (\S+) (\S+) \*/", text, re.DOTALL)
    return match[2] if match and match[3] == _digest(match[1]) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _admitted(branch: Branch) -> str:
    return " AND ".join(f"({_exempt(condition)})" for condition in branch.conditions)


def _exempt(principals: Collection[Principal]) -> str:
    return " OR ".join(f"holds({literal(principal.name)})" for principal in sorted(principals)) or "0"


def _shown(action: Action | None, of: MaskType, salt: str) -> str:
    return "value" if action is None else SHOWN[action.kind](action, of, salt)


def _redacted(action: Action, of: MaskType, salt: str) -> str:
    return literal(action.text) if of.family is Family.TEXT else "0" if of.family is Family.INTEGER else "0.0"


def _hashed(action: Action, of: MaskType, salt: str) -> str:
    return f"substr(sha256_hex({literal(salt)} || value), 1, {of.fit})"


def _partial(action: Action, of: MaskType, salt: str) -> str:
    first, last = action.keep_first, action.keep_last
    ends = (
        f"substr(value, 1, {first}) || repeated('*', length(value) - {first + last}) || substr(value, length(value) - {last - 1})"
    )
    return f"CASE WHEN length(value) < {2 * (first + last)} THEN repeated('*', length(value)) ELSE {ends} END"


def _email_domain(action: Action, of: MaskType, salt: str) -> str:
    at = "last_place(value, '@')"
    return f"CASE WHEN {at} > 1 THEN '*@' || substr(value, {at} + 1) ELSE '*' END"


SHOWN: Mapping[ActionKind, Callable[[Action, MaskType, str], str]] = {
    ActionKind.NULLIFY: lambda *_: "NULL",
    ActionKind.REDACT: _redacted,
    ActionKind.HASH: _hashed,
    ActionKind.PARTIAL: _partial,
    ActionKind.EMAIL_DOMAIN: _email_domain,
    ActionKind.DATE_TRUNCATE: lambda action, *_: BEGINNINGS[action.unit],
}


def _true(one: RowCondition) -> str:
    argument = f"a{one.argument}"
    if one.operator in NULL_TESTS:
        return f"{argument} IS NULL" if one.operator is Operator.IS_NULL else f"{argument} IS NOT NULL"
    values = [literal(value) for value in one.values]
    if one.operator in {Operator.IN, Operator.NOT_IN}:
        compared = f"{'NOT ' if one.operator is Operator.NOT_IN else ''}IN ({', '.join(values)})"
    else:
        compared = f"{one.operator.value} {values[0]}"
    return f"coalesce({argument} {compared}, 0)"
