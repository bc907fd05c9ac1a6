"""The functions of Lily's schema, listed now and then, and looked at one by one where it matters.

A list of a thousand functions costs more than all else that a change asks. It is kept for seconds; what this process has touched
since is asked for anew, and so is what a plan looks closer at: nothing is changed or dropped for what a list once said.
"""

import os
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from connectors.databricks import catalog, client
from connectors.databricks.catalog import Function

KEPT_S = 10.0


@dataclass
class _List:
    lock: threading.Lock = field(default_factory=threading.Lock)
    listed_at: float = float("-inf")
    functions: dict[str, Function] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)


_lists: dict[tuple[int, str], _List] = {}
_lock = threading.Lock()


def functions(instance: str, database: str, schema: str) -> dict[str, Function]:
    """All by name, none of them listed longer than KEPT_S ago. Raises as client.get."""
    mine = _list(instance)
    with mine.lock:
        began_at = time.monotonic()
        if began_at - mine.listed_at > KEPT_S:
            mine.touched.clear()
            mine.functions = {one.name: one for one in catalog.functions(instance, database, schema)}
            mine.listed_at = began_at
    if touched := tuple(mine.touched):
        named(instance, database, schema, touched)
    return dict(mine.functions)


def named(instance: str, database: str, schema: str, names: Collection[str]) -> dict[str, Function | None]:
    """These as they are now; None for those that are not there."""
    mine, wanted = _list(instance), list(names)
    mine.touched.difference_update(wanted)  # before asking: what is touched meanwhile is asked for again
    try:
        found = client.each(instance, wanted, lambda name: catalog.function(instance, database, schema, name))
    except BaseException:
        mine.touched.update(wanted)
        raise
    with mine.lock:
        for name, function in zip(wanted, found, strict=True):
            mine.functions.pop(name, None)
            if function is not None:
                mine.functions[name] = function
    return dict(zip(wanted, found, strict=True))


def touch(instance: str, names: Iterable[str]) -> None:
    """They are about to change, or have."""
    _list(instance).touched.update(names)


def forget(instance: str) -> None:
    _lists.pop((os.getpid(), instance), None)


def _list(instance: str) -> _List:
    key = (os.getpid(), instance)
    with _lock:
        return _lists.setdefault(key, _List())
