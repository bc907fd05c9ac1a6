"""Many items per DynamoDB call: the service's limits, what it left undone, and each item's own answer.

Items are in DynamoDB's own form (`{"pk": {"S": ...}}`), made by `packed` and read by `plain`; binary values of items that were
read are still in base64.
"""

import base64
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any

from lily.runtime import aws, aws_json
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

Item = dict[str, dict[str, Any]]
Key = tuple[str, str]
Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]  # one kind of call to DynamoDB

WRITE_MAX = 25  # BatchWriteItem and BatchExecuteStatement
READ_MAX = 100  # BatchGetItem
CALL_BYTES_MAX = 4_000_000  # 16 MB is documented for BatchWriteItem only; PartiQL's limit is not


class Inserted(Enum):
    """How a conditional insert ended. MAYBE: the key exists, but an attempt of ours that seemed to fail may have made it."""

    NEW = "new"
    EXISTS = "exists"
    MAYBE = "maybe"


def packed(values: Mapping[str, str | int | bytes | None]) -> Item:
    """An item from plain values; None leaves the attribute out."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _plain(kind, value) for name, box in item.items() for kind, value in box.items()}


def key_of(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def insert_many(items: Sequence[Item], timeout_s: float) -> list[Inserted | Transient | Permanent]:
    """Each item's own answer, in order. An existing key is never overwritten. Keys must differ within `items`.

    One item is a conditional PutItem; more go as PartiQL INSERTs, the only batched write that refuses an existing key per item
    (BatchWriteItem overwrites, a transaction fails as a whole).
    """
    ends_at, call = time.monotonic() + timeout_s, partial(aws_json.call, "dynamodb", timeout_s=timeout_s, attempts=1)
    answers: list[Inserted | Transient | Permanent] = [Transient("not tried")] * len(items)
    waiting, attempt, tried = list(range(len(items))), 0, set[int]()
    while waiting:
        for chunk in _chunks(waiting, items):
            for index, answer in zip(chunk, _insert(call, [items[index] for index in chunk]), strict=True):
                answers[index] = Inserted.MAYBE if answer is Inserted.EXISTS and index in tried else answer
        waiting = [index for index in waiting if isinstance(answers[index], Transient)]
        tried.update(waiting)
        attempt += 1
        if waiting and not _pause(attempt, ends_at):
            break
    return answers


def write_many(items: Sequence[Item], timeout_s: float = 3.0, attempts: int = 3) -> None:
    """Put all items, whatever was there before; only for items that the caller owns. Keys must differ.

    Safe to repeat. Raises Transient where some are still unwritten at the deadline, Permanent where the call was refused.
    """
    table, ends_at, attempt = settings().table, time.monotonic() + timeout_s, 0
    patience_s = min(timeout_s, 2.0)
    waiting = list(items)
    while waiting:
        undone: list[Item] = []
        for chunk in _chunks(range(len(waiting)), waiting):
            requests = [{"PutRequest": {"Item": waiting[index]}} for index in chunk]
            answer = aws_json.call("dynamodb", "BatchWriteItem", {"RequestItems": {table: requests}}, patience_s, attempts)
            undone += [request["PutRequest"]["Item"] for request in answer.get("UnprocessedItems", {}).get(table, [])]
        waiting, attempt = undone, attempt + 1
        if waiting and not _pause(attempt, ends_at):
            raise Transient(f"DynamoDB left {len(waiting)} of {len(items)} items unwritten")


def delete_many(keys: Sequence[Key], timeout_s: float = 3.0) -> None:
    """Delete the items at `keys`, whatever they are; missing ones do no harm. Safe to repeat. Raises as `write_many`."""
    table, ends_at, attempt = settings().table, time.monotonic() + timeout_s, 0
    waiting = [{"DeleteRequest": {"Key": key_of(*key)}} for key in dict.fromkeys(keys)]
    while waiting:
        undone: list[dict[str, Any]] = []
        for start in range(0, len(waiting), WRITE_MAX):
            request = {"RequestItems": {table: waiting[start : start + WRITE_MAX]}}
            undone += aws_json.call("dynamodb", "BatchWriteItem", request).get("UnprocessedItems", {}).get(table, [])
        waiting, attempt = undone, attempt + 1
        if waiting and not _pause(attempt, ends_at):
            raise Transient(f"DynamoDB left {len(waiting)} of {len(keys)} items undeleted")


def read_many(keys: Sequence[Key], timeout_s: float = 3.0) -> dict[Key, Item]:
    """The items at `keys`, strongly consistent; missing ones are left out. Raises Transient and Permanent."""
    table, ends_at, attempt = settings().table, time.monotonic() + timeout_s, 0
    found: dict[Key, Item] = {}
    waiting = [key_of(*key) for key in dict.fromkeys(keys)]
    while waiting:
        undone: list[Item] = []
        for start in range(0, len(waiting), READ_MAX):
            request = {table: {"Keys": waiting[start : start + READ_MAX], "ConsistentRead": True}}
            answer = aws_json.call("dynamodb", "BatchGetItem", {"RequestItems": request})
            for item in answer["Responses"].get(table, []):
                found[item["pk"]["S"], item["sk"]["S"]] = item
            undone += answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        waiting, attempt = undone, attempt + 1
        if waiting and not _pause(attempt, ends_at):
            raise Transient(f"DynamoDB left {len(waiting)} of {len(keys)} items unread")
    return found


def put_if(items: Sequence[tuple[Item, int]], timeout_s: float = 3.0) -> list[bool | Transient | Permanent]:
    """Put each item if the stored one has the given version (attribute `ver`; 0: none is there). Its own answer each, in order.

    False: another writer was there first; read again. Replaces the whole item. An answer lost on the way counts as False too,
    and the reader then finds its own write.
    """
    answers: list[bool | Transient | Permanent] = [Transient("not tried")] * len(items)
    ends_at, attempt, waiting = time.monotonic() + timeout_s, 0, list(range(len(items)))
    while waiting:
        for chunk in _chunks(waiting, [item for item, _ in items]):
            statements = [_replace(*items[index]) for index in chunk]
            for index, error in zip(chunk, execute_many(statements), strict=True):
                if error is None:
                    answers[index] = True
                elif error in {"ConditionalCheckFailed", "DuplicateItem"}:
                    answers[index] = False
                else:
                    answers[index] = failure(error)
        waiting = [index for index in waiting if isinstance(answers[index], Transient)]
        attempt += 1
        if waiting and not _pause(attempt, ends_at):
            break
    return answers


class Lost(Exception):
    """A transaction did not happen because conditions of the writes at `positions` do not hold: others were there first."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"writes {list(positions)} of a transaction lost")
        self.positions = tuple(positions)


