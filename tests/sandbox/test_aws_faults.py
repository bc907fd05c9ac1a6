"""A bad day of AWS, as a client meets it: what was refused was not done, and each part of a call has an answer of its own."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from sandbox import aws_parts
from tests.servers import free_port, running, sandbox
from tests.waiting import eventually

BOTO_GONE = (ConnectionClosedError, EndpointConnectionError)


class Aws:
    """The stand-in with the proxy in front of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url)
        self.db = self.client("dynamodb")

    def client(self, service: str) -> Any:
        once = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
        return boto3.Session().client(service, endpoint_url=self.url, region_name="us-east-1", config=once)

    def faulty(self, *faults: dict[str, Any]) -> None:
        answer = self.http.post("/sandbox/faults", json=list(faults))
        assert answer.is_success, answer.text

    def calls(self, operation: str) -> dict[str, int]:
        found: dict[str, int] = self.http.get("/sandbox/calls").json().get(operation, {})
        return found

    def keys(self) -> set[str]:
        return {item["pk"]["S"] for item in self.db.scan(TableName="things")["Items"]}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    aws_port, port = free_port(), free_port()
    state: Path = tmp_path_factory.mktemp("aws")
    with contextlib.ExitStack() as servers:
        servers.enter_context(
            running(sandbox("aws", "--port", str(aws_port), "--state", state), aws_port, path="/_ministack/ready")
        )
        command = sandbox("aws_faults", "--port", str(port), "--behind", str(aws_port))
        servers.enter_context(running(command, port, path="/sandbox/faults"))
        yield Aws(port)


@pytest.fixture
def aws(standing: Aws) -> Aws:
    """Without faults or counts, and with an empty table."""
    standing.http.delete("/sandbox/faults")
    with contextlib.suppress(ClientError):
        standing.db.delete_table(TableName="things")
    standing.db.create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    standing.http.delete("/sandbox/calls")
    return standing


def an_insert(pk: int) -> dict[str, Any]:
    return {"Statement": "INSERT INTO \"things\" VALUE {'pk': ?}", "Parameters": [{"S": f"{pk}"}]}


def puts(count: int) -> dict[str, Any]:
    return {"things": [{"PutRequest": {"Item": {"pk": {"S": f"{pk}"}}}} for pk in range(count)]}


def test_without_faults_calls_pass_as_they_are_and_are_counted(aws: Aws) -> None:
    aws.db.batch_execute_statement(Statements=[an_insert(pk) for pk in range(3)])
    aws.db.put_item(TableName="things", Item={"pk": {"S": "x"}})

    assert aws.keys() == {"0", "1", "2", "x"}
    assert aws.calls("BatchExecuteStatement") == {"calls": 1, "parts": 3}
    assert aws.calls("PutItem") == {"calls": 1, "parts": 1}


def test_a_refused_call_is_an_error_of_its_code_and_nothing_is_done(aws: Aws) -> None:
    aws.faulty({"kind": "error", "status": 500, "code": "InternalServerError", "operation": "PutItem", "count": 2})

    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            aws.db.put_item(TableName="things", Item={"pk": {"S": "x"}})
        assert refused.value.response["Error"]["Code"] == "InternalServerError"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert aws.keys() == set()
    aws.db.put_item(TableName="things", Item={"pk": {"S": "x"}})
    assert aws.keys() == {"x"}
    assert aws.calls("PutItem") == {"calls": 3, "parts": 3, "error": 2}


def test_a_share_of_the_calls_is_refused(aws: Aws) -> None:
    aws.faulty({"kind": "error", "code": "ThrottlingException", "share": 0.5})
    done = 0
    for pk in range(60):
        with contextlib.suppress(ClientError):
            aws.db.put_item(TableName="things", Item={"pk": {"S": f"{pk}"}})
            done += 1

    aws.http.delete("/sandbox/faults")
    assert 10 < done < 50
    assert len(aws.keys()) == done


