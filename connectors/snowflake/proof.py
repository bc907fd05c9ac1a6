"""Proof without a second login: what policies show to roles, tried on canaries; what real tables carry, read back.

A canary is a small table in Lily's own schema with made-up values and the policy on trial. POLICY_CONTEXT simulates the roles of
a reader there (on customers' tables it would need their ownership). What is not stated, which of its arguments decides
IS_ROLE_IN_SESSION, is tried once per process with a policy that tells two roles apart: if the simulation does not, nothing is
ever said to be proven. Source: docs.snowflake.com, EXECUTE USING POLICY_CONTEXT; reference of POLICY_REFERENCES.
"""

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.contracts import Done, Readiness, Refused
from connectors.snowflake import bodies, client, state
from connectors.snowflake.dialect import Home
from connectors.snowflake.quoting import literal
from lily.domain import branches, masking, probes, rows
from lily.domain.actual import ObjectKind
from lily.domain.branches import MaskSpec, Reader
from lily.domain.inventory import Family, TableId
from lily.domain.naming import body_hash, prefix
from lily.domain.proofs import (
    ALL_ROWS,
    CLEAR,
    FILTERED_ROWS,
    OTHERWISE,
    Behaviour,
    Expected,
    ExpectedObject,
    Observed,
    Seen,
)
from lily.domain.rows import Argument, RowSpec
from lily.domain.rules import Action, Principal
from lily.runtime import clock
from lily.runtime.errors import Permanent
from lily.runtime.settings import settings

PROBES: Mapping[Family, Sequence[tuple[str, Any]]] = {  # made up; each differs from what any mask makes of it
    Family.TEXT: [(literal(text), text) for text in ("canary.bird-0123456789@lily.example", "No address, @but text", "ab")],
    Family.INTEGER: [("4711", 4711)],
    Family.DECIMAL: [("4711.5", Decimal("4711.5"))],
    Family.FLOAT: [("4711.5", 4711.5)],
    Family.BOOLEAN: [("TRUE", True), ("FALSE", False)],
    Family.DATE: [("'2021-08-17'", date(2021, 8, 17))],
    Family.TIME: [("'13:14:15'", None)],
    Family.TIMESTAMP: [("'2021-08-17 13:14:15'", datetime(2021, 8, 17, 13, 14, 15))],  # noqa: DTZ001 - as a wall clock shows it
    Family.BINARY: [("TO_BINARY('CAFE', 'HEX')", None)],
}
SEMI_STRUCTURED = {
    "VARIANT": "TO_VARIANT('canary')",
    "ARRAY": "ARRAY_CONSTRUCT('canary')",
    "OBJECT": "OBJECT_CONSTRUCT('canary', 1)",
    "GEOGRAPHY": "TO_GEOGRAPHY('POINT(1 2)')",
    "GEOMETRY": "TO_GEOMETRY('POINT(1 2)')",
}
KNOWN_ANSWER = "known_answer"

_ready: dict[tuple[int, str], Readiness] = {}
_lock = threading.Lock()


def check(instance: str) -> Readiness:
    """See contracts.Target: login, the schema, and the known case, once per process until it fails."""
    key = (os.getpid(), instance)
    with _lock:
        if key not in _ready:
            client.warm(instance)
            _ready[key] = _check(instance)
        return _ready[key]


def forget(instance: str) -> None:
    _ready.pop((os.getpid(), instance), None)


