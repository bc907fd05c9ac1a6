"""ETags: on what is read again and again a hash of the answer's bytes; on what has versions the version, as `"3"`."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, request

from app.openapi import names_its_state
from app.problems import OUTDATED, PRECONDITION_REQUIRED, Problem

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "description": "The `ETag` of the version that the change was made from.",
}
View = TypeVar("View", bound=Callable[..., Any])


def etagged(view: View) -> View:
    """Answers 304 without a body where `If-None-Match` names the present state. The view must answer a Response.

    An ETag that the view has set itself stays.
    """

    @wraps(view)
    def named(*args: Any, **kwargs: Any) -> Response:
        response: Response = view(*args, **kwargs)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "private, no-cache"  # may be kept, must be asked about
            response.add_etag()
            response.make_conditional(request)
        return response

    return names_its_state(named)  # type: ignore[return-value]


def of_version(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def check_match(version: int) -> None:
    """Whether the request means this version. Raises Problem 428 if it does not say, 412 if it means another."""
    if not request.headers.get("If-Match"):
        raise Problem(PRECONDITION_REQUIRED, f'The present version is {version}: If-Match: "{version}".')
    if not request.if_match.is_strong(str(version)) and not request.if_match.star_tag:
        raise outdated(version)


def outdated(version: int) -> Problem:
    return Problem(
        OUTDATED, f"The present version is {version}.", headers=of_version(version), extra={"current_version": version}
    )
