"""Who logs in: key pair, OAuth client credentials with the token endpoint beside it, or a password."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.snowflake.account import Account
from sandbox.snowflake.catalog import User
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.roles import inherited
from sandbox.snowflake.session import DEFAULTS, Session

JWT_MAX_S = 3600
TOKEN_VALID_S = 600
WRONG_PASSWORD = "Incorrect username or password was specified."  # noqa: S105 - a message


@dataclass(frozen=True)
class LoginRefused(Exception):
    """`code` as the vendor numbers it. It is answered with HTTP 200."""

    code: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client, and the user that its tokens stand for."""

    id: str
    secret: str
    user: str


class Doors:
    """The clients that may ask for tokens, and the tokens given."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self._granted: dict[str, tuple[str, float]] = {}

    def grant(self, client_id: str, client_secret: str) -> dict[str, Any] | None:
        """The answer of the token endpoint, or None if the client is not known by this secret."""
        client = self.clients.get(client_id)
        if client is None or not hmac.compare_digest(client.secret.encode(), client_secret.encode()):
            return None
        token = secrets.token_urlsafe(32)
        self._granted[token] = (client.user, time.time() + TOKEN_VALID_S)
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_VALID_S}

    def user_of(self, token: str) -> str | None:
        """Whose token it is, while it is valid."""
        user, until = self._granted.get(token, ("", 0.0))
        return user if user and until > time.time() else None


def basic(header: str) -> tuple[str, str]:
    """Client id and secret of an HTTP Basic header; empty if there are none."""
    try:
        name, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def log_in(account: Account, doors: Doors, given: dict[str, Any], query: dict[str, str], session_id: int) -> Session:
    """A session for whoever proves who they are. Raises LoginRefused."""
    user = _user(account, doors, given)
    role = _role(account, user, query.get("roleName", ""))
    secondary = str(given.get("SECONDARY_ROLES") or user.default_secondary_roles).upper()
    session = Session(session_id, user.name, role, "ALL" if secondary == "ALL" else "NONE")
    for name, value in (given.get("SESSION_PARAMETERS") or {}).items():
        if name.upper() in DEFAULTS:
            session.parameters[name.upper()] = str(value)
    _use(account, user, session, query)
    return session


def _user(account: Account, doors: Doors, given: dict[str, Any]) -> User:
    authenticator = str(given.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
    login_name, token = str(given.get("LOGIN_NAME") or "").upper(), str(given.get("TOKEN") or "")
    found = next((user for user in account.catalog.users.values() if user.login_name == login_name), None)
    if authenticator == "SNOWFLAKE_JWT":
        return _by_key(found, str(given.get("ACCOUNT_NAME") or ""), token)
    if authenticator == "OAUTH":
        name = doors.user_of(token)
        user = account.catalog.users.get(name or "")
        if user is None or (login_name and user is not found):
            raise LoginRefused("390303", "Invalid OAuth access token.", {"nextAction": "RETRY_LOGIN", "authnMethod": "OAUTH"})
        return user
    password = given.get("PASSWORD")
    right = found is not None and found.password is not None and isinstance(password, str)
    if not right or found is None or not hmac.compare_digest((found.password or "").encode(), str(password).encode()):
        raise LoginRefused("390100", WRONG_PASSWORD)
    return found


def _by_key(user: User | None, account_name: str, token: str) -> User:
    invalid = LoginRefused("394304", "JWT token is invalid.", {"nextAction": "RETRY_LOGIN", "authnMethod": "KEYPAIR"})
    if user is None or not user.keys:
        raise invalid
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    try:
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        signed = _decoded(signature)
    except (ValueError, binascii.Error) as error:
        raise invalid from error
    subject = f"{account_name.upper()}.{user.login_name}"
    if header.get("alg") != "RS256" or claims.get("sub") != subject:
        raise invalid
    for key in user.keys.values():
        fingerprint = base64.b64encode(hashlib.sha256(key).digest()).decode()
        if claims.get("iss") == f"{subject}.SHA256:{fingerprint}" and _signed_by(key, f"{head}.{body}".encode(), signed):
            _check_times(claims, invalid)
            return user
    raise invalid


def _check_times(claims: dict[str, Any], invalid: LoginRefused) -> None:
    issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
    if not (isinstance(issued, int) and isinstance(expires, int)) or expires - issued > JWT_MAX_S or issued > now + 60:
        raise invalid
    if expires < now:
        raise LoginRefused("394302", "JWT token has expired.", invalid.data)


def _signed_by(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        public = serialization.load_der_public_key(key)
        if not isinstance(public, rsa.RSAPublicKey):
            return False
        public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def identifier(text: str) -> str:
    """A name as it is given in a connection: in quotes it is exact, else it is in capitals if it needs no quotes."""
    if len(text) > 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text.upper() if shown(text.upper()) == text.upper() else text


def _role(account: Account, user: User, asked: str) -> str:
    name = identifier(asked) if asked else str(user.properties.get("DEFAULT_ROLE") or "PUBLIC")
    if name not in inherited(account.catalog, user.roles):
        words = f"Role '{name}' specified in the connect string does not exist or not authorized. \
Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC."
        raise LoginRefused("390186", words)
    return name


def _use(account: Account, user: User, session: Session, query: dict[str, str]) -> None:
    """What the connection asks for, as far as it is there: the vendor refuses no login for the rest."""
    warehouse = query.get("warehouse") or user.properties.get("DEFAULT_WAREHOUSE") or ""
    if identifier(warehouse) in account.catalog.warehouses:
        session.warehouse = identifier(warehouse)
    database = account.catalog.databases.get(identifier(query.get("databaseName") or ""))
    if database is not None:
        session.database = database.name
        schema = identifier(query.get("schemaName") or "PUBLIC")
        session.schema = schema if schema in database.schemas else None
