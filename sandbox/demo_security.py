"""The second half of the tour: a rule takes effect in Snowflake, is proven, and goes again, seen as an analyst sees it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.console import Console
from sandbox.demo_report import Check
from sandbox.demo_system import Answer, System, Unmet, until
from sandbox.surroundings import TARGET

TABLE = ("ANALYTICS", "CRM", "CUSTOMERS")
COLUMNS = ("NAME", "EMAIL", "PHONE", "BORN", "COUNTRY", "BALANCE")
QUERY = f"SELECT {', '.join(COLUMNS)} FROM {'.'.join(TABLE)} ORDER BY ID"  # noqa: S608 - names from here
SENSITIVE = ("EMAIL", "PHONE", "BORN")
SOURCE = "demo"
CLASS = "PERSONAL"
READER, EXEMPT, ABOVE = "ANALYST", "SUPPORT", "SUPPORT_LEAD"
RULE = {
    "name": "Demo: hide personal data",
    "regulation": "GDPR",
    "match": {"classifications": [CLASS]},
    "action": {"kind": "partial", "parameters": {"keep_last": 3}},
    "exempt": [{"role": EXEMPT, "reason": "answers the phone"}],
    "targets": [TARGET],
}
ENDS = ("enforced", "nothing_to_do")
SHOWN = 5  # rows of each table

Rows = list[list[Any]]


@dataclass
class Seen:
    """What one run saw: the table in its states, what ran, and how long it took from the API call to the proof."""

    tables: dict[str, Rows] = field(default_factory=dict)
    statements: Sequence[str] = ()
    proof: Mapping[str, Any] = field(default_factory=dict)
    enforced_ms: float = 0.0
    gone_ms: float = 0.0
    left: Rows = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


def take(system: System, console: Console, patience_s: float) -> Seen:
    """Annotate, make the rule, look, delete it, look again. Raises Unmet where there is no sense in going on."""
    seen = Seen()
    console.step(f"a rule takes effect in Snowflake ({'.'.join(TABLE)}, read as {READER})")
    seen.tables[f"before, as {READER}"] = before = _read(system, READER)
    _annotate(system, [CLASS])
    try:
        began_at = time.monotonic()
        rule = _expect(system.ask("POST", "/security/rules", RULE), 201, "the rule")
        made = _await(system, rule, patience_s)
        seen.enforced_ms = (time.monotonic() - began_at) * 1000
        console.step(f"  enforced        {rule['id']}, {seen.enforced_ms:.0f} ms from the API call to the proof")
        record = made["items"][0]
        seen.statements, seen.proof = record["statements"], record["proof"]
        seen.tables[f"with the rule, as {READER}"] = during = _read(system, READER)
        seen.tables[f"with the rule, as {ABOVE}, which inherits the exempt {EXEMPT}"] = above = _read(system, ABOVE)
        began_at = time.monotonic()
        gone = system.ask("DELETE", f"/security/rules/{rule['id']}", None, {"If-Match": f'"{rule["version"]}"'})
        _await(system, _expect(gone, 202, "the deletion"), patience_s)
        seen.gone_ms = (time.monotonic() - began_at) * 1000
        console.step(f"  deleted         everything is taken away again, after {seen.gone_ms:.0f} ms")
    finally:
        _annotate(system, [])
    seen.tables[f"after the rule, as {READER}"] = after = _read(system, READER)
    seen.left = system.snowflake("SHOW MASKING POLICIES IN SCHEMA GOV.LILY")
    seen.checks = _checks(seen, before, during, above, after)
    return seen


def _checks(seen: Seen, before: Rows, during: Rows, above: Rows, after: Rows) -> list[Check]:
    shown = {row["seen"] for row in seen.proof["behaviours"]}
    proven = (seen.proof["outcome"], "clear" in shown, "partial" in shown)
    return [
        Check(f"{READER} saw everything before", _stored(before), before),
        Check(f"{READER} sees the ends of addresses and numbers, and no birthday", _masked(before), during),
        Check(f"{ABOVE} sees everything: it inherits {EXEMPT}, which the rule exempts", before, above),
        Check("the rule is enforced, and proven for readers of both kinds", ("enforced", True, True), proven),
        Check(f"after the rule {READER} sees what it saw before", before, after),
        Check("no policy of the rule is left in the warehouse", [], _policies(seen.left)),
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


def _annotate(system: System, classifications: list[str]) -> None:
    database, schema, table = TABLE
    place = {"target": TARGET, "database": database, "schema": schema, "table": table}
    entries = [{**place, "column": column, "classifications": classifications} for column in SENSITIVE]
    _expect(system.ask("PUT", "/security/annotations", {"source": SOURCE, "annotations": entries}), 200, "the annotations")


def _read(system: System, role: str) -> Rows:
    return system.snowflake(QUERY, role=role, trusted=False, warehouse="BI_WH", secondary="NONE")


def _expect(answer: Answer, status: int, what: str) -> Any:
    if answer.status != status:
        raise Unmet(f"{what} was to be answered with {status}, but was with {answer.status}: {str(answer.body)[:600]}")
    return answer.body


def _stored(rows: Rows) -> Rows:
    """Rows in which nothing is hidden."""
    return [row for row in rows if None not in row and "*" not in "".join(map(str, row))]


def _masked(rows: Rows) -> Rows:
    """What partial with the last three characters makes of these rows; of a date it can only make nothing."""
    hidden = {COLUMNS.index("EMAIL"), COLUMNS.index("PHONE")}
    return [
        [None if place == COLUMNS.index("BORN") else _ends(cell) if place in hidden else cell for place, cell in enumerate(row)]
        for row in rows
    ]


def _ends(text: str) -> str:
    return "*" * (len(text) - 3) + text[-3:]


def _policies(rows: Rows) -> list[str]:
    return [str(row[1]) for row in rows if "known_answer" not in str(row[1])]
