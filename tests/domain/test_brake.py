"""The brake: taking much away waits for a person, adding never does, and many small steps are one large one."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.brake import Limits, Protection, Spent, Weakening, Why, fingerprint, judge, weakenings
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site, TableId
from lily.domain.matching import wanted
from lily.domain.rules import Principal
from tests.domain.security import NOW, SNOW, a_rule, a_table

TABLE = a_table("t", **{f"c{n}": "text" for n in range(4)}, region="text")


def protections(rules) -> dict[Site, Protection]:
    classes = {column.name: frozenset("c") for column in TABLE.columns if column.name != "region"}
    made = wanted(rules, {TABLE.id: classes}, [TABLE], SNOW, NOW).tables[TABLE.id]
    return {site: Protection(spec, () if isinstance(spec, MaskSpec) else made.row_columns) for site, spec in made.specs.items()}


def whys(before, after) -> set[Why]:
    return {one.why for one in weakenings(protections(before), protections(after))}


def a_filter(values, **more):
    return a_rule("f1", "row_filter", parameters={"column": "region", "operator": "in", "values": values}, **more)


def test_what_protects_more_is_no_weakening():
    assert whys([], [a_rule()]) == set()
    assert whys([a_rule()], [a_rule()]) == set()
    assert whys([a_rule(action="partial")], [a_rule(action="hash")]) == set()
    assert whys([a_rule(exempt=[{"role": "A"}])], [a_rule()]) == set()
    assert whys([a_rule()], [a_rule(), a_rule("r2", "partial", exempt=[{"role": "A"}])]) == set()
    assert whys([a_filter(["EU", "US"])], [a_filter(["EU"])]) == set()


def test_what_protects_less_or_not_comparably_is_one():
    assert whys([a_rule()], []) == {Why.REMOVED}
    assert whys([a_rule()], [a_rule(action="hash")]) == {Why.WEAKER}
    assert whys([a_rule(exempt=[{"role": "A"}])], [a_rule(exempt=[{"role": "A"}, {"role": "B"}])]) == {Why.WEAKER}
    assert whys([a_rule(exempt=[{"role": "A"}])], [a_rule(exempt=[{"role": "B"}])]) == {Why.WEAKER}
    assert whys([a_rule(action="partial")], [a_rule(action="email_domain")]) == {Why.WEAKER}
    assert whys([a_rule(action="email_domain")], [a_rule(action="partial")]) == {Why.WEAKER}
    assert whys([a_filter(["EU"])], [a_filter(["EU", "US"])]) == {Why.WEAKER}
    assert whys([a_filter(["EU"])], []) == {Why.REMOVED}


def test_the_reader_who_would_see_more_is_named():
    found = weakenings(protections([a_rule()]), protections([a_rule(exempt=[{"role": "B"}])]))

    assert {one.reader for one in found} == {frozenset({Principal("role", "B")})}


def test_what_is_there_and_not_known_counts_as_weaker():
    site, spec = next(iter(protections([a_rule()]).items()))

    assert [one.why for one in weakenings({site: Protection(None)}, {site: spec})] == [Why.UNKNOWN]


def sites(count: int, start: int = 0) -> list[Site]:
    return [Site(TableId("d", "s", f"t{n % 7}"), f"c{n}") for n in range(start, start + count)]


def lost(count: int, start: int = 0) -> list[Weakening]:
    return [Weakening(site, Why.REMOVED, "x", "") for site in sites(count, start)]


def verdict(losing, enforced=1000, spent=(), confirmed=(), limits=None):
    left = set(sites(enforced)) - {site for one in spent for site in one.sites}
    return judge(losing, left, spent, confirmed, limits or Limits(), NOW)


def test_adding_is_never_held():
    assert not verdict([], spent=[Spent(NOW, frozenset(sites(1000)))]).is_held


def test_both_limits_must_be_passed():
    assert not verdict(lost(200)).is_held
    assert verdict(lost(201)).is_held
    assert not verdict(lost(10), enforced=10).is_held
    assert verdict(lost(11), enforced=11).is_held


def test_all_of_it_is_held_or_none():
    assert verdict(lost(201)).held == frozenset(sites(201))


def test_many_small_batches_of_a_day_are_one():
    spent, held_at = [], None
    for batch in range(200):
        losing = lost(5, batch * 5)
        if verdict(losing, spent=spent).is_held:
            held_at = batch
            break
        spent.append(Spent(NOW - timedelta(hours=1), frozenset(one.site for one in losing)))

    assert held_at == 40  # 200 of 1,000 were free
    old = [Spent(NOW - timedelta(hours=24), one.sites) for one in spent]
    assert not verdict(lost(5, 200), spent=old, enforced=1000).is_held


def test_the_same_place_weakened_twice_counts_once():
    spent = [Spent(NOW, frozenset(sites(200)))] * 3

    assert verdict(lost(5), spent=spent).counted == 200


def test_a_confirmed_set_goes_on_a_smaller_one_too_and_a_grown_one_asks_again():
    agreed = lost(300)

    assert not verdict(agreed, confirmed=agreed).is_held
    assert not verdict(lost(250), confirmed=agreed).is_held
    assert verdict(lost(301), confirmed=agreed).is_held
    assert verdict([replace(one, after="other") for one in agreed], confirmed=agreed).is_held


@given(st.permutations(lost(6)), st.integers(0, 5))
def test_a_fingerprint_stands_for_the_exact_set(shuffled, place):
    assert fingerprint(shuffled) == fingerprint(lost(6))
    assert fingerprint(shuffled[:place]) != fingerprint(lost(6))
    assert fingerprint([replace(shuffled[0], after="y"), *shuffled[1:]]) != fingerprint(lost(6))


def test_a_table_and_a_column_without_a_name_are_told_apart():
    table = TableId("d", "s", "t")
    rows, column = (Weakening(Site(table, name), Why.REMOVED, "x", "") for name in (None, ""))

    assert fingerprint([rows]) != fingerprint([column])
