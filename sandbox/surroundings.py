"""What the processes of `make run` find around them: ports, generated secrets, and the environment made of both."""

import base64
import errno
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import atlan_world

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "424242424242"  # to ministack, an access key of 12 digits is the account
CLIENT = "demo"
CLIENT_SCOPES = "events:read events:replay rules:read rules:write rules:weaken annotations:write audit:read admin"
QUEUE = "lily-demo"
SNOWFLAKE, DATABRICKS = "snowflake-prod", "databricks-prod"  # the targets, unless LILY_TARGETS says otherwise
TARGETS = (SNOWFLAKE, DATABRICKS)
DEFAULT_PORTS = {
    "LILY_WEB_PORT": 8000,
    "LILY_RUN_REDIS_PORT": 6390,
    "LILY_RUN_AWS_PORT": 4570,
    "LILY_RUN_MONTE_CARLO_PORT": 8010,
    "LILY_RUN_SNOWFLAKE_PORT": 8020,
    "LILY_RUN_DATABRICKS_PORT": 8030,
    "LILY_RUN_ATLAN_PORT": 8040,
    "LILY_RUN_FLOWER_PORT": 5555,
}
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class Refused(Exception):
    """It cannot start like this. The message says why and what to do, for a person."""


@dataclass(frozen=True)
class Surroundings:
    """Everything that is decided before the first process starts."""

    data: Path
    web: str
    redis_port: int
    aws_port: int
    monte_carlo_port: int
    snowflake_port: int
    databricks_port: int
    atlan_port: int
    flower_port: int
    lily: Mapping[str, str]  # the environment of Lily's processes
    standins: Mapping[str, str]  # and of the stand-ins

    @property
    def aws(self) -> str:
        """Where the AWS stand-in answers."""
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def monte_carlo(self) -> str:
        """Where Monte Carlo's stand-in answers."""
        return f"http://127.0.0.1:{self.monte_carlo_port}"

    @property
    def snowflake(self) -> str:
        """Where Snowflake's stand-in answers."""
        return f"http://127.0.0.1:{self.snowflake_port}"

    @property
    def databricks(self) -> str:
        """Where Databricks' stand-in answers."""
        return f"http://127.0.0.1:{self.databricks_port}"

    @property
    def atlan(self) -> str:
        """Where Atlan's stand-in answers."""
        return f"http://127.0.0.1:{self.atlan_port}"

    @property
    def has_catalog(self) -> bool:
        """Whether Lily knows Atlan's stand-in."""
        return self.lily.get("LILY_CATALOG_ATLAN_URL") == self.atlan

    @property
    def targets(self) -> list[str]:
        """Names of the targets, each of which has a worker of its own."""
        return _words(self.lily.get("LILY_TARGETS", ""))

    @property
    def flower(self) -> str:
        """Where Flower answers."""
        return f"http://127.0.0.1:{self.flower_port}"

    @property
    def client_secret(self) -> str:
        """Of the API client `demo`."""
        return self.lily[f"LILY_CLIENT_{CLIENT.upper()}_SECRET"]


def look_around(environ: Mapping[str, str]) -> Surroundings:
    """Settle ports, secrets and environments. What `environ` says in `LILY_*` wins over what would be generated.

    Raises Refused for ports that are no ports, or taken.
    """
    data = (ROOT / environ.get("LILY_RUN_DATA", ".lily")).resolve()
    ports = {name: _port(name, environ.get(name, str(default))) for name, default in DEFAULT_PORTS.items()}
    if faults := _taken(ports, environ.get("LILY_WEB_HOST", "127.0.0.1")):
        raise Refused("\n".join([*faults, *_running_already(data)]))
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    generated = _secrets(data / "secrets.json")
    lily = _lily_environment(environ, data, ports, generated)
    signing = lily.get("LILY_SOURCE_MONTE_CARLO_SECRETS", "").partition(",")[0]
    return Surroundings(
        data=data,
        web=f"http://127.0.0.1:{ports['LILY_WEB_PORT']}",
        redis_port=ports["LILY_RUN_REDIS_PORT"],
        aws_port=ports["LILY_RUN_AWS_PORT"],
        monte_carlo_port=ports["LILY_RUN_MONTE_CARLO_PORT"],
        snowflake_port=ports["LILY_RUN_SNOWFLAKE_PORT"],
        databricks_port=ports["LILY_RUN_DATABRICKS_PORT"],
        atlan_port=ports["LILY_RUN_ATLAN_PORT"],
        flower_port=ports["LILY_RUN_FLOWER_PORT"],
        lily=lily | _base(environ, ".venv"),
        standins=_base(environ, ".venv-sandbox")
        | {
            "SANDBOX_MC_SECRET": signing or generated["monte_carlo_webhook"],
            "SANDBOX_MC_ID": lily.get("LILY_SOURCE_MONTE_CARLO_API_ID", generated["monte_carlo_id"]),
            "SANDBOX_MC_TOKEN": lily.get("LILY_SOURCE_MONTE_CARLO_API_TOKEN", generated["monte_carlo_token"]),
            "SANDBOX_SNOWFLAKE_PUBLIC_KEY": public_key(generated["snowflake_key"]),
            "SANDBOX_DATABRICKS_CLIENT_SECRET": generated["databricks_client"],
            "SANDBOX_ATLAN_TOKEN": generated["atlan_token"],
            "SANDBOX_ATLAN_WEBHOOK_SECRET": generated["atlan_webhook"],
        },
    )


