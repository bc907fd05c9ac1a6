"""Backfills: all that is tagged in a connection of a catalog, read page by page, and what was annotated and is tagged no more.

First the catalog's search is walked: what it shows more than is known is stated at once. It lags behind the store, so what it
shows less, and then everything that Lily has annotated, is compared with the store.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lily.domain import patterns
from lily.domain.classifications import Place

PATH_PARTS = 3  # of a pattern: database, schema, table


class Phase(StrEnum):
    SEARCH = "search"
    CHECK = "check"


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Backfill:
    """`pattern`: only tables that this path with wildcards means, empty: all. `cursor`: where its phase goes on.

    `about`: the catalog's estimate of what is tagged. Of assets, `seen` are those found by their tags, `stated` those of which
    more was stated, `asked` those that are read once more from the store because something is missing, `elsewhere` those that
    lie in no target or are not meant, `checked` those that were annotated and were compared with the store.
    """

    id: str
    catalog: str
    connection: str
    pattern: str
    tags: tuple[str, ...]  # names; empty: all
    dry_run: bool
    by: str
    started_at: datetime
    state: State = State.RUNNING
    phase: Phase = Phase.SEARCH
    cursor: str | None = None
    about: int = 0
    seen: int = 0
    stated: int = 0
    asked: int = 0
    elsewhere: int = 0
    checked: int = 0
    pages: int = 0
    failures: int = 0
    reason: str = ""
    due_at: datetime | None = None
    progress_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = field(default=0, compare=False)

    def means(self, place: Place) -> bool:
        """Whether a place is one of those that are meant."""
        if not self.pattern:
            return True
        names = (place.table.database, place.table.schema, place.table.name)
        return patterns.fits(patterns.parse(self.pattern, PATH_PARTS, wild=True), names, ignores_case=False)


def moved(backfill: Backfill, cursor: str | None) -> Backfill:
    """After a page of its phase: at `cursor`, or at the beginning of the next phase, or at its end (`ended_at` is not set)."""
    after = replace(backfill, cursor=cursor, pages=backfill.pages + 1, failures=0, reason="")
    if cursor is not None:
        return after
    if backfill.phase is Phase.SEARCH:
        return replace(after, phase=Phase.CHECK)
    return replace(after, state=State.DONE)
