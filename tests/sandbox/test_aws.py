"""The AWS stand-in: what was answered is there after any death, and nothing else is opened."""

import contextlib
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers import ROOT, SANDBOX_PYTHON, finish, free_port, kill, launch, running, sandbox
from tests.waiting import eventually

TABLE = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "byg",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
INSERT = "INSERT INTO \"things\" VALUE {'pk': ?, 'sk': ?, 'g': ?, 'n': ?}"


class Aws:
    """A stand-in of the test's own, which it may kill and start again with the same state."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self._state = state
        self._arguments = arguments
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = sandbox("aws", "--port", str(self.port), "--state", self._state, *self._arguments)
        self._running = contextlib.ExitStack()
        self.process = self._running.enter_context(running(command, self.port, path="/_ministack/ready"))

    def killed(self) -> "Aws":
        kill(self.process.pid)
        self._running.close()
        self.start()
        return self

    def stopped(self) -> "Aws":
        self.process.terminate()
        assert self.process.wait(10) == 0
        self._running.close()
        self.start()
        return self

    def close(self) -> None:
        self._running.close()

    def client(self, service: str) -> Any:
        once: BaseClient = boto3.Session().client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )
        return once

    def content(self) -> dict[tuple[str, str], dict[str, Any]]:
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName="things")
        return {(item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    aws = Aws(tmp_path / "aws")
    aws.client("dynamodb").create_table(**TABLE)
    yield aws
    aws.close()


def an_item(pk: int, n: int) -> dict[str, Any]:
    return {**a_key(pk), "g": {"S": f"{n % 3}"}, "n": {"N": f"{n}"}, "text": {"S": "é\u2028\0" * (n % 50)}}


def a_key(pk: int) -> dict[str, Any]:
    return {"pk": {"S": f"{pk}"}, "sk": {"S": "-"}}


def an_insert(pk: int, n: int) -> dict[str, Any]:
    item = an_item(pk, n)
    return {"Statement": INSERT, "Parameters": [item[name] for name in ("pk", "sk", "g", "n")]}


def anything(db: Any, dice: random.Random) -> None:
    """One write of a random kind, to a few of few items, so that about half of the conditional ones fail."""
    (pk, *others), n = dice.sample(range(30), 5), dice.randrange(1000)
    new, there = "attribute_not_exists(pk)", "attribute_exists(pk)"
    update = {"Statement": "UPDATE \"things\" SET n = ? WHERE pk = ? AND sk = '-'", "Parameters": [{"N": f"{n}"}, {"S": f"{pk}"}]}
    inserts = [an_insert(other, n) for other in others]
    puts = [{"Put": {"TableName": "things", "Item": an_item(other, n), "ConditionExpression": new}} for other in others[:2]]
    batch = [{"DeleteRequest": {"Key": a_key(pk)}}, *({"PutRequest": {"Item": an_item(other, n)}} for other in others)]
    addition = {
        "Key": a_key(pk),
        "TableName": "things",
        "UpdateExpression": "ADD n :n SET g = :g",
        "ExpressionAttributeValues": {":n": {"N": f"{n}"}, ":g": {"S": f"{n % 3}"}},
    }
    kinds: list[Callable[[], Any]] = [
        lambda: db.put_item(TableName="things", Item=an_item(pk, n)),
        lambda: db.put_item(TableName="things", Item=an_item(pk, n), ConditionExpression=new),
        lambda: db.update_item(**addition),
        lambda: db.update_item(**addition, ConditionExpression=there),
        lambda: db.delete_item(TableName="things", Key=a_key(pk)),
        lambda: db.batch_write_item(RequestItems={"things": batch}),
        lambda: db.batch_execute_statement(Statements=[an_insert(pk, n), *inserts]),
        lambda: db.transact_write_items(TransactItems=[*puts, {"Delete": {"TableName": "things", "Key": a_key(pk)}}]),
        lambda: db.execute_statement(**update),
        lambda: db.execute_transaction(TransactStatements=[update, *inserts]),
    ]
    with contextlib.suppress(ClientError):
        dice.choice(kinds)()


@pytest.mark.parametrize("seed", range(3))
def test_after_kill_and_stop_the_table_is_what_the_answers_said(aws: Aws, seed: int) -> None:
    dice = random.Random(seed)
    for end in (aws.killed, aws.stopped, aws.killed):
        db = aws.client("dynamodb")
        for _ in range(150):
            anything(db, dice)
        before = aws.content()
        assert len(before) > 5

        end()

        assert aws.content() == before


def test_every_write_that_was_answered_survives_a_kill_under_load(tmp_path: Path) -> None:
    aws = Aws(tmp_path / "aws", "--journal-max", "100000")  # snapshots on the way, too
    aws.client("dynamodb").create_table(**TABLE)
    answered: list[int] = []

    def write(first: int) -> None:
        db = aws.client("dynamodb")
        with contextlib.suppress(BotoCoreError):
            for pk in range(first, first + 100_000, 25):
                db.batch_execute_statement(Statements=[an_insert(pk + k, 1) for k in range(25)])
                answered.extend(range(pk, pk + 25))

    writers = [threading.Thread(target=write, args=(first,)) for first in range(0, 400_000, 100_000)]
    for writer in writers:
        writer.start()
    eventually(lambda: len(answered) > 2_500 and list((tmp_path / "aws").glob("snapshot-*")), within_s=30)
    kill(aws.process.pid)
    for writer in writers:
        writer.join()
    aws.killed() if aws.process.poll() is None else (aws.close(), aws.start())

    there = {int(pk) for pk, _ in aws.content()}
    aws.close()
    assert there >= set(answered)
    assert len(there) - len(answered) <= 25 * len(writers)


def test_the_definition_of_a_table_survives(aws: Aws) -> None:
    db = aws.client("dynamodb")
    db.update_time_to_live(TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "exp"})
    db.update_continuous_backups(TableName="things", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    db.update_table(TableName="things", DeletionProtectionEnabled=True)
    db.put_item(TableName="things", Item=an_item(1, 1))

    for end in (aws.killed, aws.stopped, aws.killed):
        end()
        db = aws.client("dynamodb")

        assert db.describe_time_to_live(TableName="things")["TimeToLiveDescription"]["AttributeName"] == "exp"
        backups = db.describe_continuous_backups(TableName="things")["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        assert db.describe_table(TableName="things")["Table"]["DeletionProtectionEnabled"]
        found = db.query(
            TableName="things", IndexName="byg", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": {"S": "1"}}
        )
        assert found["Items"] == [an_item(1, 1)]


def test_accounts_and_regions_stay_apart(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    aws.client("dynamodb").create_table(**TABLE)
    aws.client("dynamodb").put_item(TableName="things", Item=an_item(2, 2))

    aws.killed()

    assert aws.content() == {("2", "-"): an_item(2, 2)}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
    assert aws.content() == {}


def test_a_transaction_repeated_after_a_kill_is_not_done_twice(aws: Aws) -> None:
    add = {
        "TableName": "things",
        "Key": a_key(1),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for end in (aws.killed, aws.stopped, aws.killed):
        aws.client("dynamodb").transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="the-same")
        end()

    assert aws.content()["1", "-"]["n"] == {"N": "1"}


def test_the_same_text_means_the_same_whatever_came_before_it(aws: Aws) -> None:
    db = aws.client("dynamodb")
    good = [an_insert(1, 1), an_insert(2, 2)]
    odd = [
        {**an_insert(3, 3), "Parameters": an_insert(3, 3)["Parameters"][:3]},  # one value too few
        {**an_insert(4, 4), "Parameters": [*an_insert(4, 4)["Parameters"][:3], {"N": "many"}]},
        an_insert(1, 6),
    ]
    anew = [db.batch_execute_statement(Statements=[{**one, "Statement": f"{INSERT} "}])["Responses"][0] for one in odd[:2]]

    answers = db.batch_execute_statement(Statements=[*good, *odd])["Responses"]
    db.update_item(
        TableName="things", Key=a_key(1), UpdateExpression="REMOVE n SET m = :m", ExpressionAttributeValues={":m": {"S": "-"}}
    )
    answers += db.batch_execute_statement(Statements=[an_insert(7, 7)])["Responses"]

    assert [answer.get("Error", {}).get("Code") for answer in answers[:2] + answers[-2:]] == [None, None, "DuplicateItem", None]
    assert answers[2:4] == anew and all("Error" in answer for answer in anew)
    assert aws.content() == {
        ("1", "-"): {**a_key(1), "g": {"S": "1"}, "m": {"S": "-"}},
        ("2", "-"): {**a_key(2), "g": {"S": "2"}, "n": {"N": "2"}},
        ("7", "-"): {**a_key(7), "g": {"S": "1"}, "n": {"N": "7"}},
    }


def test_what_a_reset_removed_stays_removed(aws: Aws) -> None:
    aws.client("dynamodb").put_item(TableName="things", Item=an_item(1, 1))
    subprocess.run(["curl", "-sfX", "POST", f"http://127.0.0.1:{aws.port}/_ministack/reset"], check=True, capture_output=True)

    aws.killed()

    assert aws.client("dynamodb").list_tables()["TableNames"] == []


def test_an_item_that_its_ttl_removed_does_not_come_back(tmp_path: Path) -> None:
    """The reaper comes once a minute; here it is sent on one round by hand."""
    script = Path(__file__).with_name("ttl_round.py")
    answers = [
        json.loads(subprocess.check_output([SANDBOX_PYTHON, script, tmp_path, life], env={"PYTHONPATH": ROOT}))
        for life in ("first", "second")
    ]

    assert answers[0] == answers[1] == [{"key": {"S": "x"}, "exp": {"N": "1"}, "new": {"BOOL": True}}]


def test_an_event_reaches_the_queue_of_its_rule(aws: Aws) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    events.create_event_bus(Name="lily")
    make = sandbox("demo_queue", "--endpoint", f"http://127.0.0.1:{aws.port}", "--bus", "lily", "--name", "lily-demo")
    environ = {"AWS_ACCESS_KEY_ID": "111111111111", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for _ in range(2):  # safe to repeat
        url = subprocess.run(make, cwd=ROOT, env=environ, check=True, capture_output=True, text=True).stdout.strip()

    mine = {"Source": "lily", "DetailType": "lily.incident.opened", "Detail": '{"n": 1}', "EventBusName": "lily"}
    assert events.put_events(Entries=[mine, mine | {"Source": "other"}])["FailedEntryCount"] == 0

    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail"] for message in messages] == [{"n": 1}]


def test_it_listens_on_one_port_of_this_machine_and_nowhere_else(aws: Aws) -> None:
    descriptors = Path(f"/proc/{aws.process.pid}/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    sockets = {target[8:-1] for fd in descriptors.iterdir() if (target := str(fd.readlink())).startswith("socket:[")}
    rows = [row.split() for kind in ("tcp", "tcp6") for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]

    assert [row[1] for row in rows if row[3] == "0A" and row[9] in sockets] == [f"0100007F:{aws.port:04X}"]


def test_a_taken_port_or_state_is_an_error_that_names_it(aws: Aws, tmp_path: Path) -> None:
    for port, state, named in ((aws.port, tmp_path / "other", str(aws.port)), (free_port(), tmp_path / "aws", "another process")):
        process = launch(sandbox("aws", "--port", str(port), "--state", state))
        try:
            output, _ = process.communicate(timeout=20)
        finally:
            finish(process)
        assert process.returncode == 1
        assert named in output
        assert "Traceback" not in output
