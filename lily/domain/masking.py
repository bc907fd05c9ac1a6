"""Which action fits which data type, what it falls back to, and exactly what a reader then sees.

What each action shows, for every target alike (NULL always stays NULL; `n` is the fit of the mask's type, see MaskType):

- nullify: NULL, for every type.
- redact: of text the first n characters of the rule's text; 0 of integer, decimal and float.
- hash: of text the first n of 64 hex digits, where n is 16 or more (see below).
- partial: of text the kept ends, with a `*` for each character between. Never more than half is shown: a value of fewer than
  2 x (first + last) characters is all `*`.
- email_domain: of text `*@` and what follows its last `@`; `*` where there is none, or no character before it.
- date_truncate: of date and timestamp the beginning of the unit, in the column's own type. An instant is cut in the zone in
  which it is shown.
- Every other pair of action and type falls back.

Falling back means nullify: never a weaker mask than the one that was asked for. A type of family `other` cannot be masked at
all; such a column is reported and never counts as enforced. Every result fits the column: text never grows longer than the
column allows, 0 fits every precision.

hash: lower-case hex of SHA-256 over the bytes of the salt's text followed by the UTF-8 bytes of the value: no separator, no
trimming, no Unicode normalisation, no case folding. The salt's text is ASCII, and as all salts of one deployment are of one
length no two (salt, value) pairs share their bytes. Only text is hashed: other types have no one byte form in all warehouses.
Characters are Unicode code points.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lily.domain.inventory import DataType, Family, Zone
from lily.domain.rules import Action, ActionKind

FITS = (64, 32, 16, 8, 4, 1)  # a mask for columns of at least so many characters; a hash has 64, no action needs more
HASH_FIT_MIN = 16  # 64 bits: among a million values a collision has a chance of 1 in 40 million; shorter would join strangers
NUMBERS = frozenset({Family.INTEGER, Family.DECIMAL, Family.FLOAT})
DATED = frozenset({Family.DATE, Family.TIMESTAMP})
RANKS: Mapping[ActionKind, int] = {
    ActionKind.NULLIFY: 4,
    ActionKind.REDACT: 3,
    ActionKind.HASH: 2,
    ActionKind.PARTIAL: 1,
    ActionKind.EMAIL_DOMAIN: 1,
    ActionKind.DATE_TRUNCATE: 1,
}
EQUALS = (ActionKind.PARTIAL, ActionKind.EMAIL_DOMAIN, ActionKind.DATE_TRUNCATE)  # of one rank; the first decides
UNITS = ("month", "quarter", "year")  # coarser hides more
NULLIFY = Action(ActionKind.NULLIFY)


@dataclass(frozen=True, order=True)
class MaskType:
    """What a mask takes and returns. `fit` is the length class of text: no masked value has more characters; 0 for others.

    Columns of one MaskType can share a mask: a mask of fit 16 serves VARCHAR(16) to VARCHAR(31).
    """

    family: Family
    signature: str
    fit: int = 0
    zone: Zone = Zone.NONE


def mask_type(column: DataType) -> MaskType | None:
    """The type of a mask for such a column, or None where no mask can be made."""
    if column.family is Family.OTHER:
        return None
    if column.family is not Family.TEXT:
        return MaskType(column.family, column.signature, zone=column.zone)
    length = FITS[0] if column.length is None else column.length
    fit = next((fit for fit in FITS if fit <= length), 0)
    return MaskType(column.family, column.signature, fit)


def fitted(action: Action, of: MaskType) -> Action:
    """`action` as it can be carried out on a type: itself, its text cut to fit, or nullify where it cannot be."""
    if action.kind is ActionKind.REDACT and of.family in NUMBERS:
        return Action(ActionKind.REDACT, text="0")
    if of.family is Family.TEXT and of.fit:
        if action.kind is ActionKind.REDACT:
            return Action(ActionKind.REDACT, text=action.text[: of.fit])
        if action.kind in {ActionKind.PARTIAL, ActionKind.EMAIL_DOMAIN} or (
            action.kind is ActionKind.HASH and of.fit >= HASH_FIT_MIN
        ):
            return action
    if action.kind is ActionKind.DATE_TRUNCATE and of.family in DATED:
        return action
    return NULLIFY


def strictness(action: Action) -> tuple[Any, ...]:
    """A total order of masking actions, greatest the strictest; which of several decides for a reader.

    nullify > redact > hash > partial, email_domain, date_truncate. Of these three equals partial comes before email_domain
    (it shows a number of characters that its author chose, the domain may be of any length) before date_truncate. Of two of
    one kind the one that shows less decides: fewer kept characters, then fewer first ones; the coarser unit. Redactions
    differ in nothing but their text; the one that sorts first decides.
    """
    shown = {
        ActionKind.PARTIAL: (-(action.keep_first + action.keep_last), -action.keep_first),
        ActionKind.DATE_TRUNCATE: (UNITS.index(action.unit) if action.unit else -1,),
        ActionKind.REDACT: (*(-ord(char) for char in action.text), 1),  # a beginning sorts before what goes on
    }.get(action.kind, ())
    equals = -EQUALS.index(action.kind) if action.kind in EQUALS else 0
    return RANKS[action.kind], equals, shown


def covers(one: Action | None, other: Action | None) -> bool:
    """Whether `one` hides at least what `other` hides, whatever the value. None: clear. False for what cannot be compared."""
    if one is None or other is None:
        return other is None
    if RANKS[one.kind] != RANKS[other.kind]:
        return RANKS[one.kind] > RANKS[other.kind]
    if one.kind is not other.kind:
        return False
    if one.kind is ActionKind.PARTIAL:
        return one.keep_first <= other.keep_first and one.keep_last <= other.keep_last
    if one.kind is ActionKind.DATE_TRUNCATE:
        return UNITS.index(one.unit) >= UNITS.index(other.unit)
    return True


def masked(action: Action | None, value: Any, of: MaskType, salt: str = "") -> Any:
    """What a reader sees of `value` under a fitted action: the meaning that every target's dialect has to keep."""
    if value is None or action is None:
        return value
    return MEANINGS[action.kind](action, value, of, salt)


