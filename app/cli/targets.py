"""`lily targets`: the warehouses, and whether Lily may change them."""

from typing import Any

import click

from app.cli.api import part
from app.cli.output import Session, speaks, table


@click.group()
def targets() -> None:
    """Targets: the warehouses in which rules take effect."""


@targets.command("list")
@speaks()
def list_targets(session: Session) -> None:
    """Show the targets, their modes, and what is wrong with them."""
    found = session.api.get("/security/targets")
    rows = [
        (one["name"], one["kind"], one["mode"], one["proves"], one["inventory"]["age_s"],
         [f"{n} {state}" for state, n in sorted(one["tables"].items())], one["trouble"] or "none")
        for one in found["items"]
    ]  # fmt: skip
    session.show(found, lambda: table(("name", "kind", "mode", "proves", "inventory s", "tables", "trouble"), rows))


@targets.command()
@speaks()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All targets at once.")
def pause(session: Session, names: tuple[str, ...], every: bool) -> None:
    """Change nothing more in these targets; what protects tables stays."""
    _change(session, names, "pause", every=every)


@targets.command()
@speaks()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All targets that are paused.")
def resume(session: Session, names: tuple[str, ...], every: bool) -> None:
    """Let paused targets go on in the mode of their settings."""
    _change(session, names, "resume", every=every)


def _change(session: Session, names: tuple[str, ...], verb: str, *, every: bool) -> None:
    if every == bool(names):
        raise click.UsageError("name targets, or give --all")
    if every:
        changed = session.api.call("POST", f"/security/targets/{verb}")
    else:
        before = {name: session.api.get(f"/security/targets/{part(name)}") for name in names}  # all exist before one changes
        after = [_one(session, one, verb) for one in before.values()]
        names_changed = sorted(one["name"] for one in after if one["mode"] != before[one["name"]]["mode"])
        changed = {"items": after, "changed": names_changed}
    rows = [(one["name"], one["mode"], one["name"] in changed["changed"]) for one in changed["items"]]
    session.show(changed, lambda: table(("name", "mode", "changed"), rows))


def _one(session: Session, target: dict[str, Any], verb: str) -> dict[str, Any]:
    if (verb == "resume") != (target["mode"] == "paused"):
        return target  # it is not paused, so nothing has to go on; or it is already
    mode = "paused" if verb == "pause" else target["configured_mode"]
    found: dict[str, Any] = session.api.call("PUT", f"/security/targets/{part(target['name'])}/mode", {"mode": mode})
    return found
