"""The start of the process: soon, without the vendors, and with every fault of the settings at once."""

import json
import os
import subprocess
import sys

from tests.servers import ROOT, free_port

LATE = ["snowflake", "databricks", "pyatlan", "connectors.monte_carlo.client", "boto3", "botocore", "celery", "kombu", "httpx"]
PROGRAM = f"""
import json, sys, time
begun = time.perf_counter()
from app import create_app
create_app()
taken = time.perf_counter() - begun
print(json.dumps([taken, [name for name in {LATE} if name in sys.modules]]))
"""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=60
    )


def test_the_application_is_there_within_a_second_without_any_vendor_loaded() -> None:
    run("-c", PROGRAM)  # warms the files
    times = []
    for _ in range(3):
        made = run("-c", PROGRAM)
        assert made.returncode == 0, made.stderr
        taken, loaded = json.loads(made.stdout)
        assert loaded == []
        times.append(taken)

    assert min(times) < 2.0  # about 0.5 s alone; other processes may share the machine


PREVIEWING = f"""
import sys
from app import create_app, previews
from lily.domain.branches import Branch, MaskSpec
from lily.domain.inventory import Family
from lily.domain.masking import MaskType, NULLIFY
from lily.domain.plan import Plan
from lily.domain.steps import CreateMask
from lily.runtime.settings import settings
create_app()
step = CreateMask("m", MaskSpec(("r",), MaskType(Family.TEXT, "VARCHAR", 64), (Branch((), NULLIFY),)), "0" * 32, "c")
(statement,) = previews.statements(settings().targets["snow"], Plan((step,), (), ()), 10)
print(statement.split()[0], [name for name in {LATE} if name in sys.modules])
"""
TARGET = {
    "LILY_HASH_SALT": "9f86d081884c7d659a2feaa0c55ad015",
    "LILY_TARGETS": "snow",
    "LILY_TARGET_SNOW_KIND": "snowflake",
    "LILY_TARGET_SNOW_URL": "http://127.0.0.1:1",
    "LILY_TARGET_SNOW_ACCOUNT": "acme",
    "LILY_TARGET_SNOW_OAUTH_CLIENT_ID": "lily",
    "LILY_TARGET_SNOW_OAUTH_CLIENT_SECRET": "not-a-secret",
    "LILY_TARGET_SNOW_HOME": "GOV.LILY",
    "LILY_TARGET_SNOW_DATABASES": "CRM",
}


def test_statements_are_shown_without_any_vendor_loaded() -> None:
    made = run("-c", PREVIEWING, **TARGET)

    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == "CREATE []"


def test_wsgi_servers_find_the_application() -> None:
    assert run("-c", "from wsgi import app; assert app.test_client().get('/livez').status_code == 200").returncode == 0


def test_faults_of_the_settings_are_all_told_at_the_start() -> None:
    ended = run("-m", "app.serve", LILY_REDIS_URL="localhost", LILY_JWT_SECRETS="short", LILY_WEB_THREADS="many")

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert all(name in ended.stderr for name in ("LILY_REDIS_URL", "LILY_JWT_SECRETS", "LILY_WEB_THREADS"))
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told_by_its_setting() -> None:
    import socket

    with socket.socket() as other:
        port = free_port()
        other.bind(("127.0.0.1", port))
        other.listen()
        ended = run("-m", "app.serve", LILY_WEB_PORT=str(port))

    assert ended.returncode == 2
    assert "LILY_WEB_PORT" in ended.stderr and str(port) in ended.stderr
    assert "Traceback" not in ended.stderr
