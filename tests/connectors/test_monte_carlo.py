"""Monte Carlo keeps the promises of every source."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

from connectors import monte_carlo
from tests.connectors.monte_carlo_payloads import an_alert, payload
from tests.contracts.source_contract import SignedSourceContract


class TestMonteCarlo(SignedSourceContract):
    source = monte_carlo
    module = "connectors.monte_carlo"
    deliveries = (
        payload("open_anomaly_volume"),
        payload("open_custom_rule_anomaly"),
        payload("update_acknowledged"),
        payload("update_marked_incident"),
        payload("update_owner_top_level"),
        payload("update_resolved"),
    )
    misshapen = (
        ([], "body"),
        ("text", "body"),
        (None, "body"),
        (an_alert({"payload": "{'incident_id': 'x'}"}), "payload"),
        (an_alert({"payload": []}), "payload"),
        (an_alert({"account": "{'id': 'x'}"}), "account"),
        (an_alert({"account": {"id": 7}}), "account.id"),
        (an_alert({"account": {"id": "x" * 257}}), "account.id"),
        (an_alert({"action": 1}), "action"),
        (an_alert({"type": ["open_anomaly_incident"]}), "type"),
        (an_alert({"version": 0.1}), "version"),
        (an_alert({"version": True}), "version"),
    )
    fields = (
        *("account", "action", "type", "version", "payload", "id", "incident_id", "group_id", "url", "event_list"),
        *("event_details", "table_name", "data", "rule", "comparisons", "full_table_id", "description"),
        *("alert_feedback", "declared_alert_severity", "owner"),
    )
    words = (
        *("incident", "open_anomaly_incident", "open_custom_rule_anomaly_incident", "zeus:ares", "zeus:ares.artemis", "v0.1"),
        *("investigating", "no_status", "fixed", "SEV-1", "SEV-9", "None", "x@example.com", "https://x.example", "x" * 2_000),
    )

    def sign(self, raw: bytes, secret: str) -> str:
        return hmac.new(secret.encode(), urlencode(json.loads(raw)).encode("utf-8"), hashlib.sha512).hexdigest()
