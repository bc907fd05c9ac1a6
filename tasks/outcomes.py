"""What a propagation came to, written down: per rule and table, per table, and for whoever asked."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from lily.domain import proofs
from lily.domain import propagations as life
from lily.domain.actual import ActualTable
from lily.domain.inventory import TableId
from lily.domain.plan import TablePlan
from lily.domain.propagations import Key, Propagation, State
from lily.records import asked, drifts, inventory, looks, propagations, rules, table_states
from lily.records.propagations import Record
from lily.records.table_states import TableState
from lily.runtime import clock, metrics, retry
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings, settings
from tasks import doors, findings
from tasks.base import reason_of
from tasks.findings import Finding, Round
from tasks.planning import Picture
from tasks.scope import RecordKey, Scope

LEFT_OVER = "still to be dropped: "  # how the reason of a request begins whose tables are done
DRIFTS_MAX = 1000  # that are looked at after one propagation


def begin(config: TargetSettings, scope: Scope) -> Scope:
    """Say that the requests' rules are on their way to their tables. The scope, which knows it."""
    now = clock.now()
    begun: dict[RecordKey, Record] = {}
    for request in scope.requests:
        for table in scope.of_rule.get(request.rule_id, ()):
            known = scope.known.get((request.rule_id, config.name, table))
            one = _propagation(Key(request.rule_id, request.version, config.name, table), known, now)
            begun[request.rule_id, config.name, table] = Record(life.reach(one, State.APPLYING, now, due_at=now), started_at=now)
    propagations.save_many(list(begun.values()))
    return replace(scope, known={**scope.known, **begun})


def settle(config: TargetSettings, scope: Scope, done: Round) -> None:
    """Write down what came of all tables, and let go of what was asked for where it is done."""
    now = clock.now()
    picture = done.picture
    concerned = {table.table.id: _concerned(table.table.id, picture, scope) for table in picture.plan.tables}
    versions = {**scope.asked_versions, **picture.wanted.versions}
    heads = rules.heads(sorted({rule for some in concerned.values() for rule in some}))
    wanting = {(rule, config.name, name) for name, some in concerned.items() for rule in some}
    known = {**propagations.load_many(wanting - scope.known.keys()), **scope.known}
    records: list[Record] = []
    leaving: list[RecordKey] = [(rule, config.name, table) for table in picture.gone for rule in scope.of_rule]
    states: dict[TableId, Finding] = {}
    for table in picture.plan.tables:
        name = table.table.id
        states[name] = findings.find(table, done, table.expected)
        for rule in concerned[name]:
            version = versions.get(rule) or heads.get(rule, 0)
            if heads.get(rule) != version:
                continue  # it has changed meanwhile; what it asks now is due
            found = findings.find(table, done, findings.part(table, rule, picture), rule)
            is_about = rule in picture.wanted.tables[name].rules
            if not is_about and rule in picture.live and found.state in {State.ENFORCED, State.ATTACHED}:
                leaving.append((rule, config.name, name))
                continue
            before = known.get((rule, config.name, name))
            records += _record(Key(rule, version, config.name, name), before, found, done, table, now)
    propagations.save_many(records)
    propagations.remove_many(leaving)
    _keep_states(config, picture, states, now)
    _let_go(config, scope, done, records, states, now)
    for record in records:
        metrics.count("lily_propagations_total", target=config.name, state=record.propagation.state.value)


def fail_all(config: TargetSettings, scope: Scope, error: Transient | Permanent) -> None:
    """Nothing could be done with the whole batch. Each request is tried again later, or ends as failed."""
    now = clock.now()
    records = []
    for request in scope.requests:
        decided = retry.decide(error, request.attempts + 1, settings().attempts_max)
        again_at = now + timedelta(seconds=decided.delay_s) if isinstance(decided, retry.Again) else None
        state = State.PENDING if again_at else State.FAILED
        reason = error.reason if isinstance(decided, retry.Again) else decided.reason
        for table in scope.of_rule.get(request.rule_id, ()):
            one = _propagation(
                Key(request.rule_id, request.version, config.name, table),
                scope.known.get((request.rule_id, config.name, table)),
                now,
            )
            moved = replace(life.reach(one, state, now, reason, again_at), attempts=request.attempts + 1)
            records.append(Record(moved, ended_at=None if again_at else now))
        if again_at:
            asked.postpone(request, again_at, reason, request.attempts + 1)
        else:
            asked.finish(request, now)
    propagations.save_many(records)
    for look in scope.looks:
        decided = retry.decide(error, look.attempts + 1, settings().attempts_max)
        if isinstance(decided, retry.Again):
            looks.postpone_many([look], now + timedelta(seconds=decided.delay_s), error.reason)
        else:
            looks.finish_many([look], {look.table: (State.FAILED.value, (decided.reason,))}, now)


def _concerned(name: TableId, picture: Picture, scope: Scope) -> list[str]:
    """The rules whose state at this table may have changed."""
    before = picture.states[name].rules if name in picture.states else {}
    asking = {rule for rule, tables in scope.of_rule.items() if name in tables}
    return sorted({*picture.wanted.tables[name].rules, *before, *asking})


