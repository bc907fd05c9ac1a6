"""What targets hold, looked at without a cause: the list of their tables, and whether what was proven is still so.

Both only read the target, within a budget of statements per hour, and find work for the target's lane: they change nothing.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from celery.signals import beat_init

from lily.domain import classifications, drift, matching
from lily.domain.drift import Drift
from lily.domain.inventory import Table, TableId
from lily.domain.propagations import State, reach
from lily.domain.rules import Principal, Rule
from lily.domain.targets import Mode
from lily.records import annotations, drifts, inventory, looks, propagations, rules, table_states, target_states
from lily.records.drifts import Found
from lily.records.security_forms import table_key
from lily.records.table_states import TableState
from lily.runtime import bucket, cache, clock, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings, settings
from tasks import doors, planning
from tasks.base import kind_of, reason_of
from tasks.celery import celery

log = logs.get(__name__)

LASTS_S = 40.0  # of one run; the next one goes on
PAGE = 20
STATEMENTS_PER_TABLE = 3  # about what reading one back costs
REMEMBERED_S = 7 * 86_400.0


@beat_init.connect
def _beat_started(**_: Any) -> None:
    """Look at the targets now: the first change would otherwise wait for a first login, and the schedule for its first time."""
    with suppress(Transient):
        doors.refresh_inventory(settings().targets)


@celery.task(name="refresh_inventory")
def refresh_inventory(target: str) -> None:
    """Read the list of tables and columns, and have the lane look at new ones that a rule concerns."""
    _carefully("inventory", target, _refresh)


@celery.task(name="reconcile")
def reconcile(target: str) -> None:
    """Read back what is in force, compare it with what was proven, and repair or report what differs."""
    _carefully("reconcile", target, _reconcile)


def _carefully(what: str, target: str, work: Callable[[TargetSettings], None]) -> None:
    config = settings().targets.get(target)
    if config is None:
        return
    with logs.bind(target=target):
        try:
            if target_states.mode(target) is not Mode.PAUSED:
                work(config)
        except Exception as error:
            log.warning(f"{what}.cut_short", reason=reason_of(error))
            metrics.count("lily_errors_total", where=what, kind=kind_of(error))
            if isinstance(error, Transient | Permanent):
                target_states.note_check(target, None, (), error.reason, clock.now())


def _refresh(config: TargetSettings) -> None:
    warehouse, live = planning.connector(config), [rule for rule in rules.every() if rule.aims_at(config.name)]
    if not _may_run(config, 5):
        return
    ready = warehouse.check(config.name)
    target_states.note_check(config.name, ready.proves, ready.remarks, ready.why_not, clock.now())
    tables = [table for page in warehouse.tables(config.name) for table in page]
    read_at, changes = clock.now(), inventory.compare(config.name, tables)
    ask(config, _concerned(config, live, (*changes.new, *changes.changed)))  # before they are known: a table is never forgotten
    inventory.save(config.name, tables, read_at)
    exempt = {exemption.principal for rule in live for exemption in rule.exempt}
    kind = warehouse.capabilities(config.name).principal
    if mine := {principal for principal in exempt if principal.kind == kind}:
        inventory.save_holders(config.name, warehouse.holders(config.name, mine))
    log.info("inventory.read", tables=len(tables), new=len(changes.new), changed=len(changes.changed), gone=len(changes.gone))


def _concerned(config: TargetSettings, live: Sequence[Rule], tables: Sequence[Table]) -> list[TableId]:
    found = annotations.of_tables(config.name, [table.id for table in tables])
    classified = classifications.by_table((one for some in found.values() for one in some), config.name)
    ignores_case = planning.target_of(config).can.ignores_case
    return [
        table.id
        for table in tables
        if any(matching.concerns(rule, table, classified.get(table.id, {}), ignores_case=ignores_case) for rule in live)
    ]


def ask(config: TargetSettings, tables: Collection[TableId]) -> None:
    """Have the lane look at tables. They are due in the records, so Redis may be away."""
    if not tables:
        return
    asked = looks.ask_many(config.name, tables, clock.now())
    try:
        doors.wake_target(config.name, [f"t:{config.name}#{table_key(look.table)}" for look in asked])
    except Transient as error:
        log.warning("lane.not_woken", reason=error.reason)


def _reconcile(config: TargetSettings) -> None:
    ends_at, seen, drifted = time.monotonic() + LASTS_S, 0, 0
    states = _from_where_it_stopped(config)
    while page := list(islice(states, PAGE)):
        if time.monotonic() > ends_at or not _may_run(config, len(page) * STATEMENTS_PER_TABLE):
            _remember(config, table_key(page[0].table.id))
            break
        found = _compare(config, page)
        seen, drifted = seen + len(page), drifted + len(found)
        _deal_with(config, found)
    else:
        _remember(config, "")
    metrics.gauge("lily_drifted_tables", drifted, target=config.name)
    log.info("reconcile.done", tables=seen, drifted=drifted)


def _compare(config: TargetSettings, page: Sequence[TableState]) -> dict[TableId, tuple[Drift, ...]]:
    """The tables that are not as they were proven, and how."""
    warehouse = planning.connector(config)
    proven = [state for state in page if state.outcome in {State.ENFORCED, State.ATTACHED}]
    actual = warehouse.read(config.name, [state.table.id for state in proven])
    things = [thing for state in proven for thing in state.expected.objects]
    actual = warehouse.closer(config.name, actual, {thing.name for thing in things}, ())
    actual = planning.genuine(config, actual, things)
    exempt = {principal for thing in things for principal in thing.spec.principals}
    held = warehouse.holders(config.name, exempt) if exempt else {}
    known: list[Principal] = [principal for principal, holders in held.items() if holders.exists]
    found = {
        state.table.id: drift.find(state.expected, state.table, state.tags, actual, known if exempt else None) for state in proven
    }
    again = table_states.load(config.name, [name for name, some in found.items() if some])
    unchanged = {state.table.id for state in proven if state.table.id in again and again[state.table.id] == state}
    return {name: some for name, some in found.items() if some and name in unchanged}  # others were at work there meanwhile


def _deal_with(config: TargetSettings, found: dict[TableId, tuple[Drift, ...]]) -> None:
    now = clock.now()
    drifts.save_many([Found(config.name, one, now) for some in found.values() for one in some])
    states = table_states.load(config.name, found)
    keys = [(rule, config.name, name) for name, state in states.items() for rule in state.rules]
    records = propagations.load_many(keys)
    drifted = []
    for (_, _, name), record in records.items():
        if record.propagation.state in {State.ENFORCED, State.ATTACHED}:
            reason = "; ".join(one.text for one in found[name])[:2000]
            moved = reach(record.propagation, State.DRIFTED, now, reason)
            drifted.append(replace(record, propagation=moved))
    propagations.save_many(drifted)
    if config.repair and target_states.mode(config.name) is Mode.ENFORCE:
        ask(config, list(found))


def _from_where_it_stopped(config: TargetSettings) -> Iterator[TableState]:
    """All states, those first that the last run did not come to."""
    stopped = cache.get_many("reconcile", [config.name]).get(config.name, b"").decode()
    yield from (state for state in table_states.every(config.name) if table_key(state.table.id) >= stopped)


def _remember(config: TargetSettings, key: str) -> None:
    cache.put_many("reconcile", {config.name: key.encode()}, REMEMBERED_S)


def _may_run(config: TargetSettings, statements: int) -> bool:
    """Whether the budget of the hour has room."""
    allowed = float(config.statements_per_hour)
    return bucket.take(f"statements:{config.name}", min(statements, allowed), allowed, allowed / 3600) == 0.0
