"""What each query and mutation answers, from the store; mutations note what they changed, so that webhooks can follow."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from graphql import GraphQLError

from sandbox.monte_carlo import lineage, views
from sandbox.monte_carlo.alerts import Alert, Store, Table
from sandbox.monte_carlo.schema import enum_values

PAGE_MAX = 100  # default and largest page. The vendor documents neither; asking for more gives a page of this size
RANGE_MAX = timedelta(days=62)  # "within 2 months", says the schema
LINEAGE_MCONS_MAX = 12  # the schema's own limit

Resolver = Callable[..., Any]


@dataclass(slots=True)
class Call:
    """One request's context: the store, and what its mutations changed, as (alert after, aspect)."""

    store: Store
    changes: list[tuple[Alert, str]] = field(default_factory=list)


class Info(Protocol):
    """What is used of graphql-core's GraphQLResolveInfo."""

    context: Call


def get_alerts(info: Info, **args: Any) -> dict[str, Any]:
    store = info.context.store
    ids, created, updated = args.get("ids"), args.get("createdTime"), args.get("updatedTime")
    if ids is None and created is None and updated is None:
        raise GraphQLError("One of createdTime, updatedTime or ids must be provided")
    for span in (created, updated):
        if span and span["before"] - span["after"] > RANGE_MAX:
            raise GraphQLError("The time range must be within 2 months")
    wanted = args.get("filter") or {}
    found = [
        alert
        for alert in (store.alerts.values() if ids is None else _known(store, ids))
        if alert.merged_into is None
        and _within(alert.created_time, created)
        and _within(alert.updated_time, updated)
        and _included(alert, store, wanted.get("include") or {})
        and not _excluded(alert, wanted.get("exclude") or {})
    ]
    by = args.get("orderBy") or "-createdTime"
    keys = {"createdTime": lambda alert: alert.created_time, "updatedTime": lambda alert: alert.updated_time}
    if by.lstrip("-") not in keys:
        raise GraphQLError(f"orderBy {by!r} is not answered here; createdTime and updatedTime are")
    found.sort(key=keys[by.lstrip("-")], reverse=by.startswith("-"))
    return {**_connection(found, lambda alert: views.alert(alert, store), args), "totalCount": len(found)}


def get_alert(info: Info, id: str) -> dict[str, Any] | None:  # noqa: A002 - the vendor's name
    alert = info.context.store.alerts.get(id)
    if alert is None:
        return None
    if alert.merged_into is not None:
        return {"__typename": "MergedAlert", "id": alert.id, "mergedIntoAlertId": alert.merged_into}
    return views.alert(alert, info.context.store)


def get_tables(info: Info, **args: Any) -> dict[str, Any]:
    mcons, name, warehouse, part = (args.get(key) for key in ("mcons", "fullTableId", "dwId", "search"))
    found = [
        table
        for _, table in sorted(info.context.store.tables.items())
        if (mcons is None or table.mcon in mcons)
        and (name is None or table.full_table_id == name)
        and (warehouse is None or table.warehouse_uuid == warehouse)
        and (part is None or part.lower() in table.full_table_id)
    ]
    return _connection(found, views.table, args)


def get_table(info: Info, **args: Any) -> dict[str, Any] | None:
    tables: Sequence[Table] = list(info.context.store.tables.values())
    if (mcon := args.get("mcon")) is not None:
        found = [table for table in tables if table.mcon == mcon]
    elif args.get("fullTableId") is None or args.get("dwId") is None:
        raise GraphQLError("Either mcon, or dwId with fullTableId, must be provided")
    else:
        at = (args["dwId"], args["fullTableId"])
        found = [table for table in tables if (table.warehouse_uuid, table.full_table_id) == at]
    return views.table(found[0]) if found else None


def get_table_lineage(info: Info, direction: str, limit: int = 500, **args: Any) -> dict[str, Any]:
    one, many = args.get("mcon"), args.get("mcons")
    if (one is None) == (many is None):
        raise GraphQLError("Either mcon or mcons must be provided")
    mcons = [mcon for mcon in ([one] if many is None else many) if mcon is not None]
    if len(mcons) > LINEAGE_MCONS_MAX:
        raise GraphQLError(f"At most {LINEAGE_MCONS_MAX} mcons may be given")
    if direction not in ("upstream", "downstream"):
        raise GraphQLError("direction must be 'upstream' or 'downstream'")
    hops = args.get("hops")
    return lineage.graph(info.context.store.tables, mcons, direction, 1 if hops is None else hops, limit)


