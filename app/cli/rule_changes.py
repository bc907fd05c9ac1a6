"""What files would change: pure, from rules in files and rules in Lily to an ordered list of changes.

A file's rule is matched by name. Rules that were made from files carry a mark, the last line of their description, with the name
of their set, so that --prune deletes nothing that somebody made another way, nor what another repository keeps.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.cli.rule_files import FileRule, InvalidFile

WRITTEN = ("name", "description", "regulation", "match", "action", "exempt", "targets", "enabled")
LEFT_OUT: Mapping[str, Any] = {"description": "", "exempt": [], "enabled": True}
SET = "[a-z0-9][a-z0-9-]{0,39}"
_MARK = re.compile(rf"(?:\A|\n)\[kept in files: ({SET})\]\Z")


class Kind(StrEnum):
    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True)
class Field:
    """One value that changes; None where it is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """One rule on its way. `document` is what to send (None: delete); `live` the rule in Lily as it is (None: there is none).

    `adopts`: it is in Lily already, made by other means, and becomes one that is kept in files.
    """

    kind: Kind
    name: str
    document: Mapping[str, Any] | None
    live: Mapping[str, Any] | None
    fields: tuple[Field, ...] = ()
    file: FileRule | None = None
    adopts: bool = False


def changes(files: Sequence[FileRule], live: Iterable[Mapping[str, Any]], own: str, *, prune: bool) -> list[Change]:
    """What makes Lily's rules those of the files: creations and replacements in the files' order, then deletions.

    `own` is the set of these files. Raises InvalidFile where a name fits several rules, or one of another set.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for rule in live:
        by_name[rule["name"]].append(rule)
    faults = [fault for file in files for fault in _faults(file, by_name[file.name], own)]
    if faults:
        raise InvalidFile(faults)
    wanted = {file.name for file in files}
    found = [_change(file, next(iter(by_name[file.name]), None), own) for file in files]
    gone = [rule for rules in by_name.values() for rule in rules if set_of(rule) == own and rule["name"] not in wanted]
    ordered = sorted(gone, key=lambda rule: (rule["name"], rule["id"])) if prune else []
    return found + [Change(Kind.DELETE, rule["name"], None, rule, tuple(_differ(_as_written(rule), {}))) for rule in ordered]


def marked(document: Mapping[str, Any], own: str) -> dict[str, Any]:
    """The document with the mark of the set in its description."""
    text = unmarked(str(document.get("description") or ""))
    return {**document, "description": f"{text}\n[kept in files: {own}]" if text else f"[kept in files: {own}]"}


def unmarked(description: str) -> str:
    return _MARK.sub("", description)


def set_of(rule: Mapping[str, Any]) -> str | None:
    """The set of files that a rule in Lily is kept in; None: it was made by other means."""
    found = _MARK.search(rule.get("description") or "")
    return found.group(1) if found else None


def from_live(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in Lily as its file would have it, without what may be left out."""
    written = _as_written(rule)
    return {name: written[name] for name in WRITTEN if name in written and written[name] != LEFT_OUT.get(name, ...)}


def _change(file: FileRule, live: Mapping[str, Any] | None, own: str) -> Change:
    document = marked(file.document, own)
    if live is None:
        return Change(Kind.CREATE, file.name, document, None, tuple(_differ({}, _normal(file.document))), file)
    fields = tuple(_differ(_as_written(live), _normal(file.document)))
    adopts = set_of(live) is None
    return Change(Kind.REPLACE if fields or adopts else Kind.NONE, file.name, document, live, fields, file, adopts)


def _faults(file: FileRule, fitting: Sequence[Mapping[str, Any]], own: str) -> Iterator[str]:
    given = file.document.get("description")
    if given is not None and not isinstance(given, str):
        yield f"{file.where('description')}: description: must be a text"
    elif given and _MARK.search(given):
        yield f"{file.where('description')}: description: must not end with the mark of rules that are kept in files"
    if len(fitting) > 1:
        ids = ", ".join(rule["id"] for rule in fitting)
        yield f"{file.where('name')}: name: {len(fitting)} rules in Lily have it ({ids}); rename or delete all but one"
    elif fitting and (other := set_of(fitting[0])) not in {None, own}:
        yield f"{file.where('name')}: name: the rule is kept in the files of the set {other!r}, these are of {own!r}; see --set"


def _as_written(rule: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: rule[name] for name in WRITTEN if name in rule}
    return _normal({**own, "description": unmarked(rule.get("description") or "")})


def _normal(document: Mapping[str, Any]) -> dict[str, Any]:
    """With what its author may leave out or null."""
    given = {**LEFT_OUT, **{name: value for name, value in document.items() if value is not None or name not in LEFT_OUT}}
    known = {name: given[name] for name in WRITTEN if name in given}
    return known | given  # in the order in which rules are read, with what nobody knows at the end


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[Field]:
    """Field by field; mappings are looked into, lists are compared as wholes."""
    for name in [*before, *(name for name in after if name not in before)]:
        old, new, inner = before.get(name), after.get(name), f"{path}.{name}" if path else name
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differ(old, new, inner)
        elif not _is_equal(old, new) and not (inner in LEFT_OUT and LEFT_OUT[inner] in (old, new) and None in (old, new)):
            yield Field(inner, old, new)  # a whole rule that comes or goes is told without what its author may leave out


def _is_equal(old: Any, new: Any) -> bool:
    """As Python has it, but that True is not 1."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_is_equal(*pair) for pair in zip(old, new, strict=True))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_is_equal(old[name], new[name]) for name in old)
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
