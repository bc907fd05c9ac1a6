"""Branches: each reader meets the strictest action among the rules that do not exempt that reader."""

from itertools import chain as joined
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from lily.domain.branches import Branch, MaskSpec, chain, readers, sees, weaker_for
from lily.domain.inventory import Family
from lily.domain.masking import NULLIFY, MaskType, covers
from lily.domain.rules import Action, ActionKind, Principal

ROLES = [Principal("role", name) for name in "ABCD"]
REDACT = Action(ActionKind.REDACT, text="***")
HASH = Action(ActionKind.HASH)
LAST4 = Action(ActionKind.PARTIAL, keep_last=4)
LAST2 = Action(ActionKind.PARTIAL, keep_last=2)
FIRST2 = Action(ActionKind.PARTIAL, keep_first=2)
DOMAIN = Action(ActionKind.EMAIL_DOMAIN)
STRICTEST_FIRST = [NULLIFY, REDACT, HASH, FIRST2, LAST2, LAST4, DOMAIN]
STRICTEST_FIRST[3:5] = [LAST2, FIRST2]  # of equally many shown characters, fewer first ones

conditions = st.frozensets(st.sampled_from(ROLES), max_size=3)
rule_lists = st.lists(st.tuples(conditions, st.sampled_from(STRICTEST_FIRST)), min_size=1, max_size=5)
EVERY_READER = [frozenset(some) for some in joined.from_iterable(combinations(ROLES, n) for n in range(len(ROLES) + 1))]


def said_by(rules, reader):
    """The strictest action of the rules whose exemptions do not name the reader; None where all do."""
    left = [action for exempt, action in rules if not any(principal in exempt for principal in reader)]
    return next((action for action in STRICTEST_FIRST if action in left), None)


@given(rule_lists)
def test_every_reader_sees_what_the_strictest_rule_not_exempting_them_says(rules):
    branches = chain(rules)

    for reader in EVERY_READER:
        assert sees(branches, reader) == said_by(rules, reader)


@given(rule_lists, st.data())
def test_the_order_of_rules_does_not_matter(rules, data):
    assert chain(data.draw(st.permutations(rules))) == chain(rules)


@given(rule_lists)
def test_who_holds_nothing_meets_the_last_branch_and_the_strictest_action(rules):
    branches = chain(rules)

    assert branches[-1].conditions == ()
    assert all(covers_or_ties(branches[-1].action, branch.action) for branch in branches)


def covers_or_ties(one, other):
    return one is not None and (other is None or STRICTEST_FIRST.index(one) <= STRICTEST_FIRST.index(other))


@given(rule_lists)
def test_a_condition_that_cannot_be_told_never_leads_to_a_weaker_action(rules):
    """NULL in SQL: a branch whose condition is unknown is passed over."""
    branches = chain(rules)

    for reader in EVERY_READER:
        for unknown in ROLES:
            known = [
                b
                for b in branches
                if all(unknown not in c or (reader - {unknown}) & c for c in b.conditions) and b.admits(reader)
            ]
            assert covers_or_ties(known[0].action, sees(branches, reader)) or known[0].action == sees(branches, reader)


@given(rule_lists)
def test_one_reader_is_tried_for_each_branch_and_meets_it(rules):
    branches = chain(rules)
    tried = readers(branches)

    assert all(sees(branches, reader) == action for reader, action in tried)
    assert [action for _, action in tried] == [branch.action for branch in branches]
    assert tried[-1][0] == frozenset()


@given(rule_lists, rule_lists)
def test_a_weakening_is_found_if_and_only_if_some_reader_sees_more(before, after):
    old, new = chain(before), chain(after)
    witness = weaker_for(old, new)

    weakened = [reader for reader in EVERY_READER if not covers(sees(new, reader), sees(old, reader))]
    assert (witness is not None) == bool(weakened)
    if witness is not None:
        assert witness in weakened


@given(rule_lists)
def test_nothing_is_weaker_than_itself(rules):
    assert weaker_for(chain(rules), chain(rules)) is None


def test_rules_that_say_the_same_need_no_branches_of_their_own():
    a, b = frozenset(ROLES[:1]), frozenset(ROLES[:2])

    assert chain([(a, HASH), (b, HASH)]) == (Branch((a,), None), Branch((), HASH))
    assert chain([(frozenset(), HASH), (a, LAST4)]) == (Branch((), HASH),)


@given(rule_lists, rule_lists)
def test_fingerprints_tell_apart_what_readers_see(one, other):
    of = MaskType(Family.TEXT, "VARCHAR", 64)
    specs = [MaskSpec(("r",), of, chain(rules)) for rules in (one, other)]

    assert (specs[0].fingerprint == specs[1].fingerprint) == (specs[0] == specs[1])


def test_fingerprints_depend_on_type_and_salt():
    branches = chain([(frozenset(), HASH)])
    types = [MaskType(Family.TEXT, "VARCHAR", 64), MaskType(Family.TEXT, "VARCHAR", 32), MaskType(Family.TEXT, "string", 64)]

    assert len({MaskSpec(("r",), of, branches, salt).fingerprint for of in types for salt in ("s1", "s2")}) == 6
