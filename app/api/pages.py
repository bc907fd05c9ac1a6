"""Pages for people: where to begin, the API's documentation, and what each kind of problem means."""

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, render_template, request, send_from_directory

from app.problems import KINDS, NOT_FOUND, Problem
from lily.runtime.settings import settings

ASSET_MAX_AGE_S = 3600
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
FORMS = ["application/json", "text/html"]  # the first is for those who take anything, as curl does

blp = Blueprint("pages", __name__)


@blp.get("/")
def home() -> str | dict[str, object]:
    """Where to begin."""
    paths = {"documentation": "/docs", "description": "/openapi.json", "events": "/events", "incidents": "/incidents"}
    paths |= {"tokens": "/auth/token", "health": "/readyz", "figures": "/metrics"}
    if _wants_json():
        return {"name": "lily", "links": {name: settings().public_url + path for name, path in paths.items()}}
    client = next(iter(settings().clients), "my-client")
    return render_template("home.html", sources=list(settings().sources), url=settings().public_url, client=client)


@blp.get("/docs")
def documentation() -> str:
    """The API's documentation, which can be tried out."""
    return render_template("docs.html")


@blp.get("/docs/<string:name>")
def documentation_asset(name: str) -> Response:
    """Swagger UI's own files, as its package brings them."""
    return send_from_directory(_swagger_ui(), name, max_age=ASSET_MAX_AGE_S)


@blp.get("/problems/<string:slug>")
def problem(slug: str) -> str | dict[str, object]:
    """What a kind of problem means, and what to do about it."""
    kind = KINDS.get(slug)
    if kind is None:
        raise Problem(NOT_FOUND, f"There is no kind of problem called {slug[:80]}.")
    if _wants_json():
        return {"slug": kind.slug, "status": kind.status, "title": kind.title, "meaning": kind.meaning}
    return render_template("problem.html", kind=kind)


@blp.get("/schemas/<string:name>")
def schema(name: str) -> Response:
    """The JSON Schema of a published event type: the `dataschema` of every message leads here."""
    return send_from_directory(SCHEMAS, name, mimetype="application/schema+json", max_age=ASSET_MAX_AGE_S)


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(FORMS) != "text/html"


def _swagger_ui() -> Path:
    spec = find_spec("flask_swagger_ui")  # for its files only: its own page has a script inline, which the CSP forbids
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("flask-swagger-ui is not installed; its files are the documentation's page")
    return Path(spec.submodule_search_locations[0]) / "dist"
