"""What Monte Carlo's GraphQL API answers, in Lily's words.

Source: the types AlertConnection, Alert and TableOutput of the schema published with pycarlo 0.15.500, and there
`pycarlo/common/mcon.py` for the parts of an mcon. Raises Transient and Permanent for an answer that is a failure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.monte_carlo import words
from lily.domain.alerts import AlertDetails
from lily.domain.assets import TableRef
from lily.runtime.errors import Permanent, Transient

TABLES_MAX = 200  # of one alert, key assets first; the rest would only swell every record of it
TEXT_CHARS_MAX = 500
REASON_CHARS_MAX = 300

# Codes and messages that say "not now". The API's are not documented, so these are the words that GraphQL servers and
# gateways use.
_TOO_MUCH = re.compile(r"throttl|rate.?limit|too.?many|quota", re.IGNORECASE)
_NOT_NOW = re.compile(
    r"timed?.?out|deadline|temporar|unavailable|overloaded|try again|internal|unexpected|went wrong", re.IGNORECASE
)
TOO_MUCH_S = 1.0  # how long to leave it alone at least, as these answers do not say


@dataclass(frozen=True)
class Page:
    """A page of alerts as they came. `failed` says by position why one is missing; `next` is the cursor of the next page."""

    nodes: list[dict[str, Any]]
    failed: Mapping[int, str]
    next: str | None


def page(answer: Any) -> Page:
    """The alerts of an answer, without those of which a part that matters could not be resolved.

    An error about one alert costs that alert only. Any other error is the whole answer's.
    """
    errors = _list(answer, "errors")
    failed = {}
    for error in errors:
        at, field = _position(error)
        if at is None:
            raise _failure(error)
        if field != "tables":  # without its tables, an alert's state is still its state
            failed[at] = _message(error)
    try:
        connection = answer["data"]["getAlerts"]
        edges = connection["edges"]
        nodes = [edge["node"] for at, edge in enumerate(edges) if at not in failed and edge]
        info = connection["pageInfo"]
        following = info["endCursor"] if info["hasNextPage"] and edges else None
    except (KeyError, TypeError) as error:
        if errors:
            raise _failure(errors[0]) from error
        raise Transient(f"Monte Carlo's answer is not what its schema says: {type(error).__name__} {error}") from error
    return Page([node for node in nodes if isinstance(node, dict)], failed, following)


def details(node: Mapping[str, Any], read_at: datetime) -> AlertDetails:
    """One alert. Raises ValueError, KeyError, TypeError or AttributeError where its state or its time cannot be understood."""
    status = node["status"]
    ours = "open" if status is None else words.status(status)
    if ours is None:
        raise ValueError(f"status {status!r} is not known")
    severity = node["severity"] and words.severity(node["severity"])
    if node["severity"] and severity is None:
        raise ValueError(f"severity {node['severity']!r} is not known")
    return AlertDetails(
        alert_id=words.alert_id(node["id"]),
        status=ours,
        severity=severity,
        owner=_text(node["owner"] and node["owner"]["email"]),
        type=words.alert_type(node["type"]),
        sub_types=tuple(str(word).lower() for word in _list(node, "subTypes")),
        priority=_text(node.get("priority")),
        title=_text(node.get("title")),
        url=_text(node.get("url")),
        tables=_tables(node),
        created_at=_time(node["createdTime"]) if node.get("createdTime") else None,
        updated_at=_time(node["updatedTime"]),
        read_at=read_at,
    )


def _tables(node: Mapping[str, Any]) -> tuple[TableRef, ...]:
    tables = {}
    for table in _list(node, "tables"):
        if isinstance(table, dict) and (name := _table_name(table)):
            tables[name] = TableRef(name, str(table.get("mcon") or ""), table.get("isKeyAsset") is True)
    return tuple(sorted(tables.values(), key=lambda table: (not table.is_key_asset, table.name))[:TABLES_MAX])


def _table_name(table: Mapping[str, Any]) -> str:
    """`database:schema.table` in lower case: `tableId` if it has a database, else the last part of the mcon.

    The schema does not say whether `tableId` is the full name; the mcon of a table
    (`MCON++<account>++<warehouse>++table++<full name>`) ends in it.
    """
    table_id = str(table.get("tableId") or "")
    parts = str(table.get("mcon") or "").split("++", 4)
    full = parts[4] if len(parts) == 5 and parts[0] == "MCON" and ":" in parts[4] else ""
    return (table_id if ":" in table_id or not full else full).strip().lower()


def _position(error: Any) -> tuple[int | None, str]:
    """Which alert of the page an error is about, and which of its fields; None if it is about more than one alert."""
    match error:
        case {"path": ["getAlerts", "edges", int(at), "node", str(field), *_]}:
            return at, field
        case {"path": ["getAlerts", "edges", int(at), *_]}:
            return at, ""
    return None, ""


def _failure(error: Any) -> Transient | Permanent:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = str(extensions.get("code", "")) if isinstance(extensions, dict) else ""
    message = _message(error)
    said = f"{code} {message}"
    if _TOO_MUCH.search(said):
        return Transient(f"Monte Carlo takes no more queries for now: {message}", retry_after_s=TOO_MUCH_S)
    if _NOT_NOW.search(said):
        return Transient(f"Monte Carlo could not answer: {message}")
    return Permanent(f"Monte Carlo refused the query: {message}; look whether the source's API key may read alerts")


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "it does not say why")[:REASON_CHARS_MAX]


def _list(value: Any, field: str) -> list[Any]:
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _text(value: Any) -> str | None:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) and value else None


def _time(text: str) -> datetime:
    """ISO 8601. A time without an offset is UTC: the vendor's server is Python's graphene, which writes naive ones without."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.utcoffset() is None else at.astimezone(UTC)
