"""Domain values in the JSON form in which items and working sets hold them. Unknown keys of a newer version are ignored.

Times keep their microseconds: stamps decide which claim counts, and a rounded one could settle what came after it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lily.domain.alerts import AlertDetails
from lily.domain.assets import TableRef
from lily.domain.events import Moment
from lily.domain.incidents import Change, Claim
from lily.runtime import clock

Form = dict[str, Any]


def time_form(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def time_from(text: str | None) -> datetime | None:
    return clock.from_iso(text) if text else None


def change_form(change: Change) -> Form:
    return {
        "incident": change.incident,
        "type": change.type,
        "action": change.action,
        "values": dict(change.values),
        "tables": [table_form(table) for table in change.tables],
    }


def change_from(form: Mapping[str, Any]) -> Change:
    return Change(
        form["incident"], form["type"], form["action"], form["values"], tuple(table_from(table) for table in form["tables"])
    )


def table_form(table: TableRef) -> list[Any]:
    return [table.name, table.key, table.is_key_asset]


def table_from(form: list[Any]) -> TableRef:
    return TableRef(form[0], form[1], form[2])


def moment_form(moment: Moment) -> list[Any]:
    return [moment.at.isoformat(), moment.what, moment.attempt, moment.note]


def moment_from(form: list[Any]) -> Moment:
    return Moment(clock.from_iso(form[0]), form[1], form[2], form[3])


def claim_form(claim: Claim) -> list[Any]:
    return [claim.value, claim.arrived_at.isoformat(), claim.event_id]


def claim_from(form: list[Any]) -> Claim:
    return Claim(form[0], clock.from_iso(form[1]), form[2])


def details_form(details: AlertDetails) -> Form:
    return {
        "alert_id": details.alert_id,
        "status": details.status,
        "severity": details.severity,
        "owner": details.owner,
        "type": details.type,
        "sub_types": list(details.sub_types),
        "priority": details.priority,
        "title": details.title,
        "url": details.url,
        "tables": [table_form(table) for table in details.tables],
        "created_at": time_form(details.created_at),
        "updated_at": details.updated_at.isoformat(),
        "read_at": details.read_at.isoformat(),
    }


def details_from(form: Mapping[str, Any]) -> AlertDetails:
    return AlertDetails(
        alert_id=form["alert_id"],
        status=form["status"],
        severity=form["severity"],
        owner=form["owner"],
        type=form["type"],
        sub_types=tuple(form["sub_types"]),
        priority=form["priority"],
        title=form["title"],
        url=form["url"],
        tables=tuple(table_from(table) for table in form["tables"]),
        created_at=time_from(form["created_at"]),
        updated_at=clock.from_iso(form["updated_at"]),
        read_at=clock.from_iso(form["read_at"]),
    )
