"""Health, as machines read it."""

from marshmallow import Schema, fields


class LiveSchema(Schema):
    status = fields.String(metadata={"example": "ok"})


class ReadySchema(Schema):
    status = fields.String(metadata={"enum": ["ok", "degraded"]})
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"example": {"table": "ok", "bus": "ok", "redis": "ok"}, "description": "What each thing that Lily needs says."},
    )
