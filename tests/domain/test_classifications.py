"""Annotations put together: neither order nor repetition matters, late ones lose, lost ones hold on."""

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.classifications import (
    CatalogAsset,
    Place,
    by_table,
    changes_anything,
    lost,
    merge,
    stated,
    withdrawn,
)
from lily.domain.inventory import TableId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
USERS = TableId("crm", "public", "users")
EMAIL = Place("snow", USERS, "email")


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


times = st.integers(0, 5).map(at)
annotations = st.one_of(
    st.builds(lambda names, when: stated(EMAIL, "atlan", names, when), st.frozensets(st.sampled_from("ABC")), times),
    st.builds(lambda when: withdrawn(EMAIL, "atlan", when), times),
    st.builds(
        lambda names, when, gone: lost(stated(EMAIL, "atlan", names, when), gone),
        st.frozensets(st.sampled_from("AB")),
        times,
        times,
    ),
)


@given(st.lists(annotations, min_size=1, max_size=6), st.data())
def test_order_and_repetition_do_not_matter(arrived, data):
    again = data.draw(st.permutations(arrived + arrived[:2]))

    assert reduce(merge, again) == reduce(merge, arrived)


@given(st.lists(annotations, min_size=1, max_size=4))
def test_grouping_does_not_matter(arrived):
    from_the_right = reduce(lambda rest, one: merge(one, rest), reversed(arrived))

    assert from_the_right == reduce(merge, arrived)


def test_what_arrives_late_loses():
    newer = stated(EMAIL, "atlan", {"Email"}, at(5))

    assert merge(newer, stated(EMAIL, "atlan", {"Name"}, at(3))) == newer


def test_a_late_statement_does_not_bring_back_what_was_withdrawn():
    gone = withdrawn(EMAIL, "atlan", at(5))

    assert merge(gone, stated(EMAIL, "atlan", {"Email"}, at(3))) == gone


def test_of_two_statements_at_one_time_all_classifications_count():
    both = merge(stated(EMAIL, "atlan", {"Email"}, at(1)), stated(EMAIL, "atlan", {"Name"}, at(1)))

    assert both.classifications == {"Email", "Name"}
    assert merge(withdrawn(EMAIL, "atlan", at(1)), both).classifications == {"Email", "Name"}


def test_a_source_that_loses_sight_of_a_column_leaves_it_protected():
    seen = stated(EMAIL, "atlan", {"Email"}, at(1))

    gone = lost(seen, at(9))

    assert gone.is_lost
    assert gone.classifications == {"Email"}
    assert not changes_anything(seen, gone)
    assert not merge(gone, stated(EMAIL, "atlan", {"Email"}, at(10))).is_lost


def test_subjects_do_not_merge_with_each_other():
    with pytest.raises(ValueError, match="do not merge"):
        merge(stated(EMAIL, "atlan", {"Email"}, at(1)), stated(Place("snow", USERS), "atlan", {"Email"}, at(1)))


def test_sources_do_not_overrule_each_other():
    kept = [stated(EMAIL, "atlan", {"Email"}, at(1)), stated(EMAIL, "api", {"Secret"}, at(2))]

    assert by_table(kept, "snow") == {USERS: {"email": {"Email", "Secret"}}}


def test_catalog_assets_count_where_they_lie_and_other_targets_do_not():
    asset = CatalogAsset("default/snowflake/1/crm/public/users/email")
    kept = [stated(asset, "atlan", {"Email"}, at(1)), stated(CatalogAsset("unknown"), "atlan", {"Email"}, at(1))]
    places = {asset: [EMAIL, Place("bricks", USERS, "email")]}

    assert by_table(kept, "snow", places) == {USERS: {"email": {"Email"}}}


def test_a_table_is_annotated_beside_its_columns():
    kept = [stated(Place("snow", USERS), "api", {"GDPR"}, at(1)), stated(EMAIL, "api", (), at(1))]

    assert by_table(kept, "snow") == {USERS: {None: {"GDPR"}}}


def test_a_first_empty_set_changes_nothing():
    assert not changes_anything(None, stated(EMAIL, "api", (), at(1)))
    assert changes_anything(None, stated(EMAIL, "api", {"A"}, at(1)))
