"""Previews and plans of a rule: what is answered."""

from marshmallow import Schema, fields

from app.schemas.rules import texts, when
from app.schemas.targets import SightSchema


class PlannedColumnSchema(Schema):
    table = fields.String()
    column = fields.String(allow_none=True, metadata={"description": "null: the table's rows."})
    type = fields.String()
    action = fields.String(metadata={"description": "What the rule comes to in this type: `nullify` where its own does not fit."})
    falls_back = fields.Boolean(metadata={"description": "The rule's own action does not fit the type."})
    rules = texts("All rules that one mask serves here, this one included.")
    readers = fields.List(fields.Nested(SightSchema), metadata={"description": "Who sees what, of all these rules together."})


class RemarkSchema(Schema):
    table = fields.String()
    column = fields.String(allow_none=True)
    code = fields.String()
    text = fields.String()


class SideEffectSchema(Schema):
    code = fields.String()
    text = fields.String()
    tables = fields.Integer(metadata={"description": "How many tables it is about."})


class ExemptSchema(Schema):
    principal = fields.String(metadata={"description": "As `role AUDITOR`."})
    until = when("The exemption ends by itself.")
    reason = fields.String()
    exists = fields.Boolean(allow_none=True, metadata={"description": "null: it was not looked for yet."})
    users = fields.Integer(allow_none=True, metadata={"description": "Who hold it directly."})
    through = texts("What else leads to it, as it is inherited: whoever has one of these is exempt as well.")


class WeakeningSchema(Schema):
    table = fields.String()
    column = fields.String(allow_none=True)
    why = fields.String(metadata={"description": "removed, weaker, or unknown."})
    reader = texts("Who would see more; empty: everybody, or nobody can be named.")


class BrakeSchema(Schema):
    is_held = fields.Boolean(metadata={"description": "It would wait for a confirmation at `/security/plans`."})
    weakened = fields.Integer(metadata={"description": "Places that would lose protection."})
    counted = fields.Integer(metadata={"description": "With those that lost it in the last 24 hours."})
    enforced = fields.Integer(metadata={"description": "Places that are protected in this target."})
    places = fields.List(fields.Nested(WeakeningSchema), metadata={"description": "The first 100 of them."})


class CountsSchema(Schema):
    tables = fields.Integer(metadata={"description": "Tables that the rule concerns, or did."})
    planned = fields.Integer(metadata={"description": "Of these, those that this is worked out for."})
    columns = fields.Integer()
    statements = fields.Integer()


class TargetPreviewSchema(Schema):
    target = fields.String()
    aims = fields.Boolean(metadata={"description": "The rule is to be in force there."})
    observed_at = when("When the oldest of what it is based on was read back; null: no table of it was ever looked at.")
    inventory_read_at = when("When the list of tables was read; null: never.")
    counts = fields.Nested(CountsSchema)
    columns = fields.List(fields.Nested(PlannedColumnSchema), metadata={"description": "The first 500."})
    unsupported = fields.List(
        fields.Nested(RemarkSchema), metadata={"description": "What stays readable, as it cannot be protected: never `enforced`."}
    )
    conflicts = fields.List(fields.Nested(RemarkSchema), metadata={"description": "Somebody else's protection; left alone."})
    remarks = fields.List(fields.Nested(RemarkSchema))
    exempt = fields.List(fields.Nested(ExemptSchema))
    notes = texts("What holds for exemptions in this kind of target.")
    side_effects = fields.List(fields.Nested(SideEffectSchema))
    brake = fields.Nested(BrakeSchema)
    statements = texts("What would run, in this order; the first 200, `counts` says of how many. Empty: all is as it should be.")


class PreviewSchema(Schema):
    rule_id = fields.String(allow_none=True, metadata={"description": "null: of a rule that is not stored."})
    version = fields.Integer(metadata={"description": "That this is the plan of."})
    targets = fields.List(fields.Nested(TargetPreviewSchema))
