"""JSON lines on standard output, Lily's and the libraries' alike, with what is bound to the context; all of it redacted.

One line per attempt, at its end. `event` is named `noun.verb_ed`; a library's line is `library.logged` with its `message`.
"""

import contextlib
import logging
import os
import select
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from lily.runtime import trace
from lily.runtime.redact import redact, text
from lily.runtime.settings import settings

STDOUT = 1
EXCEPTION_CHARACTERS_MAX = 8_000
QUIET = {  # loggers that say at their usual level what helps nobody
    "amqp": logging.WARNING,
    "boto3": logging.WARNING,
    "botocore": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "kombu": logging.WARNING,
    "urllib3": logging.WARNING,
    "waitress.queue": logging.ERROR,  # one warning for each request that waits for a thread
}

_service = "lily"


def configure(service: str, level: str | None = None) -> None:
    """Log as `service` from here on, Lily's lines and those of the libraries. May be called again, and after a fork.

    Without `level` it is that of the settings.
    """
    global _service  # noqa: PLW0603 - a process is one service
    _service = service
    number = logging.getLevelNamesMapping()[(level or settings().log_level).upper()]
    structlog.configure(
        processors=[_add_exception, _write_event],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,  # else a logger used before this call would keep the old ways
    )
    root = logging.getLogger()
    root.handlers[:] = [_Handler()]
    root.setLevel(number)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, number))
    logging.captureWarnings(True)


def get(name: str) -> FilteringBoundLogger:
    """The logger of a module: `log.info("event.parked", reason=...)`. It may be made before `configure` is called."""
    logger: FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return logger


@contextlib.contextmanager
def bind(**values: Any) -> Iterator[None]:
    """Add `values` (event_id, lane, ...) to every line logged in this context until the block ends."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def line(level: str, event: str, values: EventDict) -> bytes:
    """One line of the log. What JSON has no form for is written as text."""
    bound = trace.current()
    head = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "level": level,
        "event": event,
        "service": _service,
        "pid": os.getpid(),
    }
    if bound is not None:
        head["trace_id"] = bound.trace_id
    exception = values.pop("exception", None)
    body = redact({**structlog.contextvars.get_contextvars(), **values})
    if exception:
        body["exception"] = text(str(exception), EXCEPTION_CHARACTERS_MAX, keep_end=True)
    return orjson.dumps({**head, **body, "event": text(event)}, option=orjson.OPT_APPEND_NEWLINE)


class _Handler(logging.Handler):
    """The libraries' lines. logging itself renews the lock of a handler after a fork."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            values = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info and record.exc_info[1] is not None:
                values["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
            _write(line(record.levelname.lower(), "library.logged", values))
        except Exception:  # a line that cannot be written must not stop the work it tells about
            self.handleError(record)


def _add_exception(_: Any, __: str, values: EventDict) -> EventDict:
    given = values.pop("exc_info", None)
    if given is True:
        values["exception"] = traceback.format_exc()
    elif isinstance(given, BaseException):
        values["exception"] = "".join(traceback.format_exception(given))
    elif isinstance(given, tuple) and given[1] is not None:
        values["exception"] = "".join(traceback.format_exception(given[1]))
    return values


def _write_event(_: Any, method: str, values: EventDict) -> EventDict:
    event = str(values.pop("event", ""))
    values["logger"] = values.pop("logger_name", None)  # structlog keeps the argument `logger` for itself
    _write(line("error" if method == "exception" else method, event, values))
    raise structlog.DropEvent


def _write(data: bytes) -> None:
    """Past sys.stdout, which Celery replaces, and in one call, so that lines of processes that share a pipe do not mix."""
    while data:
        try:
            data = data[os.write(STDOUT, data) :]
        except BlockingIOError:  # somebody made the pipe non-blocking
            select.select([], [STDOUT], [])
        except OSError:  # nobody reads any more
            return
