"""What an annotation is about, as requests name it: the four names as stored, or the catalog's qualified name.

A qualified name is `<connection>/DATABASE/SCHEMA/TABLE`, with `/COLUMN` for a column; which connection a target is, its setting
CATALOG_CONNECTION says. A name that holds a `/` itself cannot be told apart there: name such a column as a place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors import registry
from lily.domain.classifications import Place
from lily.domain.faults import Faults
from lily.domain.inventory import TableId
from lily.domain.patterns import NAME_MAX
from lily.runtime.settings import settings

NAMES = ("database", "schema", "table")
CLASSIFICATIONS_MAX = 100
CLASSIFICATION_CHARACTERS_MAX = 256


@dataclass(frozen=True)
class Statement:
    """The full set of classifications of one place. `entry`: which one of the request it came from."""

    entry: int
    place: Place
    classifications: frozenset[str]


def read(entries: Sequence[Mapping[str, Any]], faults: Faults) -> list[Statement]:
    """What the entries state, in their order; an asset of several targets is several places. `faults` gains what is wrong."""
    statements: list[Statement] = []
    seen: dict[Place, int] = {}
    for number, entry in enumerate(entries):
        where = f"annotations[{number}]"
        names = _classifications(faults, f"{where}.classifications", entry.get("classifications"))
        for place in _places(faults, where, entry):
            if place in seen:
                faults.add(where, f"is about the same as annotations[{seen[place]}]; each is a full set, so keep one")
            seen.setdefault(place, number)
            statements.append(Statement(number, place, names))
    return statements


def _places(faults: Faults, where: str, entry: Mapping[str, Any]) -> list[Place]:
    named = [name for name in ("target", *NAMES, "column") if entry.get(name) is not None]
    if entry.get("asset") is not None and named:
        faults.add(where, f"has both asset and {named[0]}; give the one or the other")
        return []
    if entry.get("asset") is not None:
        return _of_asset(faults, f"{where}.asset", entry["asset"])
    missing = [name for name in ("target", *NAMES) if name not in named]
    if missing:
        faults.add(f"{where}.{missing[0]}", "is missing; give target, database, schema and table, or asset")
        return []
    before = len(faults.found)
    target = faults.text(f"{where}.target", entry["target"], 100)
    if target and target not in settings().targets:
        faults.add(f"{where}.target", f"{target!r} is no target here; {_known(settings().targets)}")
    for name in named[1:]:
        faults.text(f"{where}.{name}", entry[name], NAME_MAX)
    if len(faults.found) > before:
        return []
    return [Place(target, _stored(target, *(entry[name] for name in NAMES)), entry.get("column"))]


def _of_asset(faults: Faults, where: str, asset: object) -> list[Place]:
    text = faults.text(where, asset, 4 * NAME_MAX + 1000)
    connections = {config.name: config.catalog_connection for config in settings().targets.values() if config.catalog_connection}
    names = [name for name, connection in connections.items() if text.startswith(f"{connection}/")]
    if not names:
        if text:
            faults.add(where, f"is of no connection of a target here; {_known(set(connections.values()))}")
        return []
    parts = text[len(connections[names[0]]) + 1 :].split("/")
    if len(parts) not in {3, 4} or not all(0 < len(part) <= NAME_MAX for part in parts):
        faults.add(where, "must go on with /DATABASE/SCHEMA/TABLE, and /COLUMN for a column, after the connection")
        return []
    return [Place(name, _stored(name, *parts[:3]), parts[3] if len(parts) == 4 else None) for name in names]


def _stored(target: str, *names: str) -> TableId:
    """The table as the target has it: one that ignores case stores lower case, whatever a source writes."""
    ignores_case = registry.target(settings().targets[target].kind).capabilities(target).ignores_case
    return TableId(*(name.lower() if ignores_case else name for name in names))


def _classifications(faults: Faults, where: str, given: object) -> frozenset[str]:
    if given is None:
        faults.add(where, "is missing; an empty list says that there are none")
        return frozenset()
    names = faults.items(where, given, CLASSIFICATIONS_MAX)
    return frozenset(faults.text(f"{where}[{n}]", name, CLASSIFICATION_CHARACTERS_MAX) for n, name in enumerate(names))


def _known(names: Iterable[str]) -> str:
    told = ", ".join(sorted(names))
    return f"known are {told}" if told else "none is configured"