def _redacted(action: Action, value: Any, of: MaskType, salt: str) -> Any:  # noqa: ARG001
    return type(value)(0) if of.family in NUMBERS else action.text


def _hashed(action: Action, value: Any, of: MaskType, salt: str) -> Any:  # noqa: ARG001
    return hashlib.sha256(salt.encode("ascii") + value.encode()).hexdigest()[: of.fit]


def _partial(action: Action, value: Any, of: MaskType, salt: str) -> Any:  # noqa: ARG001
    shown = action.keep_first + action.keep_last
    if len(value) < 2 * shown:
        return "*" * len(value)
    end = len(value) - action.keep_last
    return value[: action.keep_first] + "*" * (len(value) - shown) + value[end:]


def _email_domain(action: Action, value: Any, of: MaskType, salt: str) -> Any:  # noqa: ARG001
    at = value.rfind("@")
    return "*@" + value[at + 1 :] if at > 0 else "*"


def _truncated(action: Action, value: Any, of: MaskType, salt: str) -> Any:  # noqa: ARG001
    month = {"year": 1, "quarter": value.month - (value.month - 1) % 3, "month": value.month}[action.unit]
    if isinstance(value, datetime):
        return value.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
    return date(value.year, month, 1)


MEANINGS: Mapping[ActionKind, Callable[[Action, Any, MaskType, str], Any]] = {
    ActionKind.NULLIFY: lambda *_: None,
    ActionKind.REDACT: _redacted,
    ActionKind.HASH: _hashed,
    ActionKind.PARTIAL: _partial,
    ActionKind.EMAIL_DOMAIN: _email_domain,
    ActionKind.DATE_TRUNCATE: _truncated,
}
