"""The whole system under hands that send twice, at once, in other bytes, and that kill."""

import contextlib
import json
import os
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import redis as redis_client

from tests.journeys.conftest import System
from tests.waiting import eventually


def an_alert(**more: Any) -> dict[str, Any]:
    incident = more.pop("incident", None) or str(uuid.uuid4())
    event = {"event_details": "Has 42 rows vs. 101 expected", "table_name": "artemis"}
    payload = {"event_list": [event], "group_id": "zeus:ares", "incident_id": incident, **more}
    return {
        "account": {"id": "acme"},
        "action": "incident",
        "payload": payload,
        "type": "open_anomaly_incident",
        "version": "v0.1",
    }


def test_the_same_delivery_fifty_times_at_once_to_two_processes_is_one_event(system: System) -> None:
    alert = an_alert()
    clients = [httpx.Client() for _ in range(50)]  # a connection each: the kernel spreads them over both processes

    with ThreadPoolExecutor(50) as pool:
        receipts = [answer.json() for answer in pool.map(lambda client: system.post(alert, client), clients)]

    assert len({receipt["event_id"] for receipt in receipts}) == 1
    assert [receipt["duplicate"] for receipt in receipts].count(False) == 1
    event_id = receipts[0]["event_id"]
    told = system.await_published({event_id}, within_s=10)
    again = system.post(json.dumps(alert, indent=3).encode())
    assert again.json() == {**receipts[0], "duplicate": True}
    eventually(lambda: system.get(f"/events/{event_id}")["repeats"]["count"] == 50, within_s=10)
    eventually(lambda: due(system) == 0, within_s=20)
    assert told + system.await_published(set(), within_s=1) == {event_id: 1}


def test_fixed_reopened_fixed_ends_fixed_within_five_seconds(system: System) -> None:
    incident = str(uuid.uuid4())
    for status in ("fixed", "investigating", "fixed"):
        assert system.post(an_alert(incident=incident, alert_feedback=status)).status_code == 202

    eventually(lambda: system.get(f"/incidents/{incident}")["status"] == "fixed", within_s=5)
    eventually(lambda: due(system) == 0, within_s=20)
    assert system.get(f"/incidents/{incident}")["status"] == "fixed"
    effects = [message["data"]["effect"] for message in system.messages() if message["data"]["incident"]["id"] == incident]
    assert effects == ["resolved", "reopened", "resolved"]


def test_nothing_accepted_is_lost_while_everything_is_killed_in_turn(system: System) -> None:
    """Workers, beat, both web processes, Redis flushed, Redis and AWS stopped for a while: a fault a second, under load."""
    accepted: set[str] = set()
    ends_at = time.monotonic() + 12
    faults = cycle(["child", "worker-inbound", "web", "beat", "flush", "worker-io", "stop redis", "web-2", "stop aws"])
    next_fault_at = time.monotonic() + 1
    client = httpx.Client()
    while time.monotonic() < ends_at:
        if time.monotonic() > next_fault_at:
            strike(system, next(faults))
            next_fault_at = time.monotonic() + 1
            client = httpx.Client()
        try:
            answer = system.post(an_alert(), client)
        except httpx.TransportError:
            client = httpx.Client()
            continue
        if answer.status_code == 202:
            accepted.add(answer.json()["event_id"])
        else:
            assert answer.status_code == 503, answer.text
    eventually(system.ready, within_s=20)

    told = system.await_published(accepted, within_s=60)

    assert len(accepted) > 100
    for event_id in accepted:
        moments = [moment["what"] for moment in system.get(f"/events/{event_id}")["timeline"]]
        assert moments.count("stored") == 1, moments
        assert moments[-1] == "published"
    assert sum(told.values()) - len(told) < 300  # told again, under the same id: at most a batch for each lane and kill


def strike(system: System, fault: str) -> None:
    if fault == "child":
        for pid in Path(f"/proc/{(worker := system.processes['worker-inbound'].pid)}/task/{worker}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    elif fault == "flush":
        redis_client.Redis.from_url(system.redis.url).flushall()
    elif fault == "stop redis":
        system.redis.signal(signal.SIGSTOP)
        threading.Timer(2, system.redis.signal, [signal.SIGCONT]).start()
    elif fault == "stop aws":
        os.killpg(system.processes["aws"].pid, signal.SIGSTOP)
        threading.Timer(1, os.killpg, [system.processes["aws"].pid, signal.SIGCONT]).start()
    else:
        system.kill(fault)
        system.start(fault)


def due(system: System) -> int:
    """How many things are still to be done, as the records say."""
    table = system.client("dynamodb")
    found = 0
    for kind in ("event", "repeat", "incident"):
        for shard in range(16):
            key = {":g": {"S": f"P#{kind}#{shard}"}}
            found += table.query(
                TableName="lily", IndexName="gs2", KeyConditionExpression="g2 = :g", ExpressionAttributeValues=key, Select="COUNT"
            )["Count"]
    return found
