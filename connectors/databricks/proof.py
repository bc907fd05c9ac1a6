"""Proof: what functions show to whom, tried on made-up values, and what real tables carry, read back.

Lily's own principal is in no exempt group and so is the reader whom nothing exempts; a mask holds for it as for everybody. For
exempt readers there are two levels, and each evidence says which was reached: a proof group that Lily assumes as a role, whose
memberships the service itself then judges; or the text of the body that is in force, evaluated with the membership as it
would be. With each query the groups are asked as well, so that what was seen is laid to who was really asking.
Source: docs.databricks.com, is_account_group_member, role assumption; what was seen of both.
"""

import os
import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connectors.contracts import Readiness, Refused
from connectors.databricks import bodies, catalog, client, groups, state, trials
from connectors.databricks.catalog import Carried
from connectors.databricks.dialect import Home, create_function
from connectors.databricks.quoting import literal
from connectors.databricks.trials import Trial
from lily.domain import marks
from lily.domain.branches import MaskSpec, Reader
from lily.domain.inventory import TableId
from lily.domain.naming import body_hash, prefix
from lily.domain.proofs import Behaviour, Expected, ExpectedObject, Observed, Seen
from lily.domain.rules import Principal
from lily.runtime import clock
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

KNOWN_ANSWER = "known_answer"
KNOWN_BODY = "0" * 32
KNOWN_TEXT = "it's \\kept"
KNOWN = (  # in the words in which masks are written
    "CASE WHEN ({nobody}) THEN V WHEN instr(reverse(V), '@') IN (0, length(V)) THEN CAST({text} AS string) "
    "WHEN length(V) <> 0 THEN concat(left(sha2(concat('', V), 256), 8), right(V, 2), repeat('*', length(V) - 1)) ELSE V END"
)
EVALUATED = "the body in force was evaluated with these memberships; no proof group has them"
EDITED = "the body in force is not what Lily wrote, so it was not evaluated"

_ready: dict[tuple[int, str], Readiness] = {}
_assumed: dict[tuple[int, str], tuple[str, ...]] = {}
_lock = threading.Lock()


def check(instance: str) -> Readiness:
    """See contracts.Target: login, the schema, and the known case, once per process until it fails."""
    key = (os.getpid(), instance)
    with _lock:
        if key not in _ready:
            client.warm(instance)
            _assumed[key], remarks = _assumable(instance)
            _ready[key] = _check(instance, remarks)
        return _ready[key]


def forget(instance: str) -> None:
    _ready.pop((os.getpid(), instance), None)


