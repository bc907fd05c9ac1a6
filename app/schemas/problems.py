"""Problem documents (RFC 9457). For the documentation: problems are made by app.problems."""

from marshmallow import Schema, fields


class FaultSchema(Schema):
    field = fields.String(required=True, metadata={"description": "Path of the field.", "example": "filter.since"})
    reason = fields.String(required=True, metadata={"description": "What is wrong with it."})


class ProblemSchema(Schema):
    type = fields.String(
        required=True,
        metadata={"format": "uri", "description": "Names the kind of problem, and leads to a page that explains it."},
    )
    title = fields.String(required=True, metadata={"description": "The kind of problem in a few words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(metadata={"description": "What went wrong this time."})
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "The fields that are wrong."})
    trace_id = fields.String(metadata={"description": "What the log knows this request by."})
