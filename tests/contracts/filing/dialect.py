"""One step -> exactly one order."""

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.contracts import Refused
from lily.domain.steps import (
    AttachMasks,
    AttachRowPolicy,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    DetachMasks,
    DetachRowPolicy,
    DropMask,
    DropRowPolicy,
    SetTags,
    Step,
    SwapRowPolicy,
    TagEntry,
    UnsetTags,
)
from tests.contracts.filing import bodies
from tests.contracts.filing.quoting import order, table

Home = tuple[str, str]


def render(step: Step, home: Home, salt: str) -> str:
    """Raises Refused for steps that filing's capabilities rule out: its comments and labels are no things of their own."""
    match step:
        case CreateMask() | ChangeMask():
            return _made(step, "screen", [step.spec.type.signature], bodies.mask(step.spec, salt), home)
        case CreateRowPolicy() | ChangeRowPolicy():
            return _made(step, "sieve", [one.signature for one in step.spec.arguments], bodies.rows(step.spec), home)
        case DropMask() | DropRowPolicy():
            return order("drop", kind="screen" if isinstance(step, DropMask) else "sieve", name=[*home, step.name])
        case AttachMasks():
            onto = [
                {"column": one.column, "name": [*home, one.mask], "instead of": one.replaces and [*home, one.replaces]}
                for one in step.attachments
            ]
            return order("carry", table=table(step.table.id), kind="screen", onto=onto)
        case DetachMasks():
            off = [{"column": one.column, "instead of": [*home, one.mask]} for one in step.detachments]
            return order("take off", table=table(step.table.id), kind="screen", **{"from": off})
        case AttachRowPolicy() | SwapRowPolicy():
            now = [*home, step.replaces] if isinstance(step, SwapRowPolicy) else None
            sieve = {"column": None, "given": step.columns, "name": [*home, step.policy], "instead of": now}
            return order("carry", table=table(step.table.id), kind="sieve", onto=[sieve])
        case DetachRowPolicy():
            sieve = {"column": None, "instead of": [*home, step.policy]}
            return order("take off", table=table(step.table.id), kind="sieve", **{"from": [sieve]})
        case SetTags() | UnsetTags():
            do = "label" if isinstance(step, SetTags) else "unlabel"
            return order(do, table=table(step.table.id), entries=_entries(step.entries))
        case _:
            raise Refused(f"filing has no {type(step).__name__}", "unsupported")


def _made(
    step: CreateMask | ChangeMask | CreateRowPolicy | ChangeRowPolicy, kind: str, takes: Sequence[str], body: str, home: Home
) -> str:
    do = "create" if isinstance(step, CreateMask | CreateRowPolicy) else "change"
    return order(do, kind=kind, name=[*home, step.name], takes=takes, body=bodies.marked(body, step.body), comment=step.comment)


def _entries(entries: Iterable[TagEntry]) -> list[list[Any]]:
    return [[entry.column, entry.key, entry.value] for entry in entries]
