"""Weakenings: which wait for a person, which are on today's account, and which the world is told of."""

from collections.abc import Iterable

from lily.domain.brake import Weakening
from lily.domain.plan import diff
from lily.records import held, table_states
from lily.records.held import HeldPlan
from lily.runtime import clock, logs
from lily.runtime.settings import TargetSettings
from tasks import planning, warning
from tasks.findings import Round
from tasks.planning import Picture

log = logs.get(__name__)

STATEMENTS_KEPT = 500


def weigh(config: TargetSettings, picture: Picture) -> None:
    """Before a plan runs: put what it may not do before a person, and what it may do unasked on the account of the day.

    The account is debited first: dying in between, it is a debit too many, never one too few.
    """
    verdict = picture.verdict
    if picture.covering is not None:
        return
    if verdict.is_held:
        plan = _held(config, picture)
        if held.hold(plan):
            log.warning("plan.held", plan=plan.id, places=len(plan.weakenings), counted=plan.counted, enforced=plan.enforced)
    elif unasked := {one.site for one in verdict.weakenings} - {one.site for one in _agreed(picture)}:
        held.spend(config.name, frozenset(unasked), clock.now())
    warning.foresee(config, _not_held(picture))
    _supersede(config, picture)


def tell(config: TargetSettings, done: Round) -> None:
    """After it ran and was written down: close what was confirmed and is done, and tell the world of each weakening."""
    picture = done.picture
    for plan in picture.confirmed:
        states = table_states.load(config.name, plan.tables)
        if not any(warning.still_has(one, states.get(one.site.table)) for one in plan.weakenings):
            held.settle(plan, "done")
    lost = {one: _is_lost(one, done) for one in _not_held(picture)}
    warning.tell(config, [one for one, is_lost in lost.items() if is_lost])
    warning.take_back(config, [one for one, is_lost in lost.items() if not is_lost])


def _held(config: TargetSettings, picture: Picture) -> HeldPlan:
    """The plan as it would be if nothing were held: that is what a person is asked about."""
    verdict, connector = picture.verdict, planning.connector(config)
    whole = diff(picture.wanted, picture.actual, planning.target_of(config), picture.kept)
    statements = [connector.render(config.name, step) for step in whole.steps[:STATEMENTS_KEPT]]
    tables = sorted({one.site.table for one in verdict.weakenings})
    return HeldPlan(
        id=verdict.fingerprint[: planning.ID_DIGITS],
        target=config.name,
        fingerprint=verdict.fingerprint,
        weakenings=verdict.weakenings,
        tables=tuple(tables),
        rules=tuple(sorted({rule for name in tables if name in picture.states for rule in picture.states[name].rules})),
        statements=tuple(statements),
        counted=verdict.counted,
        enforced=verdict.enforced,
        created_at=clock.now(),
        state="pending",
    )


def _supersede(config: TargetSettings, picture: Picture) -> None:
    """A plan that waits for a person and is not what would happen any more is not to be confirmed."""
    for plan in held.undone(config.name):
        is_other = plan.state == "pending" and plan.fingerprint != picture.verdict.fingerprint
        if is_other and picture.actual.tables.keys() >= set(plan.tables):
            held.settle(plan, "superseded")


def _is_lost(one: Weakening, done: Round) -> bool:
    """Whether it came about, by what the table carries now; if that is not known, it did."""
    site, actual = one.site, done.picture.actual.tables.get(one.site.table)
    seen, before = done.observed.get(site.table), actual.attached.get(site) if actual else None
    if seen is None or before is None:
        return True
    now = (seen.rows, seen.row_columns) if site.column is None else (seen.masks.get(site.column), ())
    known = done.picture.actual.objects.get(before.name)
    body = known.body if known else None
    return now != (before.name, before.columns) or body is None or seen.bodies.get(before.name, body) != body


def _not_held(picture: Picture) -> Iterable[Weakening]:
    return (one for one in picture.verdict.weakenings if one.site not in picture.verdict.held)


def _agreed(picture: Picture) -> Iterable[Weakening]:
    return (one for plan in picture.confirmed for one in plan.weakenings)
