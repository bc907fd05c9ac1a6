"""Copies of values."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.domain.copies import changed


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@given(st.builds(Point, st.integers(), st.integers()), st.dictionaries(st.sampled_from("xy"), st.integers()))
def test_a_copy_is_what_replace_would_make_and_the_value_stays(point: Point, changes: dict[str, int]) -> None:
    before = Point(point.x, point.y)

    assert changed(point, **changes) == replace(point, **changes)
    assert point == before


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="Point has no field z"):
        changed(Point(1), z=2)
