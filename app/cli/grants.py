"""`lily grants`: what a target's administrator has to grant Lily, and whether it is there.

It runs with Lily's own settings (LILY_TARGETS ...), beside Lily rather than through its API: only --check talks to the target.
"""

from collections.abc import Sequence
from typing import Any

import click

from app.cli.output import DIFFERS, OK, cell, note, plain, say_json, table
from connectors import registry
from connectors.contracts import Checked, Grant
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import SettingsError, settings

HELD = {True: "ok", False: "missing", None: "not known"}


@click.command()
@click.argument("target")
@click.option("--check", is_flag=True, help="Log in, and look whether each is there.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to show it.")
@click.pass_context
def grants(context: click.Context, target: str, check: bool, output: str) -> None:
    """Print the least that TARGET must grant Lily for the scope in the settings, as statements to run there.

    Exit code 2: with --check, something that is required is missing, or could not be told.
    """
    try:
        config = settings().targets.get(target)
        if config is None:
            known = ", ".join(sorted(settings().targets)) or "none"
            raise click.ClickException(f"LILY_TARGETS has no target {target!r}; it has: {known}")
        needs = registry.grants(config.kind)
        if check:
            context.exit(_checked(needs.check(target), output))
        _printed(needs.statements(target), output)
    except (SettingsError, LookupError) as error:
        raise click.ClickException(str(error)) from error
    except (Transient, Permanent) as error:
        raise click.ClickException(f"{target}: {error.reason}") from error


def _printed(needed: Sequence[Grant], output: str) -> None:
    if output == "json":
        say_json({"grants": [_document(grant) for grant in needed]})
        return
    for grant in needed:
        mark = " (optional)" if grant.optional else ""
        click.echo(f"-- {' '.join(plain(grant.why).split())}{mark}\n{plain(grant.sql).rstrip(';')};")


def _checked(found: Sequence[Checked], output: str) -> int:
    missing = [one for one in found if one.held is not True and not one.grant.optional]
    if output == "json":
        checked = [_document(one.grant) | {"held": one.held, "remark": one.remark} for one in found]
        say_json({"complete": not missing, "grants": checked})
    else:
        columns = ("state", "grant", "needed", "remark")
        table(columns, [(cell(HELD[one.held]), one.grant.sql, _needed(one.grant), one.remark or one.grant.why) for one in found])
        note(f"{len(missing)} of {len(found)} are not there, or could not be told" if missing else f"all {len(found)} are there")
    return DIFFERS if missing else OK


def _needed(grant: Grant) -> str:
    return "optional" if grant.optional else "required"


def _document(grant: Grant) -> dict[str, Any]:
    return {"sql": grant.sql, "why": grant.why, "optional": grant.optional}
