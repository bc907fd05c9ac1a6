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

Parse = Callable[[Any, Any], Any]
Write = Callable[[dict[str, Any]], Any]
TEXTS_MAX = 256  # of statements; a service has a handful


def take() -> None:
    """Take all shortcuts, in this process, from now on."""
    dynamodb._parse_partiql = _once(_by_example(dynamodb._parse_partiql))
    _dynamodb_keywords._tokenize = lru_cache(maxsize=256)(_dynamodb_keywords._tokenize)
    dynamodb._batch_write_item = _validating_once(_counting_only_if_asked(dynamodb._batch_write_item))
    dynamodb.json = responses.json = QuickJson


def _once(parse: Parse) -> Parse:
    """A batch takes each of its statements apart once to look at it and once more to execute it; nobody changes the result."""
    last: tuple[Any, Any, Any] = (None, None, None)

    def parse_once(statement: Any, parameters: Any) -> Any:
        nonlocal last
        if statement is not last[0] or parameters is not last[1]:
            last = (statement, parameters, parse(statement, parameters))
        return last[2]

    return parse_once


def _by_example(parse: Parse) -> Parse:
    """An INSERT whose values are all parameters is taken apart once; the same text again only has other values."""
    examples: dict[str, tuple[list[str], Any]] = {}

    def parse_by_example(statement: Any, parameters: Any) -> Any:
        names, example = examples.get(statement, ((), None))
        if example is None or len(names) != len(parameters):
            parsed = parse(statement, parameters)
            if _only_fills_in(parsed, parameters) and len(examples) < TEXTS_MAX:
                examples[statement] = list(parsed["item"]), parsed
            return parsed
        for parameter in parameters:
            if error := dynamodb._partiql_parameter_error(parameter):
                raise ValueError(error)
        return {**example, "item": dict(zip(names, parameters, strict=True))}

    return parse_by_example


def _only_fills_in(parsed: Any, parameters: Any) -> bool:
    values = list(parsed["item"].values()) if parsed["op"] == "INSERT" else []
    return bool(values) and list(map(id, values)) == list(map(id, parameters))


def _counting_only_if_asked(write: Write) -> Write:
    """The capacity that a batch consumes is worked out from all items, and thrown away unless the caller wants it."""
    count = dynamodb._accumulate_write_capacity

    def write_batch(data: dict[str, Any]) -> Any:
        wanted = data.get("ReturnConsumedCapacity", "NONE") != "NONE"
        dynamodb._accumulate_write_capacity = count if wanted else _count_nothing
        return write(data)

    return write_batch


def _validating_once(write: Write) -> Write:
    """A batch validates all its items before it writes the first, and then each once more."""
    validate = dynamodb._validate_item
    valid: set[int] = set()

    def validate_once(item: Any, *keys: Any, **options: Any) -> Any:
        if id(item) in valid:
            return None
        error = validate(item, *keys, **options)
        if error is None:
            valid.add(id(item))
        return error

    def write_batch(data: dict[str, Any]) -> Any:
        dynamodb._validate_item = validate_once
        try:
            return write(data)
        finally:
            dynamodb._validate_item = validate
            valid.clear()  # another item may come to lie where one of these did

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
