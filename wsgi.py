"""WSGI entry, for servers other than the one that `python -m app.serve` starts."""

from app import create_app

app = create_app()
