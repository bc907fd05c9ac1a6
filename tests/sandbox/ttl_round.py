"""Run by test_aws.py, with the stand-ins' Python: an item expires, is reaped, and is put again; then the table is printed."""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.services import dynamodb

from sandbox import dynamodb_journal
from sandbox.journal import Journal


def call(operation: str, **body: Any) -> Any:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    status, _, answer = asyncio.run(dynamodb.handle_request("POST", "/", headers, json.dumps(body).encode(), {}))
    assert status == 200, answer
    return json.loads(answer)


def reap_once() -> None:
    rounds = iter([None])

    def sleep(_: float) -> None:
        if next(rounds, "over") == "over":
            raise SystemExit

    dynamodb.time = SimpleNamespace(time=time.time, sleep=sleep)
    reaper = threading.Thread(target=dynamodb._ttl_reaper)
    reaper.start()
    reaper.join()


def first_life() -> None:
    item = {"key": {"S": "x"}, "exp": {"N": "1"}}
    call(
        "CreateTable",
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
    )
    call("UpdateTimeToLive", TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "exp"})
    call("PutItem", TableName="things", Item=item)
    call("PutItem", TableName="things", Item=item | {"key": {"S": "y"}})
    reap_once()
    new = item | {"new": {"BOOL": True}}
    call("PutItem", TableName="things", Item=new, ConditionExpression="attribute_not_exists(exp)")


dynamodb_journal.attach(Journal(Path(sys.argv[1])))
if sys.argv[2] == "first":
    first_life()
sys.stdout.write(json.dumps(call("Scan", TableName="things")["Items"]))
