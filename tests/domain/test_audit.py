"""The audit chain: every change to it is seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.audit import AuditEntry, follow, verify

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
plain = st.text(max_size=5)
details = st.dictionaries(plain, st.one_of(plain, st.integers(), st.lists(plain, max_size=2)), max_size=3)


def a_chain(told) -> list[AuditEntry]:
    chain: list[AuditEntry] = []
    for number, (actor, what) in enumerate(told):
        last = chain[-1] if chain else None
        chain.append(
            follow(last, NOON + timedelta(seconds=number), actor=actor, action="rule.created", subject="r1", details=what)
        )
    return chain


chains = st.lists(st.tuples(plain, details), min_size=2, max_size=5).map(a_chain)


@given(chains, st.integers(0, 4))
def test_a_chain_holds_from_the_beginning_and_from_any_entry_on(chain, cut):
    cut = min(cut, len(chain) - 1)

    assert verify(chain) is None
    assert verify(chain[cut + 1 :], after=chain[cut]) is None


@given(chains, st.data())
def test_any_change_is_seen_where_it_is(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                {"actor": chain[place].actor + "x"},
                {"action": "rule.deleted"},
                {"subject": "r2"},
                {"details": {**chain[place].details, "more": 1}},
                {"at": chain[place].at + timedelta(microseconds=1)},
                {"before": "f" * 64},
                {"hash": "f" * 64},
                {"sequence": 99},
            ]
        )
    )
    spoilt = [*chain[:place], replace(chain[place], **changed), *chain[place + 1 :]]
    found = verify(spoilt)

    assert found is not None
    assert found.sequence in {chain[place].sequence, 99}


@given(chains, st.data())
def test_an_entry_left_out_repeated_or_moved_is_seen(chain, data):
    place = data.draw(st.integers(0, len(chain) - 2))

    assert verify(chain[:place] + chain[place + 1 :]) is not None
    assert verify([*chain[: place + 1], *chain[place:]]) is not None
    assert verify([*chain[:place], chain[place + 1], chain[place], *chain[place + 2 :]]) is not None


def test_the_zone_in_which_a_time_is_told_does_not_matter():
    paris = NOON.astimezone(timezone(timedelta(hours=1)))
    one, other = (follow(None, at, actor="a", action="b", subject="c", details={}) for at in (NOON, paris))

    assert one == other


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        follow(None, NOON, actor="a", action="b", subject="c", details={"x": float("nan")})
