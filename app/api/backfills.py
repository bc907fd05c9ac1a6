"""Backfills: what is tagged in a catalog becomes annotations, in the background, with its progress to look at."""

import secrets
from collections.abc import Collection
from typing import Any

from flask_smorest import Blueprint

from app import paging, waking
from app.api.documents import time_or_none
from app.auth import caller, requires
from app.bodies import OptionalJson
from app.openapi import answers_headers, refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, INVALID_JSON, NOT_FOUND, UNAVAILABLE, Fault, Problem
from app.schemas import security_examples as examples
from app.schemas.backfills import BackfillPageSchema, BackfillQuerySchema, BackfillSchema, BackfillWishSchema
from lily.domain import patterns
from lily.domain.backfills import PATH_PARTS, Backfill
from lily.records import backfills
from lily.runtime import clock, logs
from lily.runtime.settings import settings

log = logs.get(__name__)
blp = Blueprint("backfills", __name__, url_prefix="/security/annotations/sync", description="What data is, read from a catalog.")
blp.ARGUMENTS_PARSER = OptionalJson()


@blp.route("", methods=["POST"])
@requires("annotations:write")
@refuses(INVALID_JSON, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(BackfillWishSchema, unknown=None, required=False, example=examples.BACKFILL_WISH)
@blp.response(
    202, BackfillSchema, description="It has begun.", headers=answers_headers("Location"), example=examples.BACKFILL_BEGUN
)
def begin_backfill(wish: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Read tags from a catalog

    Everything in a connection that is tagged becomes an annotation, and everything that is annotated is compared with the
    catalog. It goes on in the background at the lowest priority, survives restarts, and only ever adds protection by itself: what
    would take some away is read from the catalog's store first. Happens by itself from time to time. `dry_run` counts only.
    """
    now = clock.now()
    faults: list[Fault] = []
    connections = {one.catalog_connection for one in settings().targets.values() if one.catalog_connection}
    catalog = _one_of("catalog", wish["catalog"], settings().catalogs.keys(), faults)
    connection = _one_of("connection", wish["connection"], connections, faults)
    if wish["pattern"] is not None:
        faults += _wrong_pattern(wish["pattern"])
    if faults:
        raise Problem(INVALID_INPUT, faults=faults)
    started = backfills.start(
        Backfill(
            id=f"{now:%Y%m%d%H%M%S}-{secrets.token_hex(6)}",
            catalog=catalog,
            connection=connection,
            pattern=wish["pattern"] or "",
            tags=tuple(wish["tags"] or ()),
            dry_run=wish["dry_run"],
            by=caller().client,
            started_at=now,
        ),
        now,
    )
    if started is None:
        raise AssertionError("an id of its own was there already")
    log.info("backfill.asked", id=started.id, client=started.by, connection=connection, dry_run=started.dry_run)
    waking.backfill(started.catalog, backfills.member(started))
    document = _document(started)
    return document, 202, {"Location": f"/security/annotations/sync/{started.id}"}


@blp.route("")
@requires("rules:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(BackfillQuerySchema, location="query", unknown=None)
@blp.response(200, BackfillPageSchema, description="A page of backfills.", example=examples.BACKFILL_PAGE)
def find_backfills(query: dict[str, Any]) -> dict[str, Any]:
    """Find backfills

    The latest first, and after them those that happen by themselves, one for each connection.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = backfills.page(limit, paging.unseal(cursor, "backfills", query))
    return {"items": [_document(one) for one in page.items], "next_cursor": paging.seal(page.next, "backfills", query)}


@blp.route("/<string:backfill_id>")
@requires("rules:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(200, BackfillSchema, description="The backfill.", example=examples.BACKFILL)
def get_backfill(backfill_id: str) -> dict[str, Any]:
    """Look at one backfill

    How far it has come: `seen` of `about` assets, then `checked` places.
    """
    found = backfills.get(backfill_id) if len(backfill_id) <= 900 else None
    if found is None:
        raise Problem(NOT_FOUND, f"There is no backfill {backfill_id[:100]}.")
    return _document(found)


def _one_of(field: str, wanted: str | None, known: Collection[str], faults: list[Fault]) -> str:
    if wanted is None and len(known) == 1:
        return next(iter(known))
    if wanted is not None and wanted in known:
        return wanted
    listed = ", ".join(sorted(known)) or "none, as the settings name none"
    faults.append(Fault(field, f"{'must be one of' if wanted is None else f'{wanted!r} is not known; known are'}: {listed}"))
    return ""


def _wrong_pattern(text: str) -> list[Fault]:
    try:
        patterns.parse(text, PATH_PARTS, wild=True)
    except ValueError as error:
        return [Fault("pattern", str(error))]
    return []


def _document(one: Backfill) -> dict[str, Any]:
    return {
        "id": one.id,
        "catalog": one.catalog,
        "connection": one.connection,
        "pattern": one.pattern or None,
        "tags": list(one.tags),
        "dry_run": one.dry_run,
        "by": one.by,
        "state": one.state.value,
        "phase": one.phase.value,
        "about": one.about,
        "seen": one.seen,
        "stated": one.stated,
        "asked": one.asked,
        "elsewhere": one.elsewhere,
        "checked": one.checked,
        "reason": one.reason,
        "started_at": time_or_none(one.started_at),
        "progress_at": time_or_none(one.progress_at),
        "ended_at": time_or_none(one.ended_at),
        "links": {"self": f"{settings().public_url}/security/annotations/sync/{one.id}"},
    }
