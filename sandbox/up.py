"""`make run`: Redis, the stand-ins of all outside systems, and Lily's processes as the Procfile lists them.

Everything it makes lies in one folder (`.lily`): secrets, logs, the AWS stand-in's journal, and `run.json`, which tells
`make demo` where to find the running system.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shlex
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.console import Console
from sandbox.processes import Processes, Program, parse_procfile
from sandbox.surroundings import (
    ACCOUNT,
    CLIENT,
    CLIENT_SCOPES,
    QUEUE,
    ROOT,
    TARGETS,
    Refused,
    Surroundings,
    look_around,
    write_private,
)

RELEASE = "release"  # by custom the line of a Procfile that runs once, before the others
STANDIN_READY_S = 20.0
WEB_READY_S = 60.0
RELEASE_S = 60.0
STOP_LILY_S = 5.0  # with the next: everything is gone within 10 s
STOP_STANDINS_S = 3.0
DEATHS_AT_START_MAX = 3
FIRST_ALERT = '{"title": "Row count dropped", "tables": ["analytics:orders.customers"]}'


@dataclass(frozen=True)
class StandIn:
    """Its command, and what must answer before anything is started that needs it."""

    name: str
    command: str
    url: str


def main() -> int:
    """Run until Ctrl-C, SIGTERM or SIGHUP, then end everything; a second Ctrl-C ends it at once."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.up", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--procfile", type=Path, default=ROOT / "Procfile")
    arguments = parser.parse_args()
    console = Console()
    try:
        commands = parse_procfile(arguments.procfile.read_text())
        around = look_around(os.environ)
        with _only_one(around.data):
            return asyncio.run(_until_stopped(Run(around, commands, console), console))
    except (Refused, ValueError, OSError) as error:
        console.error(f"{arguments.procfile}: {error}" if type(error) is ValueError else str(error))
        return 1


async def _until_stopped(run: "Run", console: Console) -> int:
    stopped = asyncio.Event()

    def interrupt() -> None:
        if stopped.is_set():
            run.processes.kill()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    run.open()
    starting = asyncio.create_task(run.start())
    stopping = asyncio.create_task(stopped.wait())
    code = 0
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not starting.done():
            starting.cancel()
        await starting
        await stopping
    except asyncio.CancelledError:
        pass
    except Refused as error:
        console.error(str(error))
        code = 1
    finally:
        stopping.cancel()
        await run.stop()
    return code


