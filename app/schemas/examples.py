"""What answers look like, for the documentation; a test holds them against the schemas."""

_ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_URL = f"http://127.0.0.1:8000/events/{_ID}"
_INCIDENT = "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
_INCIDENT_URL = f"http://127.0.0.1:8000/incidents/{_INCIDENT}?source=monte-carlo"

RECEIPT = {"event_id": _ID, "duplicate": False, "links": {"event": _URL}}

EVENT = {
    "id": _ID,
    "source": "monte-carlo",
    "account": "c8b1e3f0-2d4a-4b5c-9e6f-7a8b9c0d1e2f",
    "received_at": "2026-11-24T17:00:00.120Z",
    "status": "published",
    "type": "anomaly",
    "action": "opened",
    "severity": "SEV-2",
    "title": "Unusual number of rows",
    "incident": {"id": _INCIDENT, "effect": "opened", "status": "open"},
    "assets": ["analytics:orders.customers"],
    "enrichment": "done",
    "reason": "",
    "attempts": 0,
    "replays": 0,
    "links": {"self": _URL, "incident": _INCIDENT_URL},
}

EVENT_DETAIL = EVENT | {
    "timeline": [
        {"at": "2026-11-24T17:00:00.131Z", "what": "stored", "attempt": 1, "note": "", "ms": 11.0},
        {"at": "2026-11-24T17:00:00.137Z", "what": "published", "attempt": 1, "note": "", "ms": 6.0},
    ],
    "milliseconds": {"stored": 11.0, "published": 6.0, "total": 17.0},
    "enrichment_details": {"state": "done", "priority": "P2", "owner": "data-platform@example.com"},
    "payload": {
        "type": "anomalies",
        "account": {"id": "c8b1e3f0-2d4a-4b5c-9e6f-7a8b9c0d1e2f"},
        "payload": {"incident_id": _INCIDENT},
    },
    "repeats": {"count": 2, "last_at": "2026-11-24T17:04:11.002Z", "occurrences": 1},
}

EVENT_PAGE = {"items": [EVENT], "next_cursor": None}

REPLAYED = {"event_id": _ID, "status": "received", "replays": 1, "links": {"self": _URL, "incident": _INCIDENT_URL}}

REPLAYED_MANY = {"matched": 12, "replayed": 0, "skipped": 1, "dry_run": True, "complete": True, "next_cursor": None}

INCIDENT = {
    "id": _INCIDENT,
    "source": "monte-carlo",
    "status": "open",
    "open": True,
    "type": "anomaly",
    "severity": "SEV-2",
    "owner": "data-platform@example.com",
    "title": "Unusual number of rows",
    "url": f"https://getmontecarlo.com/alerts/{_INCIDENT}",
    "assets": ["analytics:orders.customers"],
    "order": "source",
    "version": 2,
    "opened_at": "2026-11-24T17:00:00.120Z",
    "changed_at": "2026-11-24T17:00:00.131Z",
    "read_at": "2026-11-24T17:00:00.128Z",
    "links": {"self": _INCIDENT_URL},
}

INCIDENT_DETAIL = INCIDENT | {"events": [EVENT]}

INCIDENT_PAGE = {"items": [INCIDENT], "next_cursor": None}

TOKEN = {"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.x", "token_type": "Bearer", "expires_in": 3600, "scope": "events:read"}
