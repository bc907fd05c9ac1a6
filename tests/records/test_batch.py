"""What DynamoDB may leave undone or refuse in part, which no stand-in does: answered by botocore's own stubber."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from lily.records import batch
from lily.records.batch import Inserted, packed
from lily.runtime import aws
from lily.runtime.errors import Permanent, Transient

pytestmark = pytest.mark.usefixtures("table")


@contextmanager
def stubbed(timeout_s: float, attempts: int) -> Iterator[Stubber]:
    """The client of that patience, which answers what the test says."""
    with Stubber(aws.client("dynamodb", timeout_s, attempts)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def answers(table: None) -> Iterator[Stubber]:
    with stubbed(2.0, 3) as stubber:
        yield stubber


@pytest.fixture
def accepting(table: None) -> Iterator[Stubber]:
    with stubbed(2, 1) as stubber:
        yield stubber


def item(name: str) -> batch.Item:
    return packed({"pk": name, "sk": "S"})


def statements(*codes: str | None) -> dict[str, Any]:
    return {"Responses": [{} if code is None else {"Error": {"Code": code, "Message": "m"}} for code in codes]}


def test_unprocessed_items_alone_are_written_again(answers: Stubber) -> None:
    left = {"lily": [{"PutRequest": {"Item": item("b")}}]}
    answers.add_response("batch_write_item", {"UnprocessedItems": left}, {"RequestItems": ANY})
    answers.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": left})

    batch.write_many([item("a"), item("b")])


def test_items_that_stay_unprocessed_are_transient() -> None:
    left = {"lily": [{"PutRequest": {"Item": item("a")}}]}
    with stubbed(0.0, 3) as answers:
        answers.add_response("batch_write_item", {"UnprocessedItems": left}, {"RequestItems": ANY})

        with pytest.raises(Transient, match="left 1 of 1 items unwritten"):
            batch.write_many([item("a")], timeout_s=0.0)


def test_unprocessed_keys_are_read_again(answers: Stubber) -> None:
    key = batch.key_of("b", "S")
    first = {"Responses": {"lily": [item("a")]}, "UnprocessedKeys": {"lily": {"Keys": [key]}}}
    answers.add_response("batch_get_item", first, {"RequestItems": ANY})
    second = {"lily": {"Keys": [key], "ConsistentRead": True}}
    answers.add_response("batch_get_item", {"Responses": {"lily": [item("b")]}, "UnprocessedKeys": {}}, {"RequestItems": second})

    assert set(batch.read_many([("a", "S"), ("b", "S")])) == {("a", "S"), ("b", "S")}


def test_each_statement_of_a_group_gets_its_own_true_answer(accepting: Stubber) -> None:
    first = statements(None, "DuplicateItem", "ThrottlingError", "ValidationError")
    accepting.add_response("batch_execute_statement", first, {"Statements": ANY})
    accepting.add_response("put_item", {}, {"TableName": "lily", "Item": item("c"), "ConditionExpression": ANY})

    new, known, throttled, refused = batch.insert_many([item(name) for name in "abcd"], timeout_s=2)

    assert (new, known, throttled) == (Inserted.NEW, Inserted.EXISTS, Inserted.NEW)
    assert isinstance(refused, Permanent)


def test_a_key_that_exists_after_an_own_attempt_may_be_ones_own(accepting: Stubber) -> None:
    accepting.add_client_error("put_item", "InternalServerError", http_status_code=500)
    accepting.add_client_error("put_item", "ConditionalCheckFailedException")

    assert batch.insert_many([item("a")], timeout_s=2) == [Inserted.MAYBE]


def test_a_whole_call_that_is_refused_does_not_fail_the_neighbours(accepting: Stubber) -> None:
    accepting.add_client_error("batch_execute_statement", "ValidationException")
    accepting.add_response("put_item", {}, {"TableName": "lily", "Item": item("a"), "ConditionExpression": ANY})
    accepting.add_client_error("put_item", "ValidationException")

    good, bad = batch.insert_many([item("a"), item("b")], timeout_s=2)

    assert good is Inserted.NEW
    assert isinstance(bad, Permanent)


def test_throttling_to_the_deadline_is_transient_for_those_it_concerns_only() -> None:
    with stubbed(0.0, 1) as answers:
        answers.add_response("batch_execute_statement", statements(None, "RequestLimitExceeded"), {"Statements": ANY})

        assert [type(answer) for answer in batch.insert_many([item("a"), item("b")], timeout_s=0.0)] == [Inserted, Transient]


def test_a_service_that_refuses_connections_is_transient(configured: Callable[..., None]) -> None:
    configured(LILY_AWS_ENDPOINT_URL="http://127.0.0.1:9")
    aws.forget()

    with pytest.raises(Transient, match="did not answer"):
        batch.read_many([("a", "S")])


def test_a_lost_race_and_a_throttled_write_are_told_apart(answers: Stubber) -> None:
    first = statements(None, "ConditionalCheckFailed", "TransactionConflict")
    answers.add_response("batch_execute_statement", first, {"Statements": ANY})
    answers.add_response("batch_execute_statement", statements("ProvisionedThroughputExceeded"), {"Statements": ANY})
    answers.add_response("batch_execute_statement", statements(None), {"Statements": ANY})

    assert batch.put_if([(item(name), 1) for name in "abc"]) == [True, False, True]