def test_of_statements_each_has_its_own_answer_and_only_refused_ones_are_not_done(aws: Aws) -> None:
    aws.db.put_item(TableName="things", Item={"pk": {"S": "3"}})
    aws.faulty({"kind": "parts", "share": 0.4, "code": "ThrottlingError", "operation": "BatchExecuteStatement"})

    answers = aws.db.batch_execute_statement(Statements=[an_insert(pk) for pk in range(25)])["Responses"]

    codes = [answer.get("Error", {}).get("Code") for answer in answers]
    assert len(codes) == 25
    assert codes.count("ThrottlingError") == aws.calls("BatchExecuteStatement")["refused_parts"]
    assert 2 < codes.count("ThrottlingError") < 20
    assert codes[3] in {"DuplicateItem", "ThrottlingError"}
    assert aws.keys() == {"3"} | {f"{pk}" for pk, code in enumerate(codes) if code is None}


def test_of_a_batch_of_writes_what_was_not_done_comes_back(aws: Aws) -> None:
    aws.faulty({"kind": "parts", "share": 0.4, "operation": "BatchWriteItem"})

    undone = aws.db.batch_write_item(RequestItems=puts(25))["UnprocessedItems"]["things"]

    refused = {request["PutRequest"]["Item"]["pk"]["S"] for request in undone}
    assert 2 < len(refused) < 20
    assert aws.keys() == {f"{pk}" for pk in range(25)} - refused


def test_of_a_batch_of_reads_what_was_not_read_comes_back_with_how_to_read_it(aws: Aws) -> None:
    aws.db.batch_write_item(RequestItems=puts(25))
    aws.faulty({"kind": "parts", "share": 0.4})
    wanted = {"things": {"Keys": [{"pk": {"S": f"{pk}"}} for pk in range(25)], "ConsistentRead": True}}

    answer = aws.db.batch_get_item(RequestItems=wanted)

    read = {item["pk"]["S"] for item in answer["Responses"]["things"]}
    unread = answer["UnprocessedKeys"]["things"]
    assert unread["ConsistentRead"]
    assert read | {key["pk"]["S"] for key in unread["Keys"]} == {f"{pk}" for pk in range(25)}
    assert 2 < len(unread["Keys"]) < 20


def test_a_batch_of_which_nothing_can_be_done_is_refused_as_a_whole(aws: Aws) -> None:
    aws.faulty({"kind": "parts"})

    with pytest.raises(aws.db.exceptions.ProvisionedThroughputExceededException):
        aws.db.batch_write_item(RequestItems=puts(3))
    answers = aws.db.batch_execute_statement(Statements=[an_insert(1)])["Responses"]

    assert answers[0]["Error"]["Code"] == "ThrottlingException"
    assert aws.keys() == set()


def test_of_entries_each_has_its_own_answer(aws: Aws) -> None:
    events = aws.client("events")
    aws.faulty({"kind": "parts", "share": 0.5, "code": "InternalFailure", "operation": "PutEvents"})
    entry = {"Source": "s", "DetailType": "d", "Detail": "{}"}

    answer = events.put_events(Entries=[entry] * 10)

    codes = [one.get("ErrorCode") for one in answer["Entries"]]
    assert set(codes) == {None, "InternalFailure"}
    assert answer["FailedEntryCount"] == codes.count("InternalFailure")
    assert all("EventId" in one for one in answer["Entries"] if "ErrorCode" not in one)


def test_a_call_is_lost_before_or_after_it_was_done(aws: Aws) -> None:
    for kind, key in (("drop_before", "a"), ("drop_after", "b")):
        aws.faulty({"kind": kind, "operation": "PutItem", "count": 1})
        with pytest.raises(BOTO_GONE):
            aws.db.put_item(TableName="things", Item={"pk": {"S": key}})

    assert aws.keys() == {"b"}


