"""How rules name tables and columns: dotted paths as SQL reads identifiers, with wildcards in patterns.

- A path has parts divided by dots, and is compared from its end: `email` is a column, `customers.email` a column of a table,
  then come the schema and the database.
- A part without quotes fits a name in any case: `email` means EMAIL as well, so that one rule serves warehouses that fold
  names differently. A part in double quotes fits exactly that name, with dots and all (`"E-Mail.Addr"`, a quote inside is
  doubled); where the target itself ignores case, so does it.
- In patterns, unquoted parts may hold `*` (any run of characters, also none) and `?` (any one). Neither reaches over a dot.
- Nothing is trimmed and no Unicode normalisation happens: warehouses do neither.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache

NAME_MAX = 255  # code points; both warehouses' limit
PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


@dataclass(frozen=True)
class Part:
    """One name of a path. `is_exact`: it was quoted."""

    text: str
    is_exact: bool
    is_wild: bool = False

    def fits(self, name: str, *, ignores_case: bool) -> bool:
        """Whether this part means `name`; `ignores_case` says that the target itself tells no cases apart."""
        if self.is_exact:
            return name == self.text or (ignores_case and name.lower() == self.text.lower())
        if self.is_wild:
            return self._glob.match(name.casefold()) is not None
        return name.casefold() == self._folded

    @cached_property
    def _folded(self) -> str:
        return self.text.casefold()

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        # translate guards its stars against backtracking; brackets mean nothing here
        return re.compile(translate(self._folded.replace("[", "[[]")))


@lru_cache(maxsize=4096)
def parse(text: str, parts_max: int, *, wild: bool = False) -> tuple[Part, ...]:
    """The parts of a path. Raises ValueError with a sentence that reads after the field's name."""
    parts: list[Part] = []
    at = 0
    while True:
        found = PART.match(text, at)
        if found is None:
            raise ValueError(f'has no name at character {at + 1}; write name.name, or "name" for one with dots or quotes in it')
        quoted, plain = found.groups()
        parts.append(_part(quoted, plain, wild=wild))
        at = found.end()
        if at == len(text):
            break
        if text[at] != ".":
            raise ValueError(f"has {text[at]!r} at character {at + 1} where a dot or the end belongs; quote the whole name")
        at += 1
    if len(parts) > parts_max:
        raise ValueError(f"has {len(parts)} parts; at most {parts_max} are allowed")
    return tuple(parts)


def _part(quoted: str | None, plain: str | None, *, wild: bool) -> Part:
    name = quoted.replace('""', '"') if quoted is not None else plain or ""
    if not name or len(name) > NAME_MAX:
        raise ValueError(f"has a name of {len(name)} characters; 1 to {NAME_MAX} are allowed")
    if "\0" in name or any("\ud800" <= char <= "\udfff" for char in name):
        raise ValueError("holds a NUL or half of a surrogate pair, which no warehouse can store")
    is_wild = quoted is None and bool({"*", "?"} & set(name))
    if is_wild and not wild:
        raise ValueError("holds a wildcard; patterns go into match.patterns, and a real * or ? into double quotes")
    return Part(name, quoted is not None, is_wild)


def fits(path: Sequence[Part], names: Sequence[str], *, ignores_case: bool) -> bool:
    """Whether `path` means the thing with these names, outermost first. A path longer than the names means nothing here."""
    if len(path) > len(names):
        return False
    pairs = zip(path, names[len(names) - len(path) :], strict=True)
    return all(part.fits(name, ignores_case=ignores_case) for part, name in pairs)
