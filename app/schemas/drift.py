"""Drift and reconciliation: what may be asked for, and what is answered."""

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length

from app.schemas.events import word
from app.schemas.rules import PageQuerySchema, texts, when
from lily.domain.drift import DriftKind


class DriftQuerySchema(PageQuerySchema):
    target = word("Only in this target instance.", "snowflake-prod")
    open = fields.Boolean(load_default=False, metadata={"description": "true: only what was not repaired yet."})


class DriftSchema(Schema):
    target = fields.String()
    kind = fields.String(metadata={"enum": [kind.value for kind in DriftKind]})
    table = fields.String()
    column = fields.String(allow_none=True, metadata={"description": "null: the table, or its rows."})
    text = fields.String(metadata={"description": "What happened."})
    found_at = when("When it was found.", nullable=False)
    repaired_at = when("When the table was seen to be as it should be again; null: it was not yet.")


class DriftPageSchema(Schema):
    items = fields.List(fields.Nested(DriftSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class ReconcileSchema(Schema):
    class Meta:
        unknown = RAISE

    targets = fields.List(
        fields.String(validate=Length(1, 100)),
        load_default=None,
        allow_none=True,
        metadata={"description": "Names of target instances; all without it."},
    )


class ReconcilingSchema(Schema):
    targets = texts("Those that are compared now.")
