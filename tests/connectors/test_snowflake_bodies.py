"""Bodies of Snowflake's policies: what nobody who reads, and nobody who edits, can make them say otherwise."""

import re
from typing import Any

import pytest

from connectors import snowflake as connector
from connectors.snowflake import bodies
from lily.domain import marks
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Family, TableId, Zone
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Operator, Principal
from tests.connectors.snowflake_account import NAME, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import snowflake, snowflake_process

__all__ = ["account", "snowflake", "snowflake_process"]

T = TableId("DB", "S", "T")
DAY = Argument(Family.DATE, "DATE")
NAKED = Argument(Family.TIMESTAMP, "TIMESTAMP_NTZ")
ZONED = Argument(Family.TIMESTAMP, "TIMESTAMP_LTZ", Zone.SESSION)
BODY = "ab" * 16


def filtering(of: Argument, *values: Any, exempt: str = "") -> RowSpec:
    principals = frozenset({Principal("role", exempt)} if exempt else ())
    return RowSpec(("r1",), (of,), (RowCondition(principals, 0, Operator.IN, values),))


@pytest.mark.parametrize(
    ("of", "value", "text"),
    [
        (DAY, "2024-05-02", "TO_DATE('2024-05-02', 'YYYY-MM-DD')"),
        (DAY, "20240502", "TO_DATE('2024-05-02', 'YYYY-MM-DD')"),
        (DAY, "2024-W18-4", "TO_DATE('2024-05-02', 'YYYY-MM-DD')"),
        (NAKED, "2024-05-02", "TO_TIMESTAMP_NTZ('2024-05-02 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.FF6')"),
        (
            ZONED,
            "2024-05-02T03:04:05.5+05:30",
            "TO_TIMESTAMP_TZ('2024-05-02 03:04:05.500000 +0530', 'YYYY-MM-DD HH24:MI:SS.FF6 TZHTZM')",
        ),
    ],
)
def test_what_a_date_means_is_not_left_to_the_formats_of_a_readers_session(of: Argument, value: str, text: str) -> None:
    assert f"A0 IN ({text})" in bodies.rows(filtering(of, value), BODY)


def test_rows_are_shown_by_days_in_any_spelling(account: Account) -> None:
    parameters = {"column": "BORN", "operator": ">=", "values": ["20000101"]}
    plan = account.enforce([a_rule("r1", "row_filter", parameters=parameters, match={"columns": ["BORN"]})], T)

    days = [str(row[0]) for row in account.sql("SELECT BORN FROM DB.S.T", trusted=True)]
    seen = [str(row[0]) for row in account.reads("SELECT BORN FROM DB.S.T", "ANALYST")]
    assert sorted(seen) == sorted(day for day in days if day >= "2000-01-01")
    things = [thing for table in plan.tables for thing in table.expected.objects]
    assert [seen.shown for seen in connector.prove(NAME, things).values()] == ["filtered_rows"]


@pytest.mark.parametrize("value", [f"lily:{'a' * 32}:{'b' * 32}", f"'lily:{BODY}:{'0' * 32}'"])
def test_a_value_that_looks_like_a_mark_neither_hides_the_mark_nor_escapes_it(value: str) -> None:
    text = bodies.rows(filtering(Argument(Family.TEXT, "VARCHAR"), value, exempt=value), BODY)

    assert marks.body_of(text, bodies.TOKENS) == BODY
    assert marks.body_of(text.replace("a" * 32, "c" * 32).replace("0" * 32, "1" * 32), bodies.TOKENS) is None


def test_a_body_that_was_forged_with_its_mark_is_not_what_was_written(account: Account) -> None:
    """Whoever owns the policy can make a mark too, and then leave a door open that no proof tries."""
    plan = account.enforce([a_rule("r1", "redact", match={"columns": ["EMAIL"]})], T)
    [thing] = plan.tables[0].expected.objects
    assert isinstance(thing.spec, MaskSpec)
    opened = bodies.mask(thing.spec, thing.body, "").replace("ELSE", "WHEN CURRENT_USER() = 'EVE' THEN V ELSE", 1)
    digest = marks._digest(thing.body, opened, bodies.TOKENS)
    forged = re.sub(rf"{thing.body}:[0-9a-f]{{32}}", f"{thing.body}:{digest}", opened)
    assert connector.observe(NAME, [plan.tables[0].expected])[T].bodies == {thing.name: thing.body}

    account.sql(f'ALTER MASKING POLICY GOV.LILY."{thing.name}" SET BODY -> {forged}')
    assert marks.body_of(forged, bodies.TOKENS) == thing.body
    assert connector.observe(NAME, [plan.tables[0].expected])[T].bodies == {thing.name: None}
