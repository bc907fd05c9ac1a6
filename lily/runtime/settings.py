"""Lily's settings, from `LILY_*` variables only; read once per process, every fault reported at once by variable name.

`python -m lily.runtime.settings` prints docs/configuration.md, which is made from the declarations below.
"""

# ruff: noqa: RUF009 - each of these calls makes a dataclasses.field

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network, IPv6Network

from lily.runtime import kinds
from lily.runtime.variables import OWN_NAME, Reader, Secret, describe, group, instances, variable

__all__ = [
    "SCOPES",
    "ApiSettings",
    "AwsSettings",
    "CatalogSettings",
    "ClientSettings",
    "ConnectionSettings",
    "JwtSettings",
    "LaneSettings",
    "Secret",
    "Settings",
    "SettingsError",
    "SourceSettings",
    "TargetSettings",
    "WebSettings",
    "load",
    "settings",
]

SCOPES = (
    "events:read",
    "events:replay",
    "rules:read",
    "rules:write",
    "rules:weaken",
    "annotations:write",
    "subscriptions:write",
    "audit:read",
    "admin",
)


# Who calls Lily from a command line, and where it is; app.cli reads them.
OF_THE_COMMAND = ("LILY_URL", "LILY_TOKEN", "LILY_TOKEN_CLIENT", "LILY_TOKEN_SECRET")


