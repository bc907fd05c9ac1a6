"""ETags on what is read again and again: the name of an answer is a hash of its bytes."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, request

from app.openapi import names_its_state

View = TypeVar("View", bound=Callable[..., Any])


def etagged(view: View) -> View:
    """Answers 304 without a body where `If-None-Match` names the present state. The view must answer a Response."""

    @wraps(view)
    def named(*args: Any, **kwargs: Any) -> Response:
        response: Response = view(*args, **kwargs)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "private, no-cache"  # may be kept, must be asked about
            response.add_etag()
            response.make_conditional(request)
        return response

    return names_its_state(named)  # type: ignore[return-value]
