"""Pages: `{"items", "next_cursor"}`, and cursors that only Lily can make and that fit only the request they were made for."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from app.problems import INVALID_CURSOR, Fault, Problem
from lily.runtime.settings import settings

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
MAC_BYTES = 16
PageOf = Callable[[str, int, str | None], Any]  # name of a list, at most so many, after a position -> `.items`, `.next`


def seal(position: str | None, of: str, filters: Mapping[str, object]) -> str | None:
    """The cursor that stands for `position` in the list `of` under `filters`; None where there is nothing more."""
    if position is None:
        return None
    mac = _mac(_keys()[0], position, of, filters)
    return base64.urlsafe_b64encode(mac + position.encode()).rstrip(b"=").decode()


def unseal(cursor: str | None, of: str, filters: Mapping[str, object]) -> str | None:
    """The position behind `cursor`. Raises Problem 400 if it was changed, or was given out for other filters."""
    if cursor is None:
        return None
    try:
        sealed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = sealed[MAC_BYTES:].decode()
    except (UnicodeError, binascii.Error):
        raise _foreign() from None
    if not any(hmac.compare_digest(_mac(key, position, of, filters), sealed[:MAC_BYTES]) for key in _keys()):
        raise _foreign()
    return position


def across(names: Sequence[str], page: PageOf, limit: int, position: str | None) -> tuple[list[Any], str | None]:
    """Up to `limit` items of several lists, one list after the other in order of their names, and the position to go on from."""
    at, _, inner = (position or "").partition(" ")
    after = inner or None
    found: list[Any] = []
    waiting = [name for name in sorted(names) if name >= at]
    for name in waiting:
        part = page(name, limit - len(found), after if name == at else None)
        found += part.items
        if part.next is not None:
            return found, f"{name} {part.next}"
        if len(found) >= limit:
            following = next((other for other in waiting if other > name), None)
            return found, following
    return found, None


def _mac(key: bytes, position: str, of: str, filters: Mapping[str, object]) -> bytes:
    given = {name: value for name, value in filters.items() if value is not None}
    return hmac.digest(key, orjson.dumps([of, given, position], option=orjson.OPT_SORT_KEYS), "sha256")[:MAC_BYTES]


@cache
def _keys() -> tuple[bytes, ...]:
    """One per seal key, so that cursors outlive a change of keys. Derived: a cursor must never help to open a seal."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secrets = [base64.b64decode(key.reveal()) for key in settings().seal_keys]
    return tuple(HKDF(SHA256(), 32, salt=None, info=b"lily cursor 1").derive(secret) for secret in secrets)


def _foreign() -> Problem:
    return Problem(INVALID_CURSOR, faults=[Fault("cursor", "was changed, or was given out for other filters")])