def prove(instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    """See contracts.Target."""
    ready = check(instance)
    if not ready.proves:
        return {behaviour: Seen(None, why=ready.why_not) for thing in objects for behaviour in thing.behaviours}
    shown: dict[Behaviour, Seen] = {}
    for some in state.each(instance, objects, lambda thing: _tried(instance, thing)):
        shown |= some
    return shown


def observe(instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    """See contracts.Target: the attachments from each real table, the bodies from the objects."""
    home = state.home_of(instance)
    things = {thing.name: thing for one in expected for thing in one.objects}
    names = sorted(things)
    at = clock.now()
    asks: list[Any] = [lambda one=one: _carried(instance, home, one, at) for one in expected]
    asks += [lambda thing=things[name]: _body(instance, home, thing) for name in names]
    answers = state.each(instance, asks, lambda ask: ask())
    found = dict(zip(names, answers[len(expected) :], strict=True))
    return {one.table: _with_bodies(seen, one, found) for one, seen in zip(expected, answers[: len(expected)], strict=True)}


def _body(instance: str, home: Home, thing: ExpectedObject) -> str | None:
    return state.body(instance, home, thing.name, state.kind_of(thing.spec), _written(thing, home))


def _written(thing: ExpectedObject, home: Home) -> str | None:
    """The text of a body, unless an earlier revision of the dialect wrote it."""
    if thing.body != body_hash(thing.spec, bodies.REVISION):
        return None
    if isinstance(thing.spec, MaskSpec):
        return bodies.mask(thing.spec, thing.body, home.salt)
    return bodies.rows(thing.spec, thing.body)


def drop_canary(instance: str, home: Home, name: str) -> Done:
    """Before its policy is dropped. IF EXISTS is right here: what matters is that it is gone."""
    statement = f"DROP TABLE IF EXISTS {home.named(name + state.CANARY)}"
    return Done(statement, client.run(instance, statement, about="canary").query_id)


def _check(instance: str) -> Readiness:
    config, home = settings().targets[instance], state.home_of(instance)
    name = f"{prefix(settings().installation)}{KNOWN_ANSWER}"
    try:
        _make_known_case(instance, home, name, str(config.role))
        question = f"SELECT V FROM {home.named(name + state.CANARY)}"
        clear = _rows(instance, question, frozenset({Principal("role", str(config.role))}))
        hidden = _rows(instance, question, frozenset())
    except Refused as refusal:
        if refusal.code == "unsupported":
            raise
        return Readiness(False, f"roles cannot be simulated: {refusal.reason}")
    if (clear.rows, hidden.rows) == ([("canary",)], [("*",)]):
        return Readiness(True)
    return Readiness(False, "a simulated role was not told apart from everybody else in a case whose answer is known")


def _make_known_case(instance: str, home: Home, name: str, role: str) -> None:
    body = f"CASE WHEN IS_ROLE_IN_SESSION({literal(role)}) THEN V ELSE '*' END"
    comment = literal("Made and kept by Lily: is a simulated role told apart?")
    _unless_exists(
        instance, f"CREATE MASKING POLICY {home.named(name)} AS (V VARCHAR) RETURNS VARCHAR -> {body} COMMENT = {comment}"
    )
    canary = home.named(name + state.CANARY)
    _unless_exists(instance, f"CREATE TABLE {canary} AS SELECT CAST('canary' AS VARCHAR) AS V")
    client.run(instance, f"ALTER TABLE {canary} MODIFY COLUMN V SET MASKING POLICY {home.named(name)}", about="canary")


def _unless_exists(instance: str, statement: str) -> None:
    try:
        client.run(instance, statement, about="canary")
    except Refused as refusal:
        if refusal.code != "exists":
            raise


def _tried(instance: str, thing: ExpectedObject) -> dict[Behaviour, Seen]:
    """One object on its canary. What cannot be tried is said; a body that fails when it is read is an object not to be used."""
    home = state.home_of(instance)
    trial = _of_mask(thing.spec) if isinstance(thing.spec, MaskSpec) else _of_rows(thing.spec)
    if trial is None:
        return {behaviour: Seen(None, why="there is no made-up value of this type") for behaviour in thing.behaviours}
    canary = home.named(thing.name + state.CANARY)
    attach = f"ALTER TABLE {canary} {trial.attach.format(policy=home.named(thing.name))}"
    if isinstance(thing.spec, RowSpec):  # its body decides the rows, and one from another body's time would mislead
        client.run(instance, f"CREATE OR REPLACE TABLE {canary} AS {trial.values}", about="canary")
    if not _attached(instance, attach):
        prepare(instance, home, thing)
        _attached(instance, attach)
    statement = f"{trial.select} FROM {canary} ORDER BY K"
    shown = state.each(instance, thing.behaviours, lambda behaviour: _shown(instance, statement, trial, behaviour, thing))
    return dict(zip(thing.behaviours, shown, strict=True))


def prepare(instance: str, home: Home, thing: ExpectedObject) -> None:
    """The canary of a mask, which only its type decides: so it can be made while the mask is."""
    trial = _of_mask(thing.spec) if isinstance(thing.spec, MaskSpec) else None
    if trial is not None:
        _unless_exists(instance, f"CREATE TABLE {home.named(thing.name + state.CANARY)} AS {trial.values}")


def _attached(instance: str, attach: str) -> bool:
    """Put the object on its canary, on which it may be already. False: there is no canary yet."""
    try:
        client.run(instance, attach, about="canary")
    except Refused as refusal:
        if refusal.code == "gone":
            return False
        if refusal.code != "taken":  # a row policy is there already
            raise
    return True


@dataclass(frozen=True)
class _Trial:
    """How an object is tried: what the canary holds, how the object goes on, what is asked, and what an answer means."""

    values: str
    attach: str
    select: str
    meaning: Any  # (rows, behaviour) -> a word of SHOWN


def _shown(instance: str, statement: str, trial: _Trial, behaviour: Behaviour, thing: ExpectedObject) -> Seen:
    try:
        answer = _rows(instance, statement, behaviour.reader)
    except Refused as refusal:
        if refusal.code == "gone":  # a role that there is not cannot be simulated, and nobody has it
            return Seen(None, why=f"the roles of this reader cannot be simulated: {refusal.reason}")
        raise Permanent(f"{behaviour.object} fails when it is read: {refusal.reason}") from None
    word = trial.meaning(answer.rows, behaviour)
    if word != behaviour.shown and behaviour.reader and isinstance(thing.spec, MaskSpec):
        held = _held(instance, behaviour.reader, thing.spec)
        action = branches.sees(thing.spec.branches, held)
        right = action.kind.value if action else CLEAR
        if held != behaviour.reader and trial.meaning(answer.rows, Behaviour(thing.name, held, right)) == right:
            names = ", ".join(principal.name for principal in sorted(held - behaviour.reader))
            return Seen(
                right, answer.query_id, f"whoever has this role inherits {names}, and is shown what is right then", moot=True
            )
    return Seen(word, answer.query_id)


def _held(instance: str, reader: Reader, spec: MaskSpec) -> Reader:
    """All that a reader with these roles has of what the policy asks about: a role has what it inherits."""
    found = state.holders(instance, spec.principals)
    return reader | frozenset(principal for principal in spec.principals if found[principal].through & reader)


def _rows(instance: str, statement: str, reader: Reader) -> client.Answer:
    """What a reader with these roles, and nobody else's, would get."""
    names = sorted(principal.name for principal in reader) or ["PUBLIC"]
    every = ", ".join(literal(name) for name in dict.fromkeys([*names, "PUBLIC"]))
    context = (
        f"CURRENT_ROLE => {literal(names[0])}, SNOWFLAKE$CURRENT_ACTIVATED_ROLES => ({every}), "
        f"SNOWFLAKE$SESSION_ACTIVATED_ROLES => ({every})"
    )
    return client.run(instance, f"EXECUTE USING POLICY_CONTEXT({context}) AS {statement}", about="canary")


def _of_mask(spec: MaskSpec) -> _Trial | None:
    of, salt = spec.type, state.salt()
    probes = PROBES.get(of.family) or ([(made, None)] if (made := SEMI_STRUCTURED.get(of.signature)) else [])
    if not probes:
        return None
    rows_made = [f"SELECT {k} AS K, CAST({text} AS {of.signature}) AS V" for k, (text, _) in enumerate(probes)]
    values = [value for _, value in probes]

    def meaning(found: Sequence[tuple[Any, ...]], behaviour: Behaviour) -> str:
        seen = [_plain(row[0]) for row in found]
        actions: list[Action | None] = [None, *dict.fromkeys(branch.action for branch in spec.branches if branch.action)]
        words = [action.kind.value if action else CLEAR for action in actions if _is_shown(seen, values, action)]
        return behaviour.shown if behaviour.shown in words else words[0] if words else OTHERWISE

    def _is_shown(seen: Sequence[Any], clear: Sequence[Any], action: Action | None) -> bool:
        if len(seen) != len(clear):
            return False
        if action is None and None in clear:  # a type whose values are not compared: there, or not there
            return None not in seen
        return list(seen) == [_plain(masking.masked(action, value, of, salt)) if value is not None else None for value in clear]

    return _Trial(" UNION ALL ".join(rows_made), "MODIFY COLUMN V SET MASKING POLICY {policy}", "SELECT V", meaning)


def _plain(value: Any) -> Any:
    """Numbers and moments as they compare: the connector chooses between int, Decimal and float, and adds zones."""
    if isinstance(value, bool):
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return float(value) if isinstance(value, int | float | Decimal) else value


def _of_rows(spec: RowSpec) -> _Trial:
    made, compared = probes.rows(spec), probes.comparable(spec)
    columns = [
        ", ".join([f"{k} AS K", *(f"CAST({_text(v, of)} AS {of.signature}) AS A{n}" for n, (v, of) in enumerate(cells))])
        for k, cells in enumerate(zip(row, spec.arguments, strict=True) for row in made)
    ]
    arguments = ", ".join(f"A{n}" for n in range(len(spec.arguments)))

    def meaning(found: Sequence[tuple[Any, ...]], behaviour: Behaviour) -> str:
        seen = {int(row[0]) for row in found}
        values = [[probes.compared(value, of) for value, of in zip(row, spec.arguments, strict=True)] for row in made]
        visible = {k for k, row in enumerate(values) if rows.shows(compared, row, behaviour.reader)}
        if seen != visible:
            return OTHERWISE
        return ALL_ROWS if len(seen) == len(made) and behaviour.shown == ALL_ROWS else FILTERED_ROWS

    return _Trial(
        " UNION ALL ".join(f"SELECT {row}" for row in columns),
        f"ADD ROW ACCESS POLICY {{policy}} ON ({arguments})",
        "SELECT K",
        meaning,
    )


def _text(value: Any, of: Argument) -> str:
    return "NULL" if value is None else bodies.value_text(value, of)


def _carried(instance: str, home: Home, expected: Expected, at: datetime) -> Observed:
    """What one real table carries. A view is asked for as one where nothing is found under the name of a table."""
    refs = _acting(instance, expected)
    if refs is None:
        return Observed(at, exists=False)
    masks: dict[str, str] = {}
    policy: str | None = None
    columns: tuple[str, ...] = ()
    irregular: dict[str | None, str] = {}
    for one in refs:
        column = one.site.column
        name = one.policy[2] if one.policy[:2] == (home.database, home.schema) else one.text
        if one.tag or one.status != "ACTIVE":
            irregular[column] = f"{one.text} is {one.status}" + (f", by tag {one.tag}" if one.tag else "")
        elif one.kind is ObjectKind.ROW_POLICY:
            policy, columns = name, one.columns
        elif column in masks:
            irregular[column] = f"{masks[column]} and {name} are both there"
        elif column is not None:
            masks[column] = name
    return Observed(at, masks, policy, columns, irregular=irregular)


def _acting(instance: str, expected: Expected) -> list[state.Reference] | None:
    """All that acts on the table; None if there is none of that name."""
    found: list[state.Reference] | None = None
    for domain in ("TABLE", "VIEW"):
        try:
            found = state.references(instance, expected.table, domain)
        except Refused as refusal:
            if refusal.code != "gone":
                raise
            continue
        if found or not (expected.masks or expected.rows):
            break
    return found


def _with_bodies(seen: Observed, expected: Expected, found: Mapping[str, str | None]) -> Observed:
    return replace(seen, bodies={thing.name: found[thing.name] for thing in expected.objects})
