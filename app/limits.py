"""How much one client may ask of the API: counted in Redis, or in memory while Redis is away. Webhooks are not counted."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter
from limits.errors import StorageError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app import auth, senders
from lily.runtime import logs
from lily.runtime.settings import settings

POLICY = "client"
REDIS_TIMEOUT_S = 0.3  # a hanging Redis costs each request in flight this once; then it is left alone for a while

log = logs.get("app.limits")


def sender() -> str:
    """The address of whoever sent this request, seen through trusted proxies only."""
    forwarded_for = request.headers.get("X-Forwarded-For", "")
    return senders.address(request.remote_addr or "", forwarded_for, settings().web.trusted_proxies)


def configure(app: Flask, blueprints: Sequence[str]) -> None:
    """Counts the requests to these blueprints. Others do not even pass the limiter, which takes a fifth of a delivery's time."""
    options: dict[str, Any] = {  # whatever redis.from_url takes
        "socket_timeout": REDIS_TIMEOUT_S,
        "socket_connect_timeout": REDIS_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),  # the client's own would multiply what a hanging Redis costs
    }
    limiter = Limiter(
        _client,
        application_limits=[settings().rate_limit],
        strategy="fixed-window",
        storage_uri=settings().redis_url,
        storage_options=options,
        key_prefix=f"lily:limits:{settings().installation}",
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    hooks: tuple[Any, ...] = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
    others = [list(hook[None]) for hook in hooks]
    limiter.init_app(app)
    for hook, kept in zip(hooks, others, strict=True):  # Flask has no public way to hook into blueprints of one application
        added, hook[None] = hook[None][len(kept) :], kept
        for name in blueprints:
            hook[name].extend(added)
    for name in blueprints:
        app.after_request_funcs[name].append(partial(_show, limiter))


def _client() -> str:
    client = auth.identified()
    return f"client:{client}" if client else f"address:{sender()}"


def _show(limiter: Limiter, response: Response) -> Response:
    """`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After on a 429."""
    current = limiter.current_limit
    if current is None:
        return response
    try:
        wait_s = max(1, int(current.reset_at - time.time()))
        remaining = max(0, current.remaining)
    except (StorageError, OSError, RedisError) as error:
        log.warning("limits.unread", reason=str(error))
        return response
    response.headers["RateLimit-Policy"] = f'"{POLICY}";q={current.limit.amount};w={current.limit.get_expiry()}'
    response.headers["RateLimit"] = f'"{POLICY}";r={remaining};t={wait_s}'
    if current.breached:
        response.headers["Retry-After"] = str(wait_s)
    return response
