"""What filing shows to readers: each object on a canary, a table of made-up values that goes with its object.

Lily is a manager there, and reads as somebody who has just the roles of a reader would.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from connectors.contracts import Readiness, Refused
from lily.domain import masking, probes, rows
from lily.domain.branches import MaskSpec, Reader
from lily.domain.inventory import Family
from lily.domain.proofs import ALL_ROWS, CLEAR, FILTERED_ROWS, OTHERWISE, Behaviour, ExpectedObject, Seen
from lily.domain.rows import Argument, RowSpec
from lily.domain.rules import Action
from lily.runtime.settings import settings
from tests.contracts.filing.client import Found, ask
from tests.contracts.filing.quoting import order

KNOWN = "lily_known_case"


def check(instance: str) -> Readiness:
    """The known case is a screen that Lily does not count as her own, so that it stays."""
    home = settings().targets[instance].home
    body = "CASE WHEN holds('lily_known_role') THEN value ELSE NULL END"
    try:
        try:
            ask(instance, order("create", kind="screen", name=[*home, KNOWN], takes=["text"], body=body))
        except Refused as refused:
            if refused.code != "exists":
                raise
        _stage(instance, KNOWN, "screen", ["text"], [["known"]])
        shown = [_read(instance, KNOWN, roles).value for roles in (["lily_known_role"], [])]
    except Refused as refused:
        return Readiness(proves=False, why_not=refused.reason)
    return Readiness(proves=True) if shown == [[["known"]], [[None]]] else Readiness(False, f"{KNOWN} shows something else")


def prove(instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    seen: dict[Behaviour, Seen] = {}
    for one in objects:
        values = _values(one.spec)
        try:
            seen |= _tried(instance, one, values) if values else {b: Seen(None, why="no values") for b in one.behaviours}
        except Refused as refused:
            seen |= {behaviour: Seen(None, why=refused.reason) for behaviour in one.behaviours}
    return seen


def salt() -> str:
    """The text of the only salt that there is."""
    secret = settings().hash_salt
    return secret.reveal() if secret else ""


def clear_away(instance: str, name: str) -> None:
    """The canary of an object, if there is one."""
    ask(instance, order("drop table", table=_canary(instance, name), **{"if there": True}))


def _tried(instance: str, one: ExpectedObject, values: Sequence[Sequence[Any]]) -> Mapping[Behaviour, Seen]:
    kind = "screen" if isinstance(one.spec, MaskSpec) else "sieve"
    _stage(instance, one.name, kind, _types(one.spec), values)
    seen = {}
    for behaviour in one.behaviours:
        read = _read(instance, one.name, [principal.name for principal in behaviour.reader])
        seen[behaviour] = Seen(_word(one.spec, values, read.value, behaviour.reader), read.id)
    return seen


def _stage(instance: str, name: str, kind: str, types: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    """A new canary each time: what a sieve is tried on depends on its body."""
    home, canary = settings().targets[instance].home, _canary(instance, name)
    columns = [[f"c{n}", of] for n, of in enumerate(types)]
    clear_away(instance, name)
    ask(instance, order("create table", table=canary, columns=columns, rows=values))
    given = {"column": "c0"} if kind == "screen" else {"column": None, "given": [column for column, _ in columns]}
    onto = {**given, "name": [*home, name], "instead of": None}
    ask(instance, order("carry", table=canary, kind=kind, onto=[onto]))


def _read(instance: str, name: str, roles: Sequence[str]) -> Found:
    return ask(instance, order("read", table=_canary(instance, name), **{"as": roles}))


def _canary(instance: str, name: str) -> list[str]:
    return [*settings().targets[instance].home, f"canary_{name}"]


def _types(spec: MaskSpec | RowSpec) -> list[str]:
    return [spec.type.signature] if isinstance(spec, MaskSpec) else [one.signature for one in spec.arguments]


def _values(spec: MaskSpec | RowSpec) -> list[list[Any]]:
    if isinstance(spec, RowSpec):
        return probes.rows(spec, _fits)
    return [[_stored(value)] for value in probes.values(spec.type)]


def _fits(value: Any, of: Argument) -> bool:
    return of.family is not Family.INTEGER or isinstance(value, int)


def _stored(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else value.isoformat()


def _word(spec: MaskSpec | RowSpec, values: Sequence[Sequence[Any]], shown: Sequence[Sequence[Any]], reader: Reader) -> str:
    if isinstance(spec, MaskSpec):
        return _word_of_mask(spec, [row[0] for row in shown])
    return _word_of_rows(spec, values, shown)


def _word_of_mask(spec: MaskSpec, shown: Sequence[Any]) -> str:
    of, clear = spec.type, probes.values(spec.type)
    actions: Iterable[Action | None] = (branch.action for branch in spec.branches)
    for action in actions:
        if shown == [_stored_or_none(masking.masked(action, value, of, salt())) for value in clear]:
            return action.kind.value if action else CLEAR
    return OTHERWISE


def _stored_or_none(value: Any) -> Any:
    return None if value is None else _stored(value)


def _word_of_rows(spec: RowSpec, values: Sequence[Sequence[Any]], shown: Sequence[Sequence[Any]]) -> str:
    """A reader with no principal sees what the conditions let through."""
    if shown == values:
        return ALL_ROWS
    comparable = probes.comparable(spec)
    compared = [[probes.compared(value, of) for value, of in zip(row, spec.arguments, strict=True)] for row in values]
    through = [list(row) for row, known in zip(values, compared, strict=True) if rows.shows(comparable, known, frozenset())]
    return FILTERED_ROWS if shown == through else OTHERWISE