class Run:
    """One run: what is started, in which order, and how it ends."""

    def __init__(self, around: Surroundings, commands: Mapping[str, str], console: Console) -> None:
        self._around = around
        self._commands = for_targets(commands, around.targets)
        self._release = self._commands.pop(RELEASE, None)
        self._console = console
        self._standins = _standins(around)
        self._queue_url = ""
        self._ready = False

    def open(self) -> None:
        """To be called in the event loop."""
        self.processes = Processes(self._around.data / "logs", self._console.notice, self._write_state)

    async def start(self) -> None:
        """Start all, in order, and return when it is ready. Raises Refused if it cannot be."""
        await asyncio.gather(*map(self._start_standin, self._standins))
        worlds = {"snowflake-world": self._around.snowflake, "databricks-world": self._around.databricks}
        made = [
            self._run_once(Program(name, f"python -m sandbox.{name.replace('-', '_')} --url {url}", self._around.standins, ROOT))
            for name, url in worlds.items()
        ]
        await asyncio.gather(self._set_up(), *made)
        self._console.step("table, event bus, demo queue and two warehouses with customers are there")
        for name, command in self._commands.items():
            await self.processes.start(Program(name, command, self._around.lily, ROOT))
        if not self._commands:
            return
        self._console.step(f"started {', '.join(self._commands)}")
        if "web" in self._commands:
            await self._until(lambda: _answers(f"{self._around.web}/readyz"), "web", WEB_READY_S)
            if self._around.has_catalog:
                await self._run_once(self._tenant())
            self._console.step("web is ready")
            self._ready = True
            self._write_state(self.processes.pids())
            await self._tell_where()

    def _tenant(self) -> Program:
        """What is in the catalog, whose webhooks go to Lily: it has to answer already."""
        around = self._around
        command = f"python -m sandbox.atlan_world --url {around.atlan} --webhook-url {around.web}/webhooks/atlan"
        return Program("atlan-world", command, around.standins, ROOT)

    async def stop(self) -> None:
        """End Lily's processes, then the stand-ins. The state file goes first, so nobody comes any more."""
        self._console.step("stopping")
        state = self._around.data / "run.json"
        state.unlink(missing_ok=True)
        began_s = self._console.elapsed_s()
        await self.processes.stop(list(self._commands), STOP_LILY_S)
        await self.processes.stop(self.processes.names(), STOP_STANDINS_S)
        self.processes.close()
        state.unlink(missing_ok=True)
        took_s = self._console.elapsed_s() - began_s
        self._console.step(f"stopped in {took_s:.1f} s; the data stays in {_short(self._around.data)}")

    async def _start_standin(self, standin: StandIn) -> None:
        again = self._aws_again if standin.name == "aws" else None
        await self.processes.start(Program(standin.name, standin.command, self._around.standins, ROOT, again))
        await self._until(lambda: _answers(standin.url), standin.name, STANDIN_READY_S)
        self._console.step(f"{standin.name} answers on {urllib.parse.urlsplit(standin.url).netloc}")

    async def _aws_again(self) -> None:
        """The stand-in keeps tables, but neither buses nor rules nor queues."""
        try:
            await self._until(lambda: _answers(f"{self._around.aws}/_ministack/ready"), "aws", STANDIN_READY_S)
            await self._set_up()
            self._console.notice("aws is back, with its table, a new event bus and a new demo queue")
        except Refused as error:
            self._console.notice(str(error))

    async def _set_up(self) -> None:
        if self._release:
            await self._run_once(Program(RELEASE, self._release, self._around.lily, ROOT))
        bus = self._around.lily.get("LILY_BUS", "lily")
        queue = f"python -m sandbox.demo_queue --endpoint {self._around.aws} --bus {bus} --name {QUEUE}"
        await self._run_once(Program("demo-queue", queue, self._around.standins, ROOT))
        self._queue_url = self.processes.last_words("demo-queue", lines=1)

    async def _run_once(self, program: Program) -> None:
        try:
            code = await asyncio.wait_for(self.processes.run_once(program), RELEASE_S)
        except TimeoutError:
            raise Refused(f"`{program.command}` was not done after {RELEASE_S:g} s") from None
        if code:
            words = self.processes.last_words(program.name, lines=20, joined_by="\n  ")
            raise Refused(f"`{program.command}` failed with exit code {code}:\n  {words}")

    async def _until(self, condition: Callable[[], Awaitable[str]], name: str, within_s: float) -> None:
        """Wait until `condition`, which is about the process `name`, has nothing to say against it any more."""
        deadline_s = self._console.elapsed_s() + within_s
        deaths_max = self.processes.deaths[name] + DEATHS_AT_START_MAX
        log = _short(self.processes.log(name))
        while objection := await condition():
            if self.processes.deaths[name] >= deaths_max:
                raise Refused(f"{name} does not stay alive; see {log}")
            if self._console.elapsed_s() > deadline_s:
                raise Refused(f"{name} is not ready after {within_s:g} s: {objection}; see {log}")
            await asyncio.sleep(0.05)

    async def _tell_where(self) -> None:
        around = self._around
        try:
            token, minutes = await asyncio.to_thread(_token, around)
        except OSError as error:
            raise Refused(f"{around.web}/auth/token gave no token to the client {CLIENT}: {error}") from None
        rows = [
            ("API", f"{around.web}  (documentation: {around.web}/docs)"),
            ("Monte Carlo stand-in", around.monte_carlo),
            ("Snowflake stand-in", around.snowflake),
            ("Databricks stand-in", around.databricks),
            ("Atlan stand-in", around.atlan),
            *([("Flower", around.flower)] if "flower" in self._commands else []),
            ("Logs", f"{_short(self.processes.log('*'))}"),
            ("Data", f"{_short(around.data)}  (kept; `make clean` removes it)"),
        ]
        below = [
            f"A token, good for {minutes} minutes, and a first question:\n",
            f"export TOKEN={token}",
            f'curl -H "Authorization: Bearer $TOKEN" {around.web}/events',
            "\nAn alert of your own, raised by the stand-in:\n",
            f"curl {around.monte_carlo}/sandbox/alerts -d '{FIRST_ALERT}'",
            "\nAll of it at work: make demo, in another terminal. Ctrl-C here ends everything.",
        ]
        self._console.box(f"Lily is ready after {self._console.elapsed_s():.1f} s", rows, below)

    def _write_state(self, pids: Mapping[str, int]) -> None:
        around = self._around
        state: dict[str, Any] = {
            "ready": self._ready,
            "pid": os.getpid(),
            "pids": dict(pids),
            "web_url": around.web,
            "monte_carlo_url": around.monte_carlo,
            "snowflake_url": around.snowflake,
            "databricks_url": around.databricks,
            "atlan_url": around.atlan if around.has_catalog else None,
            "targets": around.targets,
            "flower_url": around.flower,
            "redis_url": around.lily["LILY_REDIS_URL"],
            "aws_url": around.aws,
            "aws_account": ACCOUNT,
            "aws_region": around.lily["AWS_DEFAULT_REGION"],
            "queue": QUEUE,
            "queue_url": self._queue_url,
            "client": {"id": CLIENT, "secret": around.client_secret, "scopes": CLIENT_SCOPES},
            "webhook_secret": around.standins["SANDBOX_MC_SECRET"],
            "environment": dict(around.lily),
            "logs": str(around.data / "logs"),
        }
        write_private(around.data / "run.json", state)


