"""What DynamoDB may leave undone or refuse in part, which no stand-in does: answered by a server with a script."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lily.records import batch
from lily.records.batch import Inserted, packed
from lily.runtime import aws
from lily.runtime.errors import Permanent, Transient
from tests.aws_answers import Answers, answering

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def answers(table: None) -> Iterator[Answers]:
    with answering("dynamodb") as made:
        yield made


def item(name: str) -> batch.Item:
    return packed({"pk": name, "sk": "S"})


def statements(*codes: str | None) -> dict[str, Any]:
    return {"Responses": [{} if code is None else {"Error": {"Code": code, "Message": "m"}} for code in codes]}


def test_unprocessed_items_alone_are_written_again(answers: Answers) -> None:
    left = {"lily": [{"PutRequest": {"Item": item("b")}}]}
    answers.add("BatchWriteItem", {"UnprocessedItems": left})
    answers.add("BatchWriteItem", {"UnprocessedItems": {}})

    batch.write_many([item("a"), item("b")])

    assert answers.requests[1] == {"RequestItems": left}


def test_items_that_stay_unprocessed_are_transient(answers: Answers) -> None:
    left = {"lily": [{"PutRequest": {"Item": item("a")}}]}
    answers.add("BatchWriteItem", {"UnprocessedItems": left})

    with pytest.raises(Transient, match="left 1 of 1 items unwritten"):
        batch.write_many([item("a")], timeout_s=0.0)


def test_undeleted_items_alone_are_deleted_again_until_the_deadline(answers: Answers) -> None:
    left = {"lily": [{"DeleteRequest": {"Key": batch.key_of("b", "S")}}]}
    answers.add("BatchWriteItem", {"UnprocessedItems": left})
    answers.add("BatchWriteItem", {"UnprocessedItems": {}})

    batch.delete_many([("a", "S"), ("b", "S"), ("a", "S")])

    assert [len(request["RequestItems"]["lily"]) for request in answers.requests] == [2, 1]
    assert answers.requests[1] == {"RequestItems": left}
    answers.add("BatchWriteItem", {"UnprocessedItems": left})
    with pytest.raises(Transient, match="left 1 of 1 items undeleted"):
        batch.delete_many([("b", "S")], timeout_s=0.0)


def test_unprocessed_keys_are_read_again(answers: Answers) -> None:
    key = batch.key_of("b", "S")
    first = {"Responses": {"lily": [item("a")]}, "UnprocessedKeys": {"lily": {"Keys": [key]}}}
    answers.add("BatchGetItem", first)
    second = {"lily": {"Keys": [key], "ConsistentRead": True}}
    answers.add("BatchGetItem", {"Responses": {"lily": [item("b")]}, "UnprocessedKeys": {}})

    assert set(batch.read_many([("a", "S"), ("b", "S")])) == {("a", "S"), ("b", "S")}
    assert answers.requests[1] == {"RequestItems": second}


def test_each_statement_of_a_group_gets_its_own_true_answer(answers: Answers) -> None:
    first = statements(None, "DuplicateItem", "ThrottlingError", "ValidationError")
    answers.add("BatchExecuteStatement", first)
    answers.add("PutItem", {})

    new, known, throttled, refused = batch.insert_many([item(name) for name in "abcd"], timeout_s=2)

    assert (new, known, throttled) == (Inserted.NEW, Inserted.EXISTS, Inserted.NEW)
    assert answers.requests[1]["Item"] == item("c")
    assert isinstance(refused, Permanent)


def test_a_key_that_exists_after_an_own_attempt_may_be_ones_own(answers: Answers) -> None:
    answers.refuse("PutItem", "InternalServerError", 500)
    answers.refuse("PutItem", "ConditionalCheckFailedException")

    assert batch.insert_many([item("a")], timeout_s=2) == [Inserted.MAYBE]


def test_a_whole_call_that_is_refused_does_not_fail_the_neighbours(answers: Answers) -> None:
    answers.refuse("BatchExecuteStatement", "ValidationException")
    answers.add("PutItem", {})
    answers.refuse("PutItem", "ValidationException")

    good, bad = batch.insert_many([item("a"), item("b")], timeout_s=2)

    assert good is Inserted.NEW
    assert isinstance(bad, Permanent)


def test_throttling_to_the_deadline_is_transient_for_those_it_concerns_only(answers: Answers) -> None:
    answers.add("BatchExecuteStatement", statements(None, "RequestLimitExceeded"))

    assert [type(answer) for answer in batch.insert_many([item("a"), item("b")], timeout_s=0.0)] == [Inserted, Transient]


def test_a_service_that_refuses_connections_is_transient(configured: Callable[..., None]) -> None:
    configured(LILY_AWS_ENDPOINT_URL="http://127.0.0.1:9")
    aws.forget()

    with pytest.raises(Transient, match="did not answer"):
        batch.read_many([("a", "S")])


def test_a_lost_race_and_a_throttled_write_are_told_apart(answers: Answers) -> None:
    first = statements(None, "ConditionalCheckFailed", "TransactionConflict")
    answers.add("BatchExecuteStatement", first)
    answers.add("BatchExecuteStatement", statements("ProvisionedThroughputExceeded"))
    answers.add("BatchExecuteStatement", statements(None))

    assert batch.put_if([(item(name), 1) for name in "abc"]) == [True, False, True]
