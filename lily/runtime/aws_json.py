"""The few AWS calls that every event makes, without boto3's general machinery, for less CPU per request.

Credentials, endpoint, proxies and connections are still botocore's. For services that speak AWS' JSON protocol, signed as
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html says. boto3 serves all other calls.
"""

import base64
import hashlib
import hmac
import random
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from lily.runtime import aws, metrics
from lily.runtime.errors import Permanent, Transient

_PREFIX = {"dynamodb": ("DynamoDB_20120810", "1.0"), "events": ("AWSEvents", "1.1")}  # of the target; version of the protocol
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
_SIGNED_WITH_TOKEN = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"  # noqa: S105 - names of headers


@dataclass(frozen=True)
class _Line:
    """The way to one service, with one patience. Safe to share between threads."""

    service: str
    url: str
    host: str
    region: str
    credentials: Any
    session: Any


def call(service: str, operation: str, request: Mapping[str, Any], timeout_s: float = 2.0, attempts: int = 3) -> dict[str, Any]:
    """The answer of one call, which `attempts` tries may take `timeout_s` each.

    Raises aws.ConditionFailed, aws.Cancelled, Transient (again later) or Permanent (it would fail again). `bytes` in `request`
    travel in base64; those in the answer stay so.
    """
    body = orjson.dumps(request, default=_base64)
    for attempt in range(1, attempts + 1):
        try:
            return _once(service, operation, body, timeout_s)
        except Transient:
            if attempt == attempts:
                raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
    raise AssertionError("at least one attempt is needed")


def warm(service: str, timeout_s: float = 2.0) -> None:
    """Make ready what the first call would wait for. Connects to nothing."""
    _line(service, timeout_s)


def _once(service: str, operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
    from botocore import exceptions
    from botocore.awsrequest import AWSPreparedRequest

    line = _line(service, timeout_s)
    metrics.count("lily_aws_calls_total", call=operation)
    try:
        headers = signed(line, operation, body, time.gmtime())
        answer = line.session.send(AWSPreparedRequest("POST", line.url, headers, body, stream_output=False))
        content = answer.content
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise Transient(f"AWS did not answer: {type(error).__name__}") from error
    except exceptions.BotoCoreError as error:
        raise Permanent(f"{type(error).__name__}: {error}") from error
    if "x-amz-crc32" in answer.headers and zlib.crc32(content) != int(answer.headers["x-amz-crc32"]):
        raise Transient(f"{operation}: the answer was damaged on its way")
    if answer.status_code != 200:
        raise _failure(operation, answer.status_code, content)
    try:
        result: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Transient(f"{operation}: the answer is no JSON; something between here and AWS gave it") from error
    return result


def _failure(operation: str, status: int, content: bytes) -> Exception:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = {}
    code = str(document.get("__type", "")).rpartition("#")[2].partition(":")[0]
    if code == "ConditionalCheckFailedException":
        return aws.ConditionFailed(document.get("Item", {}))
    if code == "TransactionCanceledException" and document.get("CancellationReasons"):
        return aws.Cancelled([reason.get("Code") or "None" for reason in document["CancellationReasons"]])
    text = f"{operation}: {code or status}: {document.get('message') or document.get('Message') or ''}"
    return Transient(text) if code in aws.RETRY_ALONE or status >= 500 or status == 429 else Permanent(text)


def signed(line: "_Line", operation: str, body: bytes, at: time.struct_time) -> dict[str, str]:
    """The headers of a request that carry its signature (version 4)."""
    credentials = line.credentials.get_frozen_credentials()
    prefix, protocol = _PREFIX[line.service]
    moment = time.strftime("%Y%m%dT%H%M%SZ", at)
    content_type, target = f"application/x-amz-json-{protocol}", f"{prefix}.{operation}"
    token = f"x-amz-security-token:{credentials.token}\n" if credentials.token else ""
    names = _SIGNED_WITH_TOKEN if credentials.token else _SIGNED
    canonical = (
        f"POST\n/\n\ncontent-type:{content_type}\nhost:{line.host}\nx-amz-date:{moment}\n{token}x-amz-target:{target}\n\n"
        f"{names}\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{moment[:8]}/{line.region}/{line.service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _day_key(credentials.secret_key, moment[:8], line.region, line.service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers = {
        "Content-Type": content_type,
        "Host": line.host,
        "X-Amz-Date": moment,
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}",
        "Accept-Encoding": "identity",
        "User-Agent": "lily",
        "Content-Length": str(len(body)),
    }
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    return headers


@lru_cache(maxsize=8)
def _day_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no form in AWS' JSON")


def _line(service: str, timeout_s: float) -> _Line:
    made: _Line = aws.kept(f"{service} by JSON", timeout_s, 1, lambda: _make(service, timeout_s))
    return made


def _make(service: str, timeout_s: float) -> _Line:
    from botocore.exceptions import NoCredentialsError
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    client = aws.client(service)
    url = client.meta.endpoint_url
    credentials = aws.credentials()
    if credentials is None:
        raise Permanent(f"{NoCredentialsError()}")
    session = URLLib3Session(
        proxies=get_environ_proxies(url),
        timeout=aws.timeouts(timeout_s),
        max_pool_connections=aws.CONNECTIONS_MAX,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
    )
    return _Line(service, f"{url}/", url.partition("://")[2], client.meta.region_name, credentials, session)
