"""The kinds of values that a setting may have: each with its name for the documentation and its parser.

No error message here repeats a value that could be a secret or hold one.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from environs import Env, ValidationError, validate

from lily.runtime.variables import Kind, Secret


def whole(least: int, most: int) -> Kind:
    limits = validate.Range(least, most, error=(message := f"must be a whole number from {least} to {most}"))
    read = partial(Env.int, validate=limits, error_messages={"invalid": message, "too_large": message})
    return Kind(f"whole number, {least} to {most}", read)


def seconds(least: float, most: float) -> Kind:
    limits = validate.Range(least, most, error=(message := f"must be a number of seconds from {least:g} to {most:g}"))
    read = partial(Env.float, validate=limits, error_messages={"invalid": message, "too_large": message, "special": message})
    return Kind(f"seconds, {least:g} to {most:g}", read)


def one_of(*choices: str) -> Kind:
    allowed = validate.OneOf(choices, error="must be one of {choices}")
    return Kind(" or ".join(choices), lambda env, name: env.str(name, validate=allowed))


def matching(pattern: str, label: str) -> Kind:
    """A text that `pattern` describes from its first to its last character."""
    limits = validate.Regexp(rf"(?:{pattern})\Z", error=f"must be {label}")
    return Kind(label, lambda env, name: env.str(name, validate=limits))


def text(characters_max: int = 200) -> Kind:
    limits = validate.Length(max=characters_max, error="is longer than {max} characters")
    return Kind("text", lambda env, name: env.str(name, validate=limits))


def names(pattern: str, label: str) -> Kind:
    """Names, separated by commas; repeats are dropped, order is kept."""
    form = re.compile(pattern)

    def parse(parts: list[str]) -> tuple[str, ...]:
        for part in parts:
            if not form.fullmatch(part):
                raise ValidationError(f"{part!r} is no name; expected {label}")
        return tuple(dict.fromkeys(parts))

    return Kind("names, comma separated", lambda env, name: parse(_parts(env.list(name))))


def words(allowed: Collection[str]) -> Kind:
    """A set of known words, separated by commas or white space."""

    def parse(given: str) -> frozenset[str]:
        found = frozenset(given.replace(",", " ").split())
        if unknown := sorted(found - set(allowed)):
            raise ValidationError(f"{', '.join(unknown)}: unknown; known are {', '.join(allowed)}")
        return found

    return Kind("words, separated by commas or spaces", lambda env, name: parse(env.str(name)))


def url(*schemes: str, path: bool = True) -> Kind:
    """A URL of one of `schemes`, with a host, without a slash at its end; `path=False` refuses a path."""
    expected = " or ".join(f"{scheme}://" for scheme in schemes)

    def parse(given: str) -> str:
        scheme, found, _ = given.partition("://")
        if not found:
            raise ValidationError(f"{_without_secrets(given)!r} has no scheme; expected {expected}")
        if scheme not in schemes:
            raise ValidationError(f"{_without_secrets(given)!r} has the wrong scheme; expected {expected}")
        try:
            parts = urlsplit(given)
            parts.port  # noqa: B018 - raises for a port that is no port
        except ValueError as error:
            raise ValidationError(f"{_without_secrets(given)!r} is no URL; check its host and port") from error
        if not parts.hostname:
            raise ValidationError(f"{_without_secrets(given)!r} names no host")
        if not path and (parts.path.strip("/") or parts.query or parts.fragment):
            raise ValidationError(f"{_without_secrets(given)!r} may have no path; only scheme, host and port")
        return given.rstrip("/")

    return Kind(f"{expected} URL", lambda env, name: parse(env.str(name)))


def texts() -> Kind:
    """One or more texts, comma separated; repeats are dropped, order is kept."""

    def parse(parts: list[str]) -> tuple[str, ...]:
        if not parts:
            raise ValidationError("names nothing; give one or more, comma separated")
        return tuple(dict.fromkeys(parts))

    return Kind("texts, comma separated", lambda env, name: parse(_parts(env.list(name))))


def two_names() -> Kind:
    """Two names with a dot between them; neither holds a dot itself."""

    def parse(given: str) -> tuple[str, str]:
        database, dot, schema = given.partition(".")
        if not (database and dot and schema) or "." in schema:
            raise ValidationError(f"{given!r} is not two names with a dot between them, as GOV.LILY")
        return database, schema

    return Kind("two names with a dot between", lambda env, name: parse(env.str(name)))


def share() -> Kind:
    limits = validate.Range(0, 1, error=(message := "must be a share from 0 to 1"))
    read = partial(Env.float, validate=limits, error_messages={"invalid": message, "too_large": message, "special": message})
    return Kind("share, 0 to 1", read)


def salt() -> Kind:
    """32 hex digits, of which too many alike are refused: they were made up, not drawn."""

    def parse(given: str) -> Secret:
        if not re.fullmatch("[0-9a-f]{32}", given) or len(set(given)) < 6:
            raise ValidationError("must be 32 random hex digits in lower case; make them with: openssl rand -hex 16")
        return Secret(given)

    return Kind("secret of 32 hex digits", lambda env, name: parse(env.str(name)))


def networks() -> Kind:
    def parse(parts: list[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        try:
            return tuple(map(ipaddress.ip_network, parts))
        except ValueError as error:
            raise ValidationError(f"{error}; expected networks as 10.0.0.0/8") from error

    return Kind("networks in CIDR form, comma separated", lambda env, name: parse(_parts(env.list(name))))


def rate() -> Kind:
    """A number of calls per unit of time, kept as text: the rate limiter has its own parser."""
    return matching(r"[1-9]\d{0,8}/(second|minute|hour|day)", "calls per unit of time as 600/minute")


def secret(characters_min: int = 1) -> Kind:
    def parse(given: str) -> Secret:
        return Secret(_long_enough(given, characters_min, "must be"))

    return Kind(f"secret{_at_least(characters_min)}", lambda env, name: parse(env.str(name)))


def secrets(characters_min: int = 1, *, least: int = 1) -> Kind:
    """One or two, comma separated: the second lets a key be replaced while both sides still use the first."""

    def check(part: str, number: int) -> str:
        return _long_enough(part, characters_min, f"number {number} must be")

    return _up_to_two(f"1 or 2 secrets{_at_least(characters_min)}, comma separated", check, least)


def keys(size_bytes: int) -> Kind:
    """One or two keys of exactly `size_bytes`, each in base64; kept as base64."""

    def check(part: str, number: int) -> str:
        try:
            size = len(base64.b64decode(part, validate=True))
        except (binascii.Error, ValueError):
            size = -1
        if size != size_bytes:
            raise ValidationError(
                f"number {number} is not {size_bytes} bytes in base64; make one with: openssl rand -base64 {size_bytes}"
            )
        return part

    return _up_to_two(f"1 or 2 keys of {size_bytes} bytes in base64, comma separated", check)


def flag() -> Kind:
    return Kind("true or false", partial(Env.bool, error_messages={"invalid": "must be true or false"}))


def _up_to_two(label: str, check: Callable[[str, int], str], least: int = 1) -> Kind:
    def parse(parts: list[str]) -> tuple[Secret, ...]:
        if not least <= len(parts) <= 2:
            raise ValidationError(f"holds {len(parts)} values; expected one, or two while one is being replaced")
        return tuple(Secret(check(part, number)) for number, part in enumerate(parts, start=1))

    def read(env: Any, name: str) -> tuple[Secret, ...]:
        return parse(_parts(env.list(name)))

    return Kind(label, read)


def _long_enough(given: str, characters_min: int, must_be: str) -> str:
    if len(given) < characters_min:
        raise ValidationError(f"{must_be} at least {characters_min} characters long; it has {len(given)}")
    return given


def _at_least(characters_min: int) -> str:
    return f" of at least {characters_min} characters" if characters_min > 1 else ""


def _parts(given: list[str]) -> list[str]:
    return [part for part in map(str.strip, given) if part]


def _without_secrets(given: str) -> str:
    """A URL may carry a password before its host or in its query."""
    before, at, host = given.partition("?")[0].rpartition("@")
    return f"{before.partition('://')[0]}://***@{host}" if at and "://" in before else f"***@{host}" if at else host