def prove(instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    """See contracts.Target."""
    ready = check(instance)
    if not ready.proves:
        return {behaviour: Seen(None, why=ready.why_not) for thing in objects for behaviour in thing.behaviours}
    shown: dict[Behaviour, Seen] = {}
    for some in client.each(instance, list(objects), partial(_tried, instance)):
        shown |= some
    return shown


def observe(instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    """See contracts.Target: the attachments from each real table, the bodies from the functions."""
    home, at = state.home_of(instance), clock.now()
    things = {thing.name: thing for one in expected for thing in one.objects}
    names = sorted(things)
    asks: list[Any] = [partial(catalog.table, instance, one.table) for one in expected]
    asks += [partial(state.body, instance, home, name, _written(things[name], home)) for name in names]
    answers = client.each(instance, asks, lambda ask: ask())
    found = dict(zip(names, answers[len(expected) :], strict=True))
    seen: dict[TableId, Observed] = {}
    for one, described in zip(expected, answers[: len(expected)], strict=True):
        carried = _carried(described.carried, home) if described else Observed(at, exists=False)
        own = {thing.name: found[thing.name] for thing in one.objects}
        seen[one.table] = replace(carried, at=at, bodies=own)
    return seen


def _written(thing: ExpectedObject, home: Home) -> str | None:
    """The text of a body, unless an earlier revision of the dialect wrote it."""
    if thing.body != body_hash(thing.spec, bodies.REVISION):
        return None
    if isinstance(thing.spec, MaskSpec):
        return bodies.mask(thing.spec, thing.body, home.salt)
    return bodies.rows(thing.spec, thing.body)


def _carried(carried: Sequence[Carried], home: Home) -> Observed:
    masks, irregular = dict[str, str](), dict[str | None, str]()
    rows, row_columns = None, tuple[str, ...]()
    for one in carried:
        name = state.plain_name(one, home)
        if one.column is None:
            rows, row_columns = name, one.columns
        else:
            masks[one.column] = name
            if one.columns:
                irregular[one.column] = f"{name} is given {', '.join(one.columns)} as well"
    return Observed(clock.now(), masks, rows, row_columns, irregular=irregular)


def _assumable(instance: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the proof groups that can be assumed, and what is to be said of the others."""
    ids, remarks = [], []
    for name in settings().targets[instance].proof_groups or ():
        group = groups.named(instance, name)
        if group is None:
            remarks.append(f"proof group {name} is not there")
            continue
        try:
            client.run(instance, "SELECT session_user()", group=group)
            ids.append(group)
        except Refused as refusal:
            remarks.append(f"proof group {name} cannot be assumed: {refusal.reason}")
    if not ids:
        remarks.append("no role is assumed: what exempt readers see is evaluated (see PROOF_GROUPS)")
    return tuple(ids), tuple(remarks)


def _check(instance: str, remarks: tuple[str, ...]) -> Readiness:
    """A function whose answers are known: made, read back, and asked as somebody who is in no group of that name."""
    home = state.home_of(instance)
    name = f"{prefix(settings().installation)}{KNOWN_ANSWER}"
    nobody = bodies.asks(Principal("group", f"{name}_{uuid.uuid4().hex}"))
    body = bodies.marked(KNOWN.format(nobody=nobody, text=literal(KNOWN_TEXT)), KNOWN_BODY)
    comment = "Made and kept by Lily: does a function say what it should?"
    client.run(instance, create_function(home.named(name), "V STRING", "STRING", comment, body, anew=True))
    told = client.run(instance, f"SELECT {home.named(name)}('canary')").rows
    kept = catalog.function(instance, home.database, home.schema, name)
    if [list(row) for row in told] != [[KNOWN_TEXT]]:
        return Readiness(False, "a function did not tell a stranger apart in a case whose answer is known", remarks)
    if settings().targets[instance].keeps_bodies and (kept is None or marks.body_of(kept.text, bodies.TOKENS) != KNOWN_BODY):
        why = "functions are not read back as they were written; set KEEPS_BODIES=false to believe their comments"
        return Readiness(False, why, remarks)
    return Readiness(True, remarks=remarks)


@dataclass(frozen=True)
class _Shown:
    """What one identity was shown: the cells of the function, of each evaluated body, and the groups that it is in."""

    cells: list[str | None]
    evaluated: list[list[str | None]]
    held: Reader
    query_id: str


def _tried(instance: str, thing: ExpectedObject) -> dict[Behaviour, Seen]:
    """One object, for each of its readers. A body that fails when it is read is an object not to be used."""
    home = state.home_of(instance)
    trial = trials.of_mask(thing.spec, home.salt) if isinstance(thing.spec, MaskSpec) else trials.of_rows(thing.spec)
    found = catalog.function(instance, home.database, home.schema, thing.name)
    if found is None:
        raise Permanent(f"{thing.name} is not there any more")
    written = _written(thing, home)
    keeps = settings().targets[instance].keeps_bodies
    # words that somebody else wrote are not Lily's to run
    is_own = not keeps or written is None or marks.is_written(found.text, written, bodies.TOKENS)
    texts = [bodies.evaluated(found.text, behaviour.reader) for behaviour in thing.behaviours] if is_own else []
    assumed = _assumed.get((os.getpid(), instance), ()) if thing.spec.principals else ()
    asks: list[Any] = [partial(_asked, instance, thing, trial, texts, "")]
    asks += [partial(_role, instance, thing, trial, group) for group in assumed]
    try:
        own, *roles = client.each(instance, asks, lambda ask: ask())
    except Refused as refusal:
        if trial.is_opaque:
            return {behaviour: Seen(None, why=f"it could not be tried: {refusal.reason}") for behaviour in thing.behaviours}
        raise Permanent(f"{thing.name} fails when it is read: {refusal.reason}") from None
    everybody = {shown.held: shown for shown in (*filter(None, roles), own)}
    seen: dict[Behaviour, Seen] = {}
    for place, behaviour in enumerate(thing.behaviours):
        shown = everybody.get(behaviour.reader) or (replace(own, cells=own.evaluated[place]) if texts else None)
        seen[behaviour] = _judged(trial, behaviour, shown) if shown else Seen(None, why=EDITED)
    return _with_level(instance, seen, everybody)


def _judged(trial: Trial, behaviour: Behaviour, shown: _Shown) -> Seen:
    return Seen(trial.meaning(shown.cells, behaviour), shown.query_id)


def _with_level(instance: str, seen: Mapping[Behaviour, Seen], everybody: Collection[Reader]) -> dict[Behaviour, Seen]:
    """What was evaluated says so; and it means nothing for a group that there is not."""
    evaluated = {behaviour for behaviour, one in seen.items() if behaviour.reader not in everybody and one.shown is not None}
    asked = sorted({principal for behaviour in evaluated for principal in behaviour.reader})
    ids = client.each(instance, asked, lambda principal: groups.named(instance, principal.name))
    missing = {principal for principal, found in zip(asked, ids, strict=True) if found is None}
    leveled = dict(seen)
    for behaviour in evaluated:
        if absent := ", ".join(principal.name for principal in sorted(behaviour.reader & missing)):
            leveled[behaviour] = Seen(None, why=f"there is no group {absent} in the account")
        else:
            leveled[behaviour] = replace(seen[behaviour], why=EVALUATED)
    return leveled


def _role(instance: str, thing: ExpectedObject, trial: Trial, group: str) -> _Shown | None:
    """What a proof group is shown; None if it may not ask."""
    try:
        return _asked(instance, thing, trial, (), group)
    except Refused:
        return None


def _asked(instance: str, thing: ExpectedObject, trial: Trial, texts: Sequence[str], group: str) -> _Shown:
    home = state.home_of(instance)
    principals = sorted(thing.spec.principals)
    asked = [bodies.asks(principal) for principal in principals]
    statement = trials.query(trial, home.named(thing.name), texts, asked, uuid.uuid4().hex)
    answer = client.run(instance, statement, group=group)
    columns = [list(column) for column in zip(*answer.rows, strict=True)]
    if len(columns) != 1 + len(texts) + len(asked) + 1:
        raise Transient(f"{instance}: a query about {thing.name} was not answered in full")
    memberships = columns[1 + len(texts) : -1]
    held = frozenset(principal for principal, cells in zip(principals, memberships, strict=True) if cells[0] == "true")
    return _Shown(columns[0], columns[1 : 1 + len(texts)], held, answer.query_id)
