"""Calls to AWS that consist of parts, each with an answer of its own: take some parts out, and put their refusals back in. Pure.

Source: the API references of DynamoDB (BatchExecuteStatement, BatchWriteItem, BatchGetItem) and EventBridge (PutEvents).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Call = dict[str, Any]
Refuses = Callable[[], bool]
MESSAGE = "Rate exceeded (a fault that was asked for)"

LISTS = {"BatchExecuteStatement": ("Statements", "Responses"), "PutEvents": ("Entries", "Entries")}  # parts, their answers
TABLES = {"BatchWriteItem": "UnprocessedItems", "BatchGetItem": "UnprocessedKeys"}  # parts by table, and what comes back of them


@dataclass(frozen=True)
class Split:
    """A call of which `taken` parts were taken out.

    `forward` is what is left to be done, None if nothing is. `merge` makes the answer to the whole call from the answer to
    what is left ({} if nothing was), or None where AWS refuses a call of which it can do no part.
    """

    taken: int
    forward: Call | None
    merge: Callable[[Mapping[str, Any]], Call | None]


def count(operation: str, call: Mapping[str, Any]) -> int:
    """How many parts a call has; 1 if it has none."""
    if operation in LISTS:
        return len(call.get(LISTS[operation][0], []))
    if operation in TABLES:
        return sum(len(_listed(of_table)) for of_table in call.get("RequestItems", {}).values())
    return 1


def split(operation: str, call: Call, refuses: Refuses, code: str) -> Split | None:
    """Ask of each part whether it is refused. None for a call without parts."""
    if operation in LISTS:
        return _split_list(operation, call, refuses, code)
    if operation in TABLES:
        return _split_tables(operation, call, refuses)
    return None


def _split_list(operation: str, call: Call, refuses: Refuses, code: str) -> Split:
    name, answers_name = LISTS[operation]
    refused = [refuses() for _ in call[name]]
    left = [part for part, is_refused in zip(call[name], refused, strict=True) if not is_refused]

    def merge(answer: Mapping[str, Any]) -> Call:
        answers = iter(answer.get(answers_name, []))
        merged = {**answer, answers_name: [_refusal(operation, code) if is_refused else next(answers) for is_refused in refused]}
        if operation == "PutEvents":
            merged["FailedEntryCount"] = answer.get("FailedEntryCount", 0) + sum(refused)
        return merged

    return Split(sum(refused), {**call, name: left} if left else None, merge)


def _refusal(operation: str, code: str) -> Call:
    if operation == "PutEvents":
        return {"ErrorCode": code, "ErrorMessage": MESSAGE}
    return {"Error": {"Code": code, "Message": MESSAGE}}


def _split_tables(operation: str, call: Call, refuses: Refuses) -> Split:
    left: Call = {}
    undone: Call = {}
    for table, of_table in call["RequestItems"].items():
        for part in _listed(of_table):
            _add(undone if refuses() else left, table, of_table, part)
    taken = sum(len(_listed(of_table)) for of_table in undone.values())

    def merge(answer: Mapping[str, Any]) -> Call | None:
        if not left:
            return None
        unprocessed = {table: of_table for table, of_table in undone.items() if _listed(of_table)}
        for table, of_table in answer.get(TABLES[operation], {}).items():
            for part in _listed(of_table):
                _add(unprocessed, table, of_table, part)
        return {**answer, TABLES[operation]: unprocessed}

    return Split(taken, {**call, "RequestItems": left} if left else None, merge)


def _listed(of_table: Any) -> list[Any]:
    """What is asked of one table: writes are a list, reads have theirs under `Keys`, beside how to read them."""
    found: list[Any] = of_table["Keys"] if isinstance(of_table, dict) else of_table
    return found


def _add(into: Call, table: str, of_table: Any, part: Any) -> None:
    if isinstance(of_table, dict):
        place = into.setdefault(table, {**of_table, "Keys": []})
        into[table] = {**place, "Keys": [*place["Keys"], part]}
    else:
        into[table] = [*into.get(table, []), part]
