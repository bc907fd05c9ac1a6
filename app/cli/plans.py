"""`lily plans`: what is held until a person decides."""

from typing import Any

import click

from app.cli.api import part
from app.cli.output import Session, plain, speaks, table


@click.group()
def plans() -> None:
    """Held plans: changes that would take much protection away at once."""


@plans.command("list")
@speaks()
@click.option("--state", default="pending", show_default=True, help="pending, confirmed, rejected ...; `any` for all.")
@click.option("--target", help="Only of this target.")
def list_plans(session: Session, state: str, target: str | None) -> None:
    """Show held plans."""
    wanted = None if state == "any" else state
    found = list(session.api.every("/security/plans", state=wanted, target=target, limit=100))
    rows = [
        (one["id"], one["state"], one["weakened"], one["enforced"], len(one["tables"]), one["rules"], one["created_at"])
        for one in found
    ]
    session.show({"items": found}, lambda: table(("id", "state", "weakened", "of", "tables", "rules", "since"), rows))


@plans.command()
@speaks()
@click.argument("plan_id")
def show(session: Session, plan_id: str) -> None:
    """Show every place that would lose protection, and the statements."""
    found = session.api.get(f"/security/plans/{part(plan_id)}")
    session.show(found, lambda: _draw(found))


@plans.command()
@speaks()
@click.argument("plan_id")
def confirm(session: Session, plan_id: str) -> None:
    """Let a held plan happen: exactly these places, none that came since."""
    _decide(session, plan_id, "confirm")


@plans.command()
@speaks()
@click.argument("plan_id")
def reject(session: Session, plan_id: str) -> None:
    """Refuse a held plan: all stays as it is."""
    _decide(session, plan_id, "reject")


def _decide(session: Session, plan_id: str, verb: str) -> None:
    found = session.api.call("POST", f"/security/plans/{part(plan_id)}/{verb}")
    session.show(found, lambda: click.echo(f"{found['id']}: {found['state']}, {found['weakened']} places"))


def _draw(found: dict[str, Any]) -> None:
    click.echo(f"{found['id']}: {found['state']}, {found['weakened']} of {found['enforced']} places would lose protection")
    rows = [(one["table"], one["column"] or "(rows)", one["why"], one["reader"] or "everybody else") for one in found["places"]]
    table(("table", "column", "why", "reader"), rows)
    for statement in found["statements"]:
        click.echo(plain(str(statement)))
