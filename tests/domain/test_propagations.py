"""Propagations: only legal moves, a due time exactly while there is work, and a rule's state derived from its tables."""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.inventory import TableId
from lily.domain.propagations import (
    DUE,
    ENDS,
    MOVES,
    IllegalMove,
    Key,
    Propagation,
    RuleState,
    State,
    again_by_hand,
    failed_once,
    move,
    overall,
    pending,
    reach,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = Key("r1", 3, "snow", TableId("d", "s", "t"))
states = st.sampled_from(State)


@pytest.mark.parametrize(("here", "there"), list(product(State, State)))
def test_only_the_moves_of_the_table_are_made(here, there):
    one = Propagation(KEY, here, NOON)
    due = NOON if there in DUE else None
    if there in MOVES[here]:
        assert move(one, there, NOON, "why", due).state is there
    else:
        with pytest.raises(IllegalMove, match=f"{here} cannot become {there}"):
            move(one, there, NOON, "why", due)


@pytest.mark.parametrize("there", sorted(MOVES[State.APPLYING]))
def test_a_due_time_is_kept_exactly_while_there_is_work(there):
    one = Propagation(KEY, State.APPLYING, NOON, due_at=NOON)
    with pytest.raises(IllegalMove, match="due time"):
        move(one, there, NOON, due_at=None if there in DUE else NOON)


def test_every_state_can_be_reached_and_only_superseded_is_left_by_nothing():
    reached, new = set(), {State.PENDING}
    while new:
        reached |= new
        new = {there for here in new for there in MOVES[here]} - reached

    assert reached == set(State)
    assert [state for state in State if not MOVES[state]] == [State.SUPERSEDED]
    assert all(State.SUPERSEDED in MOVES[state] for state in State if state is not State.SUPERSEDED)
    assert MOVES[State.APPLYING] >= ENDS


def test_attempts_add_up_until_a_person_asks_again():
    one = pending(KEY, NOON, NOON)
    for _ in range(3):
        one = failed_once(move(one, State.APPLYING, NOON, due_at=NOON), NOON, "away", NOON)
    assert (one.attempts, one.reason) == (3, "away")

    one = move(move(one, State.APPLYING, NOON, due_at=NOON), State.FAILED, NOON, "refused")
    assert (one.due_at, again_by_hand(one, NOON, NOON).attempts) == (None, 0)


@given(st.lists(states))
def test_a_rule_is_enforced_only_if_every_table_is(found):
    live = [state for state in found if state is not State.SUPERSEDED]

    assert (overall(found) is RuleState.ENFORCED) == (bool(live) and set(live) == {State.ENFORCED})
    assert (overall(found) is RuleState.PARTLY_ENFORCED) == (State.ENFORCED in live and len(set(live)) > 1)
    assert overall(found) == overall(list(reversed(found)))


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([], RuleState.NOTHING_TO_DO),
        ([State.SUPERSEDED], RuleState.NOTHING_TO_DO),
        ([State.PENDING, State.FAILED, State.HELD], RuleState.FAILED),
        ([State.ATTACHED, State.ATTACHED], RuleState.ATTACHED),
        ([State.ATTACHED, State.PENDING], RuleState.PENDING),
        ([State.CONFLICT, State.DRIFTED], RuleState.CONFLICT),
    ],
)
def test_without_an_enforced_table_the_worst_state_counts(found, state):
    assert overall(found) is state


@pytest.mark.parametrize(
    ("here", "there"), list(product(sorted(set(State) - {State.SUPERSEDED}), sorted(set(State) - {State.DRIFTED})))
)
def test_every_state_is_reached_by_legal_moves_with_a_due_time_only_while_there_is_work(here, there):
    one = Propagation(KEY, here, NOON, attempts=2, due_at=NOON if here in DUE else None)
    due = NOON if there in DUE else None

    there_now = reach(one, there, NOON, "why", due)

    assert (there_now.state, there_now.reason, there_now.due_at, there_now.attempts) == (there, "why", due, 2)


@pytest.mark.parametrize(
    ("here", "there"),
    [(State.SUPERSEDED, State.ENFORCED), (State.PENDING, State.DRIFTED), (State.FAILED, State.DRIFTED)],
)
def test_nothing_revives_what_was_superseded_and_only_what_was_in_force_drifts(here, there):
    with pytest.raises(IllegalMove):
        reach(Propagation(KEY, here, NOON), there, NOON)
