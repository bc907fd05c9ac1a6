"""The whole outbound path: tables of one target are looked at again, and carry what the rules ask of them.

A new, changed or deleted rule, an annotation, drift, a retry, a pipeline that asks for protection: all of them mean
`propagate(target, tables)`. One is in flight per target, guarded by the target's lane; killed anywhere, it is simply made anew
from what the target then holds, as what is due stays due in the records until it was proven.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

from celery import Task

from connectors import registry
from lily.domain import proofs
from lily.domain.plan import TablePlan
from lily.domain.proofs import Expected
from lily.domain.steps import ChangeMask, ChangeRowPolicy, CreateMask, CreateRowPolicy, SetTags, TagEntry, UnsetTags
from lily.domain.targets import Mode
from lily.records import asked, looks, notices, rules, target_states
from lily.records.asked import Asked
from lily.records.looks import Look
from lily.runtime import clock, lanes, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings, settings
from tasks import applying, doors, holding, outcomes, planning, scope, warning
from tasks.applying import Applied, Hands
from tasks.base import kind_of, reason_of
from tasks.celery import celery
from tasks.findings import Round
from tasks.planning import Picture
from tasks.scope import Scope

log = logs.get(__name__)

RENEWED_EVERY_S = 1.0
LOOKS_MAX = 10  # tables that are looked at in one propagation, beside those of its rules
PLANS_MAX = 3  # while the warehouse changes under a plan
WAITS_S = 60.0  # between looks at whether a paused target may go on


class Overtaken(Exception):
    """The lane is somebody else's by now: not one more statement."""


def _register(kind: str) -> Task:
    @celery.task(name=f"propagate_to_{kind}")
    def propagate_to(batch: dict[str, Any]) -> None:
        """Bring the tables that a batch of changes concerns to what the rules ask."""
        work_on(lanes.from_form(batch))

    return propagate_to


propagate_to = {kind: _register(kind) for kind in registry.TARGETS}


def work_on(batch: lanes.Batch) -> None:
    """One batch of a target's lane, and the start of the next one. Raises nothing: what was not done is still due."""
    name = str(batch.lane)[len(lanes.NAMED) :]
    began_at = time.monotonic()
    try:
        with logs.bind(target=name):
            _work_on(settings().targets[name], batch)
    except Overtaken:
        log.info("propagation.overtaken", target=name)
    except Exception as error:
        log.error("propagation.failed", target=name, size=len(batch.members), reason=reason_of(error))
        metrics.count("lily_errors_total", where="propagation", kind=kind_of(error))
    finally:
        metrics.observe("lily_propagation_seconds", time.monotonic() - began_at, target=name)
        _next(batch)


def _next(batch: lanes.Batch) -> None:
    try:
        following = lanes.done(batch)
        if following:
            doors.start(following)
    except Transient as error:  # the sweep starts the lane again
        log.warning("lane.not_ended", lane=batch.lane, reason=error.reason)


def _work_on(config: TargetSettings, batch: lanes.Batch) -> None:
    still_ours = _guard(batch)
    still_ours()
    members = [member.lstrip("!") for member in batch.members]
    requests = asked.load([member for member in members if member.startswith("q:")])
    wished = looks.load([member for member in members if member.startswith("t:")])
    if untold := notices.load([member for member in members if member.startswith("w:")]):
        warning.tell_due(config, untold)
    if not requests and not wished:
        return
    mode = target_states.mode(config.name)
    if mode is not Mode.ENFORCE:
        _put_off(requests, wished, f"target {config.name} is {'paused' if mode is Mode.PAUSED else 'in report mode'}")
        return
    now, later = wished[:LOOKS_MAX], wished[LOOKS_MAX:]
    if later:  # behind what came in meanwhile, so that a rule waits for few tables only
        lanes.push(batch.lane, [looks.member(config.name, look.table) for look in later])
    _together(config, requests, now, still_ours)


def _together(config: TargetSettings, requests: Sequence[Asked], wished: Sequence[Look], still_ours: Callable[[], None]) -> None:
    """Propagate all of it at once; where it fails for good, by halves, down to the one at fault, which ends with its reason."""
    asked_for = None
    try:
        asked_for = scope.of(config, requests, wished)
        propagate(config, asked_for, still_ours)
    except Overtaken:
        raise
    except Exception as error:
        reason, whole = reason_of(error), asked_for or Scope(requests, wished)
        log.warning("propagation.put_off", reason=reason, requests=len(requests), looks=len(wished))
        metrics.count("lily_errors_total", where="propagation", kind=kind_of(error))
        if isinstance(error, Transient):
            outcomes.fail_all(config, whole, error)
        elif len(requests) + len(wished) == 1:
            outcomes.fail_all(config, whole, Permanent(reason))
        else:
            for some, others in _halves(requests, wished):
                _together(config, some, others, still_ours)


