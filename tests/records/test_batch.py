"""What DynamoDB may leave undone or refuse in part, which no stand-in does: answered by a server with a script."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lily.records import batch, items
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


def cancelled(answers: Answers, *codes: str) -> None:
    reasons = [{"Code": code} for code in codes]
    answers.refuse("TransactWriteItems", "TransactionCanceledException", CancellationReasons=reasons)


def writes(*names: str) -> list[dict[str, Any]]:
    return [items.putting({"pk": name, "sk": "S"}, "attribute_not_exists(pk)") for name in names]


def test_a_transaction_that_met_another_is_tried_again_under_the_same_token(answers: Answers) -> None:
    cancelled(answers, "None", "TransactionConflict")
    answers.add("TransactWriteItems", {})

    batch.transact(writes("a", "b"))

    first, second = answers.requests
    assert first == second
    assert len(first["ClientRequestToken"]) == 32


def test_a_transaction_that_meets_others_to_the_deadline_is_transient(answers: Answers) -> None:
    cancelled(answers, "TransactionConflict", "None")

    with pytest.raises(Transient, match="TransactionConflict"):
        batch.transact(writes("a", "b"), timeout_s=0.0)


def test_a_transaction_says_which_of_its_conditions_did_not_hold_whatever_else_went_wrong(answers: Answers) -> None:
    cancelled(answers, "None", "ConditionalCheckFailed", "TransactionConflict", "ConditionalCheckFailed")

    with pytest.raises(batch.Lost) as lost:
        batch.transact(writes("a", "b", "c", "d"))
    assert lost.value.positions == (1, 3)


def test_a_transaction_that_is_refused_is_permanent(answers: Answers) -> None:
    cancelled(answers, "None", "ItemCollectionSizeLimitExceeded")

    with pytest.raises(Permanent, match="ItemCollectionSizeLimitExceeded"):
        batch.transact(writes("a", "b"))


def test_all_of_a_hundred_writes_are_done_or_none() -> None:
    names = [f"n{number:03d}" for number in range(100)]
    batch.transact(writes(*names))
    assert len(batch.read_many([(name, "S") for name in names])) == 100

    with pytest.raises(batch.Lost) as lost:
        batch.transact(writes("x", names[7], "y"))
    assert lost.value.positions == (1,)
    assert batch.read_many([("x", "S"), ("y", "S")]) == {}


def test_thousands_of_items_are_written_read_and_deleted_in_the_services_portions() -> None:
    keys = [(f"m{number % 7}", f"{number:05d}") for number in range(3_000)]
    batch.write_many([packed({"pk": pk, "sk": sk, "d": b"x"}) for pk, sk in keys])

    assert batch.read_many(keys).keys() == set(keys)
    batch.delete_many(keys[1:])
    assert batch.read_many(keys).keys() == {keys[0]}
