"""Single items and partitions of the table, read consistently; and writes as parts of transactions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from lily.records.batch import Item, key_of, packed, plain
from lily.records.streams import Found
from lily.runtime import aws_json
from lily.runtime.settings import settings

Plain = Mapping[str, Any]
Write = dict[str, Any]
PAGE_MAX = 1000


def get(pk: str, sk: str) -> Plain | None:
    """The item, as plain values. Raises Transient and Permanent, as everything here."""
    answer = aws_json.call("dynamodb", "GetItem", {"TableName": settings().table, "Key": key_of(pk, sk), "ConsistentRead": True})
    return plain(answer["Item"]) if answer.get("Item") else None


def put(values: Mapping[str, str | int | bytes | None]) -> None:
    """Whatever was there before."""
    aws_json.call("dynamodb", "PutItem", {"TableName": settings().table, "Item": packed(values)})


def update(pk: str, sk: str, values: Mapping[str, str | int | bytes | None], condition: str = "", **known: str | int) -> Plain:
    """Set these attributes (None: take away) and no others; the item as it is then.

    `condition` is DynamoDB's, over attributes as `#name` and values as `:name` out of `known`. Raises aws.ConditionFailed.
    """
    request = _update(pk, sk, values, condition, known) | {"ReturnValues": "ALL_NEW"}
    return plain(aws_json.call("dynamodb", "UpdateItem", request)["Attributes"])


def query(
    pk: str, begins: str = "", after: str = "", *, newest_first: bool = False, attributes: Sequence[str] = ()
) -> Iterator[Plain]:
    """The items of a partition in order of their sort keys, read as they are asked for; only some `attributes`, if named."""
    start: Item | None = key_of(pk, after) if after else None
    while True:
        answer = _query(pk, begins, start, PAGE_MAX, newest_first=newest_first, attributes=attributes)
        yield from map(plain, answer["Items"])
        start = answer.get("LastEvaluatedKey")
        if not start:
            return


def page(pk: str, limit: int, cursor: str | None, begins: str = "", *, newest_first: bool = False) -> Found[Plain]:
    """Up to `limit` items after the sort key `cursor`."""
    answer = _query(pk, begins, key_of(pk, cursor) if cursor else None, limit + 1, newest_first=newest_first)
    items = [plain(item) for item in answer["Items"]]
    more = len(items) > limit
    items = items[:limit]
    left_off = more or "LastEvaluatedKey" in answer
    position = items[-1]["sk"] if items else (answer.get("LastEvaluatedKey") or {}).get("sk", {}).get("S")
    return Found(tuple(items), position if left_off else None)


def putting(values: Mapping[str, str | int | bytes | None], condition: str = "", **known: str | int) -> Write:
    """The write of a transaction that replaces an item."""
    return {"Put": {"TableName": settings().table, "Item": packed(values), **_conditioned(condition, known)}}


def updating(pk: str, sk: str, values: Mapping[str, str | int | bytes | None], condition: str = "", **known: str | int) -> Write:
    """The write of a transaction that sets some attributes; as `update`."""
    return {"Update": _update(pk, sk, values, condition, known)}


def deleting(pk: str, sk: str, condition: str = "", **known: str | int) -> Write:
    return {"Delete": {"TableName": settings().table, "Key": key_of(pk, sk), **_conditioned(condition, known)}}


def dumps(form: Any) -> str:
    return orjson.dumps(form).decode()


def loads(text: str) -> Any:
    return orjson.loads(text)


def _query(
    pk: str, begins: str, start: Item | None, limit: int, *, newest_first: bool, attributes: Sequence[str] = ()
) -> Mapping[str, Any]:
    values = {":p": {"S": pk}, **({":b": {"S": begins}} if begins else {})}
    request: dict[str, Any] = {
        "TableName": settings().table,
        "KeyConditionExpression": "pk = :p" + (" AND begins_with(sk, :b)" if begins else ""),
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
        "ScanIndexForward": not newest_first,
        "Limit": limit,
    }
    if start:
        request["ExclusiveStartKey"] = start
    if attributes:
        request["ProjectionExpression"] = ", ".join(f"#{name}" for name in attributes)
        request["ExpressionAttributeNames"] = {f"#{name}": name for name in attributes}
    return aws_json.call("dynamodb", "Query", request)


def _update(
    pk: str, sk: str, values: Mapping[str, str | int | bytes | None], condition: str, known: Mapping[str, str | int]
) -> dict[str, Any]:
    sets = [f"#{name} = :_{name}" for name, value in values.items() if value is not None]
    gone = [f"#{name}" for name, value in values.items() if value is None]
    expression = " ".join([*(["SET", ", ".join(sets)] if sets else []), *(["REMOVE", ", ".join(gone)] if gone else [])])
    conditioned = _conditioned(condition, known)
    names = {f"#{name}": name for name in values} | conditioned.get("ExpressionAttributeNames", {})
    given = {f":_{name}": box for name, box in packed(values).items()} | conditioned.get("ExpressionAttributeValues", {})
    request = {"TableName": settings().table, "Key": key_of(pk, sk), "UpdateExpression": expression, **conditioned}
    request["ExpressionAttributeNames"] = names
    if given:
        request["ExpressionAttributeValues"] = given
    return request


def _conditioned(condition: str, known: Mapping[str, str | int]) -> dict[str, Any]:
    if not condition:
        return {}
    names = {word.strip("(),"): word.strip("(),#") for word in condition.replace("(", " ").split() if word.startswith("#")}
    made: dict[str, Any] = {"ConditionExpression": condition}
    if names:
        made["ExpressionAttributeNames"] = names
    if known:
        made["ExpressionAttributeValues"] = {f":{name}": box for name, box in packed(known).items()}
    return made
