"""`lily annotations`: what is tagged in a catalog becomes annotations."""

import time
from typing import Any

import click

from app.cli.api import part
from app.cli.output import FAILED, OK, Session, note, progress, speaks, table

EVERY_S = 0.5
COLUMNS = ("id", "state", "seen", "of about", "stated", "asked", "elsewhere", "checked", "trouble")


@click.group()
def annotations() -> None:
    """Annotations: what data is, as a catalog says."""


@annotations.command()
@speaks()
@click.option("--catalog", help="Name of the catalog; needed where there are several.")
@click.option("--connection", help="Qualified name of the connection; needed where there are several.")
@click.option("--pattern", help="Only tables that this path means: DATABASE.SCHEMA.TABLE, with wildcards.")
@click.option("--tag", "tags", multiple=True, help="Only assets with this tag; may be given several times.")
@click.option("--dry-run", is_flag=True, help="Count what would be stated, and change nothing.")
@click.option("--no-wait", is_flag=True, help="Begin, and do not wait for the end.")
@click.pass_context
def sync(context: click.Context, /, session: Session, *, tags: tuple[str, ...], no_wait: bool, **wish: Any) -> None:
    """Read the tags of a catalog's connection, and compare with it what was annotated before.

    It goes on in Lily if this command is ended; `lily annotations status` shows it. Exit code 1: it failed.
    """
    found = session.api.call("POST", "/security/annotations/sync", {**wish, "tags": list(tags) or None})
    if not no_wait:
        found = _waited_for(session, found)
    session.show(found, lambda: table(COLUMNS, [_row(found)]))
    context.exit(FAILED if found["state"] == "failed" else OK)


@annotations.command()
@speaks()
@click.argument("sync_id", required=False)
def status(session: Session, sync_id: str | None) -> None:
    """Show how far a sync has come; without SYNC_ID the latest ones."""
    if sync_id is not None:
        found = session.api.get(f"/security/annotations/sync/{part(sync_id)}")
        session.show(found, lambda: table(COLUMNS, [_row(found)]))
        return
    page = session.api.get("/security/annotations/sync", limit=20)
    session.show(page, lambda: table(COLUMNS, [_row(one) for one in page["items"]]))


def _waited_for(session: Session, found: dict[str, Any]) -> dict[str, Any]:
    while found["state"] == "running" and not found["about"] and found["phase"] == "search":
        found = _next(session, found)
    with progress("Reading tags", found["about"]) as told:
        while found["state"] == "running" and found["phase"] == "search":
            told(found["seen"])
            found = _next(session, found)
    with progress("Comparing", None) as told:
        while found["state"] == "running":
            told(found["checked"])
            found = _next(session, found)
    return found


def _next(session: Session, before: dict[str, Any]) -> dict[str, Any]:
    time.sleep(EVERY_S)
    found: dict[str, Any] = session.api.get(f"/security/annotations/sync/{part(before['id'])}")
    if found["reason"] and found["reason"] != before["reason"]:
        note(f"waits: {found['reason']}")
    return found


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    state = f"{one['state']} (dry run)" if one["dry_run"] else one["state"]
    counts = (one["seen"], one["about"], one["stated"], one["asked"], one["elsewhere"], one["checked"])
    return one["id"], state, *counts, one["reason"] or "none"
