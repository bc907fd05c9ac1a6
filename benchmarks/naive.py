"""What a good engineer would write first, to compare Lily with: one conditional put, then a Celery chain of four tasks per event.

Not handicapped: the same server with the same settings, the same pool of workers, the same stand-ins, table, indexes and AWS
clients, the same proof of who sent it, and the same message at the end. It spares what Lily does beside: no incidents, no due
index, no log line and no figures per event, no task events. `python -m benchmarks.naive` is its process `web`; its worker is
`celery -A benchmarks.naive.celery worker` with the flags of Lily's.
"""

import json
import socket
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from flask import Flask, Response, request

from connectors import eventbridge, monte_carlo
from connectors.contracts import SignatureRejected
from lily.domain.deliveries import event_id
from lily.domain.envelope import Message, entry
from lily.records import days, due
from lily.records.batch import key_of, packed
from lily.runtime import aws, clock
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

SOURCE = "monte-carlo"
Working = dict[str, Any]  # an event as one task hands it to the next

celery = Celery("naive")
celery.config_from_object("celeryconfig")
celery.conf.worker_send_task_events = False  # twelve messages an event, which nobody here reads
celery.conf.worker_max_tasks_per_child = 100_000  # Lily's limit would replace its children twenty times as often as Lily's own
celery.conf.beat_schedule = {}


@worker_process_init.connect
def _warm_up(**_: Any) -> None:
    aws.dynamodb()
    aws.client("events")


def create_app() -> Flask:
    app = Flask(__name__)
    secrets = [secret.reveal() for secret in settings().sources[SOURCE].secrets]

    @app.post(f"/webhooks/{SOURCE}")
    def receive() -> Response:
        raw = request.get_data(cache=False)
        try:
            body = json.loads(raw)
            monte_carlo.check_shape(body)
            monte_carlo.verify(body, request.headers.get(monte_carlo.signature_header), secrets)
        except (ValueError, SignatureRejected):
            return Response(status=401)
        account = monte_carlo.account(body)
        event: Working = {
            "id": event_id(SOURCE, account, body),
            "account": account,
            "body": body,
            "received_at": clock.iso(clock.now()),
        }
        try:
            is_new = _insert(event, raw)
        except Transient:
            return Response(status=503)
        if is_new:
            (ingest.s(event) | enrich.s() | store.s() | publish.s()).apply_async()
        return Response(json.dumps({"event_id": event["id"], "duplicate": not is_new}), 202, content_type="application/json")

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    return app


@celery.task(name="ingest")
def ingest(event: Working) -> Working:
    """The body in Lily's words."""
    change = monte_carlo.normalise(event.pop("body"))
    return event | {
        "incident": change.incident,
        "type": change.type,
        "action": change.action,
        "values": dict(change.values),
        "assets": [table.name for table in change.tables],
    }


@celery.task(name="enrich")
def enrich(event: Working) -> Working:
    """What the deliveries themselves say; nobody is asked, in Lily's run neither."""
    return event | {"enrichment": {"state": "none", "reason": "the source has no API configured"}}


@celery.task(name="store")
def store(event: Working) -> Working:
    aws.call(
        aws.dynamodb().update_item,
        TableName=settings().table,
        Key=key_of(f"E#{event['id']}", "E"),
        UpdateExpression="SET sta = :s, typ = :t, g3 = :a, d = :d",
        ExpressionAttributeValues=packed(
            {":s": "stored", ":t": event["type"], ":a": f"A#{event['assets'][0]}", ":d": json.dumps(event)}
        ),
    )
    return event


@celery.task(name="publish")
def publish(event: Working) -> None:
    message = Message(
        id=event["id"],
        type="lily.incident.opened",
        source=f"/lily/{SOURCE}/{event['account']}",
        time=clock.from_iso(event["received_at"]),
        path=f"/events/{event['id']}",
        subject=event["assets"][0],
        resources=tuple(event["assets"]),
        data=event,
    )
    (failed,) = eventbridge.put([entry(message, settings().detail_bytes_max, settings().public_url)])
    if failed:
        raise failed
    aws.call(
        aws.dynamodb().update_item,
        TableName=settings().table,
        Key=key_of(f"E#{event['id']}", "E"),
        UpdateExpression="SET sta = :s",
        ExpressionAttributeValues=packed({":s": "published"}),
    )


def _insert(event: Working, raw: bytes) -> bool:
    at = clock.from_iso(event["received_at"])
    item = packed(
        {
            "pk": f"E#{event['id']}",
            "sk": "E",
            "g1": days.partition(f"{at:%Y%m%d}", event["id"]),
            "t": f"{due.millis(at):013d}#{event['id']}",
            "sta": "received",
            "src": SOURCE,
            "exp": int(at.timestamp()) + settings().event_ttl_days * 86_400,
            "raw": raw,
        }
    )
    try:
        aws.call(aws.dynamodb().put_item, TableName=settings().table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except aws.ConditionFailed:
        return False
    return True


def main() -> int:
    from app import serve

    config = settings()
    connections = serve._raise_descriptor_limit(config.web.connections_max)
    listener: socket.socket = serve.bind(config)
    aws.dynamodb()
    serve.run(serve.make_server(create_app(), listener, config, connections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
