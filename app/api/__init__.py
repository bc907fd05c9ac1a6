"""The API, one blueprint per noun. A new noun is one file here and one word below."""

from flask import Flask
from flask_smorest import Api

from app.api import (
    annotations,
    assets,
    audit,
    backfills,
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

EVENTS = (events, incidents, assets)
SECURITY = (rules, propagations, previews, annotations, backfills, targets, protection, plans, drift, audit)
# Against a client's limit; never deliveries, nor what machines ask all the time.
COUNTED = tuple(noun.blp.name for noun in (*EVENTS, *SECURITY, tokens))


def register(app: Flask, api: Api) -> None:
    """Adds every endpoint. Raises SettingsError for a source or target that no connector serves."""
    targets.check_kinds()
    for described in (webhooks.blueprint(), *(noun.blp for noun in (*EVENTS, *SECURITY, tokens, health))):
        api.register_blueprint(described)
    app.register_blueprint(pages.blp)
