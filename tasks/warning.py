"""Telling the world of every place that lost protection, whoever dies meanwhile."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from connectors import eventbridge
from lily.domain import envelope
from lily.domain.brake import Protection, Weakening
from lily.records import notices, table_states
from lily.records.notices import Notice
from lily.records.table_states import TableState
from lily.runtime import clock, logs, retry
from lily.runtime.errors import Transient
from lily.runtime.settings import TargetSettings, settings

log = logs.get(__name__)

UNSURE_S = 60.0  # until it is looked at again whether a place has lost what it was to lose
UNSURE_MAX = timedelta(hours=24)  # then it is told: a false alarm is better than none


def foresee(config: TargetSettings, lost: Iterable[Weakening]) -> None:
    """Write down what is about to be lost. Raises Transient and Permanent: then it must not be."""
    if some := list(lost):
        notices.note_many(config.name, some, clock.now())


def tell(config: TargetSettings, lost: Iterable[Weakening]) -> None:
    """What a plan has taken away, now that this is written down."""
    if some := list(lost):
        _publish(config, notices.note_many(config.name, some, clock.now()))


def take_back(config: TargetSettings, kept: Iterable[Weakening]) -> None:
    """What a plan was to take away and did not; the plan that does it writes it down anew."""
    if some := list(kept):
        notices.forget_many([Notice(config.name, one, clock.now(), clock.now()) for one in some])


def tell_due(config: TargetSettings, due: Sequence[Notice]) -> None:
    """Notices that nobody told: those whose place has lost it are told, the others wait, or were never true."""
    states = table_states.load(config.name, sorted({notice.weakening.site.table for notice in due}))
    told, waiting, untrue, now = list[Notice](), list[Notice](), list[Notice](), clock.now()
    for notice in due:
        state = states.get(notice.weakening.site.table)
        if not still_has(notice.weakening, state) or now - notice.noted_at > UNSURE_MAX:
            told.append(notice)
        elif state is not None and state.observed_at > notice.noted_at:
            untrue.append(notice)
        else:
            waiting.append(notice)
    notices.forget_many(untrue)
    if waiting:
        notices.postpone_many(waiting, now + timedelta(seconds=UNSURE_S))
    _publish(config, told)


def still_has(one: Weakening, state: TableState | None) -> bool:
    """Whether a place still has the protection that it was to lose, as far as its table was looked at."""
    if state is None:
        return False
    expected = state.expected
    name = expected.rows if one.site.column is None else expected.masks.get(one.site.column)
    columns = expected.row_columns if one.site.column is None else ()
    spec = next((thing.spec for thing in expected.objects if thing.name == name), None)
    return name is not None and Protection(spec, columns).fingerprint == one.before


def _publish(config: TargetSettings, wanted: Sequence[Notice]) -> None:
    """Put their messages on the bus; what fails stays due."""
    messages = [envelope.of_weakening(config.name, one.weakening, one.noted_at) for one in wanted]
    entries = [envelope.entry(message, settings().detail_bytes_max, settings().public_url) for message in messages]
    outcomes = eventbridge.put(entries) if entries else []
    failed = [(one, outcome) for one, outcome in zip(wanted, outcomes, strict=True) if outcome is not None]
    if failed:
        log.error("weakening.not_told", count=len(failed), reason=failed[0][1].reason)
        again = retry.decide(Transient(failed[0][1].reason), max(one.attempts for one, _ in failed) + 1, 10**6)
        delay_s = again.delay_s if isinstance(again, retry.Again) else retry.CAP_S
        notices.postpone_many([one for one, _ in failed], clock.now() + timedelta(seconds=delay_s))
    untold = {id(one) for one, _ in failed}
    notices.forget_many([one for one in wanted if id(one) not in untold])
