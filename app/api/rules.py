"""Rules: written, read, changed and deleted. What follows from it in the targets happens later, in tasks.propagation."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask_smorest import Blueprint

from app import paging, waking
from app.api import etags
from app.api.etags import etagged
from app.auth import caller, requires
from app.bodies import StrictJson
from app.openapi import answers_headers, refuses
from app.problems import (
    INSUFFICIENT_SCOPE,
    INVALID_CURSOR,
    INVALID_INPUT,
    INVALID_JSON,
    NOT_FOUND,
    OUTDATED,
    PRECONDITION_REQUIRED,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    Fault,
    Problem,
    invalid,
)
from app.schemas import security_examples as examples
from app.schemas.rules import PageQuerySchema, RuleDocumentSchema, RulePageSchema, RuleQuerySchema, RuleSchema, WrittenRuleSchema
from app.warnings import of_exemptions
from lily.domain import rule_documents
from lily.domain import rules as rules_domain
from lily.domain.loosening import loosened
from lily.domain.rules import ALL_TARGETS, InvalidRule, Rule
from lily.records import asked, rules
from lily.records.audit import Facts
from lily.records.rules import Outdated, RuleFilter
from lily.runtime import clock
from lily.runtime.settings import settings

DOCUMENT_BYTES_MAX = 100_000  # all rules are read at once by whoever plans
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: sorts as the numbers do
BODY_REFUSALS = (INVALID_JSON, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_INPUT)
WEAKEN = "rules:weaken"

blp = Blueprint("rules", __name__, url_prefix="/security/rules", description="What is protected, how, and except for whom.")
blp.ARGUMENTS_PARSER = StrictJson()


@blp.route("")
@requires("rules:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(RuleQuerySchema, location="query", unknown=None)
@blp.response(200, RulePageSchema, description="A page of rules, the oldest first.", example=examples.RULE_PAGE)
def find_rules(query: dict[str, Any]) -> dict[str, Any]:
    """Find rules

    In their present versions, the oldest first. All filters must hold.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = rules.find(RuleFilter(**query), limit, paging.unseal(cursor, "rules", query))
    return {
        "items": [rule_document(rule) for rule in page.items],
        "next_cursor": paging.seal(page.next, "rules", query),
    }