def _record(  # noqa: PLR0917
    key: Key, before: Record | None, found: Finding, done: Round, table: TablePlan, now: datetime
) -> Iterable[Record]:
    """The record of a rule at a table, unless it says what is known already and nothing ran."""
    one = _propagation(key, before, now)
    ran = findings.ran(found.expected, table, done)
    is_known = before is not None and before.propagation.key.version == key.version
    if is_known and one.state is found.state and not ran and found.state not in life.DUE:
        return
    due_at = now + timedelta(seconds=settings().sweep_after_s) if found.state in life.DUE else None
    moved = life.reach(one, found.state, now, "; ".join(found.reasons)[:2000], due_at)
    if found.state is State.PENDING:
        moved = replace(moved, attempts=one.attempts + 1)
    started_at = before.started_at if before and is_known else now
    yield Record(moved, tuple(ran), findings.proof(found, done), started_at, None if found.state in life.DUE else now)


def _propagation(key: Key, known: Record | None, now: datetime) -> Propagation:
    if known is not None and known.propagation.key.version == key.version:
        return known.propagation
    return life.pending(key, now, now)


def _keep_states(config: TargetSettings, picture: Picture, states: Mapping[TableId, Finding], now: datetime) -> None:
    kept, gone, plans = [], list(picture.gone), {table.table.id: table for table in picture.plan.tables}
    for name, found in states.items():
        want, actual, before = picture.wanted.tables[name], picture.actual.tables[name], picture.states.get(name)
        versions = {rule: picture.wanted.versions[rule] for rule in want.rules}
        expected, held = found.expected, {site.column for site in plans[name].held}
        if held and before is not None:
            expected = proofs.with_kept(expected, held, before.expected)
            versions = {**before.rules, **versions}
        if not (want.rules or expected.masks or expected.rows or _is_left(actual, found)):
            gone.append(name)
            continue
        kept.append(
            TableState(
                target=config.name,
                table=actual.table,
                outcome=found.state,
                reasons=found.reasons,
                rules=versions,
                expected=expected,
                tags=want.tags,
                verdict=found.verdict,
                observed_at=now,
                next_change_at=picture.wanted.next_change_at,
            )
        )
    table_states.save_many(kept)
    table_states.remove_many(config.name, [name for name in gone if name in picture.states])
    seen = [actual.table for actual in picture.actual.tables.values()]
    listed = inventory.some(config.name, [table.id for table in seen])
    inventory.note_seen(config.name, [table for table in seen if table.id not in listed])
    for name in {found.drift.site.table for found in drifts.find(config.name, True, DRIFTS_MAX, None).items}:
        if name in picture.gone or (name in states and states[name].state in {State.ENFORCED, State.ATTACHED}):
            drifts.settle(config.name, name, now)


def _is_left(actual: ActualTable, found: Finding) -> bool:
    """Whether something of ours may still be on a table that no rule concerns any more."""
    return found.state not in {State.ENFORCED, State.ATTACHED} and bool(actual.attached)


def _let_go(  # noqa: PLR0917
    config: TargetSettings,
    scope: Scope,
    done: Round,
    records: Iterable[Record],
    states: Mapping[TableId, Finding],
    now: datetime,
) -> None:
    """End what was asked for and is done; the rest is due again later."""
    picture = done.picture
    waiting = {r.propagation.key.rule_id: r.propagation.reason for r in records if r.propagation.state is State.PENDING}
    left = next((f"{LEFT_OVER}{reason_of(error)}" for error in done.applied.leftover if isinstance(error, Transient)), "")
    for request in scope.requests:
        reason = waiting.get(request.rule_id, left)
        if reason:
            decided = retry.decide(Transient(reason), request.attempts + 1, settings().attempts_max)
            if isinstance(decided, retry.Again):
                asked.postpone(request, now + timedelta(seconds=decided.delay_s), reason, request.attempts + 1)
                continue
        if request.rule_id in scope.rest:  # the lane goes on with the next tables at once
            asked.postpone(request, now, "", 0)
            doors.wake_target(config.name, [f"q:{config.name}#{request.rule_id}"])
        else:
            asked.finish(request, now)
    ended = {name: (found.state.value, found.reasons) for name, found in states.items() if found.state is not State.PENDING}
    ended |= {name: ("missing", (f"{name} is not there",)) for name in picture.gone}
    is_left = bool(left) and not scope.requests  # somebody has to come back for it
    looks.finish_many([look for look in scope.looks if look.table in ended and not is_left], ended, now)
    for look in scope.looks:
        if look.table not in ended or is_left:
            decided = retry.decide(Transient("pending"), look.attempts + 1, settings().attempts_max)
            delay_s = decided.delay_s if isinstance(decided, retry.Again) else retry.CAP_S
            reasons = (left,) if is_left else states[look.table].reasons if look.table in states else ("it could not be read",)
            looks.postpone_many([look], now + timedelta(seconds=delay_s), "; ".join(reasons)[:1000])
    looked = {look.table for look in scope.looks}
    if unfinished := [name for name, found in states.items() if found.state is State.PENDING and name not in looked]:
        # of a rule that is gone all may be away but its tags, and with them its part in the table: no request leads here again
        looks.ask_many(config.name, unfinished, now, now + timedelta(seconds=settings().sweep_after_s))
    change_at = picture.wanted.next_change_at
    if change_at is not None:
        concerned = [name for name in states if picture.wanted.tables[name].rules]
        looks.ask_many(config.name, concerned, now, change_at)
