"""Hangs a journal on ministack's DynamoDB, which by itself keeps nothing that was written since its last graceful stop.

Journalled are effects, not requests: the item that a write left behind, whatever conditions and clocks decided about it. So
reading it back asks nothing again, and an item that its TTL removed stays removed. Definitions (tables, TTL, tags ...) are
journalled as the calls they were. Backups, restores, imports, exports and tables made by CloudFormation are not kept.

ministack runs a DynamoDB request from its first to its last line without giving way, on one thread: what is noted between
the start and the end of `handle_request` belongs to that request. Its TTL reaper is a thread, and comes in between whole
effects only. (ministack 1.5.33, `services/dynamodb.py`.)
"""

import asyncio
import pickle
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from ministack.core.responses import get_account_id, get_region, set_request_account_id, set_request_region
from ministack.services import dynamodb

from sandbox.journal import Damaged, Journal

DEFINITIONS = frozenset(
    {
        "CreateTable",
        "DeleteResourcePolicy",
        "DeleteTable",
        "PutResourcePolicy",
        "TagResource",
        "UntagResource",
        "UpdateContinuousBackups",
        "UpdateContributorInsights",
        "UpdateTable",
        "UpdateTimeToLive",
    }
)

_serve = dynamodb.handle_request
_set_item = dynamodb._set_item
_remove_item = dynamodb._remove_item
_store_token = dynamodb._txn_token_store
_reset = dynamodb.reset


def attach(journal: Journal) -> int:
    """Bring back what `journal` holds, and journal from now on. Returns the number of effects read back."""
    count = journal.recover(_load, _apply)

    def set_item(table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> Any:
        with journal.lock:
            journal.note(["set", *_place(table), pk, sk, item])
            return _set_item(table, pk, sk, item)

    def remove_item(table: dict[str, Any], pk: str, sk: str) -> Any:
        with journal.lock:
            journal.note(["remove", *_place(table), pk, sk])
            return _remove_item(table, pk, sk)

    def store_token(token: str, entry: dict[str, Any]) -> None:
        _store_token(token, entry)
        journal.note(["token", get_account_id(), get_region(), token, entry])

    def reset() -> None:
        with journal.lock:
            _reset()
            journal.note(["reset"])
            journal.flush()

    async def handle_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        mark = journal.mark()
        try:
            answer = await _serve(method, path, headers, body, query)
        except Exception:
            journal.flush()  # it broke half way, and what it had done stays done
            raise
        if answer[0] != 200:
            journal.forget(mark)  # refused as a whole; a failed transaction has been rolled back
        elif (operation := headers.get("x-amz-target", "").rpartition(".")[2]) in DEFINITIONS:
            journal.note(["call", get_account_id(), get_region(), operation, body.decode()])
        journal.flush()
        journal.compact_if_long(dump)
        return answer

    dynamodb._set_item, dynamodb._remove_item = set_item, remove_item
    dynamodb._txn_token_store, dynamodb.reset, dynamodb.handle_request = store_token, reset, handle_request
    return count


def dump(stream: BinaryIO) -> None:
    """Write the state of all tables. A pickle, since it is ten times as fast as JSON here and keeps every type."""
    index = dynamodb._INDEX_MEMBERS  # made again by the first query
    tables = {
        place: {key: value for key, value in table.items() if key != index} for place, table in dynamodb._tables._data.items()
    }
    stores = {name: getattr(dynamodb, name)._data for name in _STORES}
    pickle.dump({"_tables": tables, **stores}, stream, protocol=5)


_STORES = ("_tags", "_ttl_settings", "_pitr_settings", "_contributor_insights", "_resource_policies", "_txn_idempotency")


def _load(stream: BinaryIO) -> None:
    try:
        state = pickle.load(stream)  # noqa: S301  (our own file, in a folder that only its owner can write)
    except Exception as error:
        raise Damaged(f"{stream.name}: cannot be read ({error}); move the folder away to start with nothing") from error
    for name, content in state.items():
        getattr(dynamodb, name)._data.update(content)


def _apply(effect: list[Any]) -> None:
    match effect:
        case ["set", account, region, name, pk, sk, item]:
            _set_item(_table(account, region, name), pk, sk, item)
        case ["remove", account, region, name, pk, sk]:
            _remove_item(_table(account, region, name), pk, sk)
        case ["token", account, region, token, entry]:
            dynamodb._txn_idempotency.set_scoped(account, region, token, entry)
        case ["call", account, region, operation, body]:
            _call_again(account, region, operation, body.encode())
        case ["reset"]:
            _reset()
        case _:
            raise Damaged(f"an effect of an unknown kind, {str(effect)[:80]}: written by a newer version?")


def _call_again(account: str, region: str, operation: str, body: bytes) -> None:
    set_request_account_id(account)
    set_request_region(region)
    status, _, answer = asyncio.run(_serve("POST", "/", {"x-amz-target": f"DynamoDB_20120810.{operation}"}, body, {}))
    if status != 200:
        print(f"journal: {operation} was refused when read back: {answer!r}", file=sys.stderr)


def _table(account: str, region: str, name: str) -> dict[str, Any]:
    table: dict[str, Any] | None = dynamodb._tables.get_scoped(account, region, name)
    if table is None:
        raise Damaged(f"an item of the table {name} comes before the table; move the folder away to start with nothing")
    return table


def _place(table: dict[str, Any]) -> tuple[str, str, str]:
    _, _, _, region, account, _ = table["TableArn"].split(":", 5)
    return account, region, table["TableName"]
