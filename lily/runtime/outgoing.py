"""JSON over HTTP to outside systems: one deadline for the whole call, and every failure as Transient or Permanent.

No redirects, no cookies, no compressed answers. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured, and SSL_CERT_FILE.
"""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import orjson

from lily.runtime import breaker, clock, deadlines, metrics, trace
from lily.runtime.errors import Permanent, Transient
from lily.runtime.redact import text

ANSWER_BYTES_MAX = 16 * 2**20
REFUSAL_BYTES_MAX = 4 * 2**10
CONNECTIONS_MAX = 100
KEEPALIVE_S = 15.0  # shorter than the idle time after which servers and balancers usually hang up
TRANSIENT_STATUS = frozenset({408, 425, 429})  # and every 5xx

# By process, so that a fork never speaks on its parent's connections, and by proxy.
_pools: dict[tuple[int, str], httpcore.ConnectionPool] = {}


def post_json(url: str, body: Any, *, headers: Mapping[str, str], timeout_s: float, name: str) -> Any:
    """What `url` answers to `body`, parsed. It is over after `timeout_s`, connecting and the last byte included.

    Sent once: whether to repeat is the caller's to know. `name` is the system, as in its breaker, the metrics and the
    reasons. Raises Transient (away, late, 408, 425, 429, 5xx, not JSON, breaker open) and Permanent (any other refusal).
    """
    return _call(name, _Request("POST", url, headers, orjson.dumps(body)), timeout_s)


def post_form(url: str, fields: Mapping[str, str], *, headers: Mapping[str, str], timeout_s: float, name: str) -> Any:
    """What `url` answers to a form, as token endpoints take it; everything else as for `post_json`."""
    told = {"content-type": "application/x-www-form-urlencoded", **headers}
    return _call(name, _Request("POST", url, told, urlencode(fields).encode()), timeout_s)


def get_json(url: str, *, headers: Mapping[str, str], timeout_s: float, name: str) -> Any:
    """What `url` shows, parsed; everything else as for `post_json`."""
    return _call(name, _Request("GET", url, headers), timeout_s)


def warm(url: str) -> None:
    """Make the pool of connections for `url` now: reading the certificates takes a while. Connects to nothing."""
    _pool(url)


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None


def _call(name: str, request: _Request, timeout_s: float) -> Any:
    return breaker.call(name, lambda: _timed(name, request, timeout_s))


def _timed(name: str, request: _Request, timeout_s: float) -> Any:
    began, outcome = time.perf_counter(), "bug"
    try:
        answer = _send(name, request, timeout_s)
        outcome = "ok"
    except Transient:
        outcome = "transient"
        raise
    except Permanent:
        outcome = "permanent"
        raise
    finally:
        metrics.observe("lily_outgoing_seconds", time.perf_counter() - began, system=name, outcome=outcome)
    return answer


def _send(name: str, request: _Request, timeout_s: float) -> Any:
    try:
        with (
            deadlines.within(timeout_s),
            _pool(request.url).stream(
                request.method,
                request.url.encode("ascii"),
                headers=_headers(request.headers),
                content=request.content,
                extensions={"timeout": {"pool": timeout_s}},
            ) as response,
        ):
            if not 200 <= response.status < 300:
                raise _refusal(name, response)
            raw = _read(response, ANSWER_BYTES_MAX + 1)
    except httpcore.TimeoutException as error:
        raise Transient(f"{name}: no whole answer within {timeout_s:g} s") from error
    except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError, UnicodeEncodeError):
        # Their texts quote the header that is wrong, which may be the one with the key.
        raise Permanent(f"{name}: the call cannot be made; check its URL, and its key for odd characters") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
        raise Transient(f"{name}: {type(error).__name__}: {text(str(error), 200)}") from error
    if len(raw) > ANSWER_BYTES_MAX:
        raise Permanent(f"{name}: the answer is larger than {ANSWER_BYTES_MAX} bytes; ask for less at once")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Transient(f"{name}: answered {response.status} with something that is not JSON") from error


def _headers(given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    own = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity", "user-agent": "lily"}
    if bound := trace.current():
        own["traceparent"] = bound.child().header()
    theirs = {name.lower(): value for name, value in given.items()}
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in (own | theirs).items()]


def _read(response: httpcore.Response, bytes_max: int) -> bytes:
    """The answer, or its first `bytes_max` bytes or a little more."""
    parts, size = [], 0
    for part in response.iter_stream():
        parts.append(part)
        size += len(part)
        if size >= bytes_max:
            break
    return b"".join(parts)


def _refusal(name: str, response: httpcore.Response) -> Transient | Permanent:
    headers = {key.lower(): value.decode("latin-1") for key, value in response.headers}
    if response.status in TRANSIENT_STATUS or response.status >= 500:
        reason = f"{name}: answered {response.status}"
        return Transient(reason, retry_after_s(headers.get(b"retry-after")), response.status)
    if 300 <= response.status < 400:
        location = text(headers.get(b"location", "nowhere"), 200)
        return Permanent(
            f"{name}: answered {response.status}, which leads to {location}; set the address it is now at", response.status
        )
    said = text(_read(response, REFUSAL_BYTES_MAX).decode("utf-8", "replace"), 300).strip()
    return Permanent(f"{name}: answered {response.status}{': ' + said if said else ''}", response.status)


def retry_after_s(header: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or an HTTP date; None if it is missing or malformed."""
    given = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given):
        return float(given)
    try:
        at = parsedate_to_datetime(given)
    except (ValueError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000": a time in UTC whose place is not known
        at = at.replace(tzinfo=clock.now().tzinfo)
    return max(0.0, (at - clock.now()).total_seconds())


def _pool(url: str) -> httpcore.ConnectionPool:
    proxy = _proxy_of(url)
    key = (os.getpid(), proxy)
    return _pools.get(key) or _pools.setdefault(key, _make_pool(proxy))


def _proxy_of(url: str) -> str:
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme) or getproxies().get("all") or ""
    return "" if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]) else proxy


def _make_pool(proxy: str) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=httpcore.default_ssl_context(),
        proxy=_proxy(proxy) if proxy else None,
        max_connections=CONNECTIONS_MAX,
        keepalive_expiry=KEEPALIVE_S,
        network_backend=deadlines.Backend(),
    )


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(url=f"{parts.scheme}://{host}:{parts.port or 80}", auth=auth)
