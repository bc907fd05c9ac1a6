"""Statements over the vendor's connector: sessions, deadlines, and what its errors mean.

The connector is imported here, on the first use in a process, and nowhere else: its import starts threads, and a child forked
after that hangs in connect(). It retries nothing (`retry_max_attempts=1`): who asks for a statement decides what follows.

Source: snowflake-connector-python 5.2; docs.snowflake.com, Error codes; what was seen of both.
"""

import logging
import math
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import urlsplit

from connectors.contracts import Refused
from connectors.snowflake.quoting import identifier
from lily.runtime import breaker, logs, metrics
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import TargetSettings, settings

log = logs.get(__name__)

SESSION_GONE = frozenset({390104, 390111, 390112, 390114, 390195})  # nothing was executed: log in again and send once more
LOGIN = frozenset({390100, 390101, 390144, 390303, 390318, 390422, *range(394300, 394400)})
CODES: Mapping[int, str] = {
    904: "gone",
    2003: "gone",
    2043: "gone",
    2002: "exists",
    3001: "denied",
    3529: "taken",
    3549: "taken",
    606: "denied",
    8: "statement",
    1003: "statement",
}
WORDS = (  # where no number is known for sure
    ("associated with one or more entities", "in_use"),
    ("cannot be dropped", "in_use"),
    ("already attached", "taken"),
    ("already has a ROW_ACCESS_POLICY", "taken"),
    ("already exists", "exists"),
    ("does not exist", "gone"),
    ("nsupported feature", "unsupported"),
    ("materialized view", "unsupported"),
    ("nsufficient privileges", "denied"),
)
CANCELLED = frozenset({604, 630})
WAITS = 5  # deadlines of a statement, for a session of one's own
SIMPLE = re.compile(r"[A-Z_][A-Z0-9_$]*")


@dataclass(frozen=True)
class Answer:
    """Rows as the connector gives them, with the statement's id."""

    rows: Sequence[tuple[Any, ...]]
    names: Sequence[str]
    query_id: str

    @property
    def dicts(self) -> list[dict[str, Any]]:
        """By column name in lower case: the case of names in SHOW and DESCRIBE is not to be relied on."""
        names = [name.lower() for name in self.names]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass
class _Pool:
    """The sessions of one instance in this process: as many at work as `free` admits, those not at work in `idle`."""

    free: threading.BoundedSemaphore
    idle: LifoQueue[Any] = field(default_factory=LifoQueue)


_pools: dict[tuple[int, str], _Pool] = {}
_lock = threading.Lock()


def run(instance: str, statement: str, binds: Sequence[Any] = (), about: str = "") -> Answer:
    """One statement, within the target's deadline. `about` is seen in the warehouse's query history.

    Raises Transient for whatever may be otherwise later, or may have happened and left no answer; Refused for the rest.
    """
    config = settings().targets[instance]
    pool = _pool(config)
    # Waiting for one's own sessions says nothing about the warehouse, so it is no failure that the breaker counts.
    if not pool.free.acquire(timeout=WAITS * config.statement_timeout_s):
        raise Transient(f"{config.name}: all {config.sessions} sessions are at work; allow more, or ask less at once")
    try:
        return breaker.call(f"snowflake:{instance}", lambda: _run(config, pool, statement, binds, about))
    finally:
        pool.free.release()


def warm(instance: str) -> None:
    """Begin all sessions now: later, a change would wait for each. Raises Transient and Refused."""
    config = settings().targets[instance]
    together = threading.Barrier(config.sessions)

    def begin(_: int) -> None:
        with _session(config, _pool(config)):
            together.wait(WAITS * config.statement_timeout_s)

    with ThreadPoolExecutor(config.sessions, f"begin {instance}") as threads:
        list(threads.map(begin, range(config.sessions)))


def close(instance: str) -> None:
    pool = _pools.pop((os.getpid(), instance), None)
    while pool:
        try:
            _end(pool.idle.get_nowait())
        except Empty:
            return


def _run(config: TargetSettings, pool: _Pool, statement: str, binds: Sequence[Any], about: str) -> Answer:
    for is_last in (False, True):
        with _session(config, pool, is_new=is_last) as session:  # where one has ended, those that are idle may have as well
            try:
                return _execute(session.connection, statement, binds, about)
            except Exception as error:
                known = _meaning(error, config)
                if known is None and not is_last:
                    session.drop()
                    continue
                if not isinstance(known, Refused):
                    session.drop()
                raise (known or Transient(f"{config.name}: the session ended twice")) from error
    raise AssertionError("one of two tries returns or raises")


def _execute(connection: Any, statement: str, binds: Sequence[Any], about: str) -> Answer:
    parameters = {"QUERY_TAG": f"lily {about}".strip()[:2000]}
    with connection.cursor() as cursor:
        cursor.execute(statement, tuple(binds) or None, _statement_params=parameters)
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall() if names else []
        return Answer(rows, names, str(cursor.sfqid or ""))


@dataclass
class _Session:
    connection: Any
    is_good: bool = True

    def drop(self) -> None:
        self.is_good = False


@contextmanager
def _session(config: TargetSettings, pool: _Pool, is_new: bool = False) -> Iterator[_Session]:
    """A session to oneself: one that is idle, or a new one."""
    session = _Session((None if is_new else _idle(pool)) or _connect(config))
    try:
        yield session
    finally:
        if session.is_good:
            pool.idle.put(session.connection)
        else:
            _end(session.connection)