def for_targets(commands: Mapping[str, str], targets: list[str]) -> dict[str, str]:
    """The commands with a worker for each target: its own, else one made after that of a target of `make run`."""
    own = {name: commands[f"worker-{name}"] for name in TARGETS if f"worker-{name}" in commands}
    others = {name: command for name, command in commands.items() if name.removeprefix("worker-") not in own}
    pattern = next((command.replace(name, "{target}") for name, command in own.items()), "")
    workers = {f"worker-{name}": own.get(name) or pattern.replace("{target}", name) for name in targets} if own else {}
    return {**others, **workers}


def _standins(around: Surroundings) -> tuple[StandIn, ...]:
    redis, monte_carlo = f"127.0.0.1:{around.redis_port}", f"127.0.0.1:{around.monte_carlo_port}"
    state = shlex.quote(str(around.data / "aws"))
    webhook = f"{around.web}/webhooks/monte-carlo"
    account, workspace = (shlex.quote(str(around.data / name)) for name in ("snowflake", "databricks"))
    return (
        StandIn("redis", f"python -m sandbox.redis_server --port {around.redis_port}", f"//{redis}"),
        StandIn("aws", f"python -m sandbox.aws --port {around.aws_port} --state {state}", f"{around.aws}/_ministack/ready"),
        StandIn(
            "monte-carlo",
            f"python -m sandbox.monte_carlo --port {around.monte_carlo_port} --webhook-url {webhook}",
            f"//{monte_carlo}",
        ),
        StandIn(
            "snowflake",
            f"python -m sandbox.snowflake --port {around.snowflake_port} --state {account}",
            f"{around.snowflake}/healthz",
        ),
        StandIn(
            "databricks",
            f"python -m sandbox.databricks --port {around.databricks_port} --state {workspace}",
            f"{around.databricks}/healthz",
        ),
        StandIn("atlan", f"python -m sandbox.atlan --port {around.atlan_port}", f"{around.atlan}/healthz"),
    )


async def _answers(url: str) -> str:
    """Empty if `url` answers 200 (or, without a scheme, takes connections); else what is the matter."""
    parts = urllib.parse.urlsplit(url)
    try:
        if parts.scheme:
            return await asyncio.to_thread(_get, url)
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, parts.port), 2)
        writer.close()
    except OSError as error:
        return f"{url}: {error}"
    return ""


def _get(url: str) -> str:
    try:
        with _without_proxy.open(url, timeout=2):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} says {error.code} {error.read(2000).decode(errors='replace')}"


def _token(around: Surroundings) -> tuple[str, int]:
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": around.client_secret}
    with _without_proxy.open(f"{around.web}/auth/token", urllib.parse.urlencode(form).encode(), timeout=5) as answer:
        granted = json.load(answer)
    return granted["access_token"], granted["expires_in"] // 60


_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def _only_one(data: Path) -> Any:
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another make run uses {_short(data)}; end it, or set LILY_RUN_DATA to another folder") from None
        yield


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main())
