"""Assets: what people should see on them in a catalog, which tables are none, and which connection is which warehouse."""

from typing import Any

from flask_smorest import Blueprint

from app import paging, waking
from app.api.documents import time_or_none
from app.auth import caller, requires
from app.bodies import OptionalJson
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, INVALID_JSON, NOT_FOUND, UNAVAILABLE, Fault, Problem
from app.schemas.assets import (
    AssetQuerySchema,
    AssetSchema,
    ConnectionMapSchema,
    ConnectionsSchema,
    NamedAssetQuerySchema,
    UnresolvedPageSchema,
    UnresolvedQuerySchema,
)
from lily.domain.assets import Connection
from lily.domain.catalog import Announcement
from lily.domain.showing import GONE, Shown
from lily.records import assets, connections, unresolved
from lily.records.unresolved import Missing
from lily.runtime import clock, logs
from lily.runtime.settings import settings

log = logs.get(__name__)
blp = Blueprint("assets", __name__, url_prefix="/assets", description="What people see in a catalog because of incidents.")
blp.ARGUMENTS_PARSER = OptionalJson()
Document = dict[str, Any]


@blp.route("/unresolved")
@requires("events:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(UnresolvedQuerySchema, location="query", unknown=None)
@blp.response(200, UnresolvedPageSchema, description="A page of tables.")
def find_unresolved(query: Document) -> Document:
    """Find tables without an asset

    Tables of incidents that were not found in a catalog, each with the reason. They are looked for again from time to time, and
    at once when the connections change.
    """
    limit, cursor, catalog = query.pop("limit"), query.pop("cursor", None), query.get("catalog")
    if catalog is not None:
        _known(catalog)
    page = unresolved.page(limit, paging.unseal(cursor, "unresolved", query), catalog)
    return {"items": [_missing(one) for one in page.items], "next_cursor": paging.seal(page.next, "unresolved", query)}


@blp.route("/connections")
@requires("events:read")
@refuses(INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(AssetQuerySchema, location="query", unknown=None)
@blp.response(200, ConnectionMapSchema, description="The map.")
def get_connections(query: Document) -> Document:
    """Which connection is which warehouse

    By these, tables of sources are found in the catalog.
    """
    return _map(_known(query.get("catalog")))


@blp.route("/connections", methods=["PUT"])
@requires("admin")
@refuses(INVALID_JSON, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(AssetQuerySchema, location="query", unknown=None)
@blp.arguments(ConnectionsSchema, unknown=None)
@blp.response(200, ConnectionMapSchema, description="The map as it is now.")
def put_connections(query: Document, wish: Document) -> Document:
    """Say which connection is which warehouse

    Replaces what was said here before; the settings stay. Tables that were not found are looked for again.
    """
    catalog = _known(query.get("catalog"))
    named = [Connection(one["qualified_name"], one["kind"], frozenset(one["warehouses"])) for one in wish["connections"]]
    names = [one.qualified_name for one in named]
    faults = [
        Fault(f"connections[{place}].qualified_name", "is there twice" if name in names[:place] else "must not end with a slash")
        for place, name in enumerate(names)
        if name in names[:place] or name.endswith("/")
    ]
    if faults:
        raise Problem(INVALID_INPUT, faults=faults)
    connections.put(catalog, named, caller().client, clock.now())
    log.info("connections.put", catalog=catalog, client=caller().client, count=len(named))
    waking.missing(unresolved.make_due(catalog, clock.now()))
    return _map(catalog)


@blp.route("/shown")
@requires("events:read")
@refuses(NOT_FOUND, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(NamedAssetQuerySchema, location="query", unknown=None)
@blp.response(200, AssetSchema, description="The asset.")
def get_asset(query: Document) -> Document:
    """Look at one asset

    What people should see on it, what they see, and what is still to be done. Known are those on which something is or was
    shown.
    """
    catalog, qualified_name = _known(query.get("catalog")), query["qualified_name"]
    shown = assets.get(catalog, qualified_name)
    if shown is None:
        raise Problem(NOT_FOUND, f"Nothing was ever shown on {qualified_name[:200]}.")
    return _document(shown)


def _known(wanted: str | None) -> str:
    known = settings().catalogs
    if wanted is None and len(known) == 1:
        return next(iter(known))
    if wanted is not None and wanted in known:
        return wanted
    listed = ", ".join(sorted(known)) or "none, as the settings name none"
    raise Problem(INVALID_INPUT, faults=[Fault("catalog", f"must be one of: {listed}")])


def _map(catalog: str) -> Document:
    configured = [one for one in settings().connections.values() if one.catalog == catalog]
    return {
        "catalog": catalog,
        "connections": [_connection(one.qualified_name, one.kind, one.warehouses) for one in connections.of(catalog)],
        "configured": [_connection(one.qualified_name, one.kind, one.warehouses or ()) for one in configured],
    }


def _connection(name: str, kind: str, warehouses: Any) -> Document:
    return {"qualified_name": name, "kind": kind, "warehouses": sorted(warehouses)}


def _missing(one: Missing) -> Document:
    return {
        "catalog": one.catalog,
        "table": one.table.name,
        "warehouse": one.table.warehouse or None,
        "reason": one.why.reason.value,
        "detail": one.why.detail,
        "incidents": len(one.incidents),
        "since": clock.iso(one.since),
        "due_at": time_or_none(one.due_at),
    }


def _document(shown: Shown) -> Document:
    incidents = [(key.partition("#"), entry) for key, entry in shown.incidents.items() if entry.incident is not None]
    return {
        "catalog": shown.catalog,
        "qualified_name": shown.asset.qualified_name,
        "type": shown.asset.type,
        "guid": shown.asset.guid,
        "name": shown.asset.name,
        "state": _state(shown),
        "badge": _badge(shown.wanted),
        "kept": _badge(shown.kept),
        "incidents": [
            {
                "source": source,
                "id": name,
                "title": one.title,
                "severity": one.severity,
                "url": one.url,
                "version": entry.version,
            }
            for (source, _, name), entry in incidents
            if (one := entry.incident) is not None
        ],
        "upstream": [
            {
                "qualified_name": name,
                "name": one.name,
                "open_incidents": one.open_incidents,
                "worst_severity": one.worst_severity,
            }
            for name, one in sorted(shown.upstream.items())
        ],
        "version": shown.asked,
        "version_written": shown.written,
        "written_at": time_or_none(shown.written_at),
        "due_at": time_or_none(shown.due_at),
        "failures": shown.failures,
        "reason": shown.reason or None,
    }


def _state(shown: Shown) -> str:
    if shown.failures:
        return "failing"
    if shown.owes_write:
        return "due"
    return "gone" if shown.reason == GONE else "shown"


def _badge(one: Announcement | None) -> Document | None:
    return {"type": one.type, "title": one.title, "message": one.message} if one else None
