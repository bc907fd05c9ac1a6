"""What the tests of outbound security share: targets of two kinds, tables, and strategies for rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from lily.domain.inventory import Column, DataType, Family, Table, TableId, TableKind, Zone
from lily.domain.rule_documents import new
from lily.domain.rules import Rule
from lily.domain.targets import Capabilities, Cause, SideEffect, Target

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SNOW = Target(
    "snow",
    "prod",
    "s1",
    Capabilities(
        revision="1",
        principal="role",
        columns_per_statement=100,
        tags_per_statement=100,
        tags_are_objects=True,
        side_effects=(SideEffect(Cause.MASK, "ctas", "CREATE TABLE AS SELECT copies what its creator sees"),),
    ),
)
BRICKS = Target(
    "bricks",
    "prod",
    "s1",
    Capabilities(
        revision="1",
        principal="group",
        ignores_case=True,
        columns_per_statement=1,
        comment_with_body=True,
        filters_read_masked_columns=False,
        maskable=frozenset(TableKind) - {TableKind.VIEW},
        filterable=frozenset(TableKind) - {TableKind.VIEW},
    ),
)
TYPES = {
    "text": DataType(Family.TEXT, "VARCHAR", "VARCHAR"),
    "short": DataType(Family.TEXT, "VARCHAR(10)", "VARCHAR", 10),
    "number": DataType(Family.DECIMAL, "NUMBER(10,2)", "NUMBER", precision=10, scale=2),
    "date": DataType(Family.DATE, "DATE", "DATE"),
    "moment": DataType(Family.TIMESTAMP, "TIMESTAMP_TZ", "TIMESTAMP_TZ", zone=Zone.OFFSET),
    "flag": DataType(Family.BOOLEAN, "BOOLEAN", "BOOLEAN"),
    "json": DataType(Family.SEMI_STRUCTURED, "VARIANT", "VARIANT"),
    "vector": DataType(Family.OTHER, "VECTOR(FLOAT, 3)", "VECTOR(FLOAT, 3)"),
}


def a_table(name: str = "customers", kind: TableKind = TableKind.TABLE, **columns: str) -> Table:
    """A table of columns by the names of their TYPES."""
    made = tuple(Column(column, TYPES[of]) for column, of in columns.items())
    return Table(TableId("CRM", "PUBLIC", name), made, kind)


def a_rule(rule_id: str = "r1", action: str = "redact", now: datetime = NOW, **more: Any) -> Rule:
    """A rule on columns of class `c`, unless `match` says otherwise; action with its `parameters`."""
    parameters = {"partial": {"keep_last": 4}, "date_truncate": {"unit": "year"}}.get(action, {})
    document = {
        "name": rule_id,
        "regulation": "PII",
        "match": {"classifications": ["c"]},
        "action": {"kind": action, "parameters": more.pop("parameters", parameters)},
        "targets": ["*"],
        **more,
    }
    return new(rule_id, document, now)


ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("nullify", {}),
    ("redact", {"text": "***"}),
    ("hash", {}),
    ("partial", {"keep_last": 4}),
    ("partial", {"keep_first": 1, "keep_last": 1}),
    ("email_domain", {}),
    ("date_truncate", {"unit": "year"}),
    ("date_truncate", {"unit": "month"}),
]
NAMES = "ABC"
exemption = st.one_of(
    st.builds(lambda n: {"role": n}, st.sampled_from(NAMES)),
    st.builds(lambda n, h: {"role": n, "until": NOW + timedelta(hours=h)}, st.sampled_from(NAMES), st.sampled_from([1, 5])),
    st.builds(lambda n: {"group": n}, st.sampled_from(NAMES)),
)


@st.composite
def mask_rules(draw: st.DrawFn, rule_id: str, classes: str = "xy") -> Rule:
    """A rule that masks columns of some classifications; its exemptions name each principal once."""
    kind, parameters = draw(st.sampled_from(ACTIONS))
    exempt = draw(
        st.lists(exemption, max_size=2, unique_by=lambda e: tuple(sorted((k, v) for k, v in e.items() if k != "until")))
    )
    wanted = draw(st.lists(st.sampled_from(classes), min_size=1, unique=True))
    return a_rule(
        rule_id, kind, parameters=parameters, exempt=exempt, match={"classifications": wanted}, enabled=draw(st.booleans())
    )
