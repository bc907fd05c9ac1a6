"""Tokens: the grant of RFC 6749, section 4.4, as form fields."""

from marshmallow import EXCLUDE, Schema, fields


class GrantSchema(Schema):
    class Meta:
        unknown = EXCLUDE  # RFC 6749, section 3.2: parameters that are not understood are ignored

    grant_type = fields.String(metadata={"example": "client_credentials", "description": "Always `client_credentials`."})
    client_id = fields.String(metadata={"example": "demo", "description": "Unless HTTP Basic says it."})
    client_secret = fields.String(metadata={"format": "password", "description": "Unless HTTP Basic says it."})
    scope = fields.String(
        metadata={
            "example": "events:read",
            "description": "Fewer scopes than the client has, separated by spaces; all without it.",
        }
    )


class TokenSchema(Schema):
    access_token = fields.String()
    token_type = fields.String(metadata={"example": "Bearer"})
    expires_in = fields.Integer(metadata={"description": "Seconds.", "example": 3600})
    scope = fields.String(metadata={"example": "events:read events:replay"})
