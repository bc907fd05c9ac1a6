"""Held plans: changes that take much protection away at once, until a person confirms or rejects exactly these."""

from typing import Any

from flask_smorest import Blueprint

from app import paging, waking
from app.api.documents import time_or_none
from app.api.previews import weakening
from app.api.targets import checked_names
from app.auth import caller, requires
from app.openapi import refuses
from app.problems import DECIDED, INVALID_CURSOR, INVALID_INPUT, NOT_FOUND, UNAVAILABLE, Problem
from app.schemas import security_examples as examples
from app.schemas.plans import PlanDetailSchema, PlanPageSchema, PlanQuerySchema
from lily.records import held, looks
from lily.records.audit import Facts
from lily.records.held import Decided, HeldPlan
from lily.runtime import clock
from lily.runtime.settings import settings

CONFIRMED, REJECTED = "confirmed", "rejected"

blp = Blueprint("plans", __name__, url_prefix="/security/plans", description="What waits for a person.")


@blp.route("")
@requires("rules:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(PlanQuerySchema, location="query", unknown=None)
@blp.response(200, PlanPageSchema, description="A page of plans.", example=examples.PLAN_PAGE)
def find_plans(query: dict[str, Any]) -> dict[str, Any]:
    """Find held plans

    A change that would take protection from more than a share of what a target enforces, within 24 hours, waits here.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    if "target" in query:
        checked_names(query["target"])
    page = held.find(query.get("target"), query.get("state"), limit, paging.unseal(cursor, "plans", query))
    return {"items": [_document(plan) for plan in page.items], "next_cursor": paging.seal(page.next, "plans", query)}


@blp.route("/<string:plan_id>")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, PlanDetailSchema, description="The plan.", example=examples.PLAN_DETAIL)
def get_plan(plan_id: str) -> dict[str, Any]:
    """Look at one held plan

    With every place that would lose protection, and the statements that would run.
    """
    return _detail(_existing(plan_id))


@blp.route("/<string:plan_id>/confirm", methods=["POST"])
@requires("rules:weaken")
@refuses(NOT_FOUND, DECIDED)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, PlanDetailSchema, description="Confirmed; it happens now.", example=examples.CONFIRMED_PLAN)
def confirm_plan(plan_id: str) -> dict[str, Any]:
    """Confirm a held plan

    Exactly this set of places: if it has grown by the time it happens, that asks again. Confirming twice is harmless.
    """
    plan = _existing(plan_id)
    if plan.state != CONFIRMED:
        plan = _decided(plan, CONFIRMED)
    looks.ask_many(plan.target, plan.tables, clock.now())
    waking.tables(plan.target, plan.tables)
    return _detail(plan)


@blp.route("/<string:plan_id>/reject", methods=["POST"])
@requires("rules:weaken")
@refuses(NOT_FOUND, DECIDED)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, PlanDetailSchema, description="Rejected; all stays as it is.", example=examples.REJECTED_PLAN)
def reject_plan(plan_id: str) -> dict[str, Any]:
    """Reject a held plan

    The protection stays, and the rules that ask for less are `failed` where they do. Change them too, or a grown set asks again.
    """
    plan = _existing(plan_id)
    if plan.state != REJECTED:
        plan = _decided(plan, REJECTED)
    looks.ask_many(plan.target, plan.tables, clock.now())  # whose rules are told that they will not get their way
    waking.tables(plan.target, plan.tables)
    return _detail(plan)


def _existing(plan_id: str) -> HeldPlan:
    """By `<target>.<id>`; the id alone will do where only one target has it. Raises Problem 404."""
    target, dot, own = plan_id.rpartition(".")
    names = ([target] if target in settings().targets else []) if dot else list(settings().targets)
    found = [plan for name in names if (plan := held.get(name, own)) is not None] if 0 < len(own) <= 64 else []
    if len(found) != 1:
        more = f" Several targets have one: write {found[0].target}.{own}." if found else ""
        raise Problem(NOT_FOUND, f"There is no single plan {plan_id[:100]}.{more}")
    return found[0]


def _decided(plan: HeldPlan, state: str) -> HeldPlan:
    told = {"fingerprint": plan.fingerprint, "places": len(plan.weakenings), "tables": len(plan.tables)}
    facts = Facts(caller().client, f"plan.{state}", f"{plan.target}.{plan.id}", told)
    try:
        return held.decide(plan, state, facts, clock.now())
    except Decided as error:
        raise Problem(DECIDED, f"The plan is {error.state}.", extra={"state": error.state}) from None


def _document(plan: HeldPlan) -> dict[str, Any]:
    full_id = f"{plan.target}.{plan.id}"
    url = f"{settings().public_url}/security/plans/{full_id}"
    return {
        "id": full_id,
        "target": plan.target,
        "state": plan.state,
        "fingerprint": plan.fingerprint,
        "weakened": len(plan.weakenings),
        "counted": plan.counted,
        "enforced": plan.enforced,
        "rules": list(plan.rules),
        "tables": [str(table) for table in plan.tables],
        "created_at": clock.iso(plan.created_at),
        "decided_at": time_or_none(plan.decided_at),
        "decided_by": plan.decided_by or None,
        "links": {"self": url, "confirm": f"{url}/confirm", "reject": f"{url}/reject"},
    }


def _detail(plan: HeldPlan) -> dict[str, Any]:
    return _document(plan) | {
        "places": [weakening(one) for one in plan.weakenings],
        "statements": list(plan.statements),
    }
