"""Whether an asset that was read back shows what events said of it, and which tags count until it does.

An event can overtake the state that it tells of, come twice, late, or in another order than it happened. So the state is the
truth, read again for a while where events disagree, and meanwhile the stricter of both holds: what either gives is in force.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from lily.domain.catalog import AssetState, Attached, Hint

PAUSES_S = (0.2, 0.5, 1.5, 5.0)  # before each further reading; after the last one, reconciliation settles it
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def expected(hints: Iterable[Hint]) -> dict[Attached, bool]:
    """Whether each attachment that was told of should be there, by the latest that was told; of one time, that it is there.

    Order and repetition do not matter.
    """
    told: dict[Attached, tuple[datetime, bool]] = {}
    for hint in hints:
        for is_there, attachments in ((True, hint.added), (False, hint.removed)):
            for one in attachments:
                told[one] = max(told.get(one, (_LONG_AGO, False)), (hint.at or _LONG_AGO, is_there))
    return {one: is_there for one, (_, is_there) in told.items()}


def agrees(state: AssetState, hints: Iterable[Hint]) -> bool:
    """Whether nothing that events told is missing, or left, in what was read."""
    return all(_shows(state, one, is_there=is_there) for one, is_there in expected(hints).items())


def in_force(state: AssetState, hints: Iterable[Hint]) -> frozenset[str]:
    """The ids of the tags that count: all that was read, and all that events told of last as added."""
    return state.tags | {one.tag for one, is_there in expected(hints).items() if is_there}


def _shows(state: AssetState, one: Attached, *, is_there: bool) -> bool:
    """An event that does not name the source is content with any."""
    if is_there and not one.source:
        return one.tag in state.tags
    return (one in state.attached) == is_there
