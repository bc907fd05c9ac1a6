"""Annotations: what sources say about tables and columns, stated and read."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from flask_smorest import Blueprint

from app import paging, places, subjects, waking
from app.api.documents import time_or_none
from app.api.targets import checked_names
from app.auth import caller, requires
from app.bodies import StrictJson
from app.openapi import refuses
from app.problems import (
    INSUFFICIENT_SCOPE,
    INVALID_CURSOR,
    INVALID_INPUT,
    INVALID_JSON,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    Fault,
    Problem,
    invalid,
)
from app.schemas import security_examples as examples
from app.schemas.annotations import AnnotationPageSchema, AnnotationQuerySchema, StatedManySchema, StatementSchema
from lily.domain.classifications import Annotation, Place, stated
from lily.domain.faults import Faults
from lily.domain.inventory import TableId
from lily.records import annotations
from lily.records.audit import Facts
from lily.runtime import clock
from lily.runtime.settings import settings

WEAKEN = "rules:weaken"
AHEAD_MAX = timedelta(minutes=5)  # of a source's clock; a statement from further ahead would outlast those that follow it

blp = Blueprint("annotations", __name__, url_prefix="/security/annotations", description="What data is, as sources say.")
blp.ARGUMENTS_PARSER = StrictJson()


@blp.route("", methods=["PUT"])
@requires("annotations:write")
@refuses(INVALID_JSON, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(StatementSchema, unknown=None, example=examples.STATEMENT)
@blp.response(200, StatedManySchema, description="Stored; what is in force now.", example=examples.STATED)
def state_annotations(statement: dict[str, Any]) -> dict[str, Any]:
    """State annotations

    Each entry is the full set of classifications that one source gives one table or column, and replaces what that source said
    before; what another source says stays. To speak for a catalog, whose tags Lily reads itself, takes the scope `rules:weaken`
    too: it can undo what they protect until they are read again. Sending it twice is harmless, and what arrives late loses to
    what is newer. Tables for which something changes are looked at within a second. Up to 100 entries; all are stored or, if
    one is wrong, none.
    """
    now = clock.now()
    at = statement.get("stated_at", now)
    if at > now + AHEAD_MAX:
        raise Problem(INVALID_INPUT, faults=[Fault("stated_at", "is more than five minutes ahead of the time here")])
    faults = Faults()
    source = faults.text("source", statement["source"], 100)
    _check_speaker(source)
    entries = subjects.read(statement["annotations"], faults)
    if faults.found:
        raise invalid(faults.found)
    facts = Facts(caller().client, "annotations.stated", source, {})
    done = annotations.put_many([stated(one.place, source, one.classifications, at) for one in entries], facts, now)
    changed: dict[str, set[TableId]] = defaultdict(set)
    for one, outcome in zip(entries, done, strict=True):
        if outcome.changed:
            changed[one.place.target].add(one.place.table)
    for target, tables in changed.items():
        waking.tables(target, tables)
    return {
        "items": [
            _document(outcome.annotation)
            | {"entry": one.entry, "changed": outcome.changed, "outdated": outcome.annotation.stated_at > at}
            for one, outcome in zip(entries, done, strict=True)
        ]
    }


@blp.route("")
@requires("rules:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(AnnotationQuerySchema, location="query", unknown=None)
@blp.response(200, AnnotationPageSchema, description="A page of annotations.", example=examples.ANNOTATION_PAGE)
def find_annotations(query: dict[str, Any]) -> dict[str, Any]:
    """Find annotations

    Of all targets unless one is named. All filters must hold. A short or empty page with a `next_cursor` is not the end.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    names = checked_names(query.get("target"))
    table = _table(query["table"]) if "table" in query else None

    def page(name: str, count: int, after: str | None) -> Any:
        return annotations.page(name, count, after, classification=query.get("classification"), table=table)

    items, position = paging.across(names, page, limit, paging.unseal(cursor, "annotations", query))
    return {"items": [_document(one) for one in items], "next_cursor": paging.seal(position, "annotations", query)}


def _check_speaker(source: str) -> None:
    """Raises Problem 403 for whoever speaks for a catalog (or its nested fields, see tasks.annotations) and may not."""
    catalog = next((name for name in settings().catalogs if source == name or source.startswith(f"{name} ")), None)
    if catalog is None or WEAKEN in caller().scopes:
        return
    header = f'Bearer realm="lily", error="insufficient_scope", scope="annotations:write {WEAKEN}"'
    detail = f"{catalog} is a catalog, which states for itself; to speak for it needs the scope {WEAKEN}."
    raise Problem(INSUFFICIENT_SCOPE, detail, headers={"WWW-Authenticate": header}, extra={"scope": WEAKEN})


def _table(text: str) -> TableId:
    try:
        return places.table(text)
    except ValueError as error:
        raise Problem(INVALID_INPUT, faults=[Fault("table", str(error))]) from None


def _document(one: Annotation) -> dict[str, Any]:
    if not isinstance(one.subject, Place):
        raise TypeError(f"an annotation of {one.subject} is not of a place")
    return {
        "target": one.subject.target,
        "table": str(one.subject.table),
        "column": one.subject.column,
        "source": one.source,
        "classifications": sorted(one.classifications),
        "stated_at": clock.iso(one.stated_at),
        "lost_at": time_or_none(one.lost_at) if one.is_lost else None,
    }
