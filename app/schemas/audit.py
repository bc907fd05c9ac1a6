"""The audit log: what may be asked for, and what is answered."""

from marshmallow import Schema, fields

from app.schemas.rules import PageQuerySchema, when


class AuditQuerySchema(PageQuerySchema):
    verify = fields.Boolean(
        load_default=False, metadata={"description": "true: also check the chain from its beginning, which takes a while."}
    )


class AuditEntrySchema(Schema):
    sequence = fields.Integer(metadata={"description": "From 1, without gaps."})
    at = when("When it happened.", nullable=False)
    actor = fields.String(metadata={"description": "The client that did it."})
    action = fields.String(metadata={"example": "rule.created"})
    subject = fields.String(metadata={"description": "The id of what it was done to."})
    details = fields.Dict()
    before = fields.String(metadata={"description": "Hash of the entry before; 64 zeros begin the chain."})
    hash = fields.String(metadata={"description": "SHA-256 over all of the entry, `before` included."})


class ChainSchema(Schema):
    holds = fields.Boolean(metadata={"description": "No entry that was looked at was changed, left out or put in between."})
    sequence = fields.Integer(allow_none=True, metadata={"description": "Where it is broken."})
    reason = fields.String(allow_none=True, metadata={"description": "How."})
    looked_at = fields.Integer(metadata={"description": "Entries, from the first on, at most."})


class AuditPageSchema(Schema):
    items = fields.List(fields.Nested(AuditEntrySchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})
    chain = fields.Nested(ChainSchema, allow_none=True, metadata={"description": "null unless `verify` is true."})
