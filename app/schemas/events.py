"""Events: what may be asked for, and what is answered."""

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, post_load
from marshmallow.validate import Length, OneOf, Range

from app.paging import LIMIT_DEFAULT, LIMIT_MAX
from lily.domain.events import State

STATES = [state.value for state in State]
REPLAY_LIMIT_DEFAULT = 1000
REPLAY_LIMIT_MAX = 10_000


def word(description: str, example: str) -> fields.String:
    about = {
        "description": f"{description[:-1]}, such as `{example}`."
    }  # no `example`: the page would fill the filter in with it
    return fields.String(validate=Length(1, 512), metadata=about)


def moment(description: str) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        format="iso", metadata={"description": f"{description[:-1]}: ISO 8601 with an offset, such as `2026-11-24T17:00:00Z`."}
    )


def page_limit() -> fields.Integer:
    about = {"description": "Items on a page, at most."}
    return fields.Integer(load_default=LIMIT_DEFAULT, validate=Range(1, LIMIT_MAX), metadata=about)


def page_cursor() -> fields.String:
    return fields.String(metadata={"description": "`next_cursor` of the page before; only with the same filters."})


class EventFilterSchema(Schema):
    class Meta:
        unknown = RAISE

    status = fields.String(validate=OneOf(STATES), metadata={"description": "How far the event has come.", "enum": STATES})
    type = word("Kind of alert, in Lily's words.", "anomaly")
    severity = word("Severity of its incident.", "SEV-1")
    asset = word("An affected table in lower case.", "analytics:orders.customers")
    source = word("Name of the source instance.", "monte-carlo")
    incident = word("Id of the incident at the source.", "1a2b3c4d-0000-4000-8000-000000000001")
    since = moment("Received at this time or later.")
    until = moment("Received before this time.")

    @post_load
    def asset_in_lower_case(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "asset" in values:
            values["asset"] = values["asset"].lower()
        return values


class EventQuerySchema(EventFilterSchema):
    """Filters and page in one query string."""

    limit, cursor = page_limit(), page_cursor()


class LinkSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    self = fields.String(metadata={"format": "uri"})
    event = fields.String(metadata={"format": "uri"})
    incident = fields.String(metadata={"format": "uri"})


class ReceiptSchema(Schema):
    event_id = fields.String(metadata={"description": "Content address of the delivery: equal deliveries have equal ids."})
    duplicate = fields.Boolean(metadata={"description": "The event was there already; nothing new was begun."})
    links = fields.Nested(LinkSchema)


class EventIncidentSchema(Schema):
    id = fields.String()
    effect = fields.String(allow_none=True, metadata={"description": "What the event did to it: opened, updated, resolved ..."})
    status = fields.String(allow_none=True, metadata={"description": "As this event left it."})


class EventSchema(Schema):
    id = fields.String(metadata={"description": "64 hexadecimal digits."})
    source = fields.String()
    account = fields.String(metadata={"description": "The account at the source; empty if the delivery names none."})
    received_at = fields.String(metadata={"format": "date-time"})
    status = fields.String(
        metadata={"enum": STATES, "description": "received, stored and published are the way; parked is given up."}
    )
    type = fields.String(metadata={"description": "Kind of alert; `unknown` where the payload is of no known variant."})
    action = fields.String(allow_none=True, metadata={"description": "What the delivery claims has happened."})
    severity = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    incident = fields.Nested(EventIncidentSchema, allow_none=True)
    assets = fields.List(fields.String(), metadata={"description": "Affected tables."})
    enrichment = fields.String(metadata={"description": "Whether the source's own API was asked: done, pending, none."})
    reason = fields.String(metadata={"description": "Why it is parked, or why the last attempt failed."})
    attempts = fields.Integer(metadata={"description": "Failed attempts since it arrived or was replayed."})
    replays = fields.Integer()
    links = fields.Nested(LinkSchema)


class MomentSchema(Schema):
    at = fields.String(metadata={"format": "date-time"})
    what = fields.String(metadata={"description": "The state it came into, or what else was done."})
    attempt = fields.Integer()
    note = fields.String()
    ms = fields.Float(metadata={"description": "Milliseconds since the line before, or since the arrival."})


class RepeatSchema(Schema):
    count = fields.Integer(metadata={"description": "How often the same delivery came again."})
    last_at = fields.String(metadata={"format": "date-time"})
    occurrences = fields.Integer(metadata={"description": "How often it was published, because it changed something."})


class EventDetailSchema(EventSchema):
    timeline = fields.List(fields.Nested(MomentSchema))
    milliseconds = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        metadata={
            "description": "How long each step of the latest run took, and `total`.",
            "example": {"enriched": 4.0, "stored": 6.0, "published": 5.0, "total": 15.0},
        },
    )
    enrichment_details = fields.Dict(metadata={"description": "What the source's API told, or why it told nothing."})
    payload = fields.Raw(metadata={"description": "The body as it was sent, parsed.", "type": "object"})
    repeats = fields.Nested(RepeatSchema, allow_none=True)


class EventPageSchema(Schema):
    items = fields.List(fields.Nested(EventSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class StrictBoolean(fields.Boolean):
    """`true` or `false`. Where the difference is between counting and doing, nothing else may be taken for one of them."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class ReplayManySchema(Schema):
    class Meta:
        unknown = RAISE

    filter = fields.Nested(EventFilterSchema, required=True, metadata={"description": "At least one criterion."})
    dry_run = StrictBoolean(load_default=True, metadata={"description": "Only count. Replaying has to be asked for."})
    cursor = fields.String(load_default=None, allow_none=True, metadata={"description": "`next_cursor` of the call before."})
    limit = fields.Integer(
        load_default=REPLAY_LIMIT_DEFAULT,
        validate=Range(1, REPLAY_LIMIT_MAX),
        metadata={"description": "Events looked at in this call, at most."},
    )


class ReplayedManySchema(Schema):
    matched = fields.Integer(metadata={"description": "Events that match the filter."})
    replayed = fields.Integer(metadata={"description": "Of these, sent on their way again; 0 in a dry run."})
    skipped = fields.Integer(metadata={"description": "Of these, still in work, or changed by somebody else at this moment."})
    dry_run = fields.Boolean()
    complete = fields.Boolean(metadata={"description": "Everything was looked at; else call again with `next_cursor`."})
    next_cursor = fields.String(allow_none=True)


class ReplayedSchema(Schema):
    event_id = fields.String()
    status = fields.String()
    replays = fields.Integer()
    links = fields.Nested(LinkSchema)
