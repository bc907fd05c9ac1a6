"""The API, one blueprint per noun. A new noun is one file here and one line in `register`."""

from flask import Flask
from flask_smorest import Api

from app.api import events, health, incidents, pages, tokens, webhooks

COUNTED = ("events", "incidents", "tokens")  # against a client's limit; never deliveries, nor what machines ask all the time


def register(app: Flask, api: Api) -> None:
    """Adds every endpoint."""
    for described in (webhooks.blueprint(), events.blp, incidents.blp, tokens.blp, health.blp):
        api.register_blueprint(described)
    app.register_blueprint(pages.blp)
