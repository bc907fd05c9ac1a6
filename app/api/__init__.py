"""The API, one blueprint per noun. A new noun is one file here and one line in `register`."""

from flask import Flask
from flask_smorest import Api

from app.api import (
    annotations,
    audit,
    drift,
    events,
    health,
    incidents,
    pages,
    plans,
    previews,
    propagations,
    protection,
    rules,
    targets,
    tokens,
    webhooks,
)

SECURITY = (rules, propagations, previews, annotations, targets, protection, plans, drift, audit)
OTHERS = (events, incidents, tokens)
COUNTED = tuple(
    noun.blp.name for noun in (*OTHERS, *SECURITY)
)  # against a client's limit; never deliveries, nor what machines ask all the time


def register(app: Flask, api: Api) -> None:
    """Adds every endpoint."""
    security = [noun.blp for noun in SECURITY]
    for described in (webhooks.blueprint(), events.blp, incidents.blp, *security, tokens.blp, health.blp):
        api.register_blueprint(described)
    app.register_blueprint(pages.blp)
