"""The names of a catalog's tags by their lasting ids, with all that each ever had.

A rule names a tag as its author knew it. What counts is the id: a tag that was renamed keeps its former names here, so a rule
that names it by any of them goes on to match it.
"""

from collections.abc import Collection, Mapping

from lily.records import batch, items
from lily.records.batch import packed, plain

NAMES_MAX = 20  # of one tag; the oldest in between go first


def of(catalog: str, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Names by id, the present one last; tags that Lily never came across are left out. Raises Transient and Permanent."""
    found = batch.read_many([(_pk(catalog), tag) for tag in ids])
    return {tag: tuple(items.loads(plain(item)["d"])) for (_, tag), item in found.items()}


def learn(catalog: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Note the present names of tags; all names by id. Safe to repeat; of two who learn at once the later one's names stay."""
    known = of(catalog, names)
    after = {tag: _with(known.get(tag, ()), name) for tag, name in names.items()}
    if new := [tag for tag, some in after.items() if some != known.get(tag)]:
        batch.write_many([packed({"pk": _pk(catalog), "sk": tag, "d": items.dumps(list(after[tag]))}) for tag in new])
    return after


def _with(known: tuple[str, ...], name: str) -> tuple[str, ...]:
    if known[-1:] == (name,):
        return known
    names = (*(one for one in known if one != name), name)
    return names if len(names) <= NAMES_MAX else (names[0], *names[-(NAMES_MAX - 1) :])


def _pk(catalog: str) -> str:
    return f"TAGS#{catalog}"
