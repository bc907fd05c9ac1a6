"""Tables as they were last looked at: they come back exactly, and what is in force can be counted without reading it all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lily.domain.inventory import Site, TableId
from lily.domain.proofs import Expected
from lily.domain.propagations import State
from lily.records import batch, table_states
from lily.records.security_forms import table_key
from lily.records.table_states import TableState
from tests.domain.security import a_table
from tests.records.test_security_forms import expected, tables, tags, times, verdicts

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_state(name: str = "customers", outcome: State = State.ENFORCED, target: str = "snow", **more: Any) -> TableState:
    table = a_table(name, EMAIL="text")
    given: dict[str, Any] = {"masks": {"EMAIL": "lily__m"}, "rows": "lily__r", "row_columns": ("REGION",)} | more
    return TableState(target, table, outcome, (), {"r1": 3}, Expected(table.id, **given), frozenset(), None, NOON)


def save(*states: TableState) -> None:
    table_states.save_many(states)


states = st.builds(
    TableState,
    st.just("any"),
    tables,
    st.sampled_from(State),
    st.lists(st.text(max_size=5), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=5), st.integers(1, 9), max_size=2),
    expected,
    st.frozensets(tags, max_size=2),
    st.none() | verdicts,
    times,
    st.none() | times,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(state=states)
def test_a_state_comes_back_as_it_was_written(state: TableState) -> None:
    save(state)

    assert table_states.load("any", [state.table.id]) == {state.table.id: state}


def test_the_last_state_counts_within_one_call_too() -> None:
    save(a_state(outcome=State.FAILED), a_state(), a_state("orders"))
    save(replace(a_state("orders"), reasons=("new",)))

    found = table_states.load("snow", [a_state().table.id, a_state("orders").table.id, TableId("D", "S", "t")])

    assert [found[a_state(name).table.id] for name in ("customers", "orders")] == [
        a_state(),
        replace(a_state("orders"), reasons=("new",)),
    ]
    assert len(found) == 2


def test_all_of_a_target_come_in_the_order_of_their_keys() -> None:
    many = [a_state(f"t{number}") for number in range(30)]
    save(*many, a_state(target="bricks"))

    assert list(table_states.every("snow")) == sorted(many, key=lambda state: table_key(state.table.id))
    assert list(table_states.every("bricks")) == [a_state(target="bricks")]
    assert list(table_states.every("none")) == []


def test_what_is_removed_is_forgotten_and_nothing_else_is() -> None:
    many = [a_state(f"t{number}") for number in range(30)]
    save(*many, a_state(target="bricks"))

    table_states.remove_many("snow", [state.table.id for state in many[1:]] + [TableId("D", "S", "t")])
    table_states.remove_many("snow", [])

    assert list(table_states.every("snow")) == [many[0]]
    assert list(table_states.every("bricks")) == [a_state(target="bricks")]


def test_only_what_is_in_force_counts_as_enforced() -> None:
    save(
        a_state("both"),
        a_state("masked", State.ATTACHED, rows=None),
        a_state("filtered", masks={}),
        a_state("bare", masks={}, rows=None),
        a_state("kept", State.HELD, masks={}),
        *(a_state(state.value, state) for state in State if state not in {State.ENFORCED, State.ATTACHED, State.HELD}),
        a_state("elsewhere", target="bricks"),
    )

    assert table_states.enforced_sites("snow") == {
        Site(a_state("both").table.id),
        Site(a_state("both").table.id, "EMAIL"),
        Site(a_state("masked").table.id, "EMAIL"),
        Site(a_state("filtered").table.id),
        Site(a_state("kept").table.id),
    }


def test_what_was_in_force_counts_no_longer_once_it_is_not() -> None:
    save(a_state())
    save(a_state(outcome=State.DRIFTED))

    assert table_states.enforced_sites("snow") == set()


def test_a_state_that_cannot_be_read_hides_no_other() -> None:
    save(a_state(), a_state("orders"))
    batch.write_many([batch.packed({"pk": "S#snow", "sk": table_key(a_state().table.id), "d": b"not deflated"})])

    assert list(table_states.every("snow")) == [a_state("orders")]
    assert table_states.load("snow", [a_state().table.id, a_state("orders").table.id]).keys() == {a_state("orders").table.id}


def test_more_than_a_page_of_dynamodb_is_read_to_its_end() -> None:
    wide = {f"COLUMN_{number}_{number * 7919}": f"lily__mask_{number * 104729}" for number in range(800)}
    save(*(replace(a_state(f"t{n}", masks=wide), reasons=(str(NOON + timedelta(seconds=n)),)) for n in range(40)))

    assert len(list(table_states.every("snow"))) == 40
    assert len(table_states.enforced_sites("snow")) == 40 * 801
