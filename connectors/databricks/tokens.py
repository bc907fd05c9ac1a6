"""Tokens of OAuth client credentials, one for each identity, fetched by one thread at a time with a deadline.

An identity is Lily's service principal, or a group that it assumes as a role (`assume_group`, a public preview).
Source: docs.databricks.com, OAuth M2M; the vendor's SDK, which sends the same request.
"""

import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from connectors.contracts import Refused
from lily.runtime import logs, outgoing
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings

log = logs.get(__name__)

PATH = "/oidc/v1/token"
USED = 0.8  # of its life; then the next is fetched


@dataclass
class _Held:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: str = ""
    until: float = 0.0


_held: dict[tuple[int, str, str], _Held] = {}
_lock = threading.Lock()


class Strategy:
    """How the SDK gets the headers of each request."""

    NAME: ClassVar = "lily-oauth"

    def __init__(self, config: TargetSettings, group: str) -> None:
        self._config = config
        self._group = group

    def auth_type(self) -> str:
        return self.NAME

    def __call__(self, _: Any) -> Callable[[], dict[str, str]]:
        return lambda: headers(self._config, self._group)


def headers(config: TargetSettings, group: str) -> dict[str, str]:
    """Raises Transient if no token is to be had, and Refused if the group cannot be assumed."""
    key = (os.getpid(), config.name, group)
    with _lock:
        held = _held.setdefault(key, _Held())
    with held.lock:  # the others wait for the one that asks, not longer than its deadline
        if time.monotonic() >= held.until:
            held.value, life_s = _fetch(config, group)
            held.until = time.monotonic() + USED * life_s
        return _headers(held)


def refused(config: TargetSettings, group: str, used: Mapping[str, str]) -> None:
    """These headers were not let in: the next request fetches another token, unless somebody has meanwhile."""
    with _lock:
        held = _held.get((os.getpid(), config.name, group))
    if held is not None:
        with held.lock:
            if _headers(held) == used:
                held.until = 0.0


def forget(instance: str) -> None:
    with _lock:
        for key in [key for key in _held if key[1] == instance]:
            del _held[key]


def _headers(held: _Held) -> dict[str, str]:
    return {"Authorization": f"Bearer {held.value}"}


def _fetch(config: TargetSettings, group: str) -> tuple[str, float]:
    if not config.oauth_client_id:
        raise Permanent(f"{config.name}: no OAuth client to log in with; set OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET")
    secret = config.oauth_client_secret.reveal() if config.oauth_client_secret else ""
    basic = b64encode(f"{config.oauth_client_id}:{secret}".encode()).decode()
    fields = {"grant_type": "client_credentials", "scope": config.oauth_scope or "all-apis"}
    try:
        told = outgoing.post_form(
            config.oauth_token_url or f"{config.url}{PATH}",
            {**fields, **({"assume_group": group} if group else {})},
            headers={"authorization": f"Basic {basic}"},
            timeout_s=config.statement_timeout_s,
            name=f"databricks-login:{config.name}",
        )
        return str(told["access_token"]), float(told.get("expires_in") or 0)
    except Permanent as refusal:
        if group:
            raise Refused(f"{config.name}: group {group} cannot be assumed ({refusal.status})", "unsupported") from None
        log.error("target.login_refused", target=config.name, status=refusal.status)
        raise Transient(f"{config.name}: login refused ({refusal.status}): look at the OAuth client and its secret") from None
    except (KeyError, TypeError, ValueError) as error:
        raise Transient(f"{config.name}: the answer of the token endpoint holds no token") from error
