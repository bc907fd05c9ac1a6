"""Lily's API as the command line calls it: one server, one token, and every refusal in words that say the way out.

Proxies are not used: Lily is called where LILY_URL says. Raises Refused, which ends a command with exit code 1.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click
import httpcore

from lily.runtime.outgoing import retry_after_s

CONNECT_S = 5.0
BUSY_S_MAX = 60.0  # a limit of calls per minute is over by then
WAYS_OUT = {
    401: "set LILY_TOKEN to a token of this server that has not expired, or LILY_TOKEN_CLIENT and LILY_TOKEN_SECRET",
    403: "take a client whose LILY_CLIENT_<NAME>_SCOPES hold the scope that is named",
    412: "somebody changed it meanwhile; run the command again",
    429: "wait, or raise LILY_RATE_LIMIT",
    503: "wait a moment and run the command again; `lily doctor` shows what is down",
}


class Refused(click.ClickException):
    """Lily said no, or did not answer. `status` is 0 where nothing was answered; `document` is the problem detail."""

    def __init__(self, message: str, status: int = 0, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.document = dict(document or {})


@dataclass(frozen=True)
class Credentials:
    """A token, or a client that gets one from POST /auth/token."""

    token: str = field(default="", repr=False)
    client: str = ""
    secret: str = field(default="", repr=False)


@dataclass
class Api:
    """A connection to one server. `token` is got with the first call that needs it."""

    url: str
    credentials: Credentials = Credentials()
    pool: httpcore.ConnectionPool = field(default_factory=httpcore.ConnectionPool, repr=False)
    token: str = field(default="", repr=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        version: int | None = None,
        timeout_s: float = 30.0,
    ) -> Any:
        """The answer's document. `version` goes into If-Match. Too many calls, and reading while Lily is busy, are repeated."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = path + (f"?{urlencode(given)}" if given else "")
        headers = {"If-Match": f'"{version}"'} if version is not None else {}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        ends_at = time.monotonic() + BUSY_S_MAX
        while True:
            own = {"Authorization": f"Bearer {self._token()}"}
            answer = self.send(method, target, headers | own, content, timeout_s)
            if answer.status == 401 and self.token:
                self.token = ""  # it has ended during a long command; a new one either does or cannot be had
                answer = self.send(method, target, headers | {"Authorization": f"Bearer {self._token()}"}, content, timeout_s)
            wait_s = _pause_s(method, answer)
            if wait_s is None or time.monotonic() + wait_s > ends_at:
                return _document(answer, f"{method} {path}")
            time.sleep(wait_s)

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of all pages."""
        cursor = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None, timeout_s: float = 30.0
    ) -> httpcore.Response:
        """One request, whatever is answered. Raises Refused if nothing is."""
        times = {"connect": CONNECT_S, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        named = [("Accept", "application/json"), ("User-Agent", "lily-command"), *headers.items()]
        try:
            return self.pool.request(
                method, self.url.rstrip("/") + target, headers=named, content=content, extensions={"timeout": times}
            )
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError) as error:
            why = str(error) or type(error).__name__
            raise Refused(f"{self.url} does not answer ({why}); is Lily running there? LILY_URL or --url says where") from error
        except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError, UnicodeError) as error:
            # Their texts may quote the token.
            raise Refused("The call cannot be made: check LILY_URL, and LILY_TOKEN for odd characters") from error

    def _token(self) -> str:
        known = self.token or self.credentials.token
        if known:
            return known
        if not self.credentials.client:
            raise Refused("No token: set LILY_TOKEN, or LILY_TOKEN_CLIENT and LILY_TOKEN_SECRET")
        pair = f"{quote(self.credentials.client)}:{self.credentials.secret}".encode()
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = self.send("POST", "/auth/token", headers, b"grant_type=client_credentials")
        self.token = str(_document(answer, "POST /auth/token")["access_token"])
        return self.token


def checked_url(_: click.Context, __: click.Parameter, value: str) -> str:
    """The callback of --url. Raises BadParameter."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{value!r} is no address; expected http://host:port or https://host")
    return value


def part(text: str) -> str:
    """`text` as one part of a path."""
    return quote(text, safe="")


def _pause_s(method: str, answer: httpcore.Response) -> float | None:
    if answer.status != 429 and not (answer.status == 503 and method == "GET"):
        return None
    named = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
    wait_s = retry_after_s(named.get(b"retry-after"))
    return 1.0 if wait_s is None else max(0.1, wait_s)


def _document(answer: httpcore.Response, what: str) -> Any:
    try:
        document = json.loads(answer.content) if answer.content else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refused(f"{what}: answered {answer.status} with no JSON object; is LILY_URL the address of Lily?", answer.status)
    if answer.status >= 400:
        raise Refused(explained(document, answer.status), answer.status, document)
    return document


def explained(document: Mapping[str, Any], status: int) -> str:
    """A problem detail for a person: title, detail, each field, and what to do."""
    lines = [f"{document.get('title', 'refused')} ({status})"]
    if document.get("detail"):
        lines.append(str(document["detail"]))
    lines += [f"{fault['field']}: {fault['reason']}" for fault in document.get("errors", [])]
    if status in WAYS_OUT:
        lines.append(f"what to do: {WAYS_OUT[status]}")
    if document.get("trace_id") and status >= 500:
        lines.append(f"trace id: {document['trace_id']}")
    return "\n  ".join(lines)