def _halves(requests: Sequence[Asked], wished: Sequence[Look]) -> list[tuple[Sequence[Asked], Sequence[Look]]]:
    """Two smaller batches that are this one."""
    if requests and wished:
        return [(requests, ()), ((), wished)]
    return [(requests[::2], wished[::2]), (requests[1::2], wished[1::2])]


def _put_off(requests: Sequence[Asked], wished: Sequence[Look], reason: str) -> None:
    """Keep all due, later: a target's mode is no failure of what waits for it."""
    again_at = clock.now() + timedelta(seconds=WAITS_S)
    for request in requests:
        asked.postpone(request, again_at, reason, request.attempts)
    looks.postpone_many(wished, again_at, reason)


def _guard(batch: lanes.Batch) -> Callable[[], None]:
    """What every statement asks before it runs: is the lane ours? Asked once a second; without Redis the last answer counts."""
    renewed_at = 0.0

    def still_ours() -> None:
        nonlocal renewed_at
        if time.monotonic() - renewed_at < RENEWED_EVERY_S:
            return
        renewed_at = time.monotonic()
        try:
            is_ours = lanes.renew(batch)
        except Transient:
            return
        if not is_ours:
            raise Overtaken

    return still_ours


def propagate(config: TargetSettings, asked_for: Scope, still_ours: Callable[[], None]) -> None:
    """Look at the tables, plan, apply, read back, and write down what came of it. Raises Transient and Permanent as a whole."""
    asked_for = outcomes.begin(config, asked_for)
    reasons = [request.reason for request in asked_for.requests] + [look.reason for look in asked_for.looks]
    thorough = any(reason.startswith(outcomes.LEFT_OVER) for reason in reasons)
    done = _round(config, planning.make(config, asked_for.tables, thorough=thorough), still_ours, None)
    for _ in range(PLANS_MAX - 1):
        if not done.applied.is_stale:
            break
        log.info("propagation.planned_anew")
        done = _round(config, planning.make(config, asked_for.tables), still_ours, done.applied)
    outcomes.settle(config, asked_for, done)
    holding.tell(config, done)


def _round(config: TargetSettings, picture: Picture, still_ours: Callable[[], None], before: Applied | None) -> Round:
    """Carry a plan out once, and look at what the tables carry then."""
    if picture.plan.before and rules.heads(list(picture.wanted.versions)) != picture.wanted.versions:
        # shared objects would follow a version that is not the rule's any more
        picture = planning.make(config, [*picture.actual.tables, *picture.gone])
    still_ours()
    holding.weigh(config, picture)
    hands = Hands(config, planning.connector(config), still_ours)
    applied = applying.apply(picture.plan, hands)
    if before:  # what ran in an earlier round ran all the same
        applied.add(before)
    with ThreadPoolExecutor(1) as pool:
        cleaning = pool.submit(applying.clean_up, picture.plan, hands, applied)
        seen = _seen(config, picture, applied)
        cleaning.result()
    return seen


def _seen(config: TargetSettings, picture: Picture, applied: Applied) -> Round:
    """What the tables carry now, with what their objects showed on trial; and which of their tags are not as they should be."""
    warehouse, tables = planning.connector(config), picture.plan.tables
    tagged = [table for table in tables if any(isinstance(step, SetTags | UnsetTags) for step in table.steps)]
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(warehouse.tags, config.name, [table.table.id for table in tagged]) if tagged else None
        seen = warehouse.observe(config.name, [_to_read(table, picture) for table in tables])
        tags = reading.result() if reading else {}
    known = {name: one.body for name, one in picture.actual.objects.items() if name not in made(picture)}
    observed = {name: replace(one, bodies={**known, **one.bodies}, behaviours=applied.shown) for name, one in seen.items()}
    untagged = {table.table.id: proofs.untagged(*_tags(table), tags.get(table.table.id, frozenset())) for table in tagged}
    return Round(picture, applied, observed, untagged)


def _to_read(table: TablePlan, picture: Picture) -> Expected:
    """What has to be read back of a table; bodies only of objects that the plan has written: the others were read for it."""
    return replace(table.expected, objects=tuple(one for one in table.expected.objects if one.name in made(picture)))


def made(picture: Picture) -> frozenset[str]:
    """The names of objects whose bodies the plan writes."""
    writing = (CreateMask, ChangeMask, CreateRowPolicy, ChangeRowPolicy)
    return frozenset(step.name for step in picture.plan.before if isinstance(step, writing))


def _tags(table: TablePlan) -> tuple[frozenset[TagEntry], frozenset[TagEntry]]:
    """The tags that the plan sets and those that it takes away."""
    put = {entry for step in table.steps if isinstance(step, SetTags) for entry in step.entries}
    taken = {entry for step in table.steps if isinstance(step, UnsetTags) for entry in step.entries}
    return frozenset(put), frozenset(taken)
