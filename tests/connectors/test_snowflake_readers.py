"""What readers really see: for any rules, exemptions, hierarchy of roles and types, what the strictest rule for them says."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import snowflake as connector
from lily.domain.inventory import Column, TableId
from lily.domain.masking import fitted, mask_type, masked, strictness
from lily.domain.rules import MASKS, Rule
from tests.connectors.snowflake_account import NAME, SALT, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import snowflake, snowflake_process

__all__ = ["account", "snowflake", "snowflake_process"]

WIDE = TableId("DB", "S", "WIDE")
DAYS = [date(2024, 2, 29), date(1969, 12, 31), date(2021, 8, 17), date(2000, 1, 1), date(1999, 5, 6), date(2030, 11, 9)]
AMOUNTS = [Decimal(text) for text in ("1.50", "-99999999.99", "0.00", "7.25", "1.00", "2.00")]
VALUES: dict[str, tuple[str, list[Any]]] = {
    "WORDS": ("VARCHAR", ["ann.winter@example.com", "no address", "@", "", "x@", "naïve ✓ 😀@döt.example", None]),
    "SHORT": ("VARCHAR(5)", ["abcde", "a@b", "ab", "", "😀😀😀", "x", None]),
    "MIDDLE": ("VARCHAR(20)", ["abcdefghijklmnopqrst", "a@b.example", "'\\\"", "x", "**", "0", None]),
    "AMOUNT": ("NUMBER(10,2)", [*AMOUNTS, None]),
    "COUNTED": ("NUMBER(9,0)", [1, -5, 0, 999_999_999, 2, 3, None]),
    "RATIO": ("FLOAT", [0.5, -2.25, 0.0, 1.0, 3.5, 4.0, None]),
    "FLAG": ("BOOLEAN", [True, False, True, True, False, False, None]),
    "DAY": ("DATE", [*DAYS, None]),
    "MOMENT": ("TIMESTAMP_NTZ", [*(datetime(day.year, day.month, day.day, 13, 14, 15) for day in DAYS), None]),  # noqa: DTZ001
}
ROLES = ("R1", "R2", "R3", "R4")
ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("nullify", {}),
    ("redact", {"text": "it's \\hidden"}),
    ("redact", {"text": "***"}),
    ("hash", {}),
    ("partial", {"keep_first": 1, "keep_last": 1}),
    ("partial", {"keep_last": 4}),
    ("email_domain", {}),
    ("date_truncate", {"unit": "year"}),
    ("date_truncate", {"unit": "quarter"}),
    ("date_truncate", {"unit": "month"}),
]


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        action, parameters = draw(st.sampled_from(ACTIONS))
        exempt = [{"role": role} for role in draw(st.sets(st.sampled_from(ROLES), max_size=3))]
        columns = draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=4))
        match = {"columns": [f"wide.{column}" for column in sorted(columns)]}
        made.append(a_rule(f"r{number}", action, parameters=parameters, exempt=exempt, match=match))
    return made


grants = st.sets(st.sampled_from([(low, high) for low in ROLES for high in ROLES if low < high]), max_size=4)


@given(made=rules(), granted=grants)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_role_sees_what_the_strictest_rule_that_covers_it_shows(
    account: Account, made: list[Rule], granted: set[tuple[str, str]]
) -> None:
    _world(account, granted)
    plan = account.enforce(made, WIDE)
    columns = connector.read(NAME, [WIDE]).tables[WIDE].table.columns

    for role in (*ROLES, "PUBLIC"):
        held = _held(role, granted)
        assert _read(account, role=role, trusted=False, secondary="NONE") == _expected(made, columns, held), role
    assert _read(account, role="R1", user="READER", trusted=False, secondary="ALL") == _expected(made, columns, set(ROLES))
    assert _read(account, share=True) == _expected(made, columns, set())

    shown = connector.prove(NAME, [thing for table in plan.tables for thing in table.expected.objects])
    assert all(seen.shown == behaviour.shown or seen.moot for behaviour, seen in shown.items())
    account.enforce([], WIDE)
    assert _read(account, role="PUBLIC", trusted=False, secondary="NONE") == [list(row) for row in _stored()]


def test_a_role_that_inherits_another_exempt_one_is_no_obstacle_to_the_proof(account: Account) -> None:
    _world(account, {("R1", "R2")})
    made = [
        a_rule("r1", "nullify", exempt=[{"role": "R2"}], match={"columns": ["wide.WORDS"]}),
        a_rule("r2", "redact", exempt=[{"role": "R1"}], match={"columns": ["wide.WORDS"]}),
    ]
    plan = account.enforce(made, WIDE)

    shown = connector.prove(NAME, plan.tables[0].expected.objects)

    told = {tuple(sorted(p.name for p in b.reader)): (b.shown, seen.shown, seen.moot) for b, seen in shown.items()}
    assert told[()] == ("nullify", "nullify", False)
    assert told["R1", "R2"] == ("clear", "clear", False)
    assert told["R2",] == ("redact", "clear", True)


def _world(account: Account, granted: set[tuple[str, str]]) -> None:
    """The table, the roles, and this hierarchy between them: the second of each pair inherits the first."""
    names = ", ".join(f"{name} {kind}" for name, (kind, _) in VALUES.items())
    made = "; ".join(f"CREATE ROLE {role}; GRANT ROLE {role} TO USER READER" for role in ROLES)
    gone = "; ".join(f"DROP ROLE IF EXISTS {role}" for role in ROLES)
    account.sql(
        f"{gone}; CREATE USER IF NOT EXISTS READER PASSWORD = 'pw' DEFAULT_SECONDARY_ROLES = ('ALL'); {made}; "
        f"CREATE OR REPLACE TABLE DB.S.WIDE ({names}); GRANT SELECT ON TABLE DB.S.WIDE TO ROLE PUBLIC"
    )
    account.sql(f"INSERT INTO DB.S.WIDE VALUES {', '.join(f'({chr(44).join(map(_literal, row))})' for row in _stored())}")
    for low, high in granted:
        account.sql(f"GRANT ROLE {low} TO ROLE {high}")


def _stored() -> list[tuple[Any, ...]]:
    return list(zip(*(values for _, values in VALUES.values()), strict=True))


def _held(role: str, granted: set[tuple[str, str]]) -> set[str]:
    found, waiting = set[str](), {role}
    while waiting:
        found |= waiting
        waiting = {low for low, high in granted if high in waiting} - found
    return found


def _expected(made: list[Rule], columns: tuple[Column, ...], held: set[str]) -> list[list[Any]]:
    """By the meaning of rules alone: of those that do not exempt the reader, the strictest, on the value."""
    told = []
    for column in columns:
        of = mask_type(column.type)
        assert of
        covering = [
            fitted(rule.action, of)
            for rule in made
            if rule.action.kind in MASKS
            and any(part[-1].text == column.name for part in rule.match.columns)
            and not {exemption.principal.name for exemption in rule.exempt} & held
        ]
        action = max(covering, key=strictness, default=None)
        told.append([masked(action, value, of, SALT) for value in VALUES[column.name][1]])
    return [list(row) for row in zip(*told, strict=True)]


def _read(account: Account, **how: Any) -> list[list[Any]]:
    """The table as a reader gets it, in values of Python's."""
    told = account.sql(f"SELECT {', '.join(VALUES)} FROM DB.S.WIDE", warehouse="WH", **how)
    return [[_value(cell, kind) for cell, (kind, _) in zip(row, VALUES.values(), strict=True)] for row in told]


def _value(cell: Any, kind: str) -> Any:
    if cell is None or kind.startswith("VARCHAR"):
        return cell
    if kind == "DATE":
        return date.fromisoformat(cell)
    if kind == "TIMESTAMP_NTZ":
        return datetime.fromisoformat(cell)
    return Decimal(str(cell)) if kind.startswith("NUMBER(10") else cell


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float | Decimal):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