def test_delays_add_up_and_go_with_other_faults(aws: Aws) -> None:
    slow: dict[str, Any] = {"kind": "latency", "delay_s": 0.15, "operation": "DynamoDB_*.Put*"}
    aws.faulty(slow, slow, {"kind": "error", "code": "ThrottlingException", "count": 1})
    began_at = time.perf_counter()

    with pytest.raises(ClientError):
        aws.db.put_item(TableName="things", Item={"pk": {"S": "x"}})

    assert 0.3 <= time.perf_counter() - began_at < 2
    began_at = time.perf_counter()
    aws.keys()
    assert time.perf_counter() - began_at < 0.15


def test_when_aws_is_away_connections_end_and_when_it_is_back_it_answers(tmp_path: Path) -> None:
    aws_port, port = free_port(), free_port()
    standin = sandbox("aws", "--port", str(aws_port), "--state", tmp_path / "aws")
    with running(sandbox("aws_faults", "--port", str(port), "--behind", str(aws_port)), port, path="/sandbox/faults"):
        aws = Aws(port)
        with pytest.raises(BOTO_GONE):
            aws.db.list_tables()
        for _ in range(2):
            with running(standin, aws_port, path="/_ministack/ready"):
                assert eventually(lambda: aws.db.list_tables()["TableNames"] == [])
            with pytest.raises(BOTO_GONE):
                aws.db.list_tables()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "explode"}, "fault.kind: 'explode' is not one of latency, "),
        ({"kind": "error", "codes": "x"}, "fault: unknown codes"),
        ({"kind": "error", "code": 1}, "fault.operation and fault.code: expected names"),
        ({"kind": "error", "count": 0}, "fault.count: 0; expected"),
        ({"kind": "error", "status": 200}, "fault.status: 200; expected an HTTP status from 400 to 599"),
        ({"kind": "error", "status": 499}, "fault.status: 499; expected an HTTP status from 400 to 599"),
        ({"kind": "parts", "share": 2}, "fault.share: 2; expected 0 to 1"),
        ({"kind": "latency", "delay_s": "1"}, "fault.delay_s: '1'; expected 0 to 600"),
        ("latency", "fault: expected an object"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_its_reason(aws: Aws, fault: Any, message: str) -> None:
    answer = aws.http.post("/sandbox/faults", json=fault)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert aws.http.get("/sandbox/faults").json() == []


@given(st.lists(st.tuples(st.integers(), st.booleans()), max_size=25))
def test_answers_of_a_list_stand_where_their_parts_stood(parts: list[tuple[int, bool]]) -> None:
    dice = iter([is_refused for _, is_refused in parts])
    call = {"Statements": [number for number, _ in parts], "ReturnConsumedCapacity": "NONE"}

    split = aws_parts.split("BatchExecuteStatement", call, lambda: next(dice), "Code")

    assert split is not None
    left = [number for number, is_refused in parts if not is_refused]
    assert split.forward == ({**call, "Statements": left} if left else None)
    assert split.taken == len(parts) - len(left)
    merged = split.merge({"Responses": [{"Done": number} for number in left]})
    assert merged is not None
    told = [answer.get("Done", answer.get("Error", {}).get("Code")) for answer in merged["Responses"]]
    assert told == ["Code" if is_refused else number for number, is_refused in parts]


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.tuples(st.integers(), st.booleans()), min_size=1, max_size=9)))
def test_parts_by_table_are_done_or_come_back_never_both(tables: dict[str, list[tuple[int, bool]]]) -> None:
    dice = iter([is_refused for parts in tables.values() for _, is_refused in parts])
    call = {"RequestItems": {table: [number for number, _ in parts] for table, parts in tables.items()}}
    undone = {table: [number for number, is_refused in parts if is_refused] for table, parts in tables.items()}

    split = aws_parts.split("BatchWriteItem", call, lambda: next(dice), "Code")

    assert split is not None
    forwarded = split.forward["RequestItems"] if split.forward else {}
    merged = split.merge({"UnprocessedItems": {}})
    assert (merged is None) == (not forwarded)
    back = merged["UnprocessedItems"] if merged else undone
    for table, numbers in call["RequestItems"].items():
        assert sorted(forwarded.get(table, []) + back.get(table, [])) == sorted(numbers)
        assert back.get(table, []) == undone[table]
