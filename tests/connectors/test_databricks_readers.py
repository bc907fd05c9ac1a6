"""What readers really see: for any rules, exemptions, groups within groups and types, what the strictest rule for them says."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import databricks as connector
from lily.domain.inventory import Column, TableId
from lily.domain.masking import fitted, mask_type, masked, strictness
from lily.domain.rules import MASKS, Rule
from tests.connectors.databricks_workspace import NAME, SALT, Workspace, workspace
from tests.domain.security import a_rule
from tests.sandbox.conftest import databricks, databricks_process

__all__ = ["databricks", "databricks_process", "workspace"]

WIDE = TableId("analytics", "crm", "wide")
DAYS = [date(2024, 2, 29), date(1969, 12, 31), date(2021, 8, 17), date(2000, 1, 1), date(1999, 5, 6), date(2030, 11, 9)]
AMOUNTS = [Decimal(text) for text in ("1.50", "-99999999.99", "0.00", "7.25", "1.00", "2.00")]
MOMENTS = [datetime(day.year, day.month, day.day, 13, 14, 15) for day in DAYS]  # noqa: DTZ001
VALUES: dict[str, tuple[str, list[Any]]] = {
    "Words": ("STRING", ["ann.winter@example.com", "no address", "@", "", "x@", "naïve ✓ 😀@döt.example", None]),
    "middle": ("VARCHAR(20)", ["abcdefghijklmnopqrst", "a@b.example", "'\\\"", "x", "**", "0", None]),
    "amount": ("DECIMAL(10,2)", [*AMOUNTS, None]),
    "counted": ("INT", [1, -5, 0, 999_999_999, 2, 3, None]),
    "tiny": ("TINYINT", [1, -5, 0, 127, 2, 3, None]),
    "ratio": ("DOUBLE", [0.5, -2.25, 0.0, 1.0, 3.5, 4.0, None]),
    "flag": ("BOOLEAN", [True, False, True, True, False, False, None]),
    "day": ("DATE", [*DAYS, None]),
    "moment": ("TIMESTAMP_NTZ", [*MOMENTS, None]),
    "instant": ("TIMESTAMP", [*MOMENTS, None]),
}
GROUPS = ("g1", "g2", "g3", "g4")
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
        exempt = [{"group": group} for group in draw(st.sets(st.sampled_from(GROUPS), max_size=3))]
        columns = draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=4))
        match = {"columns": [f"wide.{column}" for column in sorted(columns)]}
        made.append(a_rule(f"r{number}", action, parameters=parameters, exempt=exempt, match=match))
    return made


inner = st.sets(st.sampled_from([(low, high) for low in GROUPS for high in GROUPS if low < high]), max_size=4)


@given(made=rules(), nested=inner)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_reader_sees_what_the_strictest_rule_that_covers_them_shows(
    workspace: Workspace, made: list[Rule], nested: set[tuple[str, str]]
) -> None:
    _world(workspace, nested)
    plan = workspace.enforce(made, WIDE)
    columns = connector.read(NAME, [WIDE]).tables[WIDE].table.columns

    for group in GROUPS:
        assert _read(workspace, f"{group}@example.com") == _expected(made, columns, _held(group, nested)), group
    assert _read(workspace, "ana@example.com") == _expected(made, columns, set())

    shown = connector.prove(NAME, [thing for table in plan.tables for thing in table.expected.objects])
    assert shown
    assert all(seen.shown == behaviour.shown for behaviour, seen in shown.items())
    workspace.enforce([], WIDE)
    assert _read(workspace, "ana@example.com") == [list(row) for row in _stored()]
    assert [name for name in connector.read(NAME, []).objects if "known_answer" not in name] == []


def _world(workspace: Workspace, nested: set[tuple[str, str]]) -> None:
    """The table, a reader in each group, and these groups within groups: the second of each pair is a member of the first."""
    for group in GROUPS:
        workspace.stand_in.post("principals", name=f"{group}@example.com", kind="User")
        workspace.stand_in.post(
            "groups", name=group, add=[f"{group}@example.com"], remove_groups=[g for g in GROUPS if g != group]
        )
    for low, high in nested:
        workspace.stand_in.post("groups", name=low, add_groups=[high])
    names = ", ".join(f"{name} {kind}" for name, (kind, _) in VALUES.items())
    workspace.sql(
        f"CREATE OR REPLACE TABLE analytics.crm.wide ({names})",
        f"INSERT INTO analytics.crm.wide VALUES {', '.join(f'({chr(44).join(map(_literal, row))})' for row in _stored())}",
        "GRANT SELECT ON TABLE analytics.crm.wide TO `account users`",
    )


def _stored() -> list[tuple[Any, ...]]:
    return list(zip(*(values for _, values in VALUES.values()), strict=True))


def _held(group: str, nested: set[tuple[str, str]]) -> set[str]:
    found, waiting = set[str](), {group}
    while waiting:
        found |= waiting
        waiting = {low for low, high in nested if high in waiting} - found
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


def _read(workspace: Workspace, user: str) -> list[list[Any]]:
    """The table as a reader gets it, in values of Python's."""
    told = workspace.reads(f"SELECT {', '.join(VALUES)} FROM analytics.crm.wide", user)
    return [[_value(cell, kind) for cell, (kind, _) in zip(row, VALUES.values(), strict=True)] for row in told]


def _value(cell: Any, kind: str) -> Any:
    if cell is None or kind in {"STRING", "VARCHAR(20)"}:
        return cell
    if kind == "DATE":
        return date.fromisoformat(cell)
    if kind.startswith("TIMESTAMP"):
        return datetime.fromisoformat(cell).replace(tzinfo=None)
    return cell == "true" if kind == "BOOLEAN" else Decimal(cell)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float | Decimal):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
