"""Previews and plans: what a rule would do, stored or only thought of."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from flask_smorest import Blueprint

from app import previews
from app.api.documents import time_or_none
from app.api.rules import BODY_REFUSALS, check_document, existing, known_id, new_id
from app.auth import requires
from app.bodies import StrictJson
from app.openapi import refuses
from app.previews import Preview
from app.problems import NOT_FOUND, UNAVAILABLE, invalid
from app.schemas import security_examples as examples
from app.schemas.previews import PreviewSchema
from app.schemas.rules import PreviewedSchema
from lily.domain import branches, masking, rule_documents
from lily.domain.brake import Weakening
from lily.domain.branches import MaskSpec, Reader
from lily.domain.inventory import Site
from lily.domain.proofs import CLEAR
from lily.domain.propagations import State
from lily.domain.rules import MASKS, InvalidRule, Rule
from lily.records import inventory, rules
from lily.runtime import clock
from lily.runtime.settings import TargetSettings, settings

COLUMNS_SHOWN = 500
STATEMENTS_SHOWN = 200
PLACES_SHOWN = 100
NOTES = {
    "role": "Whoever has an exempt role is exempt, through every role that inherits it too, and also if it is only a secondary "
    "role of the session: which role is the primary one makes no difference.",
    "group": "Whoever is a member of an exempt group is exempt, through every group that is a member of it too.",
}
ASSUMED = frozenset(State) - {State.ENFORCED, State.ATTACHED}

blp = Blueprint("previews", __name__, url_prefix="/security/rules", description="What rules would do.")
blp.ARGUMENTS_PARSER = StrictJson()


@blp.route("/preview", methods=["POST"])
@requires("rules:read")
@refuses(*BODY_REFUSALS, NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(PreviewedSchema, unknown=None, example=examples.RULE_DOCUMENT)
@blp.response(200, PreviewSchema, description="What it would do.", example=examples.PREVIEW)
def preview_rule(document: dict[str, Any]) -> dict[str, Any]:
    """See what a rule would do

    Nothing is stored and no warehouse is asked: it is worked out from the inventory and from what was read back last, and
    `observed_at` says how old that is. With the `id` of a rule it is that rule's next version; without, a new rule's first.
    """
    rule_id = document.pop("id", None)
    before = existing(str(rule_id)) if rule_id is not None else None
    now = clock.now()
    try:
        rule = rule_documents.replaced(before, document, now) if before else rule_documents.new(new_id(), document, now)
    except InvalidRule as error:
        raise invalid(error.faults) from None
    check_document(rule.document, rule)
    return _document(rule, stored=before is not None)


@blp.route("/<string:rule_id>/plan")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, PreviewSchema, description="What is still to be done.", example=examples.PREVIEW)
def get_plan(rule_id: str) -> dict[str, Any]:
    """See the plan of a rule

    As the preview, of the rule as it is. Once it is in force everywhere, no statements are left.
    """
    return _document(existing(known_id(rule_id)), stored=True)


def _document(rule: Rule, *, stored: bool) -> dict[str, Any]:
    live = rules.every()
    made = [(config, previews.of_rule(config, live, rule)) for _, config in sorted(settings().targets.items())]
    return {
        "rule_id": rule.id if stored else None,
        "version": rule.version,
        "targets": [_of_target(config, rule, one) for config, one in made if rule.aims_at(config.name) or one.concerned],
    }


def _of_target(config: TargetSettings, rule: Rule, made: Preview) -> dict[str, Any]:
    columns = list(_columns(rule, made))
    return {
        "target": config.name,
        "aims": rule.aims_at(config.name),
        "observed_at": time_or_none(made.observed_at),
        "inventory_read_at": time_or_none(made.inventory_read_at),
        "counts": {
            "tables": len(made.concerned),
            "planned": len(made.wanted.tables),
            "columns": len(columns),
            "statements": len(made.plan.steps),
        },
        "columns": columns[:COLUMNS_SHOWN],
        "unsupported": [
            _remark(one.site, one.code, one.text)
            for table in made.plan.tables
            for one in table.unprotected
            if rule.id in one.rules
        ],
        "conflicts": [_remark(one.site, one.code, one.text) for table in made.plan.tables for one in table.conflicts],
        "remarks": list(_remarks(rule, made)),
        "exempt": _exempt(config, rule, made),
        "notes": [NOTES[made.target.can.principal]] if rule.exempt else [],
        "side_effects": _side_effects(made),
        "brake": _brake(made),
        "statements": previews.statements(config, made.plan, STATEMENTS_SHOWN),
    }


def _columns(rule: Rule, made: Preview) -> Iterable[dict[str, Any]]:
    """The places that the rule has a part in: columns, and the rows of tables."""
    for name, table in sorted(made.wanted.tables.items()):
        for column in table.table.columns:
            spec = table.masks.get(column.name)
            if spec is not None and rule.id in spec.rules and rule.action.kind in MASKS:
                action = masking.fitted(rule.action, spec.type).kind
                yield {
                    "table": str(name),
                    "column": column.name,
                    "type": column.type.text,
                    "action": action.value,
                    "falls_back": action is not rule.action.kind,
                    "rules": list(spec.rules),
                    "readers": sights(spec),
                }
        if table.rows is not None and rule.id in table.rows.rules:
            yield {
                "table": str(name),
                "column": None,
                "type": "",
                "action": rule.action.kind.value,
                "falls_back": False,
                "rules": list(table.rows.rules),
                "readers": [],
            }


def sights(spec: MaskSpec) -> list[dict[str, Any]]:
    """Who sees what of a column, one line for each kind of reader; everybody else is the last."""
    return [
        {"reader": readable(reader), "sees": action.kind.value if action else CLEAR}
        for reader, action in branches.readers(spec.branches)
    ]


def readable(reader: Reader) -> list[str]:
    return [f"{principal.kind} {principal.name}" for principal in sorted(reader)]


def _remarks(rule: Rule, made: Preview) -> Iterable[dict[str, Any]]:
    for table in made.wanted.tables.values():
        yield from (_remark(one.site, one.code, one.text) for one in table.remarks if one.rule == rule.id)
    for name, state in sorted(made.states.items()):
        if state.outcome in ASSUMED:
            told = "; ".join(state.reasons)[:500]
            text = f"{name} was {state.outcome} when it was last looked at, so what it carries is assumed: {told}"
            yield _remark(Site(name), "last_state", text)
    for name in made.unlisted:
        yield _remark(Site(name), "not_listed", f"{name} is annotated and not in the inventory; it is protected once it is there")
    for planned in made.plan.tables:
        yield from (_remark(site, "held", f"{site} waits for a confirmation and stays as it is") for site in planned.held)


def _remark(site: Site, code: str, text: str) -> dict[str, Any]:
    return {"table": str(site.table), "column": site.column, "code": code, "text": text}


def _exempt(config: TargetSettings, rule: Rule, made: Preview) -> list[dict[str, Any]]:
    """Exemptions that mean something in this target, with all that is known of who has them."""
    now, kind = clock.now(), made.target.can.principal
    holding = [one for one in rule.exempt if one.principal.kind == kind and one.holds(now)]
    known = inventory.holders(config.name) if holding else {}
    found = []
    for one in holding:
        holders = known.get(one.principal)
        found.append(
            {
                "principal": f"{one.principal.kind} {one.principal.name}",
                "until": time_or_none(one.until),
                "reason": one.reason,
                "exists": holders.exists if holders else None,
                "users": holders.users if holders else None,
                "through": readable(holders.through) if holders else [],
            }
        )
    return found


def _side_effects(made: Preview) -> list[dict[str, Any]]:
    counts = Counter(effect for table in made.plan.tables for effect in set(table.side_effects))
    return [
        {"code": effect.code, "text": effect.text, "tables": n} for effect, n in sorted(counts.items(), key=lambda c: c[0].code)
    ]


def _brake(made: Preview) -> dict[str, Any]:
    verdict = made.verdict
    return {
        "is_held": verdict.is_held,
        "weakened": len(verdict.weakenings),
        "counted": verdict.counted,
        "enforced": verdict.enforced,
        "places": [weakening(one) for one in verdict.weakenings[:PLACES_SHOWN]],
    }


def weakening(one: Weakening) -> dict[str, Any]:
    return {
        "table": str(one.site.table),
        "column": one.site.column,
        "why": one.why.value,
        "reader": readable(one.reader or frozenset()),
    }
