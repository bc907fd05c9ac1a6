"""The API, one blueprint per noun. A new noun is one file here and one line in `register`."""

from flask import Flask
from flask_limiter import Limiter
from flask_smorest import Api

from app.api import events, health, incidents, pages, tokens, webhooks


def register(app: Flask, api: Api, limiter: Limiter) -> None:
    """Adds every endpoint. Deliveries and what machines ask every few seconds are not counted against anyone's limit."""
    deliveries = webhooks.blueprint()
    for uncounted in (deliveries, health.blp, pages.blp):
        limiter.exempt(uncounted)
    for documented in (deliveries, events.blp, incidents.blp, tokens.blp, health.blp):
        api.register_blueprint(documented)
    app.register_blueprint(pages.blp)
