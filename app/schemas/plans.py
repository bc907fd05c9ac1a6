"""Held plans: what may be asked for, and what is answered."""

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from app.schemas.events import word
from app.schemas.previews import WeakeningSchema
from app.schemas.rules import PageQuerySchema, texts, when

STATES = ["pending", "confirmed", "rejected", "superseded", "done"]


class PlanQuerySchema(PageQuerySchema):
    target = word("Only of this target instance.", "snowflake-prod")
    state = fields.String(validate=OneOf(STATES), metadata={"enum": STATES})


class PlanLinksSchema(Schema):
    self = fields.String(metadata={"format": "uri"})
    confirm = fields.String(metadata={"format": "uri"})
    reject = fields.String(metadata={"format": "uri"})


class PlanSchema(Schema):
    id = fields.String(metadata={"description": "`<target>.<16 hexadecimal digits>`; another set of places has another id."})
    target = fields.String()
    state = fields.String(
        metadata={
            "enum": STATES,
            "description": "pending: waits for a decision. superseded: would not happen any more. done: confirmed, and happened.",
        }
    )
    fingerprint = fields.String(metadata={"description": "Over the exact set: each place with what it has and would have."})
    weakened = fields.Integer(metadata={"description": "Places that would lose protection."})
    counted = fields.Integer(metadata={"description": "With those that lost it within 24 hours before."})
    enforced = fields.Integer(metadata={"description": "Places that were protected in the target."})
    rules = texts("Ids of the rules that protect its tables now.")
    tables = texts("Its tables.")
    created_at = when("When it was held.", nullable=False)
    decided_at = when("When it was decided.")
    decided_by = fields.String(allow_none=True, metadata={"description": "The client that did."})
    links = fields.Nested(PlanLinksSchema)


class PlanDetailSchema(PlanSchema):
    places = fields.List(fields.Nested(WeakeningSchema), metadata={"description": "All of them."})
    statements = texts("What runs once it is confirmed; the first 500.")


class PlanPageSchema(Schema):
    items = fields.List(fields.Nested(PlanSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})
