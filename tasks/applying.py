"""Carrying out a plan: what is shared first, then the tables, several at once, then what is left over; and what came of it.

A step is done only if all earlier steps about the same object were, and the lane is still ours. Whatever fails concerns the
tables that needed it alone: of a step on several columns that is refused, each column is tried for itself.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TypeVar

from connectors.contracts import Done, Refused
from connectors.contracts import Target as Connector
from lily.domain.inventory import TableId
from lily.domain.plan import After, Plan, TablePlan
from lily.domain.proofs import Behaviour, Seen
from lily.domain.steps import (
    AttachMasks,
    AttachRowPolicy,
    CreateTag,
    DropTag,
    SetTags,
    SharedStep,
    Step,
    SwapRowPolicy,
    TableStep,
    apart,
)
from lily.runtime import logs
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings
from tasks import trials
from tasks.base import reason_of

log = logs.get(__name__)

T = TypeVar("T")


@dataclass
class Applied:
    """What became of a plan: what ran, per table and per shared object, what went wrong, and what objects showed on trial."""

    statements: dict[TableId, list[Done]] = field(default_factory=lambda: defaultdict(list))
    shared: dict[str, list[Done]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[TableId, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    leftover: list[Exception] = field(default_factory=list)
    shown: dict[Behaviour, Seen] = field(default_factory=dict)

    def add(self, earlier: "Applied") -> None:
        """What ran before it, in an earlier round of the same propagation."""
        for table, some in earlier.statements.items():
            self.statements[table][:0] = some
        for name, some in earlier.shared.items():
            self.shared[name][:0] = some

    @property
    def is_stale(self) -> bool:
        """Whether something was not as the plan had read it: planning anew is the way on."""
        errors = [*self.leftover, *(error for some in self.errors.values() for error in some)]
        return any(isinstance(error, Refused) and error.code in {"gone", "exists", "taken", "in_use"} for error in errors)


@dataclass(frozen=True)
class Hands:
    """What steps are done with: the warehouse, how many at once, and `still_ours`, which raises once the lane is not."""

    config: TargetSettings
    warehouse: Connector
    still_ours: Callable[[], None]

    def do(self, step: Step) -> Done:
        self.still_ours()
        return self.warehouse.execute(self.config.name, step)


def apply(plan: Plan, hands: Hands) -> Applied:
    """Do all that the plan says but what comes after: see `clean_up`. Trouble with the warehouse is in the answer; raises only if
    the lane is no longer ours."""
    applied = Applied()
    with ThreadPoolExecutor(hands.config.sessions, thread_name_prefix=f"apply {hands.config.name}") as pool:
        unfit = _shared(plan, hands, applied, pool)
        _each(pool, plan.tables, lambda table: _table(table, unfit, hands, applied))
    return applied


def clean_up(plan: Plan, hands: Hands, applied: Applied) -> None:
    """Drop what nothing uses any more. What protects is in force without it, so it may go on while that is read back."""
    with ThreadPoolExecutor(hands.config.sessions, thread_name_prefix=f"clean {hands.config.name}") as pool:
        _after(plan.after, hands, applied, pool)


def _each(pool: ThreadPoolExecutor, items: Iterable[T], work: Callable[[T], object]) -> None:
    """Do `work` on each item at once, each in a copy of this context, so that logs name what they are about."""
    contexts = [(copy_context(), item) for item in items]
    list(pool.map(lambda one: one[0].run(work, one[1]), contexts))  # which raises what a thread has raised


def _shared(plan: Plan, hands: Hands, applied: Applied, pool: ThreadPoolExecutor) -> Mapping[str, Exception]:
    """Make and change objects, and try each before anything depends on it. Those that cannot be used, with the reason."""
    objects = {thing.name: thing for table in plan.tables for thing in table.expected.objects}
    by_object: dict[str, list[SharedStep]] = defaultdict(list)
    for step in plan.before:
        by_object[_object(step)].append(step)
    unfit: dict[str, Exception] = {}

    def work(name: str) -> None:
        try:
            for step in by_object.get(name, ()):
                applied.shared[name].append(hands.do(step))
            if name in objects:
                applied.shown.update(trials.tried(objects[name], hands.config, hands.warehouse, is_new=name in by_object))
        except (Transient, Permanent) as error:
            unfit[name] = error

    _each(pool, dict.fromkeys([*by_object, *objects]), work)
    return unfit


def _table(table: TablePlan, unfit: Mapping[str, Exception], hands: Hands, applied: Applied) -> None:
    name = table.table.id
    needed = {*table.needs, *(thing.name for thing in table.expected.objects)}
    applied.errors[name].extend(unfit[one] for one in sorted(needed & unfit.keys()))
    for whole in table.steps:
        step, missing = _without(whole, unfit)
        applied.errors[name].extend(missing)
        if step is None:
            continue
        done, errors = _carefully(step, hands)
        applied.statements[name].extend(done)
        applied.errors[name].extend(errors)
        if any(isinstance(error, Transient) for error in errors):
            return  # whatever this is, the next statement would meet it too


def _carefully(step: TableStep, hands: Hands) -> tuple[list[Done], list[Exception]]:
    """Do a step; refused, do it column by column. What ran, and what did not for which reason."""
    try:
        return [hands.do(step)], []
    except (Transient, Permanent) as error:
        parts = apart(step)
        if isinstance(error, Transient) or len(parts) == 1:
            return [], [error]
    done: list[Done] = []
    errors: list[Exception] = []
    for part in parts:
        more, wrong = _carefully(part, hands)  # type: ignore[arg-type] # parts of a table's step are such steps
        done += more
        errors += wrong
        if any(isinstance(one, Transient) for one in wrong):
            break
    return done, errors


def _after(steps: Sequence[After], hands: Hands, applied: Applied, pool: ThreadPoolExecutor) -> None:
    """What nothing uses any more. Failing here leaves an object behind, not a column bare; the next plan takes it up."""
    by_object: dict[str, list[After]] = defaultdict(list)
    for last in steps:
        by_object[_object(last.step)].append(last)

    def work(some: Sequence[After]) -> None:
        for last in some:
            if why := [error for table in last.tables for error in applied.errors.get(table, ())]:
                applied.leftover.append(why[0])  # the table may be as it should all the same, and nobody come back for this
                return
            try:
                applied.shared[_object(last.step)].append(hands.do(last.step))
            except (Transient, Permanent) as error:
                log.warning("step.left", object=_object(last.step), reason=reason_of(error))
                applied.leftover.append(error)
                return

    _each(pool, by_object.values(), work)


def _without(step: TableStep, unfit: Mapping[str, Exception]) -> tuple[TableStep | None, list[Exception]]:
    """A step without what depends on objects that cannot be used; None if nothing is left. Why, for tags, which no plan needs."""
    if isinstance(step, AttachMasks):
        kept = tuple(one for one in step.attachments if one.mask not in unfit)
        return (replace(step, attachments=kept) if kept else None), []
    if isinstance(step, SetTags):
        entries = tuple(entry for entry in step.entries if entry.key not in unfit)
        missing = {entry.key for entry in step.entries} & unfit.keys()
        return (replace(step, entries=entries) if entries else None), [unfit[key] for key in sorted(missing)]
    if isinstance(step, AttachRowPolicy | SwapRowPolicy) and step.policy in unfit:
        return None, []
    return step, []


def _object(step: SharedStep) -> str:
    return step.key if isinstance(step, CreateTag | DropTag) else step.name
