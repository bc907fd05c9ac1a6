"""Incidents: what the sources say is wrong, open and closed."""

from typing import Any

from flask_smorest import Blueprint

from app import paging
from app.api.documents import event_summary, incident_summary
from app.api.etags import etagged
from app.auth import requires
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, NOT_FOUND, UNAVAILABLE, Problem
from app.schemas import examples
from app.schemas.incidents import IncidentDetailSchema, IncidentPageSchema, IncidentQuerySchema, SourceQuerySchema
from lily.domain.incidents import Incident
from lily.records import event_search, incidents
from lily.records.event_search import EventFilter
from lily.records.incidents import IncidentFilter
from lily.runtime.settings import settings

EVENTS_SHOWN = 20
ID_CHARACTERS_MAX = 1000

blp = Blueprint("incidents", __name__, url_prefix="/incidents", description="What the sources say is wrong.")


@blp.route("")
@requires("events:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(IncidentQuerySchema, location="query", unknown=None)
@blp.response(
    200, IncidentPageSchema, description="A page of incidents, the latest heard of first.", example=examples.INCIDENT_PAGE
)
def find_incidents(query: dict[str, Any]) -> dict[str, Any]:
    """Find incidents

    The latest heard of first. All filters must hold. A short or empty page with a `next_cursor` is not the end.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = incidents.find(IncidentFilter(**query), limit, paging.unseal(cursor, "incidents", query))
    return {
        "items": [incident_summary(incident) for incident in page.items],
        "next_cursor": paging.seal(page.next, "incidents", query),
    }


@blp.route("/<anything:incident_id>")
@requires("events:read")
@refuses(NOT_FOUND, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(SourceQuerySchema, location="query", unknown=None)
@etagged
@blp.response(200, IncidentDetailSchema, description="The incident.", example=examples.INCIDENT_DETAIL)
def get_incident(query: dict[str, Any], incident_id: str) -> dict[str, Any]:
    """Look at one incident

    With its latest events. The id is the source's own and may hold any characters; percent-encode it.
    """
    sources = [query["source"]] if "source" in query else list(settings().sources)
    incident = _first(sources, incident_id)
    if incident is None:
        raise Problem(NOT_FOUND, f"No source of {', '.join(sources)} has an incident {incident_id[:80]}.")
    page = event_search.find(EventFilter(source=incident.source, incident=incident.id), EVENTS_SHOWN, None)
    return incident_summary(incident) | {"events": [event_summary(event) for event in page.items]}


def _first(sources: list[str], incident_id: str) -> Incident | None:
    if len(incident_id) > ID_CHARACTERS_MAX:
        return None
    return next((found for source in sources if (found := incidents.get(source, incident_id))), None)
