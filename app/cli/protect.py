"""`lily protect`: a pipeline holds a table back until it is protected."""

import time
from collections.abc import Sequence
from typing import Any

import click

from app.cli.api import Api, Refused, part
from app.cli.output import DIFFERS, OK, Session, note, progress, speaks, table

AT_ONCE = 100  # tables of one request
WAIT_S_MAX = 10.0  # of one request, so that a bar moves
PROTECTED = frozenset({"enforced", "nothing_to_protect"})


@click.command()
@speaks()
@click.option("-t", "--target", required=True, help="Name of the target.")
@click.option("--wait", is_flag=True, help="Wait until all are protected, --timeout at most. Without it: ask, and do not wait.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 3600),
    default=60.0,
    show_default=True,
    help="Seconds to wait, with --wait.",
)
@click.argument("tables", nargs=-1, required=True)
@click.pass_context
def protect(
    context: click.Context, session: Session, *, target: str, wait: bool, timeout_s: float, tables: Sequence[str]
) -> None:
    """Have TABLES (database.schema.table) protected as the rules ask, new ones too.

    Exit code 0: with --wait, each is enforced and proven, or no rule concerns it; without, it was asked for. 2: some table is not
    protected, or not within the timeout, or its target is paused or only reports. 1: it could not be asked for.
    """
    ends_at = time.monotonic() + (timeout_s if wait else 0)
    found: dict[str, dict[str, Any]] = {}
    with progress("Protecting", len(tables)) as told:
        for start in range(0, len(tables), AT_ONCE):
            for one in _protected(session.api, target, tables[start : start + AT_ONCE], ends_at):
                found[one["table"]] = one
            told(sum(one["state"] in PROTECTED for one in found.values()))
    rows = [(one["table"], one["state"], one["columns"], one["rows"], one["reasons"] or "none") for one in found.values()]
    is_protected = all(one["state"] in PROTECTED for one in found.values())
    document = {"target": target, "protected": is_protected, "tables": list(found.values())}
    session.show(document, lambda: table(("table", "state", "masked columns", "row policy", "reasons"), rows))
    if wait and not is_protected:
        note(f"not protected within {timeout_s:g} s" if time.monotonic() >= ends_at else "not protected")
    failed = {one["state"] for one in found.values()} - PROTECTED - {"pending"}
    context.exit(DIFFERS if failed or (wait and not is_protected) else OK)


def _protected(api: Api, target: str, tables: Sequence[str], ends_at: float) -> Sequence[dict[str, Any]]:
    """How far the tables have come when all were looked at or the time is up. Raises Refused."""
    while True:
        left_s = max(0.0, ends_at - time.monotonic())
        wish = {"tables": list(tables), "wait_s": min(WAIT_S_MAX, left_s)}
        try:
            answer = api.call("POST", f"/security/targets/{part(target)}/protect", wish)
        except Refused as error:
            if error.status == 503 and left_s > 1:
                time.sleep(1)  # so many wait there already that no more are let in
                continue
            if error.status == 409:
                return _not_protected(error, tables)
            raise
        if answer["done"] or time.monotonic() >= ends_at:
            return list(answer["tables"])


def _not_protected(error: Refused, tables: Sequence[str]) -> Sequence[dict[str, Any]]:
    told = error.document.get("tables")
    if told is not None:
        return list(told)
    why = f"{error.document.get('detail', error.document.get('title'))} `lily targets list` shows its mode."
    return [
        {"table": name, "state": "not_enforcing", "reasons": [why], "columns": [], "rows": False, "ended_at": None}
        for name in tables
    ]
