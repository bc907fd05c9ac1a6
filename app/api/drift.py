"""Drift: what was in force and is not any more, as reconciliation finds it; and reconciliation at once."""

from typing import Any

from flask_smorest import Blueprint

from app import paging
from app.api.documents import time_or_none
from app.api.targets import checked_names
from app.auth import caller, requires
from app.bodies import OptionalJson
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, INVALID_JSON, UNAVAILABLE, Fault, Problem
from app.schemas import security_examples as examples
from app.schemas.drift import DriftPageSchema, DriftQuerySchema, ReconcileSchema, ReconcilingSchema
from lily.records import drifts
from lily.records.drifts import Found
from lily.runtime import clock, logs
from lily.runtime.settings import settings
from tasks import doors

log = logs.get(__name__)
blp = Blueprint("drift", __name__, url_prefix="/security", description="What is in force, compared with what was proven.")
blp.ARGUMENTS_PARSER = OptionalJson()


@blp.route("/drift")
@requires("rules:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(DriftQuerySchema, location="query", unknown=None)
@blp.response(200, DriftPageSchema, description="A page of drift.", example=examples.DRIFT_PAGE)
def find_drift(query: dict[str, Any]) -> dict[str, Any]:
    """Find drift

    What somebody else changed of what Lily had proven: masks taken off, bodies changed, tables made anew, roles gone. It is
    repaired by itself unless the target's settings say that it is only reported.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    names, open_only = checked_names(query.get("target")), query["open"]

    def page(name: str, count: int, after: str | None) -> Any:
        return drifts.find(name, open_only, count, after)

    items, position = paging.across(names, page, limit, paging.unseal(cursor, "drift", query))
    return {"items": [_document(found) for found in items], "next_cursor": paging.seal(position, "drift", query)}


@blp.route("/reconcile", methods=["POST"])
@requires("rules:write")
@refuses(INVALID_JSON, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(ReconcileSchema, unknown=None, required=False)
@blp.response(202, ReconcilingSchema, description="It has begun.", example=examples.RECONCILING)
def reconcile(wish: dict[str, Any]) -> dict[str, Any]:
    """Compare now

    Has what is in force read back and compared, as happens by itself every few minutes; within the same budget of statements.
    """
    known = settings().targets
    wanted = list(known) if wish["targets"] is None else wish["targets"]
    wrong = [
        Fault(f"targets[{place}]", f"{name!r} is no target here; known are: {', '.join(sorted(known))}")
        for place, name in enumerate(wanted)
        if name not in known
    ]
    if wrong:
        raise Problem(INVALID_INPUT, faults=wrong)
    targets = sorted(set(wanted))
    doors.reconcile(targets)
    log.info("reconcile.asked", client=caller().client, targets=targets)
    return {"targets": targets}


def _document(found: Found) -> dict[str, Any]:
    return {
        "target": found.target,
        "kind": found.drift.kind.value,
        "table": str(found.drift.site.table),
        "column": found.drift.site.column,
        "text": found.drift.text,
        "found_at": clock.iso(found.found_at),
        "repaired_at": time_or_none(found.repaired_at),
    }
