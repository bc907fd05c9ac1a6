"""The announcement that an asset should carry for all its open incidents, and what to do about the one that it does carry.

An asset has one announcement, without a history, which people and other tools write too. So Lily replaces or clears only what
it knows to be its own: texts that were written down before they were sent.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from lily.domain.catalog import Announcement, Quality
from lily.domain.incidents import Incident

LISTED_MAX = 3
TITLE_MAX = 120  # characters of one incident's title; an announcement is a banner, not a report
SEVERITIES = ("SEV-1", "SEV-2", "SEV-3", "SEV-4")  # worst first
Foreign = Literal["keep", "put_back"]


@dataclass(frozen=True)
class OpenIncident:
    """What a badge says of one incident. `severity` is a source's word, worst first in SEVERITIES; None: it has none yet."""

    id: str
    title: str = ""
    severity: str | None = None
    url: str = ""


@dataclass(frozen=True)
class Upstream:
    """A table that the asset is made from, by a name for people, and how it is doing."""

    name: str
    open_incidents: int
    worst_severity: str | None = None
    url: str = ""


class Act(StrEnum):
    WRITE = "write"
    CLEAR = "clear"
    KEEP = "keep"  # somebody else's stays where Lily's would be; to be reported
    NOTHING = "nothing"


@dataclass(frozen=True)
class Decision:
    """`announcement` is what to write. `aside` is somebody else's, to be kept until Lily's goes; to be stored before acting."""

    act: Act
    announcement: Announcement | None = None
    aside: Announcement | None = None


def of_incident(incident: Incident) -> OpenIncident:
    return OpenIncident(incident.id, incident.title or "", incident.severity, incident.url or "")


def wanted(incidents: Iterable[OpenIncident], upstream: Iterable[Upstream] = ()) -> Announcement | None:
    """The badge of an asset with these open incidents; an issue of its own wins over warnings from upstream.

    Order and repetition do not matter. Upstreams without an open incident count for nothing.
    """
    own = _own(incidents)
    if own:
        lines = [_line(_prefixed(one.severity, _cut(one.title) or f"Incident {one.id}"), one.url) for one in own]
        if len(own) == 1:
            return Announcement("issue", _prefixed(own[0].severity, _cut(own[0].title) or "1 open incident"), own[0].url)
        return Announcement("issue", _prefixed(own[0].severity, f"{len(own)} open incidents"), _listed(lines))
    above = _above(upstream)
    if not above:
        return None
    lines = [_line(_prefixed(one.worst_severity, f"{one.name}: {_count(one.open_incidents)}"), one.url) for one in above]
    where = above[0].name if len(above) == 1 else f"{len(above)} tables"
    return Announcement(
        "warning", _prefixed(above[0].worst_severity, f"open incidents upstream in {_cut(where)}"), _listed(lines)
    )


def quality(incidents: Iterable[OpenIncident], upstream: Iterable[Upstream], as_of: datetime) -> Quality:
    """The same in fields to search by."""
    own, above = _own(incidents), _above(upstream)
    return Quality(
        open_incidents=len(own),
        worst_severity=own[0].severity if own else None,
        links=tuple(one.url for one in own[:LISTED_MAX] if one.url),
        upstream_incidents=sum(one.open_incidents for one in above),
        as_of=as_of,
    )


def decide(
    wanted: Announcement | None,
    found: Announcement | None,
    ours: Collection[Announcement],
    aside: Announcement | None,
    foreign: Foreign,
) -> Decision:
    """What to do where `wanted` should be and `found` is.

    `ours` are the texts that Lily has written there or was about to write, so that a crash in between disowns none. With
    `put_back` somebody else's is kept aside while Lily's is shown, and put back when that goes; of two the later one.
    """
    if found is not None and wanted is not None and _same(found, wanted):
        return Decision(Act.NOTHING, aside=aside)
    if found is None or any(_same(found, one) for one in ours):
        if wanted is not None:
            return Decision(Act.WRITE, wanted, aside)
        if aside is not None:
            return Decision(Act.WRITE, aside)
        return Decision(Act.NOTHING if found is None else Act.CLEAR)
    if wanted is None:
        return Decision(Act.NOTHING)  # what was aside is older than what somebody has written since
    if foreign == "keep":
        return Decision(Act.KEEP, aside=aside)
    return Decision(Act.WRITE, wanted, found)


def rank(severity: str | None) -> tuple[int, str]:
    """For sorting, worst first: known ones, then unknown words, then none."""
    if severity is None:
        return len(SEVERITIES) + 1, ""
    return (SEVERITIES.index(severity), "") if severity in SEVERITIES else (len(SEVERITIES), severity)


def _own(incidents: Iterable[OpenIncident]) -> list[OpenIncident]:
    ordered = sorted(incidents, key=lambda one: (rank(one.severity), one.id, one.title, one.url))
    return list({one.id: one for one in reversed(ordered)}.values())[::-1]  # of one told twice the worse


def _above(upstream: Iterable[Upstream]) -> list[Upstream]:
    ordered = sorted(
        (one for one in upstream if one.open_incidents > 0),
        key=lambda one: (rank(one.worst_severity), -one.open_incidents, one.name, one.url),
    )
    return list({one.name: one for one in reversed(ordered)}.values())[::-1]


def _same(one: Announcement, other: Announcement) -> bool:
    """Whether they look the same: white space at the ends is not kept everywhere."""
    return _looks(one) == _looks(other)


def _looks(one: Announcement) -> tuple[str, str, str]:
    return one.type, one.title.strip(), one.message.strip()


def _prefixed(severity: str | None, text: str) -> str:
    return f"{severity}: {text}" if severity else text[:1].upper() + text[1:]


def _line(text: str, url: str) -> str:
    return f"{text} {url}".rstrip()


def _listed(lines: list[str]) -> str:
    more = len(lines) - LISTED_MAX
    return "\n".join([*lines[:LISTED_MAX], *([f"and {more} more"] if more > 0 else [])])


def _count(number: int) -> str:
    return "1 open incident" if number == 1 else f"{number} open incidents"


def _cut(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= TITLE_MAX else one_line[: TITLE_MAX - 1] + "…"
