"""Alerts and tables in the words of the API."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sandbox.monte_carlo.alerts import Alert, Store, Table, object_type
from sandbox.monte_carlo.webhooks import url


def alert(alert: Alert, store: Store) -> dict[str, Any]:
    """An `Alert` of the schema."""
    tables = [store.tables[name] for name in alert.tables]
    return {
        "__typename": "Alert",
        "id": alert.id,
        "title": alert.title,
        "type": alert.type,
        "subTypes": alert.sub_types,
        "owner": _user(alert.owner),
        "severity": alert.severity,
        "priority": alert.priority,
        "status": alert.status,
        # The schema does not say what tableId holds; here it is what assetId is documented to be, the object of the MCON.
        "tables": [{"mcon": each.mcon, "tableId": each.full_table_id, "isKeyAsset": each.is_important} for each in tables],
        "assets": [
            {"mcon": each.mcon, "assetId": each.full_table_id, "assetType": object_type(each.table_type)} for each in tables
        ],
        "audiences": [{"uuid": _uuid("audience", label), "label": label} for label in alert.audiences],
        "domains": [{"uuid": _uuid("domain", name), "name": name} for name in alert.domains],
        "monitorTags": [_tag(each) for each in alert.monitor_tags],
        "monitorUuids": [alert.rule.uuid] if alert.rule else [],
        "commentCount": len(alert.comments),
        "lastCommentText": alert.comments[-1].text if alert.comments else None,
        "jiraTickets": [
            {
                "id": ticket.id,
                "ticketId": ticket.id,
                "ticketKey": ticket.key,
                "ticketUrl": f"https://example.atlassian.net/browse/{ticket.key}",
                "createdAt": ticket.created_time.isoformat(),
                "createdBy": _user(alert.owner) or {"email": "sandbox@example.com", "fullName": None},
            }
            for ticket in alert.tickets
        ],
        "createdTime": alert.created_time.isoformat(),
        "updatedTime": alert.updated_time.isoformat(),
        "sloStatus": alert.slo_status,
        "url": url(alert),
    }


def table(table: Table) -> dict[str, Any]:
    """A `WarehouseTable` of the schema."""
    project, _, rest = table.full_table_id.partition(":")
    dataset, _, name = rest.partition(".")
    return {
        "id": _uuid("table", table.mcon),
        "tableId": name,
        "fullTableId": table.full_table_id,
        "projectName": project,
        "dataset": dataset,
        "tableType": table.table_type,
        "mcon": table.mcon,
        "importanceScore": table.importance_score,
        "isImportant": table.is_important,
        "warehouse": {
            "uuid": table.warehouse_uuid,
            "name": table.warehouse_name,
            "connectionType": table.connection_type,
        },
    }


def _user(email: str | None) -> dict[str, str] | None:
    if email is None:
        return None
    return {"email": email, "fullName": email.partition("@")[0].replace(".", " ").replace("-", " ").title()}


def _tag(text: str) -> dict[str, str | None]:
    name, equals, value = text.partition("=")
    return {"name": name, "value": value if equals else None}


def _uuid(what: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{what} {name}"))
