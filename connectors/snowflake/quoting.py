"""The only two places in which names and values become text of Snowflake's SQL.

Source: docs.snowflake.com, Identifier requirements; String & binary data types (escape sequences in single-quoted strings).
"""

from collections.abc import Iterable

NAME_MAX = 255  # code points


def identifier(name: str) -> str:
    """A name exactly as it is stored: nothing is folded, trimmed or normalised. Raises ValueError for what cannot be a name."""
    if not 1 <= len(name) <= NAME_MAX or "\x00" in name:
        raise ValueError(f"a name has 1 to {NAME_MAX} characters and no NUL; this one has {len(name)}")
    return '"' + name.replace('"', '""') + '"'


def path(names: Iterable[str]) -> str:
    """Names from the outermost to the innermost."""
    return ".".join(map(identifier, names))


def literal(text: str) -> str:
    """A string constant. Backslash is an escape inside of it, so it is doubled first."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\x00", "\\0") + "'"
