"""The second part of the tour: one rule takes effect in two warehouses at once, is proven, and goes again, as analysts see it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.console import Console
from sandbox.demo_report import Check
from sandbox.demo_system import Answer, System, Unmet, until
from sandbox.surroundings import DATABRICKS, SNOWFLAKE

COLUMNS = ("name", "email", "phone", "born", "country", "balance")
SENSITIVE = ("email", "phone", "born")
SHOWN = ("name", "email", "born")  # of each warehouse, side by side
ROWS_SHOWN = 5
SOURCE = "demo"
CLASS = "PERSONAL"
RULE = {
    "name": "Demo: hide personal data",
    "regulation": "GDPR",
    "match": {"classifications": [CLASS]},
    "action": {"kind": "partial", "parameters": {"keep_last": 3}},
    "exempt": [
        {"role": "SUPPORT", "reason": "answers the phone"},
        {"group": "support", "reason": "answers the phone"},
    ],
}
ENDS = ("enforced", "nothing_to_do")

Rows = list[list[Any]]


@dataclass(frozen=True)
class Side:
    """One warehouse: where the customers are, who reads them, and in which case names are stored."""

    target: str
    title: str
    table: tuple[str, str, str]
    reader: str
    exempt: str  # inherits what the rule exempts

    def read(self, system: System, who: str) -> Rows:
        stored = [column.upper() if self.target == SNOWFLAKE else column for column in COLUMNS]
        query = f"SELECT {', '.join(stored)} FROM {'.'.join(self.table)} ORDER BY {'ID' if stored[0].isupper() else 'id'}"  # noqa: S608
        if self.target == SNOWFLAKE:
            return system.snowflake(query, role=who, trusted=False, warehouse="BI_WH", secondary="NONE")
        return system.databricks(query, user=who)

    def left(self, system: System) -> list[str]:
        """What Lily has left in the warehouse."""
        if self.target == SNOWFLAKE:
            found = system.snowflake("SHOW MASKING POLICIES IN SCHEMA GOV.LILY")
            return [str(row[1]) for row in found if "known_answer" not in str(row[1])]
        return [name for name in system.databricks_dump()["functions"] if "known_answer" not in name]

    def places(self) -> list[dict[str, str]]:
        database, schema, table = self.table
        at = {"target": self.target, "database": database, "schema": schema, "table": table}
        return [{**at, "column": column.upper() if self.target == SNOWFLAKE else column} for column in SENSITIVE]


SIDES = (
    Side(SNOWFLAKE, "Snowflake", ("ANALYTICS", "CRM", "CUSTOMERS"), "ANALYST", "SUPPORT_LEAD"),
    Side(DATABRICKS, "Databricks", ("analytics", "crm", "customers"), "ana@example.com", "lea@example.com"),
)


@dataclass
class Seen:
    """What one run saw: the customers by moment and warehouse, what ran, and how long it took from the API call to the proof."""

    sides: Sequence[Side]
    moments: dict[str, dict[str, Rows]] = field(default_factory=dict)  # by moment and target
    statements: dict[str, Sequence[str]] = field(default_factory=dict)
    proofs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    enforced_ms: float = 0.0
    gone_ms: float = 0.0
    left: dict[str, list[str]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def look(self, system: System, moment: str, who: Mapping[str, str]) -> None:
        self.moments[moment] = {side.target: side.read(system, who[side.target]) for side in self.sides}


def take(system: System, console: Console, patience_s: float) -> Seen | None:
    """Annotate, make the rule, look, delete it, look again. None: this system has no such warehouse. Raises Unmet."""
    sides = [side for side in SIDES if side.target in system.targets]
    if not sides:
        return None
    seen = Seen(sides)
    readers, leads = {s.target: s.reader for s in sides}, {s.target: s.exempt for s in sides}
    console.step(f"one rule takes effect in {' and '.join(f'{s.title} ({s.table[2]}, read as {s.reader})' for s in sides)}")
    seen.look(system, "before", readers)
    _annotate(system, sides, [CLASS])
    try:
        began_at = time.monotonic()
        rule = _expect(system.ask("POST", "/security/rules", {**RULE, "targets": [s.target for s in sides]}), 201, "the rule")
        made = _await(system, rule, patience_s)
        seen.enforced_ms = (time.monotonic() - began_at) * 1000
        console.step(f"  enforced        {rule['id']}, {seen.enforced_ms:.0f} ms from the API call to the last proof")
        for record in made["items"]:
            seen.statements[record["target"]], seen.proofs[record["target"]] = record["statements"], record["proof"]
        seen.look(system, "with the rule", readers)
        seen.look(system, "as somebody who is exempt", leads)
        began_at = time.monotonic()
        gone = system.ask("DELETE", f"/security/rules/{rule['id']}", None, {"If-Match": f'"{rule["version"]}"'})
        _await(system, _expect(gone, 202, "the deletion"), patience_s)
        seen.gone_ms = (time.monotonic() - began_at) * 1000
        console.step(f"  deleted         everything is taken away again, after {seen.gone_ms:.0f} ms")
    finally:
        _annotate(system, sides, [])
    seen.look(system, "after the rule", readers)
    seen.left = {side.target: side.left(system) for side in sides}
    seen.checks = [check for side in sides for check in _checks(seen, side)]
    return seen


def beside(seen: Seen, moment: str) -> tuple[list[str], list[list[Any]]]:
    """The customers as every warehouse shows them, side by side: heads and rows."""
    heads = [f"{column} in {side.title}" for column in SHOWN for side in seen.sides]
    tables = [seen.moments[moment][side.target] for side in seen.sides]
    places = [COLUMNS.index(column) for column in SHOWN]
    return heads, [[row[place] for place in places for row in some] for some in zip(*tables, strict=True)][:ROWS_SHOWN]


def _checks(seen: Seen, side: Side) -> list[Check]:
    before, during, exempt, after = (
        _texts(seen.moments[m][side.target]) for m in ("before", "with the rule", "as somebody who is exempt", "after the rule")
    )
    proof = seen.proofs[side.target]
    shown = {row["seen"] for row in proof["behaviours"]}
    name = side.title
    return [
        Check(f"{name}: {side.reader} saw everything before", _stored(before), before),
        Check(f"{name}: {side.reader} sees the ends of addresses and numbers, and no birthday", _masked(before), during),
        Check(f"{name}: {side.exempt} sees everything, by what is inherited from who is exempt", before, exempt),
        Check(
            f"{name}: the rule is enforced, and proven for readers of both kinds",
            ("enforced", True, True),
            (proof["outcome"], "clear" in shown, "partial" in shown),
        ),
        Check(f"{name}: after the rule {side.reader} sees what was seen before", before, after),
        Check(f"{name}: nothing of the rule is left in the warehouse", [], seen.left[side.target]),
    ]


def _await(system: System, rule: Mapping[str, Any], patience_s: float) -> Any:
    path = f"/security/rules/{rule['id']}/propagations"
    last: list[Answer] = []

    def enforced() -> Any:
        last[:] = [system.lily(path)]
        body = last[0].body
        is_there = last[0].status == 200 and body["version"] == rule["version"] and body["state"] in ENDS
        return body if is_there else None

    found = until(enforced, patience_s)
    if found is None:
        seen = last[0].body if last else "nothing"
        raise Unmet(f"the rule was to be enforced within {patience_s:g} s, but {system.web}{path} says {str(seen)[:600]}")
    return found


def _annotate(system: System, sides: Sequence[Side], classifications: list[str]) -> None:
    entries = [{**place, "classifications": classifications} for side in sides for place in side.places()]
    _expect(system.ask("PUT", "/security/annotations", {"source": SOURCE, "annotations": entries}), 200, "the annotations")


def _expect(answer: Answer, status: int, what: str) -> Any:
    if answer.status != status:
        raise Unmet(f"{what} was to be answered with {status}, but was with {answer.status}: {str(answer.body)[:600]}")
    return answer.body


def _texts(rows: Rows) -> list[list[str | None]]:
    return [[None if cell is None else str(cell) for cell in row] for row in rows]


def _stored(rows: list[list[str | None]]) -> list[list[str | None]]:
    """Rows in which nothing is hidden."""
    return [row for row in rows if None not in row and "*" not in "".join(map(str, row))]


def _masked(rows: list[list[str | None]]) -> list[list[str | None]]:
    """What partial with the last three characters makes of these rows; of a date it can only make nothing."""
    hidden = {COLUMNS.index("email"), COLUMNS.index("phone")}
    return [
        [None if at == COLUMNS.index("born") else _ends(cell) if at in hidden else cell for at, cell in enumerate(row)]
        for row in rows
    ]


def _ends(text: str | None) -> str:
    return "*" * (len(text or "") - 3) + (text or "")[-3:]
