"""Events: found, looked at, and sent on their way again."""

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from flask_smorest import Blueprint

from app import paging
from app.api.documents import event_detail, event_summary, links
from app.api.etags import etagged
from app.auth import caller, requires
from app.bodies import StrictJson
from app.openapi import answers_headers, refuses
from app.problems import IN_WORK, INVALID_CURSOR, INVALID_INPUT, INVALID_REQUEST, NOT_FOUND, UNAVAILABLE, Problem
from app.schemas import examples
from app.schemas.events import (
    EventDetailSchema,
    EventPageSchema,
    EventQuerySchema,
    ReplayedManySchema,
    ReplayedSchema,
    ReplayManySchema,
)
from lily.domain.events import FINAL, Event, IllegalMove
from lily.records import event_search, events
from lily.records.event_search import EventFilter
from lily.runtime import clock, logs
from lily.runtime.errors import Transient
from tasks import doors

REPLAY_BUDGET_S = 5.0
REPLAY_PAGE = 25  # the budget is looked at between pages
_ID = re.compile(r"([0-9a-f]{64})(?:\.[1-9][0-9]{0,8})?")  # an occurrence (`<id>.2`) is found under its event

log = logs.get(__name__)
blp = Blueprint("events", __name__, url_prefix="/events", description="What was delivered, and what became of it.")
blp.ARGUMENTS_PARSER = StrictJson()


@blp.route("")
@requires("events:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(EventQuerySchema, location="query", unknown=None)
@blp.response(200, EventPageSchema, description="A page of events, the latest first.", example=examples.EVENT_PAGE)
def find_events(query: dict[str, Any]) -> dict[str, Any]:
    """Find events

    The latest first. All filters must hold. A short or empty page with a `next_cursor` is not the end.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = event_search.find(EventFilter(**query), limit, paging.unseal(cursor, "events", query))
    return {
        "items": [event_summary(event) for event in page.items],
        "next_cursor": paging.seal(page.next, "events", query),
    }


@blp.route("/<string:event_id>")
@requires("events:read")
@refuses(NOT_FOUND)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@etagged
@blp.response(200, EventDetailSchema, description="The event.", example=examples.EVENT_DETAIL)
def get_event(event_id: str) -> dict[str, Any]:
    """Look at one event

    With its timeline, how long each step took, what the source's API told, the body as it was sent, and how often it came again.
    The id of a later occurrence (`<event id>.2`) leads to its event.
    """
    event = _existing(event_id)
    return event_detail(event, events.body(event), events.repeat_of(event.id))


@blp.route("/<string:event_id>/replay", methods=["POST"])
@requires("events:replay")
@refuses(NOT_FOUND, IN_WORK)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.response(
    202,
    ReplayedSchema,
    description="It is on its way again.",
    headers=answers_headers("Location"),
    example=examples.REPLAYED,
)
def replay_event(event_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Process one event again

    It must be published or parked. What it causes carries the same ids, so receivers that deduplicate see nothing new.
    """
    event = _existing(event_id)
    try:
        again = events.replay(event, clock.now(), _note())
    except IllegalMove:
        raise _still_in_work(event) from None
    if again is None:
        raise Problem(IN_WORK, "Somebody else changed the event at this moment; look at it again.")
    _wake([again])
    answer = {"event_id": again.id, "status": again.state.value, "replays": again.replays, "links": links(again)}
    return answer, 202, {"Location": f"/events/{again.id}"}


@blp.route("/replay", methods=["POST"])
@requires("events:replay")
@refuses(INVALID_REQUEST, INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(ReplayManySchema, unknown=None, example={"filter": {"status": "parked"}, "dry_run": True})
@blp.response(200, ReplayedManySchema, description="How far it came.", example=examples.REPLAYED_MANY)
def replay_events(wish: dict[str, Any]) -> dict[str, Any]:
    """Process many events again

    A dry run, which is the default, only counts. Works for about five seconds at most; while `complete` is false, call again with
    `next_cursor`.
    """
    criteria, dry_run = wish["filter"], wish["dry_run"]
    if not criteria:
        raise Problem(INVALID_REQUEST, 'The filter names no criterion; to replay all, say so by a time: {"since": "..."}.')
    position = paging.unseal(wish["cursor"], "replay", criteria)
    ends_at = time.monotonic() + REPLAY_BUDGET_S
    matched = replayed = skipped = 0
    while True:
        page = event_search.find(EventFilter(**criteria), min(REPLAY_PAGE, wish["limit"] - matched), position)
        again = [] if dry_run else _replay_all(page.items)
        _wake(again)
        ready = sum(event.state in FINAL for event in page.items) if dry_run else len(again)
        matched += len(page.items)
        replayed += len(again)
        skipped += len(page.items) - ready
        position = page.next
        if position is None or matched >= wish["limit"] or time.monotonic() >= ends_at:
            break
    log.info("events.replayed", client=caller().client, matched=matched, replayed=replayed, skipped=skipped, dry_run=dry_run)
    return {
        "matched": matched,
        "replayed": replayed,
        "skipped": skipped,
        "dry_run": dry_run,
        "complete": position is None,
        "next_cursor": paging.seal(position, "replay", criteria),
    }


def _replay_all(found: Sequence[Event]) -> list[Event]:
    """Those that are on their way again; one that is in work, or that somebody else was quicker with, is left out."""
    again = [events.replay(event, clock.now(), _note()) for event in found if event.state in FINAL]
    return [event for event in again if event is not None]


def _wake(again: Sequence[Event]) -> None:
    """Haste only: what was replayed is due in the records."""
    by_lane: dict[str, list[str]] = defaultdict(list)
    for event in again:
        by_lane[event.lane_key].append(f"e:{event.id}")
    for lane_key, members in by_lane.items():
        try:
            doors.wake(lane_key, members)
        except Transient as error:
            log.warning("lanes.not_woken", count=len(members), reason=error.reason)
            return


def _note() -> str:
    return f"by {caller().client}"


def _existing(event_id: str) -> Event:
    match = _ID.fullmatch(event_id)
    event = events.get(match.group(1)) if match else None
    if event is None:
        raise Problem(NOT_FOUND, f"There is no event {event_id[:80]}, or it has expired.")
    return event


def _still_in_work(event: Event) -> Problem:
    return Problem(IN_WORK, f"The event is {event.state.value}; only published and parked events can be replayed.")
