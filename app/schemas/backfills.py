"""Backfills of annotations from a catalog: what may be asked for, and what is answered."""

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length

from app.schemas.rules import PageQuerySchema, texts, when
from lily.domain.backfills import Phase, State

TAGS_MAX = 100


def _name(description: str, example: str) -> fields.String:
    return fields.String(
        load_default=None, allow_none=True, validate=Length(1, 500), metadata={"description": description, "example": example}
    )


class BackfillWishSchema(Schema):
    class Meta:
        unknown = RAISE

    catalog = _name("Name of the catalog; needed where there are several.", "atlan")
    connection = _name(
        "Qualified name of the connection, which must be a target's; needed where there are several.",
        "default/snowflake/1700000000",
    )
    pattern = _name("Only tables that this path means, wildcards as in rules: `DATABASE.SCHEMA.TABLE`.", "CRM.PUBLIC.*")
    tags = fields.List(
        fields.String(validate=Length(1, 500)),
        load_default=None,
        allow_none=True,
        validate=Length(1, TAGS_MAX),
        metadata={"description": "Only assets with one of these tags, by name in any case; without it all tags."},
    )
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "true: count what would be stated, and change nothing."}
    )


class BackfillLinksSchema(Schema):
    self = fields.String(metadata={"format": "uri"})


class BackfillSchema(Schema):
    id = fields.String()
    catalog = fields.String()
    connection = fields.String()
    pattern = fields.String(allow_none=True)
    tags = texts("Names of the tags that are meant; empty: all.")
    dry_run = fields.Boolean()
    by = fields.String(metadata={"description": "The client that asked for it, or `schedule`."})
    state = fields.String(metadata={"enum": [state.value for state in State]})
    phase = fields.String(
        metadata={
            "enum": [phase.value for phase in Phase],
            "description": "search: what is tagged is read. check: what is annotated is compared with the catalog's store.",
        }
    )
    about = fields.Integer(
        metadata={"description": "How many assets are tagged, as the catalog estimates; 0 before it was asked."}
    )
    seen = fields.Integer(metadata={"description": "Tagged assets found so far."})
    stated = fields.Integer(metadata={"description": "Places of which something more was stated, or would be in a dry run."})
    asked = fields.Integer(metadata={"description": "Assets that are read once more because something seems to be missing."})
    elsewhere = fields.Integer(metadata={"description": "Assets that are no column or table of a target, or not meant."})
    checked = fields.Integer(metadata={"description": "Annotated places that were compared with the catalog's store."})
    reason = fields.String(metadata={"description": "Why it failed, or why it waits for another attempt; else empty."})
    started_at = when("When it began.", nullable=False)
    progress_at = when("When it came forward last.")
    ended_at = when("When it ended; null: it has not.")
    links = fields.Nested(BackfillLinksSchema)


class BackfillPageSchema(Schema):
    items = fields.List(fields.Nested(BackfillSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class BackfillQuerySchema(PageQuerySchema):
    pass
