"""How a function is tried: one query over made-up values that shows what it makes of them, and what its answer means.

Everything is read as text. Values of types that do not compare (structs and their like) are there, or NULL. A cell is seen here
only, and becomes a word of proofs.SHOWN.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.databricks.quoting import literal
from lily.domain import masking, probes, rows
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Family
from lily.domain.masking import MaskType
from lily.domain.proofs import ALL_ROWS, CLEAR, FILTERED_ROWS, OTHERWISE, Behaviour
from lily.domain.rows import Argument, RowSpec
from lily.domain.rules import Action

Cells = Sequence[str | None]
WHOLE = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}  # bits beside the sign
DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
TEXT = re.compile(r"(varchar|char)\((\d+)\)")


@dataclass(frozen=True)
class Trial:
    """`source` has the values as V or A0, A1 ... and their order as K; `arguments` are given to the function, in brackets.

    `as_text` turns what the function gives into text. `meaning` says what cells, in order, mean for a reader.
    """

    source: str
    arguments: str
    as_text: Callable[[str], str]
    meaning: Callable[[Cells, Behaviour], str]
    is_opaque: bool = False  # of a type whose values may not even be makeable


def of_mask(spec: MaskSpec, salt: str) -> Trial:
    of = spec.type
    if of.family in {Family.BINARY, Family.SEMI_STRUCTURED}:
        source = f"SELECT 0 AS K, {_opaque(of)} AS V"
        return Trial(source, "(V)", lambda text: f"CAST(({text}) IS NOT NULL AS STRING)", _there_or_not(spec), True)
    values = [_padded(value, of) for value in probes.values(of)]
    made = [f"SELECT {k} AS K, CAST({_text(value)} AS {of.signature}) AS V" for k, value in enumerate(values)]

    def meaning(cells: Cells, behaviour: Behaviour) -> str:
        seen = [_value(cell, of.family) for cell in cells]
        actions: list[Action | None] = [None, *dict.fromkeys(branch.action for branch in spec.branches if branch.action)]
        fits = [action for action in actions if seen == [_shown(action, value, of, salt) for value in values]]
        words = [action.kind.value if action else CLEAR for action in fits]
        return behaviour.shown if behaviour.shown in words else words[0] if words else OTHERWISE

    return Trial(" UNION ALL ".join(made), "(V)", lambda text: f"CAST(({text}) AS STRING)", meaning)


def of_rows(spec: RowSpec) -> Trial:
    made, compared = probes.rows(spec, fits), probes.comparable(spec)
    kinds = [of.signature for of in spec.arguments]
    selects = [
        ", ".join([f"{k} AS K", *(f"CAST({_text(value)} AS {kinds[n]}) AS A{n}" for n, value in enumerate(row))])
        for k, row in enumerate(made)
    ]

    def meaning(cells: Cells, behaviour: Behaviour) -> str:
        seen = [cell == "true" for cell in cells]
        values = ([probes.compared(value, of) for value, of in zip(row, spec.arguments, strict=True)] for row in made)
        if seen != [rows.shows(compared, row, behaviour.reader) for row in values]:
            return OTHERWISE
        return ALL_ROWS if all(seen) and behaviour.shown == ALL_ROWS else FILTERED_ROWS

    arguments = ", ".join(f"A{n}" for n in range(len(spec.arguments)))
    source = " UNION ALL ".join(f"SELECT {select}" for select in selects)
    return Trial(source, f"({arguments})", lambda text: f"CAST(({text}) AS STRING)", meaning)


def query(trial: Trial, function: str, texts: Sequence[str], asked: Sequence[str], mark: str) -> str:
    """Of each value in order: what the function makes of it, what each of `texts` (bodies) does, and the answers to `asked`.

    `mark` makes the query another than any before, as results are cached.
    """
    shown = [trial.as_text(f"{function}{trial.arguments}"), *(trial.as_text(text) for text in texts)]
    columns = [f"{text} AS C{place}" for place, text in enumerate([*shown, *(f"CAST({ask} AS STRING)" for ask in asked)])]
    return f"SELECT {', '.join(columns)}, {literal(mark)} AS MARK FROM ({trial.source}) AS MADE_UP ORDER BY K"


def fits(value: Any, of: Argument) -> bool:
    """Whether a column of this type can hold exactly this value."""
    if isinstance(value, str):
        length = TEXT.fullmatch(of.signature)
        return length is None or len(value) <= int(length[2])
    if isinstance(value, bool) or value is None:
        return True
    if of.signature in WHOLE:
        return bool(value == int(value)) and -(2 ** WHOLE[of.signature]) <= int(value) < 2 ** WHOLE[of.signature]
    if of.signature == "float":
        return _is_float(value)
    if digits := DECIMAL.fullmatch(of.signature):
        precision, scale = int(digits[1]), int(digits[2])
        exact = Decimal(str(value))
        return exact == round(exact, scale) and abs(exact) < Decimal(10) ** (precision - scale)
    return True


def _is_float(value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False


def _there_or_not(spec: MaskSpec) -> Callable[[Cells, Behaviour], str]:
    masks = {branch.action.kind.value for branch in spec.branches if branch.action}

    def meaning(cells: Cells, behaviour: Behaviour) -> str:
        if list(cells) == ["true"]:
            return CLEAR
        return behaviour.shown if behaviour.shown in masks else next(iter(masks), OTHERWISE)

    return meaning


def _opaque(of: MaskType) -> str:
    """A value of a type with parts, which is not NULL."""
    if of.family is Family.BINARY:
        return "CAST('canary' AS BINARY)"
    if of.signature == "variant":
        return "parse_json('1')"
    return f"from_json('{'[]' if of.signature.startswith('array') else '{}'}', {literal(of.signature)})"


def _padded(value: Any, of: MaskType) -> Any:
    """As a column of CHAR(n) stores it."""
    length = TEXT.fullmatch(of.signature)
    return value[: int(length[2])].ljust(int(length[2])) if length and length[1] == "char" else value


def _shown(action: Action | None, value: Any, of: MaskType, salt: str) -> Any:
    return masking.masked(action, value, of, salt)


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int | float | Decimal) else literal(str(value))


def _value(cell: str | None, family: Family) -> Any:
    """What a cell means; what cannot be read as its type means nothing that a mask shows."""
    if cell is None or family is Family.TEXT:
        return cell
    try:
        if family is Family.BOOLEAN:
            return {"true": True, "false": False}[cell]
        if family is Family.DATE:
            return date.fromisoformat(cell)
        if family is Family.TIMESTAMP:
            return datetime.fromisoformat(cell).replace(tzinfo=None)
        return Decimal(cell)
    except (ValueError, KeyError, InvalidOperation):
        return f"not of type {family}"
