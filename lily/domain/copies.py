"""Copies of values with a few fields changed, at a fifth of the price of `dataclasses.replace`.

An event and its incident have twenty fields and are copied nine times on their way, which took a seventh of the worker's time.
"""

from typing import Any, TypeVar

T = TypeVar("T")


def changed(value: T, **changes: Any) -> T:
    """A frozen dataclass with these fields changed; for classes that check nothing when they are made.

    Raises TypeError for a field that it does not have.
    """
    fields = vars(value)
    if not changes.keys() <= fields.keys():
        raise TypeError(f"{type(value).__name__} has no field {', '.join(changes.keys() - fields.keys())}")
    copy = object.__new__(type(value))
    vars(copy).update(fields, **changes)
    return copy
