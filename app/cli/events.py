"""`lily events`: what arrives, as it arrives, and once more."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import click

from app.cli.api import Api, Refused, part
from app.cli.output import Session, note, plain, progress, speaks

POLL_S = 1.0
OVERLAP = timedelta(seconds=30)  # an event is listed a little after the time that it was received at
SEEN_MAX = 10_000
FILTERS = ("status", "type", "severity", "asset", "source", "incident")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    named = [click.option(f"--{name}", help=f"Only of this {name}.") for name in FILTERS]
    return reduce(lambda made, option: option(made), reversed(named), command)


@click.group()
def events() -> None:
    """Events: what was delivered, and what became of it."""


@events.command()
@speaks()
@_filters
@click.option("-n", "--last", type=click.IntRange(0, 1000), default=10, show_default=True, help="So many that are there already.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with those that arrive, until Ctrl-C.")
def tail(session: Session, last: int, follow: bool, **filters: str | None) -> None:
    """Show events as they arrive, the latest last. With -o json each is one line."""
    show: Callable[[dict[str, Any]], None] = _line if not session.is_json else _json_line
    try:
        for event in _tailed(session.api, last, filters, follow=follow):
            show(event)
    except KeyboardInterrupt:
        return  # that is how one stops watching


@events.command()
@speaks()
@_filters
@click.option("--since", help="Received at this time or later: ISO 8601 with an offset.")
@click.option("--until", help="Received before this time.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.argument("event_ids", nargs=-1)
def replay(
    session: Session,
    *,
    event_ids: Sequence[str],
    since: str | None,
    until: str | None,
    dry_run: bool,
    yes: bool,
    **filters: str | None,
) -> None:
    """Process events again: EVENT_IDS, or all that the filters find, which are counted first.

    Receivers that deduplicate see nothing new: ids stay the same.
    """
    given = {name: value for name, value in {**filters, "since": since, "until": until}.items() if value is not None}
    if bool(event_ids) == bool(given):
        raise click.UsageError("give ids of events, or filters such as --status parked")
    if event_ids:
        result = _one_by_one(session.api, event_ids, dry_run=dry_run)
    else:
        result = _pages(session.api, given, None, dry_run=True)
        if not dry_run and result["matched"]:
            if not yes:
                click.confirm(f"{result['matched']} events match. Process them again?", abort=True, err=True)
            result = _pages(session.api, given, result["matched"], dry_run=False)
    what = "match" if result["dry_run"] else f"match, {result['replayed']} are on their way again"
    skipped = f", {result['skipped']} are still in work and left out" if result["skipped"] else ""
    session.show(result, lambda: click.echo(f"{result['matched']} {what}{skipped}"))


def _tailed(api: Api, last: int, filters: dict[str, str | None], *, follow: bool) -> Iterator[dict[str, Any]]:
    began = api.get("/events", limit=1, **filters)["items"]
    newest = _at(began[0]) if began else None
    first = _latest(api, last, filters)
    seen = dict.fromkeys(event["id"] for event in first)
    if newest and follow:
        seen |= dict.fromkeys(
            one["id"] for one in api.every("/events", since=(newest - OVERLAP).isoformat(), limit=100, **filters)
        )
    yield from reversed(first)
    while follow:
        time.sleep(POLL_S)
        try:
            since = (newest - OVERLAP).isoformat() if newest else None
            found = list(api.every("/events", since=since, limit=100, **filters))
        except Refused as error:
            if 0 < error.status < 500:
                raise
            note(f"{error.message}; trying again")
            continue
        for event in reversed(found):
            if event["id"] not in seen and (newest is None or _at(event) >= newest - OVERLAP):
                seen[event["id"]] = None
                yield event
        newest = max([newest, *map(_at, found)] if newest else list(map(_at, found)), default=None)
        while len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]


def _latest(api: Api, count: int, filters: dict[str, str | None]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in api.every("/events", limit=max(1, min(count, 100)), **filters):
        if len(found) >= count:
            break
        found.append(event)
    return found


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["received_at"])


def _line(event: dict[str, Any]) -> None:
    incident = event["incident"] or {}
    words = (event["received_at"], event["status"], event["severity"] or "-", event["type"] or "-", incident.get("effect") or "-")
    told = f"{'  '.join(words)}  {event['title'] or ''}  {', '.join(event['assets'])}  {event['id'][:12]}"
    click.echo(plain(told + (f"  {event['reason']}" if event["reason"] else "")).replace("\n", " "))


def _json_line(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, sort_keys=True))


def _one_by_one(api: Api, event_ids: Sequence[str], *, dry_run: bool) -> dict[str, Any]:
    replayed = skipped = 0
    with progress("Replaying", len(event_ids)) as told:
        for number, event_id in enumerate(event_ids, 1):
            if dry_run:
                api.get(f"/events/{part(event_id)}")
            else:
                try:
                    api.call("POST", f"/events/{part(event_id)}/replay")
                    replayed += 1
                except Refused as error:
                    if error.status != 409:
                        raise
                    skipped += 1
            told(number)
    return {"matched": len(event_ids), "replayed": replayed, "skipped": skipped, "dry_run": dry_run}


def _pages(api: Api, criteria: dict[str, str], total: int | None, *, dry_run: bool) -> dict[str, Any]:
    """All pages of one replay; each takes Lily up to five seconds."""
    sums, cursor = {"matched": 0, "replayed": 0, "skipped": 0}, None
    with progress("Counting" if dry_run else "Replaying", total) as told:
        while True:
            wish = {"filter": criteria, "dry_run": dry_run, "cursor": cursor}
            page = api.call("POST", "/events/replay", wish)
            sums = {name: value + page[name] for name, value in sums.items()}
            told(sums["matched"])
            cursor = page["next_cursor"]
            if page["complete"] or cursor is None:
                return sums | {"dry_run": dry_run}
