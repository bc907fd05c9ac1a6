"""The last part of the tour: an alert shows on Atlan's assets, and a tag set in Atlan hides a column in both warehouses."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox import atlan_world
from sandbox.console import Console
from sandbox.demo_report import Check
from sandbox.demo_security import COLUMNS as READ
from sandbox.demo_security import SIDES, Side
from sandbox.demo_system import System, Unmet, until

TABLE = "analytics:crm.customers"
IN_SNOWFLAKE = f"{atlan_world.SNOWFLAKE['qualifiedName']}/ANALYTICS/CRM"
ASSET, DOWNSTREAM = f"{IN_SNOWFLAKE}/CUSTOMERS", f"{IN_SNOWFLAKE}/CUSTOMER_CONTACTS"
COLUMNS = {
    SIDES[0].target: f"{ASSET}/EMAIL",
    SIDES[1].target: f"{atlan_world.DATABRICKS['qualifiedName']}/analytics/crm/customers/email",
}
TAG = "PII"
RULE = {
    "name": "Demo: hide what Atlan tags as PII",
    "regulation": "PII",
    "match": {"classifications": [TAG]},
    "action": {"kind": "email_domain"},
}


@dataclass
class Seen:
    """What one run saw: announcements by asset and moment, what an analyst was shown, and how long each took."""

    took_ms: dict[str, float] = field(default_factory=dict)
    announcements: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    shown: dict[str, Sequence[str | None]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)


def take(system: System, console: Console, patience_s: float) -> Seen | None:
    """None: this system has no catalog. Raises Unmet where there is no sense in going on."""
    if system.atlan is None:
        return None
    seen = Seen()
    _alert(system, console, patience_s, seen)
    sides = [side for side in SIDES if side.target in system.targets]
    if sides:
        _tag(system, console, patience_s, seen, sides)
    return seen


def _alert(system: System, console: Console, patience_s: float, seen: Seen) -> None:
    console.step(f"an alert shows on Atlan's assets ({TABLE})")
    began_at = time.monotonic()
    change = {"title": "A third of the customers has no address", "tables": [TABLE], "priority": "P2", "severity": "SEV_2"}
    alert = system.sandbox("POST", "/alerts", change)["alert"]
    badge = _await(patience_s, f"an announcement on {ASSET}", lambda: _announcement(system, ASSET))
    seen.took_ms["from the alert to the announcement"] = _since(began_at)
    seen.announcements["on the table"] = badge
    console.step(f"  announced       {badge['announcementTitle']}, {_since(began_at):.0f} ms after the alert was raised")
    warned = _await(patience_s, f"a warning on {DOWNSTREAM}", lambda: _announcement(system, DOWNSTREAM))
    seen.took_ms["from the alert to the warning downstream"] = _since(began_at)
    seen.announcements["on a view downstream"] = warned
    console.step(f"  warned          {warned['announcementTitle']}, {_since(began_at):.0f} ms")
    began_at = time.monotonic()
    system.sandbox("PATCH", f"/alerts/{alert['id']}", {"status": "FIXED"})
    _await(
        patience_s, "no announcement any more", lambda: not _announcement(system, ASSET) and not _announcement(system, DOWNSTREAM)
    )
    seen.took_ms["from the resolution to no announcement"] = _since(began_at)
    console.step(f"  gone            {_since(began_at):.0f} ms after the incident was resolved")
    types = {place: found["announcementType"] for place, found in seen.announcements.items()}
    seen.checks += [
        Check("Atlan: the table carries an issue, the view made from it a warning", ["issue", "warning"], list(types.values())),
        Check("Atlan: both are gone with the incident", [None, None], [_announcement(system, a) for a in (ASSET, DOWNSTREAM)]),
    ]


def _tag(system: System, console: Console, patience_s: float, seen: Seen, sides: Sequence[Side]) -> None:
    console.step(f"a tag in Atlan takes effect in {' and '.join(side.title for side in sides)} ({TAG} on the e-mail address)")
    answer = system.ask("POST", "/security/rules", {**RULE, "targets": [side.target for side in sides]})
    if answer.status != 201:
        raise Unmet(f"the rule was to be answered with 201, but was with {answer.status}: {str(answer.body)[:600]}")
    rule = answer.body
    try:
        clear = {side.title: _emails(system, side) for side in sides}
        began_at = time.monotonic()
        for side in sides:
            _expect(system, "tags", {"asset": COLUMNS[side.target], "add": [TAG], "propagate": False})
        masked = _await(patience_s, "masked addresses", lambda: _all(system, sides, lambda s, now: now != clear[s.title]))
        seen.took_ms["from the tag to the mask, in both"] = _since(began_at)
        console.step(f"  masked          {_since(began_at):.0f} ms after the tag was set in Atlan, {' and '.join(masked)}")
        seen.shown = {f"before in {name}": some for name, some in clear.items()} | {
            f"tagged in {name}": some for name, some in masked.items()
        }
        began_at = time.monotonic()
        for side in sides:
            _expect(system, "tags", {"asset": COLUMNS[side.target], "remove": [TAG]})
        _await(patience_s, "addresses as before", lambda: _all(system, sides, lambda s, now: now == clear[s.title]))
        seen.took_ms["from its removal to the values, in both"] = _since(began_at)
        console.step(f"  shown again     {_since(began_at):.0f} ms after the tag was taken off")
    finally:
        system.ask("DELETE", f"/security/rules/{rule['id']}", None, {"If-Match": f'"{rule["version"]}"'})
    expected = {name: [f"*@{email.partition('@')[2]}" for email in some if email] for name, some in clear.items()}
    seen.checks.append(Check("a tag set in Atlan hides addresses in each warehouse", expected, masked))


def _all(system: System, sides: Sequence[Side], holds: Any) -> dict[str, list[str | None]] | None:
    now = {side.title: _emails(system, side) for side in sides}
    return now if all(holds(side, now[side.title]) for side in sides) else None


def _emails(system: System, side: Side) -> list[str | None]:
    return [row[READ.index("email")] for row in side.read(system, side.reader)]


def _announcement(system: System, asset: str) -> Mapping[str, Any] | None:
    every = (one["attributes"] for one in _expect(system, "state", None)["assets"])
    found: Mapping[str, Any] = next((one for one in every if one["qualifiedName"] == asset), {})
    return found if found.get("announcementType") else None


def _expect(system: System, door: str, body: object) -> Any:
    answer = system.atlan_door(door, body)
    if answer.status != 200:
        raise Unmet(f"{system.atlan}/sandbox/{door} was answered with {answer.status}: {str(answer.body)[:300]}")
    return answer.body


def _await(patience_s: float, what: str, look: Any) -> Any:
    found = until(look, patience_s)
    if not found:
        raise Unmet(f"there was to be {what} within {patience_s:g} s, but there was not")
    return found


def _since(began_at: float) -> float:
    return (time.monotonic() - began_at) * 1000
