"""One session: who speaks, with which roles, where names are looked up, and by which parameters."""

from dataclasses import dataclass, field

# Every parameter that a session may set here, with the vendor's default.
DEFAULTS = {
    "ABORT_DETACHED_QUERY": "false", "AUTOCOMMIT": "true", "BINARY_OUTPUT_FORMAT": "HEX", "CLIENT_SESSION_KEEP_ALIVE": "false",
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD", "LOCK_TIMEOUT": "43200", "MULTI_STATEMENT_COUNT": "1", "QUERY_TAG": "",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": "false", "ROWS_PER_RESULTSET": "0", "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": "0",
    "STATEMENT_TIMEOUT_IN_SECONDS": "172800", "TIMEZONE": "UTC", "USE_CACHED_RESULT": "true",
}  # fmt: skip
QUERY_TAG_MAX = 2000


@dataclass(slots=True)
class Session:
    """`parameters` are those set in this session. `secondary` is ALL or NONE; `share` means that no role is known at all."""

    id: int
    user: str
    role: str
    secondary: str = "NONE"
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    trusted: bool = False  # the admin door: grants are not asked for
    share: bool = False
