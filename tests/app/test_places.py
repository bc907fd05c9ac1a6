"""Tables in requests: what answers write is read back as the same table, whatever its names hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import places
from lily.domain.inventory import TableId

names = st.one_of(st.text(min_size=1, max_size=30), st.text('a."*? Ä', min_size=1, max_size=8))


@given(st.builds(TableId, names, names, names))
def test_what_was_written_is_read_as_the_same_table(table: TableId) -> None:
    assert places.table(str(table)) == table


@pytest.mark.parametrize("text", ["", "A", "A.B", "A.B.C.D", "A..C", 'A."B.C', "A.B.C*", "A.B.", f"A.B.{'x' * 256}"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        places.table(text)
