"""`lily doctor`: whether everything is as it should be, and what to do where it is not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from app.cli.api import Api, Refused
from app.cli.output import FAILED, OK, Session, plain, speaks, table
from connectors import eventbridge
from lily.records import table as records
from lily.runtime import redis_pool
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import SettingsError, settings

AWS = "check LILY_AWS_ENDPOINT_URL, LILY_AWS_REGION and the AWS credentials; `lily setup` makes what is missing"
REMEDIES = {
    "table": "look at DynamoDB and LILY_TABLE of the process web; `lily setup` makes the table",
    "bus": "look at EventBridge and LILY_BUS of the process web; `lily setup` makes the bus. Events are kept and published later",
    "redis": "look at Redis and LILY_REDIS_URL of the process web. Nothing is lost; work is slower meanwhile",
}


@dataclass(frozen=True)
class Finding:
    """`ok` None: it could not be looked at. `remedy` is empty where nothing has to be done."""

    check: str
    ok: bool | None
    found: str
    remedy: str = ""


@click.command()
@speaks()
@click.option("--remote", is_flag=True, help="Only over HTTP: this machine has no settings of Lily's, such as LILY_REDIS_URL.")
@click.pass_context
def doctor(context: click.Context, session: Session, remote: bool) -> None:
    """Look at settings, API, token, Redis, DynamoDB, bus and targets. Exit code 1: something is wrong."""
    found = [*([] if remote else _here()), *_there(session.api)]
    is_well = all(one.ok is not False for one in found)
    rows = [("ok" if one.ok else "not known" if one.ok is None else "failed", one.check, one.found) for one in found]

    def draw() -> None:
        table(("state", "check", "found"), rows)
        for one in found:
            if one.remedy and not one.ok:
                click.echo(plain(f"{one.check}: {one.remedy}"))

    session.show({"ok": is_well, "checks": [asdict(one) for one in found]}, draw)
    context.exit(OK if is_well else FAILED)


def _here() -> Iterator[Finding]:
    """What this machine's settings say, and whether what they name can be reached from here."""
    try:
        own = settings()
    except SettingsError as error:
        for name, fault in error.faults.items():
            yield Finding(f"setting {name}", False, fault, "docs/configuration.md has every setting; or give --remote")
        return
    yield Finding("settings", True, f"installation {own.installation}, {len(own.targets)} targets, {len(own.sources)} sources")
    yield _tried("redis from here", lambda: redis_pool.client().ping(), "check LILY_REDIS_URL, and that Redis runs there")
    yield _tried(f"table {own.table} from here", records.check, AWS)
    yield _tried(f"bus {own.bus} from here", lambda: eventbridge.check(own.bus), AWS)


def _tried(name: str, check: Callable[[], object], remedy: str) -> Finding:
    try:
        check()
    except (Transient, Permanent) as error:
        return Finding(name, False, error.reason, remedy)
    except Exception as error:  # Redis' client has errors of its own
        return Finding(name, False, f"{type(error).__name__}: {error}"[:300], remedy)
    return Finding(name, True, "answers")


def _there(api: Api) -> Iterator[Finding]:
    """What Lily says of itself."""
    try:
        api.send("GET", "/livez", {}, None, 5.0)
    except Refused as error:
        yield Finding("api", False, error.message, "start it (`make run`, or the process web), or set LILY_URL")
        return
    yield Finding("api", True, f"{api.url} answers")
    yield from _ready(api)
    try:
        targets = api.get("/security/targets")["items"]
    except Refused as error:
        is_scope = error.status == 403
        remedy = (
            "the client needs the scope rules:read" if is_scope else "set LILY_TOKEN, or LILY_TOKEN_CLIENT and LILY_TOKEN_SECRET"
        )
        yield Finding("token", False, str(error.document.get("detail") or error.message.splitlines()[0]), remedy)
        yield Finding("targets", None, "cannot be looked at without a token that may")
        return
    yield Finding("token", True, "is taken")
    for target in targets:
        yield _target(target)


def _ready(api: Api) -> Iterator[Finding]:
    """/readyz, which tells the faults in a problem detail where the table is one of them."""
    answer = api.send("GET", "/readyz", {}, None, 10.0)
    try:
        told = json.loads(answer.content)
        states = told.get("checks") or {fault["field"]: fault["reason"] for fault in told.get("errors", [])}
    except (ValueError, AttributeError):
        yield Finding("ready", False, f"answered {answer.status} with no JSON", "is LILY_URL the address of Lily?")
        return
    for name, state in sorted(states.items()):
        yield Finding(f"{name} from the API", state == "ok", state, REMEDIES.get(name, ""))


def _target(target: dict[str, object]) -> Finding:
    name = f"target {target['name']}"
    if target["trouble"]:
        remedy = f"`lily grants {target['name']} --check` says which privilege is missing; docs/runbook.md has more"
        return Finding(name, False, str(target["trouble"]), remedy)
    if target["mode"] != "enforce":
        remedy = f"`lily targets resume {target['name']}`, once its mode should be enforce"
        return Finding(name, None, f"is in the mode {target['mode']}: nothing is changed there", remedy)
    if target["checked_at"] is None:
        return Finding(name, None, "no worker has looked at it yet", f"start the process worker-{target['name']}")
    return Finding(name, bool(target["proves"]), "ready" if target["proves"] else "proves nothing", "see its remarks in the API")