def _pool(config: TargetSettings) -> _Pool:
    key = (os.getpid(), config.name)
    with _lock:
        if key not in _pools:
            _pools[key] = _Pool(threading.BoundedSemaphore(config.sessions))
        return _pools[key]


def _idle(pool: _Pool) -> Any | None:
    with suppress(Empty):
        return pool.idle.get_nowait()
    return None


def _connect(config: TargetSettings) -> Any:
    os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")  # it would call cloud metadata services, up to 2 s each
    import snowflake.connector as vendor

    logging.getLogger("snowflake").setLevel(logging.ERROR)  # it has two lines for every statement, and a warning for each session
    try:
        connection = vendor.connect(**_arguments(config))
    except Exception as error:
        known = _meaning(error, config)
        raise (known or Transient(f"{config.name}: no session could be begun")) from error
    try:
        _verify(connection, config)
    except BaseException:
        _end(connection)
        raise
    return connection


def _verify(connection: Any, config: TargetSettings) -> None:
    """An account that takes "customer" for CUSTOMER would have Lily act on another object than it names."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW PARAMETERS LIKE 'QUOTED_IDENTIFIERS_IGNORE_CASE' IN SESSION")
        names = [column[0].lower() for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if any(str(one.get("value")).lower() == "true" for one in found):
        raise Refused(
            f"{config.name}: QUOTED_IDENTIFIERS_IGNORE_CASE is TRUE and could not be changed for the session; "
            f"set it to FALSE for the user {config.user or config.oauth_client_id}",
            "denied",
        )


def _arguments(config: TargetSettings) -> dict[str, Any]:
    address = urlsplit(config.url)
    host = address.hostname or ""
    seconds = math.ceil(config.statement_timeout_s)
    told = {
        "account": config.account or host.partition(".")[0],
        "host": host,
        "port": address.port or (443 if address.scheme == "https" else 80),
        "protocol": address.scheme,
        "role": _name(config.role),
        "warehouse": _name(config.warehouse),
        "secondary_roles": "NONE",
        "paramstyle": "qmark",
        "enable_server_session_keep_alive_auto_detection": False,
        "retry_max_attempts": 1,
        "login_timeout": seconds,
        "retry_timeout": seconds,
        "query_timeout": seconds,
        "request_timeout": seconds,
        "session_parameters": {
            "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
            "CLIENT_TELEMETRY_ENABLED": False,
            "STATEMENT_TIMEOUT_IN_SECONDS": seconds,
            "QUERY_TAG": "lily",
        },
        **_credentials(config),
    }
    return {name: value for name, value in told.items() if value is not None}


def _credentials(config: TargetSettings) -> dict[str, Any]:
    if config.private_key is not None:
        key = config.private_key.reveal().replace("\\n", "\n")
        return {"authenticator": "SNOWFLAKE_JWT", "user": config.user, "private_key": key}
    return {
        "authenticator": "OAUTH_CLIENT_CREDENTIALS",
        "user": config.user,
        "oauth_client_id": config.oauth_client_id,
        "oauth_client_secret": config.oauth_client_secret.reveal() if config.oauth_client_secret else None,
        "oauth_token_request_url": config.oauth_token_url or f"{config.url}/oauth/token-request",
        "oauth_scope": config.oauth_scope,
    }


def _name(name: str | None) -> str | None:
    """As login parameters take it: like an identifier in SQL."""
    return name if name is None or SIMPLE.fullmatch(name) else identifier(name)


def _meaning(error: Exception, config: TargetSettings) -> Transient | Permanent | None:
    """What an error of the connector means; None: the session is gone and nothing was executed."""
    if isinstance(error, Transient | Permanent):
        return error
    number, state = getattr(error, "errno", None), str(getattr(error, "sqlstate", "") or "")
    text = f"{config.name}: {getattr(error, 'raw_msg', None) or error}"[:1000]
    metrics.count("lily_errors_total", where="snowflake", kind=str(number))
    if number in SESSION_GONE:
        return None
    if number in LOGIN:
        log.error("target.login_refused", target=config.name, errno=number)
        return Transient(f"{text} (login refused: look at the key, the user and its network policy)")
    if number in CANCELLED or not _is_statement_error(error):
        return Transient(text)
    if number == 8:
        log.critical("target.several_statements", target=config.name)
    return Refused(text + _way_out(number, config), _code(number, state, text))


def _is_statement_error(error: Exception) -> bool:
    from snowflake.connector import errors

    return isinstance(error, errors.ProgrammingError)


def _code(number: int | None, state: str, text: str) -> str:
    if number is not None and number in CODES:
        return CODES[number]
    if state == "42S02":
        return "gone"
    return next((code for words, code in WORDS if words in text), "statement")


def _way_out(number: int | None, config: TargetSettings) -> str:
    if number in {2003, 2043}:
        return f" (if it is there: GRANT USAGE on its database and schema to role {config.role})"
    if number == 606:
        return f" (GRANT USAGE ON WAREHOUSE {config.warehouse} TO ROLE {config.role}, or resume it)"
    return ""


def _end(connection: Any) -> None:
    """Closing asks the server, which may be what hangs: nobody waits for it."""

    def end() -> None:
        with suppress(Exception):
            connection.close()

    threading.Thread(target=end, name="close session", daemon=True).start()
