"""Names of Lily's objects: stable over versions, distinct by purpose, and known again by their comment."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.branches import Branch, MaskSpec
from lily.domain.inventory import Family
from lily.domain.masking import NULLIFY, MaskType
from lily.domain.naming import (
    FOREWORD,
    Comment,
    Owner,
    body_hash,
    generation,
    is_own_tag,
    object_name,
    owner,
    prefix,
    read,
    tag_key,
)
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Operator

VARCHAR = MaskType(Family.TEXT, "VARCHAR", 64)
installations = st.one_of(st.from_regex(r"[a-z]{1,3}([_-][a-z]{1,3}){0,2}", fullmatch=True), st.text(max_size=60))
comments = st.builds(
    Comment,
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(1, 99)).map(
        lambda d: tuple(sorted(d.items()))
    ),
    st.text("0123456789abcdef", max_size=32),
)


def a_mask(rules: tuple[str, ...] = ("r1",), of: MaskType = VARCHAR, action: Action = NULLIFY) -> MaskSpec:
    return MaskSpec(rules, of, (Branch((), action),))


def a_row_policy(*values: int) -> RowSpec:
    return RowSpec(("r1",), (Argument(Family.INTEGER, "NUMBER"),), (RowCondition(frozenset(), 0, Operator.IN, values),))


@given(installations, st.lists(st.text(max_size=100), max_size=5).map(tuple), st.text(max_size=80))
def test_names_are_short_and_safe_whatever_they_are_made_from(installation, rules, signature):
    spec = MaskSpec(rules, MaskType(Family.TEXT, signature, 16), (Branch((), NULLIFY),))

    for name in (generation(object_name(installation, spec), 99), tag_key(installation, "gdpr")):
        assert re.fullmatch(r"lily_[a-z0-9_]+", name)
        assert len(name) <= 128


@given(installations, installations)
def test_no_installation_takes_another_ones_tags_for_its_own(one, other):
    assert is_own_tag(one, tag_key(other, "gdpr")) == (one == other)


def test_names_stay_over_versions_and_tell_purposes_apart():
    assert object_name("prod", a_mask()) == object_name("prod", a_mask(action=Action(ActionKind.HASH)))
    assert object_name("prod", a_row_policy(1)) == object_name("prod", a_row_policy(1, 2))
    names = {
        object_name("prod", a_mask()),
        object_name("dev", a_mask()),
        object_name("prod", a_mask(("r1", "r2"))),
        object_name("prod", a_mask(("r1,r2",))),
        object_name("prod", a_mask(of=MaskType(Family.TEXT, "VARCHAR", 32))),
        object_name("prod", a_mask(of=MaskType(Family.DATE, "DATE"))),
        object_name("prod", a_row_policy(1)),
    }
    assert len(names) == 7


def test_a_name_says_whose_and_what_it_is():
    assert re.fullmatch(r"lily_prod__mask_text64_[0-9a-f]{20}", object_name("prod", a_mask()))
    assert prefix("lily") == "lily_lily__"


@given(comments)
def test_a_comment_is_read_back(comment):
    assert comment.text.isascii()
    assert read(comment.text) == comment
    assert owner(read(comment.text), comment.installation) is Owner.OURS
    assert owner(read(comment.text), comment.installation + "x") is Owner.OTHER_INSTALLATION


@pytest.mark.parametrize("text", [None, "", "by hand", "Made and kept by Lily; changes by hand are undone. lily:", "lily:{}"])
def test_other_comments_mean_that_it_is_not_ours(text):
    assert owner(read(text), "prod") is Owner.FOREIGN


@pytest.mark.parametrize("version", ["Infinity", "1e400", "NaN", "null", "[]", "9" * 5000, "true"])
def test_an_imitated_comment_does_no_harm_whatever_its_versions_are(version):
    text = f'{FOREWORD}{{"body":"","installation":"prod","rules":{{"r1":{version}}}}}'

    assert owner(read(text), "prod") is Owner.FOREIGN


@given(comments, st.data())
def test_an_edited_comment_means_that_it_is_not_ours(comment, data):
    text = comment.text
    place = data.draw(st.integers(0, len(text) - 1))

    assert read(text[:place]) is None
    assert read(text + " ") is None


def test_a_body_is_told_by_what_it_means_and_how_it_is_written():
    hashes = {body_hash(a_mask(), "1"), body_hash(a_mask(), "2"), body_hash(a_mask(action=Action(ActionKind.HASH)), "1")}

    assert len(hashes) == 3
