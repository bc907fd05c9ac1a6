"""The audit log: who changed what, in a chain that shows whether anybody touched it later."""

from typing import Any

from flask_smorest import Blueprint

from app import paging
from app.auth import requires
from app.openapi import refuses
from app.problems import INVALID_CURSOR, INVALID_INPUT, UNAVAILABLE
from app.schemas import security_examples as examples
from app.schemas.audit import AuditPageSchema, AuditQuerySchema
from lily.domain.audit import AuditEntry
from lily.records import audit
from lily.runtime import clock

VERIFIED_MAX = 10_000  # entries in one request

blp = Blueprint("audit", __name__, url_prefix="/security/audit", description="Who changed what.")


@blp.route("")
@requires("audit:read")
@refuses(INVALID_CURSOR, INVALID_INPUT)
@refuses(UNAVAILABLE, headers=("Retry-After",))
@blp.arguments(AuditQuerySchema, location="query", unknown=None)
@blp.response(200, AuditPageSchema, description="A page of entries, the latest first.", example=examples.AUDIT_PAGE)
def read_audit(query: dict[str, Any]) -> dict[str, Any]:
    """Read the audit log

    The latest first. Each entry carries the hash of the one before it, so a change to any shows in all that follow. That its end
    was cut off shows only to who has kept the hash of a later entry: keep `hash` of the latest now and then.
    """
    page = audit.page(query["limit"], paging.unseal(query.get("cursor"), "audit", {}))
    return {
        "items": [_document(entry) for entry in page.items],
        "next_cursor": paging.seal(page.next, "audit", {}),
        "chain": _chain() if query["verify"] else None,
    }


def _chain() -> dict[str, Any]:
    broken = audit.verify(VERIFIED_MAX)
    return {
        "holds": broken is None,
        "sequence": broken.sequence if broken else None,
        "reason": broken.reason if broken else None,
        "looked_at": VERIFIED_MAX,
    }


def _document(entry: AuditEntry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "at": clock.iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": dict(entry.details),
        "before": entry.before,
        "hash": entry.hash,
    }
