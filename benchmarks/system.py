"""A whole system on ports and a data folder of its own: Redis, the AWS stand-in, and Lily as its Procfile says, or naive."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import redis

from sandbox.keeper import Keeper, end_group
from sandbox.processes import parse_procfile
from sandbox.surroundings import TARGETS

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "515151515151"
STANDINS = ("aws", "redis")
LEFT_OUT = ("release", "flower")  # Flower only looks on; left out on both sides
READY_S = 60.0
STOP_S = 10.0


class Failed(Exception):
    """It cannot be measured like this. The message says why."""


@dataclass
class System:
    """One running system. `kind` is `lily` or `naive`."""

    kind: str
    folder: Path
    environ: dict[str, str]
    ports: dict[str, int]
    secret: str
    keeper: Keeper
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(2))

    @property
    def groups(self) -> dict[str, int]:
        """Process groups by name."""
        return {name: process.pid for name, process in self.processes.items()}

    def messages_sent(self) -> int:
        """Celery messages so far: kombu sends each by one LPUSH, and nobody else uses that command."""
        stats: Any = self.redis().info("commandstats")
        return int(stats.get("cmdstat_lpush", {}).get("calls", 0))

    def redis_cpu_s(self) -> float:
        usage: Any = self.redis().info("cpu")
        return float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])

    def aws_calls(self) -> dict[str, int]:
        calls: dict[str, int] = self._ask("calls")
        return calls

    def queue_size(self) -> int:
        size: int = self._ask("size")
        return size

    def take_messages(self) -> list[tuple[str, float]]:
        """What the queue has got: (event id, seconds since the epoch). It is empty then."""
        return [(event_id, sent_ms / 1000) for event_id, sent_ms in self._ask("take")]

    def new_aws(self) -> None:
        """An AWS stand-in with an empty table. Lily's processes stay; their connections to the old one are gone."""
        self._end("aws", signal.SIGKILL)
        shutil.rmtree(self.folder / "aws", ignore_errors=True)
        self._start_aws()

    def send(self, name: str, number: signal.Signals) -> None:
        """To the process by this name alone, not to its children."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """SIGKILL, and its children go with it, as under any process manager."""
        self._end(name, signal.SIGKILL)

    def begin(self, name: str, beside: bool = False) -> str:
        """Start a process of the Procfile, also one that has ended. Its name: `beside` another of its kind it gets a new one."""
        label = f"{name}-{next(self._numbers)}" if beside else name
        self._launch(label, self._commands()[name])
        return label

    def await_end(self, name: str, within_s: float) -> int | None:
        """The exit code of a process that is about to end by itself, or None if it did not; then it is killed."""
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.processes[name].wait(within_s)
        self._end(name, signal.SIGKILL)
        return code

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def redis(self) -> "redis.Redis":
        return redis.Redis(port=self.ports["redis"], socket_timeout=5)

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)  # one that was stopped could not end
            process.send_signal(signal.SIGTERM)
        ends_at = time.monotonic() + STOP_S
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, ends_at - time.monotonic()))
        for name in list(self.processes):
            self._end(name, signal.SIGKILL)

    def start(self) -> None:
        bin_path = ROOT / ".venv-sandbox" / "bin" / "python"
        self._launch("redis", f"{bin_path} -m sandbox.redis_server --port {self.ports['redis']}")
        until(lambda: bool(self.redis().ping()), "Redis")
        self._start_aws()
        for name, command in self._commands().items():
            self._launch(name, command)
        until(lambda: _status(f"http://127.0.0.1:{self.ports['web']}/readyz") == 200, f"web ({self.log('web')})")

    def _commands(self) -> dict[str, str]:
        commands = parse_procfile((ROOT / "Procfile").read_text())
        if self.kind == "lily":
            there = self.environ.get("LILY_TARGETS", "").split(",")
            left_out = (*LEFT_OUT, *(f"worker-{name}" for name in TARGETS if name not in there))
            return {name: command for name, command in commands.items() if name not in left_out}
        worker = commands["worker-inbound"].replace("tasks.celery", "benchmarks.naive:celery")
        return {"web": "python -m benchmarks.naive", "worker-inbound": worker}

    def _start_aws(self) -> None:
        python, state = ROOT / ".venv-sandbox" / "bin" / "python", self.folder / "aws"
        self._launch("aws", f"{python} -m benchmarks.aws --port {self.ports['aws']} --state {state}")
        endpoint = self.environ["LILY_AWS_ENDPOINT_URL"]
        until(lambda: _status(f"{endpoint}/_ministack/ready") == 200, "the AWS stand-in")
        subprocess.run(["python", "-m", "app.cli", "setup"], cwd=ROOT, env=self.environ, check=True, stdout=subprocess.DEVNULL)
        client: Callable[[str], Any] = lambda service: boto3.client(  # noqa: E731
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="unused",  # noqa: S106
        )
        url = client("sqs").create_queue(QueueName="told")["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("events").put_rule(Name="all", EventBusName="lily", EventPattern=json.dumps({"source": ["lily"]}))
        client("events").put_targets(Rule="all", EventBusName="lily", Targets=[{"Id": "told", "Arn": arn}])

    def _launch(self, name: str, command: str) -> None:
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.keeper.hold(process.pid)
        self.processes[name] = process

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        end_group(process.pid)
        process.wait()
        self.keeper.release(process.pid)

    def _ask(self, what: str) -> Any:
        with _direct.open(f"http://127.0.0.1:{self.ports['aws']}/benchmark/{what}", timeout=60) as answer:
            return json.load(answer)


@contextlib.contextmanager
def running(kind: str, folder: Path, more: Mapping[str, str]) -> Iterator[System]:
    """A system of this kind, from the moment it is ready to the end of the block. `more` are further settings for it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ports = {name: _free_port() for name in ("web", "redis", "aws")}
    secret = secrets.token_hex(24)  # none that could be taken for an option
    keeper = Keeper()
    system = System(kind, folder, {**_environ(folder, ports, secret), **more}, ports, secret, keeper)
    try:
        system.start()
        yield system
    finally:
        system.stop()
        keeper.close()


def _environ(folder: Path, ports: Mapping[str, int], secret: str) -> dict[str, str]:
    """The environment as `make run` makes it, but for the source's API: what is measured is Lily, not how fast an API answers."""
    return {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LILY_REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "LILY_AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['aws']}",
        "LILY_PUBLIC_URL": f"http://127.0.0.1:{ports['web']}",
        "LILY_WEB_PORT": str(ports["web"]),
        "LILY_SEAL_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "LILY_JWT_SECRETS": secrets.token_urlsafe(32),
        "LILY_SOURCE_MONTE_CARLO_SECRETS": secret,
        "LILY_RUN_DATA": str(folder),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, within_s: float = READY_S) -> None:
    """Wait until it holds; Redis may be away meanwhile. Raises Failed after `within_s`, which says what was not ready."""
    ends_at = time.monotonic() + within_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        if time.monotonic() > ends_at:
            raise Failed(f"{what} was not ready after {within_s:g} s")
        time.sleep(0.05)


def _status(url: str) -> int:
    try:
        with _direct.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