def _lily_environment(
    environ: Mapping[str, str], data: Path, ports: Mapping[str, int], generated: Mapping[str, str]
) -> dict[str, str]:
    defaults = {
        "LILY_PUBLIC_URL": f"http://127.0.0.1:{ports['LILY_WEB_PORT']}",
        "LILY_REDIS_URL": f"redis://127.0.0.1:{ports['LILY_RUN_REDIS_PORT']}/0",
        "LILY_AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['LILY_RUN_AWS_PORT']}",
        "LILY_SEAL_KEY": generated["seal_key"],
        "LILY_JWT_SECRETS": generated["jwt"],
        f"LILY_CLIENT_{CLIENT.upper()}_SECRET": generated["client"],
        f"LILY_CLIENT_{CLIENT.upper()}_SCOPES": CLIENT_SCOPES,
        "LILY_HASH_SALT": generated["hash_salt"],
    }
    if "monte-carlo" in _words(environ.get("LILY_SOURCES", "monte-carlo")):
        defaults |= {
            "LILY_SOURCE_MONTE_CARLO_SECRETS": generated["monte_carlo_webhook"],
            "LILY_SOURCE_MONTE_CARLO_API_URL": f"http://127.0.0.1:{ports['LILY_RUN_MONTE_CARLO_PORT']}/graphql",
            "LILY_SOURCE_MONTE_CARLO_API_ID": generated["monte_carlo_id"],
            "LILY_SOURCE_MONTE_CARLO_API_TOKEN": generated["monte_carlo_token"],
        }
    if not environ.get("LILY_TARGETS", "").strip():
        defaults |= {
            "LILY_TARGETS": ",".join(TARGETS),
            **snowflake_settings(f"http://127.0.0.1:{ports['LILY_RUN_SNOWFLAKE_PORT']}", generated["snowflake_key"]),
            **databricks_settings(f"http://127.0.0.1:{ports['LILY_RUN_DATABRICKS_PORT']}", generated["databricks_client"]),
        }
    if not any(environ.get(name, "").strip() for name in ("LILY_SOURCES", "LILY_CATALOGS", "LILY_TARGETS")):
        defaults |= catalog_settings(
            f"http://127.0.0.1:{ports['LILY_RUN_ATLAN_PORT']}", generated["atlan_token"], generated["atlan_webhook"]
        )
    given = {name: value for name, value in environ.items() if name.startswith("LILY_")}
    settled = {name: str(port) for name, port in ports.items()} | {"LILY_RUN_DATA": str(data)}
    clients = _words(environ.get("LILY_CLIENTS", ""))
    if CLIENT not in clients:  # the token that is printed is this client's
        settled["LILY_CLIENTS"] = ",".join([*clients, CLIENT])
    return defaults | given | settled


def snowflake_settings(url: str, key: str) -> dict[str, str]:
    """The stand-in as a target, with the account that sandbox.snowflake_world makes there; `key`: PEM."""
    values = {
        "KIND": "snowflake",
        "URL": url,
        "ACCOUNT": "SANDBOX",
        "USER": "LILY_SVC",
        "PRIVATE_KEY": key.replace("\n", "\\n"),  # on one line, as files of environments want it
        "ROLE": "LILY",
        "WAREHOUSE": "LILY_WH",
        "HOME": "GOV.LILY",
        "DATABASES": "ANALYTICS",
    }
    return {f"{_prefix(SNOWFLAKE)}{name}": value for name, value in values.items()}


def databricks_settings(url: str, client_secret: str) -> dict[str, str]:
    """The stand-in as a target, with the workspace that sandbox.databricks_world makes there."""
    values = {
        "KIND": "databricks",
        "URL": url,
        "OAUTH_CLIENT_ID": "lily-svc",
        "OAUTH_CLIENT_SECRET": client_secret,
        "WAREHOUSE": "abcdef0123456789",
        "HOME": "gov.lily",
        "DATABASES": "analytics",
        "PROOF_GROUPS": "lily_proof_outside,lily_proof_steward",
    }
    return {f"{_prefix(DATABRICKS)}{name}": value for name, value in values.items()}


