"""Faults on demand. Each waits for requests that it matches, and applies to so many of them, one fault to a request:

    {"kind": "latency", "delay_s": 0.3, "count": null}     RUNNING for so much longer
    {"kind": "pending", "delay_s": 60}                      PENDING for so long, as while a warehouse starts
    {"kind": "failed", "error_class": "INTERNAL_ERROR", "sqlstate": "XX000", "match": "(?i)^alter table"}   nothing was done
    {"kind": "failed_after", ...}                           it was done, and told FAILED
    {"kind": "hang"}                                        never answer; nothing was done
    {"kind": "hang_after"}                                  do what was asked, then never answer
    {"kind": "status", "status": 429, "retry_after_s": 2, "error_code": "REQUEST_LIMIT_EXCEEDED"}
    {"kind": "drop_before"} {"kind": "drop_after"}          close the connection before, or after it was done
    {"kind": "malformed"}                                   200 with half a JSON document

`match` is a regular expression that must be found in the statement (elsewhere in `METHOD /path`), `user` who asks, `skip` how
many matching ones pass first. `on` is statement, inner (one inside BEGIN .. END; latency and failed only), poll, rest (catalog,
groups, warehouses), token, config, or all. `count` null means until cleared. `delay_s` works with every kind. A fault that
hangs ends when it is cleared or the client leaves.
"""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

KINDS = (
    "latency", "pending", "failed", "failed_after", "hang", "hang_after", "status", "drop_before", "drop_after", "malformed",
)  # fmt: skip
ON = ("statement", "inner", "poll", "rest", "token", "config", "all")
INNER = ("latency", "failed", "failed_after")


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    count: int | None = 1  # matching requests it still applies to; None: until cleared
    skip: int = 0
    match: str | None = None
    user: str | None = None
    on: str = "statement"
    delay_s: float = 0.0
    status: int = 503
    retry_after_s: float | None = None
    error_class: str = "INTERNAL_ERROR"
    sqlstate: str = "XX000"
    error_code: str = ""
    message: str = "The service is currently unavailable"


def parse(spec: object) -> Fault:
    """The fault that a JSON value describes. ValueError says which part is wrong."""
    if type(spec) is not dict:
        raise ValueError('fault: expected an object such as {"kind": "hang"}')
    if spec.get("kind") not in KINDS:
        raise ValueError(f"fault.kind: {spec.get('kind')!r} is not one of {', '.join(KINDS)}")
    if unknown := sorted(set(spec) - set(Fault.__dataclass_fields__)):
        raise ValueError(f"fault: unknown {', '.join(unknown)}; known are {', '.join(Fault.__dataclass_fields__)}")
    fault = Fault(**spec)
    _check(fault)
    try:
        re.compile(fault.match or "")
    except (re.error, TypeError) as error:
        raise ValueError(f"fault.match: {fault.match!r} is no regular expression: {error}") from error
    return fault


def _check(fault: Fault) -> None:
    if fault.count is not None and not (type(fault.count) is int and fault.count >= 1):
        raise ValueError(f"fault.count: {fault.count!r}; expected a whole number from 1, or null for until cleared")
    if not (type(fault.skip) is int and fault.skip >= 0):
        raise ValueError(f"fault.skip: {fault.skip!r}; expected a whole number from 0")
    if not (type(fault.status) is int and 300 <= fault.status <= 599):
        raise ValueError(f"fault.status: {fault.status!r}; expected 300 to 599")
    if fault.on not in ON:
        raise ValueError(f"fault.on: {fault.on!r} is not one of {', '.join(ON)}")
    if fault.on == "inner" and fault.kind not in INNER:
        raise ValueError(f"fault.kind: {fault.kind!r} cannot happen inside of a script; expected {', '.join(INNER)}")
    for name in ("delay_s", "retry_after_s"):
        value = getattr(fault, name)
        if value is not None and not (type(value) in (int, float) and 0 <= value <= 600):
            raise ValueError(f"fault.{name}: {value!r}; expected seconds from 0 to 600")


class Waiting:
    """The faults that wait, first come first applied."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def take(self, on: str, text: str, user: str) -> Fault | None:
        """The one for this request, used up by one."""
        for at, fault in enumerate(self.faults):
            fits = fault.on == on or (fault.on == "all" and on != "inner")
            if not fits or (fault.user is not None and fault.user != user):
                continue
            if fault.match is not None and not re.search(fault.match, text):
                continue
            if fault.skip:
                self.faults[at] = replace(fault, skip=fault.skip - 1)
                continue
            if fault.count is not None:
                self.faults[at : at + 1] = [replace(fault, count=fault.count - 1)] if fault.count > 1 else []
            return fault
        return None

    def shown(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [asdict(fault) for fault in self.faults]
