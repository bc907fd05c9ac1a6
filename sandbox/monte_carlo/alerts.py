"""Alerts and tables in memory: what the stand-in knows, how it is made up, and how it changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from sandbox.monte_carlo.schema import enum_values, parse_time, parse_uuid


@dataclass(frozen=True, slots=True)
class Rule:
    """A custom rule and the breach of it, in the words of the vendor's sample webhook."""

    uuid: str = field(default_factory=lambda: str(uuid4()))
    description: str = "Custom rule"
    metric: str = "custom_metric"
    operator: str = "GT"
    threshold: float = 0.0
    value: float = 1.0
    full_table_id: str | None = None
    warehouse_uuid: str | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    uuid: str
    text: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str
    key: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the account, by its full id, `project:dataset.table` in lower case."""

    full_table_id: str
    mcon: str
    warehouse_uuid: str
    warehouse_name: str = "analytics"
    connection_type: str = "SNOWFLAKE"
    table_type: str = "TABLE"
    importance_score: float = 0.5
    is_important: bool = False
    upstream: tuple[str, ...] = ()  # full table ids


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Severity, priority and status are in the API's words (SEV_1, P2, FIXED); None is none."""

    id: str
    created_time: datetime
    updated_time: datetime
    title: str = "Volume anomaly"
    type: str = "ANOMALIES"
    sub_types: tuple[str, ...] = ()
    severity: str | None = None
    priority: str | None = None
    status: str | None = None
    owner: str | None = None
    tables: tuple[str, ...] = ()  # full table ids
    details: str = "Has 42 rows vs. 101 expected"
    rule: Rule | None = None
    webhook_type: str | None = None  # the webhook's `type` where it should not follow from the alert's
    audiences: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    monitor_tags: tuple[str, ...] = ()  # `name` or `name=value`
    slo_status: str | None = None
    comments: tuple[Comment, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    merged_into: str | None = None


def _one_of(enum: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is not None and value not in enum_values(enum):
            raise ValueError(f"{value!r} is not one of {', '.join(enum_values(enum))}")
        return value

    return check


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is not a string")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise ValueError(f"{value!r} is not a list of strings")
    return tuple(_text(one) for one in value)


def _rule(value: Any) -> Rule:
    known = {each.name for each in fields(Rule)}
    if not isinstance(value, dict) or set(value) - known:
        raise ValueError(f"{value!r} is not an object of {', '.join(sorted(known))}")
    return Rule(**value)


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value!r} is not true or false")
    return value


def _table_id(value: Any) -> str:
    text = _text(value).lower()
    project, _, rest = text.partition(":")
    dataset, _, name = rest.partition(".")
    if not (project and dataset and name):
        raise ValueError(f"{value!r} is not of the form project:dataset.table")
    return text


def _table_ids(value: Any) -> tuple[str, ...]:
    return tuple(_table_id(one) for one in _texts(value))


CREATE: dict[str, Callable[[Any], Any]] = {
    "id": parse_uuid, "created_time": parse_time, "updated_time": parse_time, "title": _text, "type": _one_of("AlertType"),
    "sub_types": lambda value: tuple(_one_of("AlertSubType")(one) for one in _texts(value)),
    "severity": _one_of("Severity"), "priority": _one_of("Priority"), "status": _one_of("AlertStatus"),
    "owner": _text_or_none, "tables": _table_ids, "details": _text, "rule": _rule, "webhook_type": _text,
    "audiences": _texts, "domains": _texts, "monitor_tags": _texts, "slo_status": _one_of("SloStatus"),
}  # fmt: skip
CHANGE: dict[str, Callable[[Any], Any]] = {
    "severity": _one_of("Severity"), "owner": _text_or_none, "status": _one_of("AlertStatus"), "ticket": _text,
    "title": _text, "priority": _one_of("Priority"), "tables": _table_ids, "slo_status": _one_of("SloStatus"),
    "comment": _text, "merged_into": parse_uuid,
}  # fmt: skip
TABLE: dict[str, Callable[[Any], Any]] = {
    "full_table_id": _table_id, "mcon": _text, "warehouse_uuid": parse_uuid, "warehouse_name": _text,
    "connection_type": _one_of("WarehouseModelConnectionType"), "table_type": _text, "importance_score": _number,
    "is_important": _flag, "upstream": _table_ids,
}  # fmt: skip


def checked(spec: Mapping[str, Any], checks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The values of `spec`, checked and in our types, in the order of `checks`. ValueError names the part that is wrong."""
    if unknown := sorted(set(spec) - set(checks)):
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(checks)}")
    values = {}
    for name in checks:
        if name in spec:
            try:
                values[name] = checks[name](spec[name])
            except (ValueError, TypeError) as error:
                raise ValueError(f"{name}: {error}") from error
    return values


class Store:
    """All alerts and tables of one account; forgotten when the process ends. Used from the event loop's thread only."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.warehouse_uuid = str(uuid5(NAMESPACE_URL, f"warehouse of {account}"))
        self.alerts: dict[str, Alert] = {}
        self.tables: dict[str, Table] = {}

    def clear(self) -> None:
        self.alerts.clear()
        self.tables.clear()

    def create(self, spec: Mapping[str, Any]) -> Alert:
        """A new alert from the words of CREATE, all optional. Its tables come into being with it. ValueError if amiss."""
        values = checked(spec, CREATE)
        created = values.pop("created_time", None) or datetime.now(UTC)
        alert_id = values.pop("id", None) or str(uuid4())
        if alert_id in self.alerts:
            raise ValueError(f"id: there is an alert {alert_id} already; change it instead")
        if "rule" in values:
            values.setdefault("type", "CUSTOM_RULE_ANOMALIES")
        elif values.get("type") == "CUSTOM_RULE_ANOMALIES":
            values["rule"] = Rule()
        alert = Alert(alert_id, created, values.pop("updated_time", created), **values)
        self._know(alert.tables)
        self.alerts[alert_id] = alert
        return alert

    def change(self, alert_id: str, aspect: str, value: Any) -> Alert:
        """The alert after one change of CHANGE; its `updated_time` moves. KeyError if there is no such alert."""
        before = self.alerts[alert_id]
        now = max(datetime.now(UTC), before.updated_time + timedelta(microseconds=1))
        after = replace(_changed(before, aspect, value, now), updated_time=now)
        self._know(after.tables)
        self.alerts[alert_id] = after
        return after

    def edit_comment(self, alert_id: str, comment_id: str, text: str) -> Comment:
        """KeyError if there is no such alert or comment."""
        alert = self.alerts[alert_id]
        if comment_id not in {comment.uuid for comment in alert.comments}:
            raise KeyError(comment_id)
        edited = tuple(replace(each, text=text) if each.uuid == comment_id else each for each in alert.comments)
        self.alerts[alert_id] = replace(alert, comments=edited, updated_time=datetime.now(UTC))
        return next(each for each in edited if each.uuid == comment_id)

    def put_table(self, spec: Mapping[str, Any]) -> Table:
        """A table with the words of TABLE, new or in place of what was known of it. ValueError if amiss."""
        values = checked(spec, TABLE)
        if "full_table_id" not in values:
            raise ValueError("full_table_id: missing; expected project:dataset.table")
        name = values["full_table_id"]
        warehouse = values.setdefault("warehouse_uuid", self.warehouse_uuid)
        # MCON++account++resource++object type++object id: documented with the vendor's Terraform provider.
        kind = object_type(values.get("table_type", "TABLE"))
        values.setdefault("mcon", f"MCON++{self.account}++{warehouse}++{kind}++{name}")
        self._know(values.get("upstream", ()))
        self.tables[name] = Table(**values)
        return self.tables[name]

    def _know(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self.tables:
                self.put_table({"full_table_id": name})


def object_type(table_type: str) -> str:
    """The object type in an MCON: `table` or `view`."""
    return "view" if table_type.upper().endswith("VIEW") else "table"


def _changed(alert: Alert, aspect: str, value: Any, now: datetime) -> Alert:
    if aspect == "ticket":
        return replace(alert, tickets=(*alert.tickets, Ticket(str(uuid4()), value, now)))
    if aspect == "comment":
        return replace(alert, comments=(*alert.comments, Comment(str(uuid4()), value, now)))
    if aspect == "severity" and value is not None and alert.status is None:
        # Documented: marking as incident acknowledges an alert that has no status yet.
        return replace(alert, severity=value, status="ACKNOWLEDGED")
    return replace(alert, **{aspect: value})