def catalog_settings(url: str, token: str, webhook_secret: str) -> dict[str, str]:
    """The stand-in as a catalog and a source, with the tenant that sandbox.atlan_world makes there."""
    connections = {
        "LILY_CONNECTION_SNOWFLAKE_KIND": "snowflake",
        "LILY_CONNECTION_SNOWFLAKE_QUALIFIED_NAME": atlan_world.SNOWFLAKE["qualifiedName"],
        "LILY_CONNECTION_DATABRICKS_KIND": "databricks",
        "LILY_CONNECTION_DATABRICKS_QUALIFIED_NAME": atlan_world.DATABRICKS["qualifiedName"],
        "LILY_CONNECTION_DATABRICKS_WAREHOUSES": "databricks",  # Monte Carlo's stand-in knows the other one only
        f"{_prefix(SNOWFLAKE)}CATALOG_CONNECTION": atlan_world.SNOWFLAKE["qualifiedName"],
        f"{_prefix(DATABRICKS)}CATALOG_CONNECTION": atlan_world.DATABRICKS["qualifiedName"],
    }
    return {
        "LILY_SOURCES": "monte-carlo,atlan",
        "LILY_SOURCE_ATLAN_SECRETS": webhook_secret,
        "LILY_CATALOGS": "atlan",
        "LILY_CATALOG_ATLAN_URL": url,
        "LILY_CATALOG_ATLAN_TOKEN": token,
        "LILY_CONNECTIONS": "snowflake,databricks",
        **connections,
    }


def _prefix(target: str) -> str:
    return f"LILY_TARGET_{target.upper().replace('-', '_')}_"


def _base(environ: Mapping[str, str], virtualenv: str) -> dict[str, str]:
    """The only other variables that processes get; nothing of the user's own AWS account among them."""
    base = {
        "PATH": f"{ROOT / virtualenv / 'bin'}:{environ.get('PATH') or SYSTEM_PATH}",
        "PYTHONUNBUFFERED": "1",  # what was logged last matters most when a process has died
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_DEFAULT_REGION": environ.get("LILY_AWS_REGION", "us-east-1"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return base | {name: environ[name] for name in ("HOME",) if environ.get(name)}


def _port(name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise Refused(f"{name}: {value!r} is not a port; expected a number from 1 to 65535")
    return int(value)


def _taken(ports: Mapping[str, int], web_host: str) -> list[str]:
    faults = []
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port in seen:
            faults.append(f"{name} and {seen[port]} are both {port}; give them different ports")
        elif reason := _why_not_free(web_host if name == "LILY_WEB_PORT" else "127.0.0.1", port):
            faults.append(f"port {port} {reason}; end what uses it, or choose another port: {name}={port + 1} make run")
        seen[port] = name
    return faults


def _running_already(data: Path) -> list[str]:
    try:
        pid = json.loads((data / "run.json").read_text())["pid"]
        os.kill(pid, 0)
    except (OSError, ValueError):
        return []
    return [f"(make run is at work already, as process {pid}: Ctrl-C there ends it)"]


def _why_not_free(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return "is taken" if error.errno == errno.EADDRINUSE else f"on {host} cannot be used ({error.strerror})"
    return ""


def _secrets(path: Path) -> dict[str, str]:
    """Made once, kept in a file that only its owner can read; a secret that is new in this version is added."""
    fresh = {
        "seal_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "jwt": secrets.token_urlsafe(48),
        "client": secrets.token_urlsafe(24),
        "monte_carlo_webhook": secrets.token_urlsafe(24),
        "monte_carlo_id": secrets.token_hex(8),
        "monte_carlo_token": secrets.token_urlsafe(24),
        "hash_salt": secrets.token_hex(16),
        "databricks_client": secrets.token_urlsafe(24),
        "atlan_token": secrets.token_urlsafe(24),
        "atlan_webhook": secrets.token_urlsafe(24),
    }
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
        secret_by_name = fresh | kept
        if "snowflake_key" not in secret_by_name:
            secret_by_name["snowflake_key"] = new_key()
    except (ValueError, TypeError):
        raise Refused(f"{path} is not JSON; remove it to have new secrets made (what was sealed with the old is lost)") from None
    if secret_by_name != kept:
        write_private(path, secret_by_name)
    return secret_by_name


def new_key() -> str:
    """A new private key in PEM, for a user who logs in with a key pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, hidden = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, hidden).decode()


def public_key(private: str) -> str:
    """The public key of a private one, as Snowflake wants it: base64 without line breaks."""
    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(pem.decode().splitlines()[1:-1])


def write_private(path: Path, content: object) -> None:
    """Write JSON for its owner's eyes; whoever reads meanwhile sees the old or the new, never a part."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    new.rename(path)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
