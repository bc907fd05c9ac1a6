"""Weakenings: which wait for a person, which are on today's account, and which the world is told of."""

from collections.abc import Iterable, Mapping

from connectors import eventbridge
from lily.domain import envelope
from lily.domain.brake import Protection, Weakening
from lily.domain.inventory import TableId
from lily.domain.plan import diff
from lily.records import held, table_states
from lily.records.held import HeldPlan
from lily.records.table_states import TableState
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
    if picture.covering is not None:
        return
    if verdict.is_held:
        plan = _held(config, picture)
        if held.hold(plan):
            log.warning("plan.held", plan=plan.id, places=len(plan.weakenings), counted=plan.counted, enforced=plan.enforced)
    elif unasked := {one.site for one in verdict.weakenings} - {one.site for one in _agreed(picture)}:
        held.spend(config.name, frozenset(unasked), clock.now())
    _supersede(config, picture)


def tell(config: TargetSettings, picture: Picture) -> None:
    """After it ran and was written down: close what was confirmed and is done, and tell the world of each weakening."""
    for plan in picture.confirmed:
        if not any(_still_has(one, table_states.load(config.name, plan.tables)) for one in plan.weakenings):
            held.settle(plan, "done")
    lost = [one for one in picture.verdict.weakenings if one.site not in picture.verdict.held]
    if lost:
        now = clock.now()
        messages = [envelope.of_weakening(config.name, one, f"{now:%Y%m%dT%H%M}", now) for one in lost]
        entries = [envelope.entry(message, settings().detail_bytes_max, settings().public_url) for message in messages]
        outcomes = eventbridge.put(entries)
        if failed := [outcome for outcome in outcomes if outcome is not None]:
            log.error("weakening.not_told", count=len(failed), reason=failed[0].reason)


def _still_has(one: Weakening, states: Mapping[TableId, TableState]) -> bool:
    """Whether a place still has the protection that it was to lose."""
    state = states.get(one.site.table)
    if state is None:
        return False
    expected = state.expected
    name = expected.rows if one.site.column is None else expected.masks.get(one.site.column)
    columns = expected.row_columns if one.site.column is None else ()
    spec = next((thing.spec for thing in expected.objects if thing.name == name), None)
    return name is not None and Protection(spec, columns).fingerprint == one.before


def _held(config: TargetSettings, picture: Picture) -> HeldPlan:
    """The plan as it would be if nothing were held: that is what a person is asked about."""
    verdict, connector = picture.verdict, planning.connector(config)
    whole = diff(picture.wanted, picture.actual, planning.target_of(config))
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
    for plan in held.find(config.name, "pending", 100, None).items:
        if plan.fingerprint != picture.verdict.fingerprint and picture.actual.tables.keys() >= set(plan.tables):
            held.settle(plan, "superseded")


def _agreed(picture: Picture) -> Iterable[Weakening]:
    return (one for plan in picture.confirmed for one in plan.weakenings)
