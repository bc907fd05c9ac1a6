"""Propagations: how far a rule has come in its targets, and once more by hand."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from flask_smorest import Blueprint

from app import paging, waking
from app.api.documents import time_or_none
from app.api.rules import known_id, unknown_rule
from app.auth import caller, requires
from app.bodies import OptionalJson
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, INVALID_JSON, NOT_FOUND, UNAVAILABLE
from app.schemas import security_examples as examples
from app.schemas.rules import PropagationPageSchema, PropagationQuerySchema, RetriedSchema, RetrySchema
from lily.domain.propagations import RuleState, State, overall
from lily.domain.rules import Rule
from lily.records import asked, propagations, rules
from lily.records.asked import Asked
from lily.records.propagations import Record
from lily.runtime import clock, logs
from lily.runtime.settings import settings

log = logs.get(__name__)
blp = Blueprint("propagations", __name__, url_prefix="/security/rules", description="How far rules have come.")
blp.ARGUMENTS_PARSER = OptionalJson()


@blp.route("/<string:rule_id>/propagations")
@requires("rules:read")
@refuses(NOT_FOUND, INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(PropagationQuerySchema, location="query", unknown=None)
@blp.response(200, PropagationPageSchema, description="The state, and a page of tables.", example=examples.PROPAGATION_PAGE)
def find_propagations(query: dict[str, Any], rule_id: str) -> dict[str, Any]:
    """See how far a rule has come

    `state` is that of the whole rule: `enforced` only if every table is, and is proven to be; `pending` until every target has
    looked at the present version. `items` are its tables one by one, those of a deleted rule too.
    """
    rule = _known(rule_id)
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    filters = {"rule_id": rule_id, **query}
    state = State(query["state"]) if "state" in query else None
    page = propagations.of_rule(
        rule_id, limit, paging.unseal(cursor, "propagations", filters), target=query.get("target"), state=state
    )
    requests, states = asked.of_rule(rule_id), propagations.states(rule_id)
    return {
        "rule_id": rule_id,
        "version": rule.version,
        "state": rule_state(rule, requests, states).value,
        "targets": [_asked(one, states) for one in sorted(requests, key=lambda one: one.target)],
        "items": [_propagation(record) for record in page.items],
        "next_cursor": paging.seal(page.next, "propagations", filters),
    }


@blp.route("/<string:rule_id>/propagations", methods=["POST"])
@requires("rules:write")
@refuses(NOT_FOUND, INVALID_JSON, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(RetrySchema, unknown=None, required=False)
@blp.response(202, RetriedSchema, description="All its tables are looked at again.", example=examples.RETRIED)
def retry_propagations(wish: dict[str, Any], rule_id: str) -> dict[str, Any]:
    """Have a rule's tables looked at again

    Those that have failed are tried anew with a clean slate; those that are as they should be are read back and proven again.
    """
    _known(rule_id)
    wanted = wish["targets"]
    names = [one.target for one in asked.of_rule(rule_id) if one.target in settings().targets]
    now = clock.now()
    chosen = [name for name in sorted(names) if wanted is None or name in wanted]
    again = [name for name in chosen if asked.again(rule_id, name, now) is not None]
    waking.rule(rule_id, again)
    log.info("rule.asked_again", rule=rule_id, client=caller().client, targets=again)
    return {"rule_id": rule_id, "targets": again}


def rule_state(rule: Rule, requests: Iterable[Asked], states: Iterable[tuple[str, State, int]]) -> RuleState:
    """Of the present version; what earlier versions came to says nothing about it."""
    present = [state for _, state, version in states if version == rule.version]
    waiting = [State.PENDING for one in requests if one.done_at is None]
    return overall([*present, *waiting])


def _known(rule_id: str) -> Rule:
    """The rule in its last version, deleted or not. Raises Problem 404."""
    rule = rules.get(known_id(rule_id)) or rules.gone(rule_id)
    if rule is None:
        raise unknown_rule(rule_id)
    return rule


def _asked(one: Asked, states: Iterable[tuple[str, State, int]]) -> dict[str, Any]:
    return {
        "target": one.target,
        "version": one.version,
        "asked_at": clock.iso(one.asked_at),
        "done_at": time_or_none(one.done_at),
        "attempts": one.attempts,
        "reason": one.reason,
        "due_at": time_or_none(one.due_at),
        "tables": dict(Counter(state.value for target, state, _ in states if target == one.target)),
    }


def _propagation(record: Record) -> dict[str, Any]:
    one = record.propagation
    return {
        "target": one.key.target,
        "table": str(one.key.table),
        "version": one.key.version,
        "state": one.state.value,
        "since": clock.iso(one.since),
        "reason": one.reason,
        "attempts": one.attempts,
        "due_at": time_or_none(one.due_at),
        "statements": list(record.statements),
        "proof": record.proof and dict(record.proof),
        "started_at": time_or_none(record.started_at),
        "ended_at": time_or_none(record.ended_at),
    }