class SettingsError(Exception):
    """Something in the environment is wrong. `faults` says what, by variable; the message lists them all."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(sorted(faults.items()))
        count = "1 setting is wrong" if len(faults) == 1 else f"{len(faults)} settings are wrong"
        super().__init__("\n  ".join([f"{count}:", *(f"{name}: {fault}" for name, fault in self.faults.items())]))


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """AWS. Credentials come from boto3's own chain (environment, profile, role)."""

    region: str = variable(
        "LILY_AWS_REGION",
        kinds.matching("[a-z]{2}(-[a-z]+)+-[0-9]", "a region as us-east-1"),
        "Region of the table and of the event bus.",
        default="us-east-1",
    )
    endpoint_url: str | None = variable(
        "LILY_AWS_ENDPOINT_URL",
        kinds.url("http", "https", path=False),
        "Where the AWS services answer, if not at their public addresses.",
        default=None,
        shown=False,
    )


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """HTTP server: the process `web`."""

    host: str = variable("LILY_WEB_HOST", kinds.text(), "Address to listen on.", default="127.0.0.1")
    port: int = variable("LILY_WEB_PORT", kinds.whole(1, 65535), "Port to listen on.", default="8000")
    threads: int = variable(
        "LILY_WEB_THREADS",
        kinds.whole(1, 1000),
        "Requests of the API that are worked on at once. Deliveries have threads of their own, and wait without one.",
        default="16",
    )
    connections_max: int = variable(
        "LILY_WEB_CONNECTIONS_MAX",
        kinds.whole(10, 100_000),
        "Connections held open at once, idle and slow ones included.",
        default="5000",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = variable(
        "LILY_TRUSTED_PROXIES",
        kinds.networks(),
        "Proxies whose X-Forwarded-For is believed. Without it the sender is the address that connects.",
        default="",
    )


@dataclass(frozen=True, kw_only=True)
class JwtSettings:
    """Tokens that the API issues and accepts."""

    secrets: tuple[Secret, ...] = variable(
        "LILY_JWT_SECRETS", kinds.secrets(32), "Keys of the tokens: the first signs, all verify."
    )
    issuer: str = variable("LILY_JWT_ISSUER", kinds.text(), "The claim `iss` of every token.", default="lily")
    audience: str = variable("LILY_JWT_AUDIENCE", kinds.text(), "The claim `aud` of every token.", default="lily")
    ttl_s: int = variable(
        "LILY_TOKEN_TTL_S", kinds.whole(60, 86_400), "Seconds for which an issued token is good.", default="3600"
    )


@dataclass(frozen=True, kw_only=True)
class LaneSettings:
    """Lanes: batches of work in Celery."""

    count: int = variable("LILY_LANES", kinds.whole(1, 64), "Batches of events in work at once; about one per core.", default="2")
    batch_max: int = variable("LILY_BATCH_MAX", kinds.whole(1, 1000), "Events in one batch, at most.", default="100")
    lease_s: float = variable(
        "LILY_LEASE_S",
        kinds.seconds(5, 300),
        "How long a batch may be silent before it is taken to be dead. Each step gets less than half of it.",
        default="15",
    )
    inline_batch_max: int = variable(
        "LILY_INLINE_BATCH_MAX",
        kinds.whole(0, 1000),
        "Batches up to this size run their four steps in one Celery task, larger ones as a chain of four: the same effect at "
        "a third less latency, and a third less CPU in the worker. 0: always the chain, so that Flower shows each step.",
        default="100",
    )
    depth_max: int = variable(
        "LILY_LANE_DEPTH_MAX",
        kinds.whole(1, 1_000_000),
        "Events waiting in one lane above which the sweep feeds it no more for now.",
        default="1000",
    )


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """A source's API."""

    url: str = variable(
        "API_URL",
        kinds.url("http", "https"),
        "Where the source's API answers; Monte Carlo's is https://api.getmontecarlo.com/graphql. "
        "Without it Lily knows only what the deliveries claim.",
    )
    id: str = variable("API_ID", kinds.text(), "Id of the API key.")
    token: Secret = variable("API_TOKEN", kinds.secret(), "Secret of the API key.")
    timeout_s: float = variable(
        "API_TIMEOUT_S",
        kinds.seconds(0.05, 60),
        "Deadline of one call, to the last byte. After it the event goes on and is enriched later.",
        default="0.8",
    )
    calls_per_day: int = variable(
        "API_CALLS_PER_DAY",
        kinds.whole(1, 100_000_000),
        "Calls that Lily allows itself per day, as the vendor's quota is shared.",
        default="10000",
    )


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Sources: accounts whose deliveries are accepted, each at `/webhooks/<name>`."""

    name: str
    kind: str = variable(
        "KIND",
        kinds.matching("[a-z][a-z0-9-]*", "the name of a connector, such as monte-carlo"),
        "Whose deliveries these are: the name of a connector.",
        default=OWN_NAME,
    )
    account: str | None = variable(
        "ACCOUNT", kinds.text(), "Account id at the source; deliveries that name another are refused.", default=None
    )
    secrets: tuple[Secret, ...] = variable(
        "SECRETS",
        kinds.secrets(least=0),
        "Secrets that sign the deliveries; any of them will do. Required unless `..._UNSIGNED` is true.",
        default="",
    )
    unsigned: bool = variable(
        "UNSIGNED",
        kinds.flag(),
        "Accept deliveries without a signature, from anyone. For networks in which that is safe.",
        default="false",
    )
    api: ApiSettings | None = group(ApiSettings, only_with="API_URL")
    reread_interval_s: float = variable(
        "REREAD_INTERVAL_S",
        kinds.seconds(0, 86_400),
        "An incident is read again from the API at most once in this time, however often it is delivered.",
        default="60",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.unsigned is False and not self.secrets:
            yield "SECRETS", f"is required but not set; without signatures, say so: set ..._UNSIGNED=true for {self.name!r}"
        if self.unsigned and self.secrets:
            yield "UNSIGNED", "is true although secrets are set; remove one of the two"


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Targets: warehouses in which rules take effect. Each has a queue, `target-<name>`, and a worker of its own."""

    name: str
    kind: str = variable(
        "KIND",
        kinds.matching("[a-z][a-z0-9-]*", "the name of a connector, such as snowflake"),
        "What warehouse this is: the name of a connector.",
        default=OWN_NAME,
    )
    url: str = variable(
        "URL",
        kinds.url("http", "https", path=False),
        "Where the warehouse answers, as https://xy12345.eu-central-1.snowflakecomputing.com.",
    )
    account: str | None = variable("ACCOUNT", kinds.text(), "Account identifier, where the kind has one.", default=None)
    user: str | None = variable("USER", kinds.text(), "Service user with a key pair.", default=None)
    private_key: Secret | None = variable(
        "PRIVATE_KEY",
        kinds.secret(100),
        "The user's private key: PEM, its lines divided by line breaks or by \\n. Required unless OAUTH_CLIENT_ID is set.",
        default=None,
    )
    oauth_client_id: str | None = variable("OAUTH_CLIENT_ID", kinds.text(), "OAuth client, instead of a key pair.", default=None)
    oauth_client_secret: Secret | None = variable("OAUTH_CLIENT_SECRET", kinds.secret(), "Its secret.", default=None)
    oauth_token_url: str | None = variable(
        "OAUTH_TOKEN_URL", kinds.url("http", "https"), "Where it gets tokens, if not from the warehouse itself.", default=None
    )
    oauth_scope: str | None = variable("OAUTH_SCOPE", kinds.text(), "Scope that it asks for.", default=None)
    role: str | None = variable("ROLE", kinds.text(), "Role in which Lily works, as stored.", default=None)
    proof_groups: tuple[str, ...] | None = variable(
        "PROOF_GROUPS",
        kinds.texts(),
        "Databricks: groups that Lily may assume as a role to see what their members are shown, comma separated. Each must be "
        "able to use the warehouse and HOME; where none has what a rule exempts, the function is evaluated as if it had.",
        default=None,
    )
    keeps_bodies: bool = variable(
        "KEEPS_BODIES",
        kinds.flag(),
        "Databricks: functions are read back as they were written, so that an edit shows. false: their comment is believed.",
        default="true",
    )
    warehouse: str | None = variable("WAREHOUSE", kinds.text(), "Where its statements run: warehouse name or id.", default=None)
    home: tuple[str, str] = variable(
        "HOME",
        kinds.two_names(),
        "Database and schema, as stored, in which Lily keeps its policies, functions, tags and canaries: GOV.LILY.",
    )
    databases: tuple[str, ...] = variable(
        "DATABASES", kinds.texts(), "Databases (catalogs), as stored, whose tables rules may reach, comma separated."
    )
    catalog_connection: str | None = variable(
        "CATALOG_CONNECTION",
        kinds.text(),
        "Qualified name of the connection that this warehouse is in the catalog, as default/snowflake/1700000000.",
        default=None,
    )
    mode: str = variable(
        "MODE",
        kinds.one_of("enforce", "report", "paused"),
        "What may be done until the API says otherwise: all, plans only, or nothing.",
        default="enforce",
    )
    sessions: int = variable("SESSIONS", kinds.whole(1, 64), "Statements at work at once.", default="8")
    statement_timeout_s: float = variable(
        "STATEMENT_TIMEOUT_S", kinds.seconds(0.5, 30), "Deadline of one statement. Less than half of LILY_LEASE_S.", default="6"
    )
    several_columns: bool = variable(
        "SEVERAL_COLUMNS", kinds.flag(), "Protect many columns of a table in one statement, where the kind can.", default="true"
    )
    inventory_every_s: float = variable(
        "INVENTORY_EVERY_S", kinds.seconds(1, 86_400), "How often the list of tables and columns is read.", default="60"
    )
    reconcile_every_s: float = variable(
        "RECONCILE_EVERY_S", kinds.seconds(1, 86_400 * 7), "How often what is in force is read back and compared.", default="900"
    )
    repair: bool = variable(
        "REPAIR", kinds.flag(), "Undo drift that reconciliation finds; false: report it only.", default="true"
    )
    statements_per_hour: int = variable(
        "STATEMENTS_PER_HOUR",
        kinds.whole(10, 10_000_000),
        "Statements that reconciliation and inventory may run.",
        default="20000",
    )
    brake_share: float = variable(
        "BRAKE_SHARE",
        kinds.share(),
        "Part of what is enforced that may lose protection within 24 hours before more waits for a confirmation.",
        default="0.2",
    )
    brake_places: int = variable(
        "BRAKE_PLACES", kinds.whole(0, 1_000_000), "Columns and tables that may always lose it.", default="10"
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        if (self.private_key is None) == (self.oauth_client_id is None):
            yield "PRIVATE_KEY", f"set either this (with USER) or OAUTH_CLIENT_ID for {self.name!r}, not both and not neither"
        if self.private_key is not None and self.user is None:
            yield "USER", "is required with a private key"
        if self.oauth_client_id is not None and self.oauth_client_secret is None:
            yield "OAUTH_CLIENT_SECRET", "is required with OAUTH_CLIENT_ID"


@dataclass(frozen=True, kw_only=True)
class CatalogSettings:
    """Catalogs: where people see which tables are in trouble, and mark what is to be protected."""

    name: str
    kind: str = variable(
        "KIND",
        kinds.matching("[a-z][a-z0-9-]*", "the name of a connector, such as atlan"),
        "What catalog this is: the name of a connector.",
        default=OWN_NAME,
    )
    url: str = variable("URL", kinds.url("http", "https", path=False), "Where the catalog answers, as https://acme.atlan.com.")
    token: Secret = variable("TOKEN", kinds.secret(), "API token. It sees and changes only what its personas allow.")
    source: str = variable(
        "SOURCE",
        kinds.matching("[a-z][a-z0-9-]*", "the name of a source"),
        "The source of LILY_SOURCES whose deliveries are this catalog's events.",
        default=OWN_NAME,
    )
    timeout_s: float = variable(
        "TIMEOUT_S", kinds.seconds(0.05, 60), "Deadline of one call, waiting for the budget included.", default="5"
    )
    calls_per_minute: int = variable(
        "CALLS_PER_MINUTE",
        kinds.whole(10, 100_000),
        "Calls that all processes together allow themselves in any minute. The whole tenant may share the vendor's limit.",
        default="400",
    )
    block_s: float = variable(
        "BLOCK_S",
        kinds.seconds(0.1, 600),
        "Pause of all calls after an answer 429 that does not say when to come back.",
        default="60",
    )
    settle_s: float = variable(
        "SETTLE_S",
        kinds.seconds(1, 86_400),
        "How long an event about a tag holds against what the catalog shows, if it takes protection away. Propagation of "
        "tags takes the catalog minutes.",
        default="300",
    )
    reread_every_s: float = variable(
        "REREAD_EVERY_S",
        kinds.seconds(10, 86_400 * 7),
        "How often all tags are read again, which makes up for events that were lost.",
        default="3600",
    )
    bulk_max: int = variable("BULK_MAX", kinds.whole(1, 400), "Assets written in one request.", default="50")
    custom_metadata: str = variable(
        "CUSTOM_METADATA",
        kinds.text(60),
        "Name of the custom metadata in which Lily counts open incidents. It is made if the token may.",
        default="Lily",
    )
    incident_connection: str | None = variable(
        "INCIDENT_CONNECTION",
        kinds.text(),
        "Qualified name of the connection under which Lily makes incidents that the catalog's own connector has not made; "
        "without it those are not made.",
        default=None,
    )
    foreign_announcements: str = variable(
        "FOREIGN_ANNOUNCEMENTS",
        kinds.one_of("keep", "put_back"),
        "What becomes of somebody else's announcement where Lily's should be: it stays, or it is put back at the end.",
        default="keep",
    )
    downstream_depth: int = variable(
        "DOWNSTREAM_DEPTH", kinds.whole(0, 10), "Steps of lineage over which assets are warned of an incident.", default="2"
    )
    lineage_kept_s: float = variable(
        "LINEAGE_KEPT_S", kinds.seconds(0, 86_400 * 7), "How long lineage is taken to stay as it was read.", default="14400"
    )


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """Connections: which connection of a catalog is which warehouse of a source's."""

    name: str
    catalog: str = variable(
        "CATALOG",
        kinds.matching("[a-z][a-z0-9-]*", "the name of a catalog"),
        "The catalog of LILY_CATALOGS that has this connection.",
        default="atlan",
    )
    qualified_name: str = variable(
        "QUALIFIED_NAME", kinds.text(), "Its qualified name there, as default/snowflake/1700000000, without a slash at the end."
    )
    kind: str = variable(
        "KIND", kinds.one_of("snowflake", "databricks"), "Kind of warehouse: decides the case in which it stores names."
    )
    warehouses: tuple[str, ...] | None = variable(
        "WAREHOUSES",
        kinds.texts(),
        "Ids by which sources know the warehouse; Monte Carlo's is a UUID. Without any: all warehouses that no other claims.",
        default=None,
    )


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Clients: programs that may ask the API for tokens (OAuth 2 client credentials; the name is the client id)."""

    name: str
    secret: Secret = variable("SECRET", kinds.secret(16), "The client's secret.")
    scopes: frozenset[str] = variable("SCOPES", kinds.words(SCOPES), f"What its tokens may do, of: {', '.join(SCOPES)}.")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Lily."""

    installation: str = variable(
        "LILY_INSTALLATION",
        kinds.matching("[a-z][a-z0-9-]{0,39}", "a name of lower case letters, digits and hyphens"),
        "Name of this installation. Two that share a Redis, a bus or a warehouse need two names.",
        default="lily",
    )
    public_url: str = variable(
        "LILY_PUBLIC_URL",
        kinds.url("http", "https"),
        "Where others reach Lily; used in links.",
        default="http://127.0.0.1:8000",
    )
    redis_url: str = variable(
        "LILY_REDIS_URL",
        kinds.url("redis", "rediss"),
        "Redis, 6.2 or newer, or Valkey. It holds nothing that could not be lost.",
        shown=False,  # it may hold a password
    )
    table: str = variable(
        "LILY_TABLE", kinds.matching("[A-Za-z0-9_.-]{3,255}", "a DynamoDB table name"), "DynamoDB table.", default="lily"
    )
    bus: str = variable(
        "LILY_BUS", kinds.matching("[A-Za-z0-9_./-]{1,256}", "an event bus name"), "EventBridge bus.", default="lily"
    )
    event_ttl_days: int = variable(
        "LILY_EVENT_TTL_DAYS",
        kinds.whole(1, 36_500),
        "Days after which an event is forgotten. An incident that is still open is not.",
        default="90",
    )
    seal_keys: tuple[Secret, ...] = variable(
        "LILY_SEAL_KEY",
        kinds.keys(32),
        "Keys that encrypt what is stored of payloads: the first seals, all open.",
    )
    accept_deadline_s: float = variable(
        "LILY_ACCEPT_DEADLINE_S",
        kinds.seconds(0.1, 30),
        "A delivery that is not stored within this time is answered 503; the sender repeats it.",
        default="2.0",
    )
    signature_failures_per_minute: int = variable(
        "LILY_SIGNATURE_FAILURES_PER_MINUTE",
        kinds.whole(1, 100_000),
        "Wrong signatures from one address before it is answered 429.",
        default="30",
    )
    rate_limit: str = variable(
        "LILY_RATE_LIMIT", kinds.rate(), "Calls of the API that one client may make.", default="600/minute"
    )
    sweep_after_s: float = variable(
        "LILY_SWEEP_AFTER_S",
        kinds.seconds(1, 3600),
        "How long after its arrival an event that was not processed is taken up by the sweep. Longer than LILY_LEASE_S.",
        default="30",
    )
    sweep_every_s: float = variable("LILY_SWEEP_EVERY_S", kinds.seconds(1, 300), "How often beat starts the sweep.", default="10")
    attempts_max: int = variable(
        "LILY_ATTEMPTS_MAX",
        kinds.whole(1, 1000),
        "Attempts at an event before it is parked: 40 take about four hours.",
        default="40",
    )
    detail_bytes_max: int = variable(
        "LILY_DETAIL_BYTES_MAX",
        kinds.whole(1_000, 1_000_000),
        "A larger event is published by reference: its data is left out, the link to it stays.",
        default="200000",
    )
    put_events_bytes_max: int = variable(
        "LILY_PUT_EVENTS_BYTES_MAX", kinds.whole(1_000, 1_000_000), "Size of one call to EventBridge.", default="900000"
    )
    list_shards: int = variable(
        "LILY_LIST_SHARDS",
        kinds.whole(1, 64),
        "Partitions over which the lists of events are spread. It may grow, never shrink, while events are kept.",
        default="4",
    )
    log_level: str = variable(
        "LILY_LOG_LEVEL", kinds.one_of("debug", "info", "warning", "error"), "What is logged.", default="info"
    )
    aws: AwsSettings = group(AwsSettings)
    web: WebSettings = group(WebSettings)
    jwt: JwtSettings = group(JwtSettings)
    lanes: LaneSettings = group(LaneSettings)
    sources: Mapping[str, SourceSettings] = instances(
        SourceSettings,
        "LILY_SOURCES",
        "LILY_SOURCE_",
        kinds.names("[a-z][a-z0-9-]*", "lower case letters, digits and hyphens"),
        "Names of the sources.",
        default="monte-carlo",
    )
    hash_salt: Secret | None = variable(
        "LILY_HASH_SALT",
        kinds.salt(),
        "32 hex digits that go into every hash which masks show: equal in all targets, never to change while rules hash. "
        "Make one with: openssl rand -hex 16. Required with LILY_TARGETS.",
        default=None,
    )
    targets: Mapping[str, TargetSettings] = instances(
        TargetSettings,
        "LILY_TARGETS",
        "LILY_TARGET_",
        kinds.names("[a-z][a-z0-9-]*", "lower case letters, digits and hyphens"),
        "Names of the targets.",
        default="",
    )
    catalogs: Mapping[str, CatalogSettings] = instances(
        CatalogSettings,
        "LILY_CATALOGS",
        "LILY_CATALOG_",
        kinds.names("[a-z][a-z0-9-]*", "lower case letters, digits and hyphens"),
        "Names of the catalogs.",
        default="",
    )
    connections: Mapping[str, ConnectionSettings] = instances(
        ConnectionSettings,
        "LILY_CONNECTIONS",
        "LILY_CONNECTION_",
        kinds.names("[a-z][a-z0-9-]*", "lower case letters, digits and hyphens"),
        "Names of the connections.",
        default="",
    )
    clients: Mapping[str, ClientSettings] = instances(
        ClientSettings,
        "LILY_CLIENTS",
        "LILY_CLIENT_",
        kinds.names("[a-z][a-z0-9_-]*", "lower case letters, digits, hyphens and underscores"),
        "Names of the clients.",
        default="",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.targets and self.hash_salt is None:
            yield "LILY_HASH_SALT", "is required with LILY_TARGETS; make one with: openssl rand -hex 16"
        for name, connection in (self.connections or {}).items():
            if self.catalogs is not None and connection.catalog not in self.catalogs:
                unknown = f"LILY_CONNECTION_{name.upper().replace('-', '_')}_CATALOG"
                yield unknown, f"no catalog is named {connection.catalog!r}; add it to LILY_CATALOGS, or name another"


def load(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` describes. An empty value counts as not set. Raises SettingsError with every fault."""
    reader = Reader(environ)
    made: Settings = reader.read(Settings)
    reader.unknown(
        "LILY_",
        ignored=("LILY_RUN_", *OF_THE_COMMAND),  # the former belong to `make run`
        lists={
            "LILY_SOURCE_": "LILY_SOURCES",
            "LILY_TARGET_": "LILY_TARGETS",
            "LILY_CATALOG_": "LILY_CATALOGS",
            "LILY_CONNECTION_": "LILY_CONNECTIONS",
            "LILY_CLIENT_": "LILY_CLIENTS",
        },
    )
    if reader.faults:
        raise SettingsError(reader.faults)
    return made


@cache
def settings() -> Settings:
    """This process' settings, read on first use. Tests that change the environment call `settings.cache_clear()`."""
    return load(os.environ)


def document() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Made from `lily/runtime/settings.py` by `python -m lily.runtime.settings > docs/configuration.md`; edit there.",
        "",
        "All of Lily is configured by environment variables. Each process reads them once, when it starts, and refuses to",
        "start if any is wrong, with one line for each. An empty value counts as not set. `<NAME>` is the name of an",
        "instance in upper case with `_` for `-`: the source `monte-carlo` is read from `LILY_SOURCE_MONTE_CARLO_*`.",
        "Variables that begin with `LILY_RUN_` belong to `make run`; `LILY_URL`, `LILY_TOKEN`, `LILY_TOKEN_CLIENT` and",
        "`LILY_TOKEN_SECRET` to the command `lily` (docs/command-line.md). Any other unknown `LILY_*` is an error.",
    ]
    for title, text, rows in describe(Settings):
        lines += ["", f"## {title}", ""] + ([text, ""] if text else [])
        lines += ["| variable | value | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{name}` | {kind} | {default} | {meaning} |" for name, kind, default, meaning in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
