"""Assets of catalogs: what is shown on them, what was not found there, and which connection is which warehouse."""

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length, OneOf

from app.schemas.events import word
from app.schemas.rules import PageQuerySchema, when

KINDS = ["snowflake", "databricks"]
STATES = ["shown", "due", "failing", "gone"]


class AssetQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    catalog = word("Name of the catalog; needed where there are several.", "atlan")


class NamedAssetQuerySchema(AssetQuerySchema):
    qualified_name = fields.String(
        required=True,
        validate=Length(1, 4000),
        metadata={"description": "Its name in the catalog, such as `default/snowflake/1700000000/DB/SCHEMA/TABLE`."},
    )


class UnresolvedQuerySchema(PageQuerySchema):
    catalog = word("Only in this catalog.", "atlan")


class BadgeSchema(Schema):
    type = fields.String(metadata={"enum": ["issue", "warning", "information"]})
    title = fields.String()
    message = fields.String()


class ShownIncidentSchema(Schema):
    source = fields.String()
    id = fields.String()
    title = fields.String()
    severity = fields.String(allow_none=True)
    url = fields.String()
    version = fields.Integer(metadata={"description": "Of the incident, as the asset was told of it last."})


class UpstreamSchema(Schema):
    qualified_name = fields.String()
    name = fields.String()
    open_incidents = fields.Integer()
    worst_severity = fields.String(allow_none=True)


class AssetSchema(Schema):
    catalog = fields.String()
    qualified_name = fields.String()
    type = fields.String(metadata={"description": "As the catalog calls it, such as Table."})
    guid = fields.String()
    name = fields.String()
    state = fields.String(
        metadata={
            "enum": STATES,
            "description": "shown: people see what they should. due: it is about to be written. failing: the catalog refuses or "
            "does not answer, see `reason`. gone: it is not in the catalog any more.",
        }
    )
    badge = fields.Nested(BadgeSchema, allow_none=True, metadata={"description": "What should be seen; null: nothing."})
    kept = fields.Nested(
        BadgeSchema,
        allow_none=True,
        metadata={"description": "Somebody else's announcement, which stays where the badge would be."},
    )
    incidents = fields.List(fields.Nested(ShownIncidentSchema), metadata={"description": "Open incidents."})
    upstream = fields.List(
        fields.Nested(UpstreamSchema), metadata={"description": "Assets with open incidents that it is made from."}
    )
    version = fields.Integer(metadata={"description": "Number of changes of what should be seen."})
    version_written = fields.Integer(metadata={"description": "The number that people see."})
    written_at = when("When it was written last.")
    due_at = when("When it is written next, if it is.")
    failures = fields.Integer(metadata={"description": "Tries in a row that failed."})
    reason = fields.String(allow_none=True, metadata={"description": "Why the last try failed."})


class UnresolvedSchema(Schema):
    catalog = fields.String()
    table = fields.String(metadata={"description": "As its source names it."})
    warehouse = fields.String(allow_none=True, metadata={"description": "The source's id of its warehouse."})
    reason = fields.String(
        metadata={
            "enum": ["unknown_connection", "malformed", "not_found", "ambiguous", "other_type"],
            "description": "What is wrong.",
        }
    )
    detail = fields.String(metadata={"description": "For the person who could change that."})
    incidents = fields.Integer(metadata={"description": "How many incidents wait for it; at most 100 are counted."})
    since = when("When it was missed first.", nullable=False)
    due_at = when("When it is looked for again.")


class UnresolvedPageSchema(Schema):
    items = fields.List(fields.Nested(UnresolvedSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class ConnectionSchema(Schema):
    class Meta:
        unknown = RAISE

    qualified_name = fields.String(
        required=True,
        validate=Length(1, 500),
        metadata={"description": "Its qualified name in the catalog, without a slash at the end."},
    )
    kind = fields.String(required=True, validate=OneOf(KINDS), metadata={"enum": KINDS, "description": "Kind of warehouse."})
    warehouses = fields.List(
        fields.String(validate=Length(1, 200)),
        load_default=list,
        validate=Length(max=50),
        metadata={"description": "Ids by which sources know the warehouse. None: all that no other connection claims."},
    )


class ConnectionsSchema(Schema):
    class Meta:
        unknown = RAISE

    connections = fields.List(fields.Nested(ConnectionSchema), required=True, validate=Length(max=100))


class ConnectionMapSchema(Schema):
    catalog = fields.String()
    connections = fields.List(fields.Nested(ConnectionSchema), metadata={"description": "Named here."})
    configured = fields.List(
        fields.Nested(ConnectionSchema),
        metadata={"description": "Of the settings; one that is named above counts as it is there."},
    )