def transact(writes: Sequence[Mapping[str, Any]], timeout_s: float = 3.0) -> None:
    """All of up to 100 writes (`{"Put": ...}`) or none. Safe where an answer is lost on the way: one token names all tries.

    Raises Lost, Transient (another transaction was at one of the items, DynamoDB is away) and Permanent.
    """
    request = {"TransactItems": list(writes), "ClientRequestToken": secrets.token_hex(16)}
    ends_at, attempt = time.monotonic() + timeout_s, 0
    while reasons := _cancelled(request):
        lost = [place for place, reason in enumerate(reasons) if reason == "ConditionalCheckFailed"]
        if lost:
            raise Lost(lost)
        codes = sorted(set(reasons) - {"None"})
        if not aws.RETRY_ALONE.issuperset(codes):
            raise Permanent(f"TransactWriteItems: {', '.join(codes)}")
        attempt += 1
        if not _pause(attempt, ends_at):
            raise Transient(f"TransactWriteItems: {', '.join(codes)}")


def _cancelled(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a transaction did not happen, by write; empty if it did."""
    try:
        aws_json.call("dynamodb", "TransactWriteItems", request)
    except aws.Cancelled as error:
        return error.reasons
    return ()


def execute_many(statements: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Up to 25 PartiQL writes in one call; per statement its error code, or None. Raises Transient and Permanent as a whole."""
    return _execute(partial(aws_json.call, "dynamodb"), statements)


def _execute(call: Call, statements: Sequence[Mapping[str, Any]]) -> list[str | None]:
    answer = call("BatchExecuteStatement", {"Statements": statements})
    return [response.get("Error", {}).get("Code") for response in answer["Responses"]]


def failure(code: str) -> Transient | Permanent:
    """A statement's error code as what it means for its caller."""
    return Transient(f"DynamoDB: {code}") if code in aws.RETRY_ALONE else Permanent(f"DynamoDB: {code}")


def _insert(call: Call, items: Sequence[Item]) -> list[Inserted | Transient | Permanent]:
    try:
        return [_insert_one(call, items[0])] if len(items) == 1 else _insert_batch(call, items)
    except Transient as error:
        return [error] * len(items)
    except Permanent as error:
        if len(items) == 1:
            return [error]
        return [answer for item in items for answer in _insert(call, [item])]  # one refused item must not fail its neighbours


def _insert_one(call: Call, item: Item) -> Inserted:
    try:
        call("PutItem", {"TableName": settings().table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"})
    except aws.ConditionFailed:
        return Inserted.EXISTS
    return Inserted.NEW


def _insert_batch(call: Call, items: Sequence[Item]) -> list[Inserted | Transient | Permanent]:
    return [
        Inserted.NEW if code is None else Inserted.EXISTS if code == "DuplicateItem" else failure(code)
        for code in _execute(call, [_statement(item) for item in items])
    ]


def _statement(item: Item) -> dict[str, Any]:
    names = ", ".join(f"'{name}': ?" for name in item)
    return {"Statement": f'INSERT INTO "{settings().table}" VALUE {{{names}}}', "Parameters": list(item.values())}


def _replace(item: Item, version: int) -> dict[str, Any]:
    if version == 0:
        return _statement(item)
    body = {name: value for name, value in item.items() if name not in {"pk", "sk"}}
    gone = [name for name in ("g1", "t", "g2", "due", "exp", "sev") if name not in item]
    sets = " ".join(f'SET "{name}"=?' for name in body)
    removes = " ".join(f'REMOVE "{name}"' for name in gone)
    text = f'UPDATE "{settings().table}" {sets} {removes} WHERE pk=? AND sk=? AND ver=?'
    return {"Statement": text, "Parameters": [*body.values(), item["pk"], item["sk"], {"N": str(version)}]}


def _chunks(indices: Sequence[int], items: Sequence[Item]) -> list[list[int]]:
    chunks: list[list[int]] = []
    size = 0
    for index in indices:
        weight = _weight(items[index])
        if not chunks or len(chunks[-1]) == WRITE_MAX or size + weight > CALL_BYTES_MAX:
            chunks.append([])
            size = 0
        chunks[-1].append(index)
        size += weight
    return chunks


def _weight(item: Item) -> int:
    return sum([len(value) for box in item.values() for value in box.values()])


def _attribute(value: str | int | bytes) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"B": value}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _plain(kind: str, value: Any) -> Any:
    if kind == "N":
        return int(value)
    return base64.b64decode(value) if kind == "B" and isinstance(value, str) else value


def _pause(attempt: int, ends_at: float) -> bool:
    """Wait a little, with jitter, before what is left is tried again. False: no time for it."""
    delay_s = random.uniform(0.01, min(0.4, 0.02 * 2**attempt))
    if time.monotonic() + delay_s >= ends_at:
        return False
    time.sleep(delay_s)
    return True
