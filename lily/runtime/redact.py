"""Hides what must not be read in a log: values under secret-looking names, tokens, keys, passwords, e-mail addresses.

A net, not a proof: what is known to be secret must not be logged at all.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

HIDDEN = "***"
CHARACTERS_MAX = 2_000
ITEMS_MAX = 200
DEPTH_MAX = 8

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {"apikey", "authorization", "cookie", "credential", "credentials", "jwt", "passphrase"}
    | {"passwd", "password", "pwd", "secret", "secrets", "signature", "token"}
)
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("seal", "key")})

_PLAIN = re.compile(r"[a-z0-9_./-]{0,100}|[A-Za-z0-9_./-]{0,10}")  # most of what is logged: ids, names, states
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(-----END [A-Z ]{0,40}PRIVATE KEY-----)?", HIDDEN),
        (r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}", rf"\1{HIDDEN}"),
        (r"(?i)\b(basic\s+)[A-Za-z0-9+/=]{16,}", rf"\1{HIDDEN}"),
        (r"\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,2}", HIDDEN),  # a JWT, even one that was cut
        (r"(://)[^\s/@]*@", rf"\1{HIDDEN}@"),  # user and password in a URL
        (
            r"(?i)((?:\b|[_-])(?:password|passwd|passphrase|pwd|secret|token|signature|credential|api[_-]?key|access[_-]?key)"
            r"[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"'&,;]+",
            rf"\1{HIDDEN}",
        ),
        (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b", HIDDEN),
        (  # an AWS secret access key: 40 characters of base64 with all three classes, so not a SHA-1
            r"(?<![A-Za-z0-9/+=])(?=[^\s]{0,39}[A-Z])(?=[^\s]{0,39}[a-z])(?=[^\s]{0,39}[0-9])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
            HIDDEN,
        ),
        (r"\bwhsec_[A-Za-z0-9+/=]+", HIDDEN),
        (r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", f"{HIDDEN}@{HIDDEN}"),
    )
)


def redact(value: Any) -> Any:
    """`value` made of plain JSON types, with secrets as `***`, long texts, long lists and deep nesting cut."""
    return _redact(value, DEPTH_MAX)


def text(given: str, characters_max: int = CHARACTERS_MAX, *, keep_end: bool = False) -> str:
    """`given` without secrets, cut to `characters_max`; `keep_end` keeps its end, where a traceback says most."""
    if _PLAIN.fullmatch(given):
        return given
    # Cut before the search too, or a text of megabytes would cost seconds; twice as long, so that no secret is cut apart unseen.
    near = given[-2 * characters_max :] if keep_end else given[: 2 * characters_max]
    if not near.isascii():
        near = near.encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be written
    for pattern, instead in _PATTERNS:
        near = pattern.sub(instead, near)
    if len(near) <= characters_max and len(given) <= 2 * characters_max:
        return near
    left_out = max(len(given), len(near)) - characters_max
    note = f"... {left_out} more characters"
    return f"{note}: {near[-characters_max:]}" if keep_end else f"{near[:characters_max]} {note}"


@lru_cache(maxsize=1_000)
def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret: `api_token`, `X-Mcd-Signature`, `accessKey`, but not `tokens_left`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 64 else f"<whole number of {value.bit_length()} bits>"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == 0:
        return "..."
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        shown = [_redact(item, depth - 1) for item in items[:ITEMS_MAX]]
        return shown if len(items) <= ITEMS_MAX else [*shown, f"... {len(items) - ITEMS_MAX} more items"]
    try:
        return text(str(value))
    except Exception:  # somebody else's __str__ must not stop a log line
        return f"<{type(value).__name__}>"


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    shown = {}
    for count, (key, item) in enumerate(value.items()):
        if count == ITEMS_MAX:
            shown["..."] = f"{len(value) - ITEMS_MAX} more items"
            break
        name = str(_redact(key, 1))
        hides = is_secret_name(name) and not (item is None or isinstance(item, bool | int | float))
        shown[name] = HIDDEN if hides else _redact(item, depth - 1)
    return shown
