"""Lily's HTTP face. Importing it loads nothing; `create_app` puts it together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def create_app() -> "Flask":
    """The WSGI application of this process' settings. Connects to nothing. Raises SettingsError with every fault."""
    from flask import Flask

    from app import api, auth, bodies, headers, limits, openapi, paths, problems
    from lily.runtime.settings import settings

    config = settings()
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = bodies.BYTES_MAX
    app.json.sort_keys = False  # type: ignore[attr-defined] # payloads are shown as they were sent
    paths.configure(app)
    auth.configure(app)
    api.register(app, openapi.configure(app))
    limits.configure(app, api.COUNTED)
    problems.register(app)
    app.wsgi_app = headers.dressed(app.wsgi_app, config.public_url.startswith("https:"))  # type: ignore[assignment,method-assign]
    return app
