"""Weakenings: which wait for a person, which are on today's account, and which the world is told of."""

from collections.abc import Iterable

from connectors import eventbridge
from lily.domain import envelope
from lily.domain.brake import Weakening
from lily.domain.plan import diff
from lily.records import held
from lily.records.held import HeldPlan
from lily.runtime import clock, logs
from lily.runtime.settings import TargetSettings, settings
from tasks import planning
from tasks.planning import Picture

log = logs.get(__name__)

STATEMENTS_KEPT = 500


def weigh(config: TargetSettings, picture: Picture) -> None:
    """Before a plan runs: put what it may not do before a person, and what it may do unasked on the account of the day.

    The account is debited first: dying in between, it is a debit too many, never one too few.
    """
    verdict = picture.verdict
    if verdict.is_held:
        plan = _held(config, picture)
        if held.hold(plan):
            log.warning("plan.held", plan=plan.id, places=len(plan.weakenings), counted=plan.counted, enforced=plan.enforced)
    elif unasked := {one.site for one in verdict.weakenings} - {one.site for one in _agreed(picture)}:
        held.spend(config.name, frozenset(unasked), clock.now())
    _supersede(config, picture)


def tell(config: TargetSettings, picture: Picture) -> None:
    """After it ran: close what was confirmed and is done, and tell the world of each weakening."""
    lost = () if picture.verdict.is_held else picture.verdict.weakenings
    done = {one.site for one in lost}
    for plan in picture.confirmed:
        still = [one for one in plan.weakenings if one.site.table in picture.actual.tables]
        if done.issuperset(one.site for one in still) and len(still) == len(plan.weakenings):
            held.settle(plan, "done")
    if lost:
        now = clock.now()
        messages = [envelope.of_weakening(config.name, one, f"{now:%Y%m%dT%H%M}", now) for one in lost]
        entries = [envelope.entry(message, settings().detail_bytes_max, settings().public_url) for message in messages]
        outcomes = eventbridge.put(entries)
        if failed := [outcome for outcome in outcomes if outcome is not None]:
            log.error("weakening.not_told", count=len(failed), reason=failed[0].reason)


def _held(config: TargetSettings, picture: Picture) -> HeldPlan:
    """The plan as it would be if nothing were held: that is what a person is asked about."""
    verdict, connector = picture.verdict, planning.connector(config)
    whole = diff(picture.wanted, picture.actual, planning.target_of(config))
    statements = [connector.render(config.name, step) for step in whole.steps[:STATEMENTS_KEPT]]
    tables = sorted({one.site.table for one in verdict.weakenings})
    return HeldPlan(
        id=verdict.fingerprint[:16],
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
    for plan in held.find(config.name, "pending", 100, None).items:
        if plan.fingerprint != picture.verdict.fingerprint and picture.actual.tables.keys() >= set(plan.tables):
            held.settle(plan, "superseded")


def _agreed(picture: Picture) -> Iterable[Weakening]:
    return (one for plan in picture.confirmed for one in plan.weakenings)
