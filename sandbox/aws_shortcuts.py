"""Less work for the same answers: what ministack's DynamoDB does more often than it has to.

It is the dearest part of a system on one machine, so its own waste would hide what is measured. Each shortcut changes no
answer (ministack 1.5.33, `services/dynamodb.py`).
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from ministack.core import responses
from ministack.services import _dynamodb_keywords, dynamodb


def take() -> None:
    """Take all shortcuts, in this process, from now on."""
    dynamodb._parse_partiql = _once(dynamodb._parse_partiql)
    _dynamodb_keywords._tokenize = lru_cache(maxsize=256)(_dynamodb_keywords._tokenize)
    dynamodb._batch_write_item = _counting_only_if_asked(dynamodb._batch_write_item)
    dynamodb.json = responses.json = QuickJson


def _once(parse: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A batch takes each of its statements apart once to look at it and once more to execute it; nobody changes the result."""
    last: tuple[Any, Any, Any] = (None, None, None)

    def parse_once(statement: Any, parameters: Any) -> Any:
        nonlocal last
        if statement is not last[0] or parameters is not last[1]:
            last = (statement, parameters, parse(statement, parameters))
        return last[2]

    return parse_once


def _counting_only_if_asked(write: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """The capacity that a batch consumes is worked out from all items, and thrown away unless the caller wants it."""
    count = dynamodb._accumulate_write_capacity

    def write_batch(data: dict[str, Any]) -> Any:
        wanted = data.get("ReturnConsumedCapacity", "NONE") != "NONE"
        dynamodb._accumulate_write_capacity = count if wanted else _count_nothing
        return write(data)

    return write_batch


def _count_nothing(*_: Any) -> None:
    pass


class QuickJson:
    """The module `json`, by way of orjson where that reads and writes the same."""

    JSONDecodeError = json.JSONDecodeError

    @staticmethod
    def loads(text: str | bytes, **options: Any) -> Any:
        if not options:
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError:  # a lone surrogate, say; or it is no JSON, which the other says in its own words
                pass
        return json.loads(text, **options)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        if options == {"ensure_ascii": False}:
            try:
                return orjson.dumps(value).decode()
            except TypeError:  # a number beyond 64 bits, a key that is no text
                pass
        return json.dumps(value, **options)
