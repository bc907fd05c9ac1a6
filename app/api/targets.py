"""Targets: how they are, what may be done to them, and which tables they hold."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask_smorest import Blueprint

from app import paging
from app.api.documents import time_or_none
from app.auth import caller, requires
from app.bodies import OptionalJson
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, INVALID_JSON, NOT_FOUND, UNAVAILABLE, Fault, Problem
from app.schemas import security_examples as examples
from app.schemas.targets import ChangedModesSchema, ModeSchema, TablePageSchema, TableQuerySchema, TargetListSchema, TargetSchema
from connectors import registry
from lily.domain.inventory import Table
from lily.domain.targets import Mode
from lily.records import inventory, table_states, target_states
from lily.records.audit import Facts
from lily.records.target_states import TargetState
from lily.runtime import clock
from lily.runtime.settings import SettingsError, TargetSettings, settings

blp = Blueprint("targets", __name__, url_prefix="/security/targets", description="Warehouses in which rules take effect.")
blp.ARGUMENTS_PARSER = OptionalJson()


@blp.route("")
@requires("rules:read")
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, TargetListSchema, description="All of them.", example=examples.TARGET_LIST)
def list_targets() -> dict[str, Any]:
    """List the targets

    With their modes, whether they can be reached, how old their inventories are, and how many tables are in which state.
    """
    return {"items": _all()}


@blp.route("/<string:target_name>")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, TargetSchema, description="The target.", example=examples.TARGET)
def get_target(target_name: str) -> dict[str, Any]:
    """Look at one target

    With its mode, whether it can be reached, how old its inventory is, and how many tables are in which state.
    """
    config = existing(target_name)
    return _document(config, target_states.get(config.name))


@blp.route("/<string:target_name>/mode", methods=["PUT"])
@requires("admin")
@refuses(NOT_FOUND, INVALID_JSON, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(ModeSchema, unknown=None, example={"mode": "report"})
@blp.response(200, TargetSchema, description="The target in its mode.", example=examples.TARGET)
def set_mode(wish: dict[str, Any], target_name: str) -> dict[str, Any]:
    """Change what may be done to a target

    It holds from the next statement on and outlives restarts, whatever the settings say. What waits meanwhile goes on by itself,
    within about a minute of the mode being `enforce` again.
    """
    config = existing(target_name)
    _change({config.name: Mode(wish["mode"])}, "target.mode_changed")
    return _document(config, target_states.get(config.name))


@blp.route("/pause", methods=["POST"])
@requires("admin")
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, ChangedModesSchema, description="All are paused.", example=examples.CHANGED_MODES)
def pause_targets() -> dict[str, Any]:
    """Pause all targets

    Nothing more is changed anywhere. What protects tables stays as it is; what comes in waits.
    """
    return _change_all(dict.fromkeys(settings().targets, Mode.PAUSED), "targets.paused")


@blp.route("/resume", methods=["POST"])
@requires("admin")
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, ChangedModesSchema, description="None is paused but by its settings.", example=examples.CHANGED_MODES)
def resume_targets() -> dict[str, Any]:
    """Let all paused targets go on

    Each that is paused gets the mode that its settings say (a mode that the API had set before the pause is not remembered);
    those that are not paused keep theirs.
    """
    states = target_states.every()
    wanted = {
        name: Mode(config.mode)
        for name, config in settings().targets.items()
        if _mode(config, states.get(name)) is Mode.PAUSED and config.mode != Mode.PAUSED
    }
    return _change_all(wanted, "targets.resumed")


@blp.route("/<string:target_name>/tables")
@requires("rules:read")
@refuses(NOT_FOUND, INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(TableQuerySchema, location="query", unknown=None)
@blp.response(200, TablePageSchema, description="A page of tables.", example=examples.TABLE_PAGE)
def find_tables(query: dict[str, Any], target_name: str) -> dict[str, Any]:
    """Find the tables of a target

    As its inventory has them, which is read every few moments by itself; `inventory` says how old it is.
    """
    config = existing(target_name)
    filters = {"target": config.name, "text": query.get("text")}
    after = paging.unseal(query.get("cursor"), "tables", filters)
    page = inventory.page(config.name, query["limit"], after, text=query.get("text"))
    return {
        "inventory": inventory_age(inventory.read_at(config.name)),
        "items": [_table(table) for table in page.items],
        "next_cursor": paging.seal(page.next, "tables", filters),
    }


def check_kinds() -> None:
    """Raises SettingsError for targets that no connector serves, so that the process does not start with them."""
    known = ", ".join(sorted(registry.TARGETS))
    wrong = {
        f"LILY_TARGET_{config.name.upper().replace('-', '_')}_KIND": f"no target of kind {config.kind!r}; known kinds: {known}"
        for config in settings().targets.values()
        if config.kind not in registry.TARGETS
    }
    if wrong:
        raise SettingsError(wrong)


def existing(name: str) -> TargetSettings:
    """The settings of a target. Raises Problem 404."""
    config = settings().targets.get(name)
    if config is None:
        raise Problem(NOT_FOUND, f"There is no target {name[:80]}; known are: {', '.join(sorted(settings().targets))}.")
    return config


def checked_names(wanted: str | None) -> Sequence[str]:
    """The targets that a filter means: the one it names, or all. Raises Problem 422."""
    if wanted is None:
        return sorted(settings().targets)
    if wanted not in settings().targets:
        known = ", ".join(sorted(settings().targets))
        raise Problem(INVALID_INPUT, faults=[Fault("target", f"{wanted!r} is no target here; known are: {known}")])
    return [wanted]


def inventory_age(read_at: datetime | None) -> dict[str, Any]:
    age_s = round(max(0.0, (clock.now() - read_at).total_seconds()), 1) if read_at else None
    return {"read_at": time_or_none(read_at), "age_s": age_s}


def _document(config: TargetSettings, state: TargetState | None) -> dict[str, Any]:
    url = f"{settings().public_url}/security"
    return {
        "name": config.name,
        "kind": config.kind,
        "mode": _mode(config, state).value,
        "configured_mode": config.mode,
        "changed_at": time_or_none(state.changed_at) if state else None,
        "changed_by": (state.changed_by or None) if state else None,
        "proves": state.proves if state else None,
        "trouble": state.trouble if state else "",
        "remarks": list(state.remarks) if state else [],
        "checked_at": time_or_none(state.checked_at) if state else None,
        "inventory": inventory_age(inventory.read_at(config.name)),
        "tables": dict(Counter(one.outcome.value for one in table_states.every(config.name))),
        "links": {
            "self": f"{url}/targets/{config.name}",
            "tables": f"{url}/targets/{config.name}/tables",
            "plans": f"{url}/plans?target={config.name}",
            "drift": f"{url}/drift?target={config.name}",
        },
    }


def _mode(config: TargetSettings, state: TargetState | None) -> Mode:
    return (state.mode if state else None) or Mode(config.mode)


def _change_all(wanted: dict[str, Mode], action: str) -> dict[str, Any]:
    _change(wanted, action)
    return {"items": _all(), "changed": sorted(wanted)}


def _all() -> list[dict[str, Any]]:
    states = target_states.every()
    return [_document(config, states.get(name)) for name, config in sorted(settings().targets.items())]


def _change(wanted: dict[str, Mode], action: str) -> None:
    """One transaction, with its audit entry, for all that get the same mode."""
    by_mode: dict[Mode, list[str]] = defaultdict(list)
    for name, mode in wanted.items():
        by_mode[mode].append(name)
    for mode, names in by_mode.items():
        subject, told = ",".join(sorted(names)), {"mode": mode.value, "targets": sorted(names)}
        target_states.set_mode(names, mode, Facts(caller().client, action, subject, told), clock.now())


def _table(table: Table) -> dict[str, Any]:
    return {
        "table": str(table.id),
        "database": table.id.database,
        "schema": table.id.schema,
        "name": table.id.name,
        "kind": table.kind.value,
        "columns": [{"name": c.name, "type": c.type.text, "family": c.type.family.value} for c in table.columns],
    }
