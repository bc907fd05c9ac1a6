"""Signed deliveries for a benchmark, ready as HTTP requests: Monte Carlo's documented body of a custom rule that found something.

Standard library and `lily.domain` only, so that the load generator needs nothing else.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lily.domain.deliveries import event_id

SOURCE = "monte-carlo"
PATH = f"/webhooks/{SOURCE}"
SIGNATURE_HEADER = "x-mcd-signature"
ACCOUNT = "9a59c6f1-203a-4c72-8cd7-132db7f21b92"
INCIDENT = "f83867b6-8f25-428b-807c-08518f63384c"  # in the template; every delivery puts its own in its place
NUMBER = "0000000000"

TEMPLATE: dict[str, Any] = {
    "account": {"id": ACCOUNT},
    "action": "incident",
    "payload": {
        "event_list": [
            {
                "data": {
                    "hits": [
                        {
                            "field": None,
                            "measurement_timestamp": "Jan 15, 06:10PM",
                            "timestamp": "",
                            "value": "50.0",
                            "value_rounded": "50",
                        }
                    ],
                    "metric_display_name": "custom_metric_1234",
                    "rule_comparisons": [{"metric": "custom_metric_1234", "operator": ">", "threshold": "49.0"}],
                },
                "rule": {
                    "comparisons": [
                        {
                            "field": None,
                            "full_table_id": None,
                            "metric": "custom_metric_1234",
                            "operator": "GT",
                            "threshold": 49.0,
                            "warehouse_uuid": "custom_metric_1234",
                        }
                    ],
                    "creator_id": None,
                    "description": f"run {NUMBER}",
                    "execution_time": None,
                    "prev_execution_time": None,
                    "rule_type": "custom_sql",
                    "start_time": None,
                    "timezone": None,
                    "uuid": "0c8e06aa-a44b-4f2d-8a37-5ed3f394431d",
                },
                "table_name": "artemis",
            }
        ],
        "group_id": "zeus:ares",
        "incident_id": INCIDENT,
        "url": f"https://getmontecarlo.com/incidents/{INCIDENT}",
    },
    "type": "open_custom_rule_anomaly_incident",
    "version": "v0.1",
}


@dataclass(frozen=True)
class Prepared:
    """One request, byte for byte, and the id of the event that it becomes."""

    event_id: str
    request: bytes


def prepare(count: int, host: str, secret: str, per_incident: int = 1) -> Iterator[Prepared]:
    """`count` deliveries, none like another; `per_incident` of them concern the same incident."""
    body, signed = json.dumps(TEMPLATE), urlencode(TEMPLATE)
    identity = _canonical()
    incident = INCIDENT
    for number in range(count):
        if number % per_incident == 0:
            incident = str(uuid.uuid4())
        # Digits and dashes look the same in JSON, in its canonical form and in what is signed, so texts can be filled in
        # instead of being made anew: that would cost more than the sending.
        filled = [text.replace(INCIDENT, incident).replace(NUMBER, f"{number:010d}") for text in (body, signed, identity)]
        signature = hmac.digest(secret.encode(), filled[1].encode(), "sha512").hex()
        yield Prepared(hashlib.sha256(filled[2].encode()).hexdigest(), _request(filled[0].encode(), host, signature))


def _canonical() -> str:
    """The text whose hash is the event's id, found by asking for it: an id that does not come from it would be a bug here."""
    typed = {key: value if isinstance(value, dict) else str(value) for key, value in TEMPLATE.items()}
    text = json.dumps([SOURCE, ACCOUNT, typed], sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(text.encode()).hexdigest() != event_id(SOURCE, ACCOUNT, TEMPLATE):
        raise RuntimeError("the canonical form of deliveries has changed; bring benchmarks/deliveries.py in line with it")
    return text


def _request(body: bytes, host: str, signature: str) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{SIGNATURE_HEADER}: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
