"""`lily rules`: rules kept in files, compared with those in Lily and brought into it."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from app.cli import rule_diff, rule_schema
from app.cli.api import Api, Refused, explained, part
from app.cli.output import DIFFERS, Session, cell, note, plain, progress, say_json, speaks, table
from app.cli.rule_changes import SET, Change, Kind, changes, from_live, set_of
from app.cli.rule_files import InvalidFile, read, written

OPEN_ENDS = frozenset({"held", "failed", "conflict"})
POLL_S = 0.3


def _set_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(SET, value):
        raise click.BadParameter(f"{value!r} must be lower case letters, digits and hyphens, up to 40")
    return value


FILES = click.option(
    "-f", "--file", "paths", multiple=True, required=True, type=click.Path(exists=True, path_type=Path),
    help="A YAML file, or a folder with *.yaml and *.yml files; as often as needed.",
)  # fmt: skip
SET_NAME = click.option(
    "--set", "own", default="default", show_default=True, callback=_set_name,
    help="Name of this set of files, where several repositories keep rules in one Lily.",
)  # fmt: skip
PRUNE = click.option("--prune", is_flag=True, help="Delete rules of this set that the files do not name any more.")


@click.group()
def rules() -> None:
    """Rules: what is protected, how, and except for whom."""


@rules.command("list")
@speaks("yaml")
@click.option("--text", help="Part of name or description.")
@click.option("--target", help="Only rules that reach this target.")
def list_rules(session: Session, text: str | None, target: str | None) -> None:
    """Show the rules in Lily; with -o yaml as files that `apply` takes."""
    found = list(session.api.every("/security/rules", text=text, target=target, limit=100))
    if session.output == "yaml":
        click.echo(written(from_live(rule) for rule in found), nl=False)
        return
    rows = [
        (rule["id"], rule["version"], rule["name"], rule["regulation"], rule["action"]["kind"], rule["targets"], rule["enabled"],
         set_of(rule))
        for rule in found
    ]  # fmt: skip
    columns = ("id", "version", "name", "regulation", "action", "targets", "enabled", "set")
    session.show({"items": found}, lambda: table(columns, rows))


@rules.command()
def schema() -> None:
    """Print the JSON Schema of a rule in a file, for editors."""
    say_json(rule_schema.schema())


@rules.command()
@speaks("markdown")
@FILES
@SET_NAME
@PRUNE
@click.pass_context
def plan(context: click.Context, session: Session, paths: Sequence[Path], own: str, prune: bool) -> None:
    """Show what `apply` would change, and what would follow. Changes nothing; exit code 2: something would change."""
    context.exit(_plan(session, paths, own, prune))


@rules.command()
@speaks("markdown")
@FILES
@SET_NAME
@PRUNE
@click.option("--dry-run", is_flag=True, help="As `lily rules plan`.")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 600), default=5.0, show_default=True, help="Seconds to watch effects.")
@click.pass_context
def apply(
    context: click.Context, session: Session, *, paths: Sequence[Path], own: str, prune: bool, dry_run: bool, wait_s: float
) -> None:
    """Make Lily's rules those of the files. Again, it changes nothing.

    Nothing is written unless Lily finds every rule right. Exit code 2: with --dry-run, something would change; without it, it is
    written and some of it is held for a person, failed, or in conflict.
    """
    if dry_run:
        context.exit(_plan(session, paths, own, prune))
    found = _compared(session.api, paths, own, prune)
    todo = [one for one in found if one.kind is not Kind.NONE]
    _previewed(session.api, todo)
    done = []
    with progress("Writing rules", len(todo)) as told:
        for change in todo:
            done.append(_written(session.api, change))
            told(len(done))
    ends = _watched(session.api, done, wait_s)
    held = _held(session.api, {rule["id"] for rule in done}) if done else []
    applied = [replace(change, live=rule) for change, rule in zip(todo, done, strict=True)]
    unchanged = [one for one in found if one.kind is Kind.NONE]
    document = rule_diff.document(applied + unchanged, own) | {
        "effects": [{"rule_id": rule["id"], "name": rule["name"], "state": ends[rule["id"]]} for rule in done],
        "held": held,
    }
    if session.output == "markdown":
        click.echo(rule_diff.markdown(document))
    else:
        session.show(document, lambda: _draw_applied(document, done))
    context.exit(DIFFERS if held or OPEN_ENDS & set(ends.values()) else 0)


def _plan(session: Session, paths: Sequence[Path], own: str, prune: bool) -> int:
    found = _compared(session.api, paths, own, prune)
    previews = _previewed(session.api, [one for one in found if one.kind is not Kind.NONE])
    document = rule_diff.document(found, own, previews)
    if session.output == "markdown":
        click.echo(rule_diff.markdown(document))
    else:
        session.show(document, lambda: click.echo(plain(rule_diff.text(document))))
    return DIFFERS if any(one.kind is not Kind.NONE for one in found) else 0


def _compared(api: Api, paths: Sequence[Path], own: str, prune: bool) -> list[Change]:
    try:
        files = read(paths)
        return changes(files, api.every("/security/rules", limit=100), own, prune=prune)
    except InvalidFile as error:
        raise click.ClickException("the rules cannot be read:\n  " + "\n  ".join(map(plain, error.faults))) from None


def _previewed(api: Api, todo: Sequence[Change]) -> dict[str, Any]:
    """By name what Lily says would follow. Raises ClickException with every fault of every file."""
    found, faults = dict[str, Any](), list[str]()
    with progress("Looking ahead", len(todo)) as told:
        for number, change in enumerate(todo, 1):
            if change.document is not None:
                try:
                    own = {"id": change.live["id"]} if change.live else {}
                    found[change.name] = api.call("POST", "/security/rules/preview", {**change.document, **own})
                except Refused as error:
                    faults += _placed(change, error)
            told(number)
    if faults:
        raise click.ClickException("nothing was changed, for Lily does not take these rules:\n  " + "\n  ".join(faults))
    return found


def _placed(change: Change, error: Refused) -> list[str]:
    """The faults of a rule with the lines that they are on. Raises `error` if it is about something else."""
    told = error.document.get("errors")
    if error.status not in {403, 422} or not told or change.file is None:
        raise error
    return [plain(f"{change.file.where(one['field'])}: {one['field']}: {one['reason']}") for one in told]


def _written(api: Api, change: Change) -> dict[str, Any]:
    try:
        if change.live is None:
            return dict(api.call("POST", "/security/rules", change.document))
        path, version = f"/security/rules/{part(change.live['id'])}", change.live["version"]
        if change.document is None:
            return dict(api.call("DELETE", path, version=version))
        return dict(api.call("PUT", path, change.document, version=version))
    except Refused as error:
        faults = "".join(f"\n  {change.file.where(one['field'])}" for one in error.document.get("errors", []) if change.file)
        what = f"{change.kind} {change.name}: {explained(error.document, error.status) if error.document else error.message}"
        raise click.ClickException(
            f"{plain(what)}{faults}\n  The rules before it are written; once this is mended, run the command again."
        ) from error


def _watched(api: Api, done: Sequence[dict[str, Any]], wait_s: float) -> dict[str, str]:
    """The state of each written rule, as soon as every target has looked at it or the time is up."""
    ends_at, ends, waiting = time.monotonic() + wait_s, dict[str, str](), [rule["id"] for rule in done]
    with progress("Taking effect", len(done)) as told:
        while True:
            seen = {rule_id: api.get(f"/security/rules/{part(rule_id)}/propagations", limit=1) for rule_id in waiting}
            ends |= {rule_id: one["state"] for rule_id, one in seen.items()}
            waiting = [rule_id for rule_id, one in seen.items() if any(asked["done_at"] is None for asked in one["targets"])]
            told(len(done) - len(waiting))
            if not waiting or time.monotonic() >= ends_at:
                return ends
            time.sleep(POLL_S)


def _held(api: Api, of: set[str]) -> list[dict[str, Any]]:
    """Plans that wait for a person because of these rules, each with the command that lets it happen."""
    waiting = [held for held in api.every("/security/plans", state="pending", limit=100) if of & set(held["rules"])]
    return [
        {name: held[name] for name in ("id", "target", "weakened", "enforced", "rules", "tables")}
        | {"confirm": f"lily plans confirm {held['id']}", "reject": f"lily plans reject {held['id']}"}
        for held in waiting
    ]


def _draw_applied(document: dict[str, Any], done: Sequence[dict[str, Any]]) -> None:
    click.echo(plain(rule_diff.text(document)))
    if done:
        table(("rule", "state"), [(one["name"], cell(one["state"])) for one in document["effects"]])
    for rule in done:
        for warning in rule.get("warnings", []):
            note(f"{rule['name']}: {warning['field']}: {warning['reason']}")
    for held in document["held"]:
        note(
            f"{held['id']} is held: {held['weakened']} places in {len(held['tables'])} tables would lose protection.\n"
            f"  look at it:  lily plans show {held['id']}\n  let it happen:  {held['confirm']}\n  refuse it:  {held['reject']}"
        )
