"""Annotations: what may be stated and asked for, and what is answered. app.subjects judges what they are about."""

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length

from app.schemas.events import moment, word
from app.schemas.rules import PageQuerySchema, texts, when

ENTRIES_MAX = 100
TABLE_PATH = "`DATABASE.SCHEMA.TABLE`, names exactly as stored; one with a dot, a quote or a wildcard in double quotes"


class StatedEntrySchema(Schema):
    class Meta:
        unknown = RAISE

    target = fields.Raw(allow_none=True, metadata={"type": "string", "description": "Name of the target instance; or `asset`."})
    database = fields.Raw(
        allow_none=True, metadata={"type": "string", "description": "Exactly as stored there, as are the others."}
    )
    schema = fields.Raw(allow_none=True, metadata={"type": "string"})
    table = fields.Raw(allow_none=True, metadata={"type": "string"})
    column = fields.Raw(
        allow_none=True, metadata={"type": "string", "description": "Without it the annotation is of the table itself."}
    )
    asset = fields.Raw(
        allow_none=True,
        metadata={
            "type": "string",
            "description": "Qualified name in the catalog: `<connection>/DATABASE/SCHEMA/TABLE[/COLUMN]`.",
        },
    )
    classifications = fields.Raw(
        allow_none=True,
        metadata={
            "type": "array",
            "items": {"type": "string"},
            "description": "All that the source gives it now, never a difference; empty: none.",
        },
    )


class StatementSchema(Schema):
    class Meta:
        unknown = RAISE

    source = fields.String(
        required=True, validate=Length(1, 100), metadata={"description": "Who states it. Sources do not overrule each other."}
    )
    stated_at = moment("When the source knew it; now without it. What is older than what is known changes nothing.")
    annotations = fields.List(fields.Nested(StatedEntrySchema), required=True, validate=Length(1, ENTRIES_MAX))


class AnnotationSchema(Schema):
    target = fields.String()
    table = fields.String(metadata={"description": f"{TABLE_PATH}."})
    column = fields.String(allow_none=True, metadata={"description": "null: the table itself."})
    source = fields.String()
    classifications = texts("All that this source says of it.")
    stated_at = when("The source's own time.", nullable=False)
    lost_at = when("Since when the source cannot see it any more; what it said holds on.")


class StatedSchema(AnnotationSchema):
    entry = fields.Integer(metadata={"description": "Which entry of the request it answers, from 0."})
    changed = fields.Boolean(metadata={"description": "Something is different now, so the table is looked at again."})
    outdated = fields.Boolean(metadata={"description": "The source has stated something later already, and that holds."})


class StatedManySchema(Schema):
    items = fields.List(fields.Nested(StatedSchema))


class AnnotationQuerySchema(PageQuerySchema):
    target = word("Only in this target instance.", "snowflake-prod")
    classification = word("Only with this classification, in any case.", "Email")
    table = word(f"Only of this table: {TABLE_PATH}.", "CRM.PUBLIC.CUSTOMERS")


class AnnotationPageSchema(Schema):
    items = fields.List(fields.Nested(AnnotationSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})
