"""Monte Carlo's words and ours: kinds of alerts, statuses, severities, and the ids by which it names alerts and tables.

Sources: the table of alert updates at https://docs.getmontecarlo.com/docs/webhooks, and the enums AlertType, AlertStatus and
Severity in the GraphQL schema that the vendor publishes with pycarlo 0.15.500.
"""

import re
from collections.abc import Mapping

TYPES: Mapping[str, str] = {
    "anomalies": "anomaly",
    "custom_rule_anomalies": "custom_rule_anomaly",
    "schema_changes": "schema_change",
    "json_schema_changes": "json_schema_change",
    "deleted_tables": "deleted_table",
    "dbt_errors": "dbt_error",
    "etl_errors": "etl_error",
    "metric_anomalies": "metric_anomaly",
    "metric_comparison_anomalies": "metric_comparison_anomaly",
    "performance_anomalies": "performance_anomaly",
    "agent_anomalies": "agent_anomaly",
    "agent_metric_anomalies": "agent_metric_anomaly",
    "agent_evaluation_anomalies": "agent_evaluation_anomaly",
    "pii_monitor": "pii_monitor",
    "rule_run_execution_error": "rule_run_execution_error",
    "pseudo_integration_test": "integration_test",
    "merged": "merged",
}

STATUSES: Mapping[str, str] = {
    "no_status": "open",
    "investigating": "acknowledged",  # the webhook's word
    "acknowledged": "acknowledged",  # the API's word
    "work_in_progress": "work_in_progress",
    "fixed": "fixed",
    "expected": "expected",
    "no_action_needed": "no_action_needed",
    "false_positive": "false_positive",
}

SEVERITIES = frozenset({"SEV-1", "SEV-2", "SEV-3", "SEV-4"})

_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def alert_type(word: str) -> str:
    """Our word for one of AlertType, in either case; `unknown` for any other."""
    return TYPES.get(word.lower(), "unknown")


def status(word: str) -> str | None:
    """Our word for a status of the webhook or of the API; None if it is not known."""
    return STATUSES.get(word.strip().lower())


def severity(word: str) -> str | None:
    """`SEV-1` to `SEV-4`, from the webhook's spelling or the API's (SEV_1); None if it is not known."""
    ours = word.strip().upper().replace("_", "-")
    return ours if ours in SEVERITIES else None


def alert_id(word: str) -> str:
    """The one spelling of an alert's id: UUIDs in lower case, as the API answers them; anything else as it is."""
    return word.lower() if is_uuid(word) else word


def is_uuid(word: str) -> bool:
    """Whether the API takes it as an id."""
    return _UUID.fullmatch(word.lower()) is not None
