"""The only places in which names and values become text: of Databricks SQL, and of the paths of its REST interface.

Source: docs.databricks.com, Identifiers; STRING type (literals). Backslash escapes are active in literals, and a doubled quote
is none: two literals side by side are joined. So every literal is one, without `r'...'`, quotes escaped by a backslash.
"""

from collections.abc import Iterable
from urllib.parse import quote

NAME_MAX = 255  # code points
ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x00": "\\0"})


def identifier(name: str) -> str:
    """A name exactly as it is stored. Raises ValueError for what cannot be a name."""
    if not 1 <= len(name) <= NAME_MAX or "\x00" in name:
        raise ValueError(f"a name has 1 to {NAME_MAX} characters and no NUL; this one has {len(name)}")
    return "`" + name.replace("`", "``") + "`"


def path(names: Iterable[str]) -> str:
    """Names from the outermost to the innermost."""
    return ".".join(map(identifier, names))


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.translate(ESCAPES) + "'"


def in_path(names: Iterable[str]) -> str:
    """Names as one part of a URL's path. A name with a dot or a slash cannot be told there for sure: see `is_in_path`."""
    return ".".join(quote(name, safe="") for name in names)


def is_in_path(name: str) -> bool:
    """Whether REST can name it beyond doubt: a dot would divide it, and what proxies make of %2F is not known."""
    return not set(name) & set("./")
