"""The boto3 clients of this process, and the one place that turns an AWS failure into Transient or Permanent."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from lily.runtime import metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings

RETRY_ALONE = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)  # whole-call and per-statement spellings; botocore never retries the latter, whose call was a 200

LEAST_S = 0.05  # a socket cannot have less than no time
CONNECTIONS_MAX = 64

_kept: dict[tuple[int, str, float, int], Any] = {}
_lock = threading.RLock()


class ConditionFailed(Exception):
    """A conditional write lost. Normal: look at `item`, what is there instead (empty unless it was asked for), and go on."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__("the condition of the write does not hold")
        self.item = item


class Cancelled(Exception):
    """A transaction did not happen. `reasons`: a code per write, `None` for those that were not at fault."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"the transaction was cancelled: {', '.join(reasons)}")
        self.reasons = tuple(reasons)


def client(service: str, read_timeout_s: float = 2.0, attempts: int = 3) -> Any:
    """The client of `service` in this process, one for each patience. Safe to share between threads; a fork makes its own.

    The default stays below half of a lane's lease. `read_timeout_s` comes from settings, never from what is left of a deadline:
    each value is a client of its own.
    """
    return kept(service, read_timeout_s, attempts, lambda: _make(service, read_timeout_s, attempts))


def kept(name: str, read_timeout_s: float, attempts: int, make: Callable[[], Any]) -> Any:
    """What `make` returns, made once per process and patience."""
    key = (os.getpid(), name, read_timeout_s, attempts)
    found = _kept.get(key)
    if found is None:
        with _lock:
            found = _kept.get(key) or make()
            _kept[key] = found
    return found


def forget() -> None:
    """Drop the clients of this process, for whoever has to be somebody else from here on."""
    _kept.clear()


def dynamodb() -> Any:
    return client("dynamodb")


def call(operation: Callable[..., Any], /, **arguments: Any) -> Any:
    """The answer of one AWS call. Raises ConditionFailed, Transient (again later) or Permanent (it would fail again)."""
    from botocore import exceptions

    try:
        return operation(**arguments)
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(error.response.get("Item", {})) from None
        text = f"{error.operation_name}: {code}: {error.response.get('Error', {}).get('Message', '')}"
        if code in RETRY_ALONE or status >= 500 or status == 429:
            raise Transient(text) from error
        raise Permanent(text) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise Transient(f"AWS did not answer: {type(error).__name__}") from error
    except exceptions.BotoCoreError as error:
        raise Permanent(f"{type(error).__name__}: {error}") from error


def timeouts(read_timeout_s: float) -> tuple[float, float]:
    """For connecting and for reading, in seconds."""
    return min(1.0, max(LEAST_S, read_timeout_s)), max(LEAST_S, read_timeout_s)


def credentials() -> Any | None:
    """From boto3's own chain. They renew themselves where they have to: ask them for each call."""
    return _session().get_credentials()


def _session() -> Any:
    return kept("session", 0.0, 0, _begin)


def _begin() -> Any:
    import boto3
    from botocore.session import Session

    core = Session()
    core.register_component("data_loader", _loader())
    return boto3.session.Session(region_name=settings().aws.region, botocore_session=core)


@cache
def _loader() -> Any:
    """The descriptions of AWS' services, read once per process, not for each client: they are 40 ms of parsing."""
    from botocore.loaders import create_loader

    return create_loader()


def _make(service: str, read_timeout_s: float, attempts: int) -> Any:
    from botocore.config import Config

    connect_s, read_s = timeouts(read_timeout_s)
    made = _session().client(
        service,
        endpoint_url=settings().aws.endpoint_url,
        config=Config(
            connect_timeout=connect_s,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=CONNECTIONS_MAX,
            tcp_keepalive=True,
            parameter_validation=False,  # 45 % of the CPU of a BatchWriteItem
        ),
    )
    made.meta.events.register("before-send", _count)
    return made


def _count(event_name: str, **_: Any) -> None:
    metrics.count("lily_aws_calls_total", call=event_name.rpartition(".")[2])
