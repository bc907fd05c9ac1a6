"""Lily's inbound path in this process: real Redis, AWS stand-in and Monte Carlo stand-in, Celery run eagerly."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.accept import Receipt, accept, flush
from lily.domain.deliveries import Delivery, event_id, lane_key
from lily.domain.events import Event
from lily.domain.incidents import Incident
from lily.records import events, incidents
from lily.runtime import aws, clock
from tasks import inbound
from tasks.celery import celery
from tasks.sweep import sweep
from tests.sandbox.conftest import AUTH, MonteCarlo, monte_carlo, process, receiver

__all__ = ["inbound", "monte_carlo", "process", "receiver"]

celery.finalize()


def an_alert(
    incident: str = "11111111-1111-4111-8111-111111111111", table: str | None = "artemis", **more: Any
) -> dict[str, Any]:
    """A webhook body; `more` goes into its payload."""
    return {
        "account": {"id": "acme"},
        "action": "incident",
        "payload": {
            "event_list": [{"event_details": "Has 42 rows vs. 101 expected", "table_name": table}],
            "group_id": "zeus:ares",
            "incident_id": incident,
            "url": f"https://getmontecarlo.com/incidents/{incident}",
            **more,
        },
        "type": "open_anomaly_incident",
        "version": "v0.1",
    }


@dataclass
class Lily:
    """The inbound path as a sender and a subscriber see it."""

    queue_url: str

    def deliver(self, body: dict[str, Any], raw: bytes | None = None) -> Receipt:
        """Send one delivery and wait until all it woke has been done."""
        key = lane_key("monte-carlo", str(body.get("payload", {}).get("incident_id")))
        event, sent = event_id("monte-carlo", "acme", body), raw or json.dumps(body).encode()
        receipt = accept(Delivery("monte-carlo", "acme", sent, event, key, clock.now())).receipt()
        flush(20)
        return receipt

    def event(self, receipt: Receipt) -> Event:
        event = events.get(receipt.event_id)
        assert event is not None
        return event

    def incident(self, name: str = "11111111-1111-4111-8111-111111111111") -> Incident:
        incident = incidents.get("monte-carlo", name)
        assert incident is not None
        return incident

    def sweep(self) -> None:
        sweep()

    def messages(self) -> list[dict[str, Any]]:
        """What was published since the last time, in order of arrival."""
        sqs, found = aws.client("sqs"), []
        while batch := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def lily(table: None, redis_url: str, configured: Callable[..., None]) -> Iterator[Lily]:
    aws.client("events").create_event_bus(Name="lily")
    url = aws.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("events").put_rule(Name="all", EventBusName="lily", EventPattern=json.dumps({"source": ["lily"]}))
    aws.client("events").put_targets(Rule="all", EventBusName="lily", Targets=[{"Id": "told", "Arn": arn}])
    celery.conf.task_always_eager = True
    yield Lily(url)
    flush(20)
    celery.conf.task_always_eager = False


@pytest.fixture
def api(monte_carlo: MonteCarlo, configured: Callable[..., None]) -> MonteCarlo:
    """Monte Carlo's API, which Lily may ask."""
    configured(
        LILY_SOURCE_MONTE_CARLO_API_URL=str(monte_carlo.http.base_url.join("/graphql")),
        LILY_SOURCE_MONTE_CARLO_API_ID=AUTH["x-mcd-id"],
        LILY_SOURCE_MONTE_CARLO_API_TOKEN=AUTH["x-mcd-token"],
        LILY_SOURCE_MONTE_CARLO_API_TIMEOUT_S="5",
    )
    return monte_carlo
