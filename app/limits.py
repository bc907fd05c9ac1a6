"""How much one client may ask of the API: counted in Redis, or in memory while Redis is away. Webhooks are not counted."""

import time
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


def configure(app: Flask) -> Limiter:
    """Counts every request but those of blueprints that ask to be exempt."""
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
    limiter.init_app(app)

    @app.after_request
    def show_limit(response: Response) -> Response:
        _show(limiter, response)
        return response

    return limiter


def _client() -> str:
    client = auth.identified()
    return f"client:{client}" if client else f"address:{sender()}"


def _show(limiter: Limiter, response: Response) -> None:
    """`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After on a 429."""
    current = limiter.current_limit
    if current is None:
        return
    try:
        wait_s = max(1, int(current.reset_at - time.time()))
        remaining = max(0, current.remaining)
    except (StorageError, OSError, RedisError) as error:
        log.warning("limits.unread", reason=str(error))
        return
    response.headers["RateLimit-Policy"] = f'"{POLICY}";q={current.limit.amount};w={current.limit.get_expiry()}'
    response.headers["RateLimit"] = f'"{POLICY}";r={remaining};t={wait_s}'
    if current.breached:
        response.headers["Retry-After"] = str(wait_s)
