"""Tokens: issued, verified and asked for scopes. Every failure is a problem with `WWW-Authenticate`, as RFC 6750 asks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, g, request
from flask_jwt_extended import JWTManager, create_access_token, get_jwt, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import InvalidSignatureError, MissingRequiredClaimError, PyJWTError

from app.openapi import protects
from app.problems import INSUFFICIENT_SCOPE, INVALID_TOKEN, Problem
from lily.runtime.settings import settings

CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "sub", "type", "jti", "scope")
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Caller:
    """Who holds the token: the name of a client, and what this token lets it do."""

    client: str
    scopes: frozenset[str]


def configure(app: Flask) -> None:
    config = settings().jwt
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_SECRET_KEY=config.secrets[0].reveal(),
        JWT_ENCODE_ISSUER=config.issuer,
        JWT_DECODE_ISSUER=config.issuer,
        JWT_ENCODE_AUDIENCE=config.audience,
        JWT_DECODE_AUDIENCE=config.audience,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=config.ttl_s),
        JWT_DECODE_LEEWAY=5,  # clocks of several machines
    )
    manager = JWTManager(app)
    manager.decode_key_loader(_key)
    manager.token_verification_loader(_is_complete)


def issue(client: str, scopes: Iterable[str]) -> str:
    """A token for `client`, good for LILY_TOKEN_TTL_S seconds, signed with the first secret."""
    return str(create_access_token(identity=client, additional_claims={"scope": " ".join(sorted(scopes))}))


def caller() -> Caller:
    """Who calls, proven by the token of this request; remembered for its duration. Raises Problem 401."""
    if "caller" not in g:
        g.caller = _verified()
    known: Caller = g.caller
    return known


def identified() -> str | None:
    """The calling client's name, or None where no valid token says it."""
    if request.method == "OPTIONS":  # asked without a token, and flask-jwt-extended does not look for one
        return None
    try:
        return caller().client
    except Problem:
        return None


def requires(scope: str) -> Callable[[View], View]:
    """Guards a view, outermost of its decorators but the route: without the scope nothing of the request is looked at."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if scope not in caller().scopes:
                header = f'Bearer realm="lily", error="insufficient_scope", scope="{scope}"'
                detail = f"The token lacks the scope {scope}."
                raise Problem(INSUFFICIENT_SCOPE, detail, headers={"WWW-Authenticate": header}, extra={"scope": scope})
            return view(*args, **kwargs)

        guarded.required_scope = scope  # type: ignore[attr-defined] # for whoever lists what is protected by what
        return protects(scope)(guarded)  # type: ignore[return-value]

    return guard


def _verified() -> Caller:
    for secret in settings().jwt.secrets:
        g.jwt_secret = secret.reveal()
        try:
            verify_jwt_in_request()
        except InvalidSignatureError:
            continue  # signed with the other secret, perhaps
        except NoAuthorizationError:
            raise _refused(None, "The header Authorization: Bearer <token> is missing.") from None
        except (PyJWTError, JWTExtendedException) as error:
            raise _refused("invalid_token", f"The token is not valid: {error}.") from None
        except (ValueError, TypeError, KeyError):
            raise _refused("invalid_token", "The token is not a token.") from None
        claims = get_jwt()
        return Caller(claims["sub"], frozenset(claims["scope"].split()))
    raise _refused("invalid_token", "The token's signature is wrong.")


def _key(_header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The secret to try. Sees the claims as they were sent, before flask-jwt-extended fills in those it can do without."""
    for name in CLAIMS:
        if name not in claims:
            raise MissingRequiredClaimError(name)
    secret: str = g.jwt_secret
    return secret


def _is_complete(_header: dict[str, Any], claims: dict[str, Any]) -> bool:
    texts = all(isinstance(claims[name], str) for name in ("iss", "sub", "type", "jti", "scope"))
    return texts and claims["type"] == "access" and bool(claims["sub"])


def _refused(error: str | None, detail: str) -> Problem:
    challenge = 'Bearer realm="lily"' + (f', error="{error}"' if error else "")
    return Problem(INVALID_TOKEN, detail, headers={"WWW-Authenticate": challenge})