def update_alert(info: Info, uuid: str, **args: Any) -> dict[str, Any]:
    alert = _alert(info, uuid)
    # The deprecated `severity` is a free string; "" clears it.
    severity = args.get("declaredIncidentSeverity") or args.get("severity")
    known = (*enum_values("SeverityInput"), "", None)
    if severity not in known:
        raise GraphQLError(f"Invalid severity {severity!r}")
    if severity is not None:
        alert = _apply(info, uuid, "severity", None if severity in ("", "NO_SEVERITY") else severity)
    if (status := args.get("status")) is not None:
        alert = _apply(info, uuid, "status", None if status == "NO_STATUS" else status)
    if (name := args.get("name")) is not None:
        alert = _apply(info, uuid, "title", name)
    return {"alert": views.alert(alert, info.context.store)}


def set_alert_owner(info: Info, alertId: str, owner: str | None = None) -> dict[str, Any]:  # noqa: N803
    _alert(info, alertId)
    return {"alert": views.alert(_apply(info, alertId, "owner", owner or None), info.context.store)}


def comment(info: Info, alertId: str, comment: str, commentId: str | None = None) -> dict[str, Any]:  # noqa: N803
    _alert(info, alertId)
    if commentId is None:
        said = _apply(info, alertId, "comment", comment).comments[-1]
    else:
        try:
            said = info.context.store.edit_comment(alertId, commentId, comment)
        except KeyError as error:
            raise GraphQLError(f"Comment {commentId} not found") from error
    return {"commentEvent": {"id": said.uuid, "uuid": said.uuid, "createdTime": said.created_time.isoformat()}}


def _known(store: Store, ids: Sequence[str]) -> list[Alert]:
    return [store.alerts[alert_id] for alert_id in dict.fromkeys(ids) if alert_id in store.alerts]


def _alert(info: Info, alert_id: str) -> Alert:
    alert = info.context.store.alerts.get(alert_id)
    if alert is None:
        raise GraphQLError(f"Alert {alert_id} not found")
    return alert


def _apply(info: Info, alert_id: str, aspect: str, value: Any) -> Alert:
    call = info.context
    alert = call.store.change(alert_id, aspect, value)
    call.changes.append((alert, aspect))
    return alert


def _within(at: datetime, span: dict[str, datetime] | None) -> bool:
    return span is None or span["after"] <= at < span["before"]


def _included(alert: Alert, store: Store, wanted: dict[str, Any]) -> bool:
    mcons = [store.tables[name].mcon for name in alert.tables]
    has = {
        "types": [alert.type], "subTypes": alert.sub_types, "owners": [alert.owner], "severities": [alert.severity],
        "priorities": [alert.priority], "statuses": [alert.status], "tableIds": alert.tables, "tableMcons": mcons,
    }  # fmt: skip
    return all(values is None or not set(values).isdisjoint(has[key]) for key, values in wanted.items())


def _excluded(alert: Alert, unwanted: dict[str, Any]) -> bool:
    return alert.type in (unwanted.get("types") or ()) or not set(unwanted.get("subTypes") or ()).isdisjoint(alert.sub_types)


def _connection(found: Sequence[Any], view: Callable[[Any], dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
    """One page. Cursors are places in the list, as in the library whose marks the vendor's schema bears (graphene)."""
    first, offset = args.get("first"), args.get("offset") or 0
    if (first is not None and first < 0) or offset < 0:
        raise GraphQLError("first and offset must not be negative")
    start = offset + (0 if args.get("after") is None else _place(args["after"]) + 1)
    end = start + (PAGE_MAX if first is None else min(first, PAGE_MAX))
    edges = [{"node": view(one), "cursor": _cursor(at)} for at, one in enumerate(found[start:end], start)]
    page = {
        "hasNextPage": end < len(found),
        "hasPreviousPage": start > 0,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"edges": edges, "pageInfo": page}


def _cursor(place: int) -> str:
    return base64.b64encode(f"arrayconnection:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        name, _, place = base64.b64decode(cursor, validate=True).decode().partition(":")
        if name == "arrayconnection" and int(place) >= 0:
            return int(place)
    except (ValueError, binascii.Error):
        pass
    raise GraphQLError(f"Invalid cursor {cursor!r}")


ROOT: dict[str, Resolver] = {
    "getAlerts": get_alerts, "getAlert": get_alert, "getTables": get_tables, "getTable": get_table,
    "getTableLineage": get_table_lineage, "updateAlert": update_alert, "setAlertOwner": set_alert_owner,
    "createOrUpdateAlertComment": comment,
}  # fmt: skip
