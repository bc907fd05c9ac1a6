"""The bodies of webhooks and their signature, as documented at docs.getmontecarlo.com/docs/webhooks (payload version v0.1).

The vendor documents which fields an update carries but shows no sample of one, so where they stand is a switch (`Shape`).
"""

import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.monte_carlo.alerts import Alert, Rule

FEEDBACK = {
    None: "no_status",
    "ACKNOWLEDGED": "investigating",
    "WORK_IN_PROGRESS": "work_in_progress",
    "FIXED": "fixed",
    "EXPECTED": "expected",
    "NO_ACTION_NEEDED": "no_action_needed",
    "FALSE_POSITIVE": "false_positive",
}
RESOLVED = {"FIXED", "EXPECTED", "NO_ACTION_NEEDED", "FALSE_POSITIVE"}
SYMBOLS = {"GT": ">", "GTE": ">=", "LT": "<", "LTE": "<=", "EQ": "=", "NEQ": "!="}
SENT_FOR = ("severity", "owner", "status", "ticket")  # changes that notify; comments, titles and tables are not listed


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the undocumented parts stand."""

    state_at: str = "payload"  # or "top_level": alert_feedback, declared_alert_severity and owner
    rule_at: str = "event"  # or "payload", beside event_list, as another consumer saw it
    unchanged: str = "set"  # besides what changed: what is "set", "all" (null if not set), or "none"


SHAPES = {"state_at": ("payload", "top_level"), "rule_at": ("event", "payload"), "unchanged": ("set", "all", "none")}


def variant(alert: Alert, changed: str | None) -> str:
    """The vendor's name of the update that made `alert` what it is; `changed` None is a new alert."""
    if changed is None:
        return "created"
    if changed == "status":
        return {"ACKNOWLEDGED": "acknowledged"}.get(
            alert.status or "", "resolved" if alert.status in RESOLVED else "status updated"
        )
    if changed == "severity":
        return "marked as incident" if alert.severity else "unmarked as incident"
    return {"owner": "owner changed", "ticket": "external ticket attached"}[changed]


def body(alert: Alert, account: str, changed: str | None, shape: Shape) -> dict[str, Any]:
    """The webhook of one change. The order of keys matters: the signature covers it."""
    payload: dict[str, Any] = {
        "event_list": _events(alert, shape),
        "group_id": None if alert.rule or not alert.tables else alert.tables[0].rpartition(".")[0],
        "incident_id": alert.id,
        "url": url(alert),
    }
    if alert.rule and shape.rule_at == "payload":
        payload["rule"] = _rule(alert.rule)
    whole: dict[str, Any] = {
        "account": {"id": account},
        "action": "incident",
        "payload": payload,
        "type": alert.webhook_type or ("open_custom_rule_anomaly_incident" if alert.rule else "open_anomaly_incident"),
        "version": "v0.1",
    }
    (payload if shape.state_at == "payload" else whole).update(_state(alert, changed, shape.unchanged))
    return whole


def url(alert: Alert) -> str:
    return f"https://getmontecarlo.com/incidents/{alert.id}"


def _state(alert: Alert, changed: str | None, unchanged: str) -> dict[str, str | None]:
    if changed is None:
        return {"alert_feedback": None, "declared_alert_severity": None} if unchanged == "all" else {}
    severity = alert.severity and alert.severity.replace("_", "-")  # the API says SEV_1, webhooks say SEV-1
    feedback = FEEDBACK[alert.status] if alert.status or changed == "status" else None
    values = {"alert_feedback": feedback, "declared_alert_severity": severity, "owner": alert.owner}
    aspects = {"alert_feedback": "status", "declared_alert_severity": "severity", "owner": "owner"}
    named = {key for key, aspect in aspects.items() if aspect == changed}
    if changed == "severity" and alert.status == "ACKNOWLEDGED":
        named.add("alert_feedback")  # documented as part of this update
    if unchanged != "none":
        named |= {key for key, aspect in aspects.items() if getattr(alert, aspect) is not None}
    if unchanged == "all":
        named |= {"alert_feedback", "declared_alert_severity"}
    return {key: values[key] for key in values if key in named}


def _events(alert: Alert, shape: Shape) -> list[dict[str, Any]]:
    if alert.rule is None:
        names: list[str | None] = [table.rpartition(".")[2] for table in alert.tables] or [None]
        return [{"event_details": alert.details, "table_name": name} for name in names]
    event: dict[str, Any] = {"data": _breach(alert, alert.rule)}
    if shape.rule_at == "event":
        event["rule"] = _rule(alert.rule)
    return [{**event, "table_name": None}]


def _breach(alert: Alert, rule: Rule) -> dict[str, Any]:
    hit = {
        "field": None,
        "measurement_timestamp": alert.created_time.strftime("%b %d, %I:%M%p"),
        "timestamp": "",
        "value": str(float(rule.value)),
        "value_rounded": f"{rule.value:.0f}",
    }
    operator = SYMBOLS.get(rule.operator, rule.operator)
    return {
        "hits": [hit],
        "metric_display_name": rule.metric,
        "rule_comparisons": [{"metric": rule.metric, "operator": operator, "threshold": str(float(rule.threshold))}],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    comparison = {
        "field": None,
        "full_table_id": rule.full_table_id,
        "metric": rule.metric,
        "operator": rule.operator,
        "threshold": rule.threshold,
        "warehouse_uuid": rule.warehouse_uuid,
    }
    return {
        "comparisons": [comparison],
        "creator_id": None,
        "description": rule.description,
        "execution_time": None,
        "prev_execution_time": None,
        "rule_type": "custom_sql",
        "start_time": None,
        "timezone": None,
        "uuid": rule.uuid,
    }


def sign(raw: bytes, secret: str) -> str:
    """The value of `x-mcd-signature`: hex HMAC-SHA512 over the body, parsed and encoded as a URL query.

    ValueError if the body is no JSON object, or holds half of a surrogate pair.
    """
    parsed = json.loads(raw)
    if type(parsed) is not dict:
        raise ValueError("the body is not a JSON object")
    message = urllib.parse.urlencode(parsed).encode("utf-8")
    return hmac.new(secret.encode(), message, hashlib.sha512).hexdigest()


# Other bytes for the same JSON, whose signature is therefore the same.
FORMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "plain": json.dumps,
    "compact": lambda value: json.dumps(value, separators=(",", ":")),
    "indented": lambda value: json.dumps(value, indent=4).replace("\n", "\r\n"),
    "letters": lambda value: json.dumps(value, ensure_ascii=False),
    "escaped": lambda value: _escape_letters(json.dumps(value)),
    "repeated_key": lambda value: f'{{"{next(iter(value))}": "overridden", {json.dumps(value)[1:]}',
}


def _escape_letters(text: str) -> str:
    r"""Each letter inside a string as `\u00xx`: about as far from the plain form as bytes can be."""
    out, inside, skip = [], False, 0
    for at, char in enumerate(text):
        if skip:
            skip -= 1
            out.append(char)
        elif char == "\\":
            skip = 5 if text[at + 1] == "u" else 1
            out.append(char)
        else:
            inside ^= char == '"'
            out.append(f"\\u{ord(char):04x}" if inside and char.isalpha() else char)
    return "".join(out)
