"""The whole system as real processes, seen over HTTP and by a subscriber to its bus; any of them can be killed."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import httpx
import pytest

from tests.runtime.conftest import RedisServer
from tests.servers import ROOT, finish, free_port, launch, sandbox, status
from tests.waiting import eventually

SECRET = "journey-secret"
LILY = ROOT / ".venv" / "bin"
CELERY = [LILY / "celery", "-A", "tasks.celery"]


def signed(body: bytes) -> dict[str, str]:
    text = urlencode(json.loads(body)).encode()
    return {"x-mcd-signature": hmac.new(SECRET.encode(), text, hashlib.sha512).hexdigest()}


@dataclass
class System:
    """Processes by name; each can be killed and started again."""

    environ: dict[str, str]
    logs: Path
    web_port: int
    aws_port: int
    aws_state: Path
    redis: RedisServer
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    queue_url: str = ""
    token: str = ""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10, headers={"connection": "close"}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def start(self, name: str) -> None:
        commands: dict[str, list[str | Path]] = {
            "aws": sandbox("aws", "--port", str(self.aws_port), "--state", self.aws_state),
            "web": [LILY / "python", "-m", "app.serve"],
            "web-2": [LILY / "python", "-m", "app.serve"],
            "worker-inbound": _worker("inbound", "prefork", 2),
            "worker-io": _worker("io", "threads", 4),
            "beat": [*CELERY, "beat", "-l", "warning", "-s", self.logs / "schedule"],
        }
        self.processes[name] = launch(commands[name], self.environ, self.logs / f"{name}.log")

    def kill(self, name: str) -> None:
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        finish(self.processes.pop(name))

    def ready(self) -> bool:
        return status(f"{self.url}/readyz") == 200

    def post(self, body: Any, client: httpx.Client | None = None) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return (client or self.http).post(f"{self.url}/webhooks/monte-carlo", content=raw, headers=signed(raw), timeout=10)

    def get(self, path: str) -> Any:
        if not self.token:
            form = {"grant_type": "client_credentials", "client_id": "test", "client_secret": "s" * 32}
            self.token = self.http.post(f"{self.url}/auth/token", data=form).json()["access_token"]
        answer = self.http.get(self.url + path, headers={"authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def subscribe(self) -> None:
        """A queue for all of Lily's messages."""
        events, sqs = self.client("events"), self.client("sqs")
        self.queue_url = sqs.create_queue(QueueName="told")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="all", EventBusName="lily", EventPattern=json.dumps({"source": ["lily"]}))
        events.put_targets(Rule="all", EventBusName="lily", Targets=[{"Id": "told", "Arn": arn}])

    def messages(self) -> list[dict[str, Any]]:
        """What was published since the last time."""
        sqs, found = self.client("sqs"), []
        while batch := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.aws_port}",
            region_name="us-east-1",
            aws_access_key_id=self.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key="x",
        )

    def await_published(self, ids: set[str], within_s: float) -> Counter[str]:
        """How often each id was published, once all were."""
        told: Counter[str] = Counter()

        def all_told() -> bool:
            told.update(message["id"] for message in self.messages())
            missing = ids - set(told)
            assert not missing, f"{len(missing)} of {len(ids)} not published, such as {sorted(missing)[:3]}; see {self.logs}"
            return True

        eventually(all_told, within_s=within_s, every_s=0.2)
        return told


def _worker(queue: str, pool: str, size: int) -> list[str | Path]:
    names = ["-n", f"{queue}@journey", "-Q", queue, "-P", pool, "-c", str(size)]
    return [*CELERY, "worker", *names, "--without-mingle", "--without-gossip", "-l", "warning"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder, redis = tmp_path_factory.mktemp("system"), RedisServer(free_port())
    web_port, aws_port = free_port(), free_port()
    environ = {
        "PATH": f"{LILY}:{os.environ['PATH']}",
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "222222222222",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LILY_REDIS_URL": redis.url,
        "LILY_AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_port}",
        "LILY_PUBLIC_URL": f"http://127.0.0.1:{web_port}",
        "LILY_WEB_PORT": str(web_port),
        "LILY_SEAL_KEY": base64.b64encode(b"2" * 32).decode(),
        "LILY_JWT_SECRETS": "j" * 32,
        "LILY_SOURCE_MONTE_CARLO_SECRETS": f"another-secret,{SECRET}",
        "LILY_CLIENTS": "test",
        "LILY_CLIENT_TEST_SECRET": "s" * 32,
        "LILY_CLIENT_TEST_SCOPES": "events:read,events:replay",
        "LILY_RATE_LIMIT": "100000/minute",
        "LILY_LEASE_S": "6",
        "LILY_SWEEP_AFTER_S": "8",
        "LILY_SWEEP_EVERY_S": "2",
    }
    running = System(environ, folder, web_port, aws_port, folder / "aws", redis)
    redis.start()
    try:
        running.start("aws")
        eventually(lambda: status(f"{environ['LILY_AWS_ENDPOINT_URL']}/_ministack/ready") == 200, within_s=20)
        subprocess.run([LILY / "python", "-m", "app.cli", "setup"], cwd=ROOT, env=environ, check=True, timeout=60)
        running.subscribe()
        for name in ("web", "web-2", "worker-inbound", "worker-io", "beat"):
            running.start(name)
        eventually(running.ready, within_s=30)
        yield running
    finally:
        for process in running.processes.values():
            finish(process)
        redis.stop()
