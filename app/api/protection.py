"""Protection of tables, for pipelines: what a table would get beforehand, and waiting until it has it."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_smorest import Blueprint

from app import places, previews, waking
from app.api.documents import time_or_none
from app.api.previews import STATEMENTS_SHOWN, sights
from app.api.targets import existing, inventory_age
from app.auth import requires
from app.bodies import StrictJson
from app.openapi import refuses
from app.previews import Preview
from app.problems import (
    INVALID_INPUT,
    INVALID_JSON,
    NOT_ENFORCING,
    NOT_FOUND,
    NOT_PROTECTED,
    UNAVAILABLE,
    Fault,
    Problem,
    retry_after,
)
from app.schemas import security_examples as examples
from app.schemas.targets import MaskQuerySchema, MasksSchema, ProtectedSchema, ProtectSchema
from lily.domain.inventory import Site, TableId
from lily.domain.matching import WantedTable
from lily.domain.proofs import Expected
from lily.domain.propagations import State
from lily.domain.targets import Mode
from lily.records import looks, rules, table_states, target_states
from lily.records.looks import Look
from lily.records.table_states import TableState
from lily.runtime import clock

WAITING_MAX = 4  # requests that wait at once: each holds a thread of the server
FIRST_LOOK_S, LOOKS_APART_S = 0.05, 0.25
NOTHING_TO_PROTECT, MISSING = "nothing_to_protect", "missing"

blp = Blueprint("protection", __name__, url_prefix="/security/targets", description="Tables held back until they are protected.")
blp.ARGUMENTS_PARSER = StrictJson()
_places_to_wait = threading.BoundedSemaphore(WAITING_MAX)


@blp.route("/<string:target_name>/masks")
@requires("rules:read")
@refuses(NOT_FOUND, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(MaskQuerySchema, location="query", unknown=None)
@blp.response(200, MasksSchema, description="Column by column.", example=examples.MASKS)
def get_masks(query: dict[str, Any], target_name: str) -> dict[str, Any]:
    """See what protects a table, and what would

    `carries` is what it was last seen with, `wanted` what the rules ask now, `statements` the way from the one to the other.
    """
    config = existing(target_name)
    (table,) = _tables([query["table"]], "table")
    made = previews.of_tables(config, rules.every(), [table])
    want = made.wanted.tables.get(table)
    if want is None:
        age = inventory_age(made.inventory_read_at)
        raise Problem(NOT_FOUND, f"{table} is not in the inventory of {config.name}, which was read at {age['read_at']}.")
    state = made.states.get(table)
    expected = next(one.expected for one in made.plan.tables if one.table.id == table)
    return {
        "target": config.name,
        "table": str(table),
        "kind": want.table.kind.value,
        "state": state.outcome.value if state else None,
        "reasons": list(state.reasons) if state else [],
        "observed_at": time_or_none(state.observed_at) if state else None,
        "inventory": inventory_age(made.inventory_read_at),
        "columns": _columns(want, state, expected, made),
        "rows": _rows(want, state, expected),
        "statements": previews.statements(config, made.plan, STATEMENTS_SHOWN),
    }


@blp.route("/<string:target_name>/protect", methods=["POST"])
@requires("annotations:write")
@refuses(INVALID_JSON, NOT_FOUND, NOT_ENFORCING, NOT_PROTECTED, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(ProtectSchema, unknown=None, example={"tables": ["CRM.PUBLIC.CUSTOMERS"], "wait_s": 10})
@blp.response(200, ProtectedSchema, description="All are protected as the rules ask.", example=examples.PROTECTED)
@blp.alt_response(
    202, schema=ProtectedSchema, description="Not all were looked at within `wait_s`; ask again.", example=examples.PROTECTING
)
def protect_tables(wish: dict[str, Any], target_name: str) -> tuple[dict[str, Any], int]:
    """Protect tables, and wait for it

    For a pipeline that has made a table and holds it back until it is masked: has the tables looked at, new ones too that no
    inventory knows yet, and answers 200 once every one of them is `enforced` or has nothing to protect. 202: the time is up and
    some still wait. 409: all were looked at and some are not protected, or not proven to be; `tables` says what is missing.
    """
    config = existing(target_name)
    wanted = _tables(wish["tables"], "tables")
    mode = target_states.mode(config.name)
    if mode is not Mode.ENFORCE:
        raise Problem(NOT_ENFORCING, f"The target is in the mode {mode}.", extra={"mode": mode.value})
    if not _places_to_wait.acquire(blocking=False):
        raise Problem(UNAVAILABLE, f"{WAITING_MAX} requests wait here already.", headers=retry_after(1))
    try:
        asked = looks.ask_many(config.name, wanted, clock.now())
        waking.tables(config.name, wanted)
        found = _ended(config.name, {look.table: look.number for look in asked}, wish["wait_s"])
    finally:
        _places_to_wait.release()
    is_done = all(found[look.table].done >= look.number for look in asked)
    tables = _told(config.name, wanted, asked, found)
    if is_done and any(one["state"] not in {State.ENFORCED, NOTHING_TO_PROTECT} for one in tables):
        open_ones = [one["table"] for one in tables if one["state"] not in {State.ENFORCED, NOTHING_TO_PROTECT}]
        raise Problem(NOT_PROTECTED, f"Not protected: {', '.join(open_ones[:10])}.", extra={"tables": tables})
    return {"done": is_done, "tables": tables}, 200 if is_done else 202


def _tables(given: Sequence[str], where: str) -> list[TableId]:
    """The tables, each once. Raises Problem 422."""
    tables, wrong = dict[TableId, None](), []
    for place, text in enumerate(given):
        try:
            tables[places.table(text)] = None
        except ValueError as error:
            wrong.append(Fault(f"{where}[{place}]" if where == "tables" else where, str(error)))
    if wrong:
        raise Problem(INVALID_INPUT, faults=wrong)
    return list(tables)


def _ended(target: str, numbers: Mapping[TableId, int], wait_s: float) -> Mapping[TableId, Look]:
    """The looks once all are done or the time is up."""
    ends_at, pause_s = time.monotonic() + wait_s, FIRST_LOOK_S
    while True:
        found = looks.get_many(target, numbers)
        left_s = ends_at - time.monotonic()
        if left_s <= 0 or all(found[table].done >= number for table, number in numbers.items()):
            return found
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LOOKS_APART_S)


def _told(
    target: str, wanted: Collection[TableId], asked: Collection[Look], found: Mapping[TableId, Look]
) -> list[dict[str, Any]]:
    states, numbers = table_states.load(target, wanted), {look.table: look.number for look in asked}
    return [_outcome(table, states.get(table), found[table], numbers[table]) for table in wanted]


def _outcome(table: TableId, state: TableState | None, look: Look, number: int) -> dict[str, Any]:
    is_done = look.done >= number
    carried = state.expected if state else None
    outcome = look.outcome if is_done else State.PENDING.value
    if outcome == State.ENFORCED and (state is None or not state.rules):
        outcome = NOTHING_TO_PROTECT
    waiting = [look.reason] if look.reason else []
    return {
        "table": str(table),
        "state": outcome,
        "reasons": list(look.reasons) if is_done else waiting,
        "columns": sorted(carried.masks) if carried and is_done else [],
        "rows": bool(carried and carried.rows and is_done),
        "ended_at": _ended_at(look, is_done=is_done),
    }


def _ended_at(look: Look, *, is_done: bool) -> str | None:
    at: datetime | None = look.ended_at if is_done else None
    return time_or_none(at)


def _columns(want: WantedTable, state: TableState | None, expected: Expected, made: Preview) -> list[dict[str, Any]]:
    classes = made.classified.get(want.table.id, {})
    carried = state.expected.masks if state else {}
    return [
        {
            "column": column.name,
            "type": column.type.text,
            "classifications": sorted(classes.get(column.name, ())),
            "carries": carried.get(column.name),
            "wanted": _mask(want, column.name, expected),
            "unprotected": _unprotected(want, Site(want.table.id, column.name)),
        }
        for column in want.table.columns
    ]


def _mask(want: WantedTable, column: str, expected: Expected) -> dict[str, Any] | None:
    """The mask that a column is to have; one that is held back or in somebody else's way has no name yet."""
    spec = want.masks.get(column)
    if spec is None:
        return None
    return {"name": expected.masks.get(column, ""), "rules": list(spec.rules), "readers": sights(spec)}


def _rows(want: WantedTable, state: TableState | None, expected: Expected) -> dict[str, Any]:
    wanted = want.rows and {"name": expected.rows or "", "rules": list(want.rows.rules), "columns": list(want.row_columns)}
    return {"carries": state.expected.rows if state else None, "wanted": wanted}


def _unprotected(want: WantedTable, site: Site) -> dict[str, str] | None:
    found = next((one for one in want.unprotected if one.site == site), None)
    return {"field": found.code, "reason": found.text} if found else None