@blp.route("", methods=["POST"])
@requires("rules:write")
@refuses(*BODY_REFUSALS)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(RuleDocumentSchema, unknown=None, example=examples.RULE_DOCUMENT)
@blp.response(
    201,
    WrittenRuleSchema,
    description="Stored; it is on its way to its targets.",
    headers=answers_headers("Location", "ETag"),
    example=examples.WRITTEN_RULE,
)
def create_rule(document: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Create a rule

    It takes effect within seconds; `links.propagations` shows where and how far. `warnings` tells what is no mistake for sure,
    such as an exempt role that the target does not have. Members that only Lily says (`id`, `version`, `links` ...) are ignored.
    """
    rule = _read(lambda: rule_documents.new(new_id(), document, clock.now()))
    warnings = of_exemptions(rule)
    targets = aimed_at(rule)
    rule = rules.create(rule, targets, Facts(caller().client, "rule.created", rule.id, {"name": rule.name, "version": 1}))
    waking.rule(rule.id, targets)
    headers = {"Location": rule_url(rule.id)} | etags.of_version(rule.version)
    return rule_document(rule) | {"warnings": warnings}, 201, headers


@blp.route("/<string:rule_id>")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@etagged
@blp.response(200, RuleSchema, description="The rule.", example=examples.RULE, headers=answers_headers("ETag"))
def get_rule(rule_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Look at one rule

    In its present version, which the ETag names.
    """
    rule = existing(rule_id)
    return rule_document(rule), 200, etags.of_version(rule.version)


@blp.route("/<string:rule_id>", methods=["PUT"])
@requires("rules:write")
@refuses(*BODY_REFUSALS, NOT_FOUND, PRECONDITION_REQUIRED, OUTDATED)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.doc(parameters=[etags.IF_MATCH])
@blp.arguments(RuleDocumentSchema, unknown=None, example=examples.RULE_DOCUMENT)
@blp.response(
    200,
    WrittenRuleSchema,
    description="Stored; the new version is on its way.",
    headers=answers_headers("ETag"),
    example=examples.WRITTEN_RULE,
)
def replace_rule(document: dict[str, Any], rule_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Change a rule

    The document replaces the whole rule as its next version; an equal one changes nothing. `If-Match` must name the version that
    the change was made from. What may protect less than before (a wider exemption, a weaker action, a narrower match, fewer
    targets, disabling) needs the scope `rules:weaken` as well; the 403 names the fields. If much protection would go at once, it
    is held until somebody confirms it at `/security/plans`.
    """
    before = existing(rule_id)
    etags.check_match(before.version)
    now = clock.now()
    rule = _read(lambda: rule_documents.replaced(before, document, now))
    warnings = of_exemptions(rule)
    if _written(rule) != _written(before):
        looser = loosened(before, rule, now)
        if looser and WEAKEN not in caller().scopes:
            raise _may_not_weaken([Fault(fault.field, fault.reason) for fault in looser])
        told = {"name": rule.name, "version": rule.version, "may_weaken": [fault.field for fault in looser]}
        rule = _stored(rule, before, Facts(caller().client, "rule.replaced", rule.id, told))
    else:
        rule = before
    return rule_document(rule) | {"warnings": warnings}, 200, etags.of_version(rule.version)


@blp.route("/<string:rule_id>", methods=["DELETE"])
@requires(WEAKEN)
@refuses(NOT_FOUND, PRECONDITION_REQUIRED, OUTDATED)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.doc(parameters=[etags.IF_MATCH])
@blp.response(202, RuleSchema, description="The rule is gone; its protection is being taken away.", example=examples.DELETED_RULE)
def delete_rule(rule_id: str) -> dict[str, Any]:
    """Delete a rule

    It stops to be a rule at once. What it put into targets is taken away within seconds, or held if that is much at once;
    `links.propagations` goes on to show how far that is, and `links.versions` what it was.
    """
    before = existing(rule_id)
    etags.check_match(before.version)
    rule = rules_domain.deleted(before, clock.now())
    targets = aimed_at(before) | _still_on_its_way(rule_id)
    facts = Facts(caller().client, "rule.deleted", rule.id, {"name": rule.name, "version": rule.version})
    try:
        rule = rules.delete(rule, before, targets, facts)
    except Outdated as error:
        raise etags.outdated(error.current) from None
    waking.rule(rule.id, targets)
    return rule_document(rule)


@blp.route("/<string:rule_id>/versions")
@requires("rules:read")
@refuses(NOT_FOUND, INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(PageQuerySchema, location="query", unknown=None)
@blp.response(200, RulePageSchema, description="A page of versions, the latest first.", example=examples.RULE_PAGE)
def find_versions(query: dict[str, Any], rule_id: str) -> dict[str, Any]:
    """List the versions of a rule

    All that there ever were, the latest first; of deleted rules too, whose last one has `deleted_at`.
    """
    of = {"rule_id": rule_id}
    page = rules.versions(known_id(rule_id), query["limit"], paging.unseal(query.get("cursor"), "versions", of))
    if not page.items and query.get("cursor") is None:
        raise unknown_rule(rule_id)
    return {
        "items": [rule_document(rule) for rule in page.items],
        "next_cursor": paging.seal(page.next, "versions", of),
    }


@blp.route("/<string:rule_id>/versions/<string:version_number>")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, RuleSchema, description="The rule as it was.", example=examples.RULE)
def get_version(rule_id: str, version_number: str) -> dict[str, Any]:
    """Look at one version of a rule

    As it was written then; of deleted rules too.
    """
    is_number = version_number.isascii() and version_number.isdigit() and len(version_number) <= 10
    rule = rules.version(known_id(rule_id), int(version_number)) if is_number else None
    if rule is None:
        raise Problem(NOT_FOUND, f"There is no version {version_number[:20]} of a rule {rule_id[:80]}.")
    return rule_document(rule)


def rule_document(rule: Rule) -> dict[str, Any]:
    """What the author wrote, what may be left out included, and what Lily adds."""
    url = rule_url(rule.id)
    return {
        "id": rule.id,
        "version": rule.version,
        **_written(rule),
        "created_at": clock.iso(rule.created_at),
        "changed_at": clock.iso(rule.changed_at),
        "deleted_at": rule.deleted_at and clock.iso(rule.deleted_at),
        "links": {"self": url, "versions": f"{url}/versions", "propagations": f"{url}/propagations", "plan": f"{url}/plan"},
    }


def _written(rule: Rule) -> dict[str, Any]:
    """The document, with what its author may leave out or null."""
    exempt = rule.document.get("exempt") or []
    return {**rule.document, "description": rule.description, "exempt": exempt, "enabled": rule.enabled}


def rule_url(rule_id: str) -> str:
    return f"{settings().public_url}/security/rules/{rule_id}"


def aimed_at(rule: Rule) -> set[str]:
    """The target instances in which a rule is to be in force."""
    return {name for name in settings().targets if rule.aims_at(name)}


def existing(rule_id: str) -> Rule:
    """The present version. Raises Problem 404, which tells a deleted rule from one that never was."""
    rule = rules.get(known_id(rule_id))
    if rule is None:
        raise unknown_rule(rule_id, rules.gone(rule_id))
    return rule


def known_id(rule_id: str) -> str:
    """The id, if it can be one. Raises Problem 404."""
    if not rule_documents.ID.fullmatch(rule_id):
        raise unknown_rule(rule_id)
    return rule_id


def unknown_rule(rule_id: str, gone: Rule | None = None) -> Problem:
    if gone and gone.deleted_at:
        return Problem(NOT_FOUND, f"The rule was deleted at {clock.iso(gone.deleted_at)}; its versions and propagations stay.")
    return Problem(NOT_FOUND, f"There is no rule {rule_id[:80]}.")


def check_document(document: Mapping[str, Any], rule: Rule) -> None:
    """What only this installation can judge: the names of targets, and size. Raises Problem 422."""
    known = settings().targets
    told = f"known are {', '.join(sorted(known))}" if known else "none is configured"
    wrong = [
        Fault(f"targets[{place}]", f"{name!r} is no target here; {told}")
        for place, name in enumerate(rule.targets)
        if name != ALL_TARGETS and name not in known
    ]
    if (size := len(json.dumps(document))) > DOCUMENT_BYTES_MAX:
        wrong.append(
            Fault("match", f"makes a rule of {size} bytes; {DOCUMENT_BYTES_MAX} are allowed; divide it, or use patterns")
        )
    if wrong:
        raise Problem(INVALID_INPUT, faults=wrong)


def _read(read: Callable[[], Rule]) -> Rule:
    try:
        rule = read()
    except InvalidRule as error:
        raise invalid(error.faults) from None
    check_document(rule.document, rule)
    return rule


def _stored(rule: Rule, before: Rule, facts: Facts) -> Rule:
    targets = aimed_at(before) | aimed_at(rule) | _still_on_its_way(rule.id)
    try:
        stored = rules.replace(rule, before, targets, facts)
    except Outdated as error:
        raise etags.outdated(error.current) from None
    waking.rule(rule.id, targets)
    return stored


def _still_on_its_way(rule_id: str) -> set[str]:
    """Targets that follow an earlier version at this moment: they must hear of this one, whether it aims at them or not."""
    return {one.target for one in asked.of_rule(rule_id) if one.done_at is None and one.target in settings().targets}


def _may_not_weaken(looser: list[Fault]) -> Problem:
    header = f'Bearer realm="lily", error="insufficient_scope", scope="rules:write {WEAKEN}"'
    detail = f"The new version may protect less than the present one; that needs the scope {WEAKEN}."
    return Problem(INSUFFICIENT_SCOPE, detail, faults=looser, headers={"WWW-Authenticate": header}, extra={"scope": WEAKEN})


def new_id() -> str:
    """`r_` and 20 digits: the time in milliseconds, then chance."""
    number = int(clock.now().timestamp() * 1000) << 50 | secrets.randbits(50)
    return "r_" + "".join(DIGITS[number >> shift & 31] for shift in range(95, -1, -5))
