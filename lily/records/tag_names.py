"""The names of a catalog's tags by their lasting ids, with all that each ever had.

A rule names a tag as its author knew it. What counts is the id: a tag that was renamed keeps its former names here, so a rule
that names it by any of them goes on to match it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lily.records import batch, items
from lily.records.batch import packed, plain
from lily.runtime.errors import Transient

NAMES_MAX = 20  # of one tag; those in the middle go first
TRIES = 5
Names = tuple[str, ...]  # of one tag, the present one last


@dataclass(frozen=True)
class _Kept:
    names: Names = ()
    version: int = 0


def of(catalog: str, ids: Collection[str]) -> dict[str, Names]:
    """Names by id; tags that Lily never came across are left out. Raises Transient and Permanent."""
    return {tag: kept.names for tag, kept in _read(catalog, ids).items()}


def learn(catalog: str, names: Mapping[str, str]) -> dict[str, Names]:
    """Note the present names of tags; all names by id. Safe to repeat, and no name is lost if several learn at once.

    Raises Transient and Permanent.
    """
    for _ in range(TRIES):
        known = _read(catalog, names)
        after = {tag: _with(known.get(tag, _Kept()), name) for tag, name in names.items()}
        new = [tag for tag, kept in after.items() if kept != known.get(tag)]
        answers = batch.put_if([(_item(catalog, tag, after[tag]), after[tag].version) for tag in new])
        if failed := next((answer for answer in answers if isinstance(answer, Exception)), None):
            raise failed
        if all(answers):
            return {tag: kept.names for tag, kept in after.items()}
    raise Transient(f"others keep changing the names of tags of {catalog}")


def _read(catalog: str, ids: Collection[str]) -> dict[str, _Kept]:
    found = {tag: plain(item) for (_, tag), item in batch.read_many([(_pk(catalog), tag) for tag in ids]).items()}
    return {tag: _Kept(tuple(items.loads(values["d"])), values["ver"]) for tag, values in found.items()}


def _with(known: _Kept, name: str) -> _Kept:
    if known.names[-1:] == (name,):
        return known
    names = (*(one for one in known.names if one != name), name)
    bounded = names if len(names) <= NAMES_MAX else (names[0], *names[-(NAMES_MAX - 1) :])
    return _Kept(bounded, known.version)


def _item(catalog: str, tag: str, kept: _Kept) -> batch.Item:
    return packed({"pk": _pk(catalog), "sk": tag, "ver": kept.version + 1, "d": items.dumps(list(kept.names))})


def _pk(catalog: str) -> str:
    return f"TAGS#{catalog}"
