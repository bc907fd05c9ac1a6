"""Incidents: what may be asked for, and what is answered."""

from typing import Any

from marshmallow import RAISE, Schema, fields, post_load
from marshmallow.validate import OneOf

from app.schemas.events import EventSchema, LinkSchema, moment, page_cursor, page_limit, word
from lily.domain.incidents import STATUSES

STATUS_WORDS = ["open", "closed", *sorted(STATUSES - {"open"})]


class IncidentQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    status = fields.String(
        validate=OneOf(STATUS_WORDS),
        metadata={
            "description": "`open` and `closed` stand for groups; else one status.",
            "enum": STATUS_WORDS,
        },
    )
    severity = word("Severity.", "SEV-1")
    asset = word("An affected table in lower case.", "analytics:orders.customers")
    source = word("Name of the source instance.", "monte-carlo")
    since = moment("First heard of at this time or later.")
    until = moment("First heard of before this time.")
    limit, cursor = page_limit(), page_cursor()

    @post_load
    def asset_in_lower_case(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "asset" in values:
            values["asset"] = values["asset"].lower()
        return values


class SourceQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    source = word("Name of the source instance; without it the first that knows the id.", "monte-carlo")


class IncidentSchema(Schema):
    id = fields.String(metadata={"description": "The source's own id."})
    source = fields.String()
    status = fields.String(metadata={"enum": sorted(STATUSES)})
    open = fields.Boolean()
    type = fields.String()
    severity = fields.String(allow_none=True)
    owner = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    url = fields.String(allow_none=True, metadata={"description": "Its page at the source."})
    assets = fields.List(fields.String(), metadata={"description": "Affected tables."})
    version = fields.Integer(
        metadata={"description": "Grows with every message about this incident, which carries it.", "example": 3}
    )
    order = fields.String(
        metadata={
            "enum": ["source", "arrival"],
            "description": "`source`: the source's own state settles it; `arrival`: only deliveries, in order of arrival.",
        }
    )
    opened_at = fields.String(allow_none=True, metadata={"format": "date-time", "description": "First heard of."})
    changed_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    read_at = fields.String(allow_none=True, metadata={"format": "date-time", "description": "Last read from the source's API."})
    links = fields.Nested(LinkSchema)


class IncidentDetailSchema(IncidentSchema):
    events = fields.List(fields.Nested(EventSchema), metadata={"description": "Its latest events, newest first."})


class IncidentPageSchema(Schema):
    items = fields.List(fields.Nested(IncidentSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})
